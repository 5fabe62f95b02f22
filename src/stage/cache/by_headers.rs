//! A row with `freshness = "headers"`: what the vendor's fields say, and nothing else (RFC 9111, for
//! a shared cache that guesses nothing). All end-to-end fields pass both ways.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy};
use tower::Service;

use super::fetch::{Collected, NO_LIFE, collect, head};
use super::read::{Read, mark_stored};
use crate::cache::key::Key;
use crate::cache::policy::{self, OPTIONS};
use crate::cache::store::Copy;
use crate::call::{self, BoxFuture, Call, Reply, Result};
use crate::error::{Code, Error};
use crate::flight::Flight;
use crate::headers::HadCookie;
use crate::record::{Cached, Forward};

/// A request on its way to the vendor, and what is known before it.
struct Asking {
    key: Key,
    /// As the client sent it.
    request: http::Request<()>,
    /// The copy that the vendor is asked to confirm.
    confirms: Option<Arc<Copy>>,
}

impl<S> Read<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Clone + Send + 'static,
{
    pub(super) async fn by_headers(self, mut call: Call) -> Result {
        if call.method != Method::GET || call.headers.contains_key(header::RANGE) {
            let why = Forward::Bypass;
            call.record.mark(|marks| marks.cached = Some(Cached::Missed { why, stored: false }));
            return self.alone(call).await;
        }
        // What the copy was made for is in its policy, `Vary` included.
        let key = self.shelf.key(&call, Some(&[]));
        let mut request = policy::request(&call.target, call.headers.clone());
        if self.shelf.ignores(&call) {
            for name in [header::CACHE_CONTROL, header::PRAGMA] {
                request.headers_mut().remove(name);
            }
        }
        let wants = policy::wants(request.headers());
        let now = self.shelf.wall();
        let copy = self.shelf.find(&key, &call.caller.connection, &self.row).await;
        let (mut confirms, mut why) = (None, Forward::Miss);
        if let Some((copy, kept)) = copy.as_ref().and_then(|copy| Some((copy, copy.policy()?))) {
            match kept.before_request(&request, now) {
                BeforeRequest::Fresh(parts) => {
                    let (age, left) = (kept.age(now), kept.time_to_live(now));
                    call.record.mark(|marks| marks.cached = Some(Cached::Hit { age, left }));
                    return Ok(reuse(parts.headers, copy));
                }
                BeforeRequest::Stale { request, matches: true } => {
                    (confirms, why) = (Some(copy.clone()), Forward::Stale);
                    call.headers = request.headers;
                }
                BeforeRequest::Stale { .. } => {}
            }
        }
        if wants.only_if_cached {
            let detail = "no copy answers this, and the request asks for nothing else";
            return Err(Error::refused(Code::NotCached, detail));
        }
        call.record.mark(|marks| marks.cached = Some(Cached::Missed { why, stored: false }));
        call.body = call::Body::Empty;
        let (record, flights) = (call.record.clone(), self.flights.clone());
        let asking = Asking { key, request, confirms };
        Flight::new(Box::pin(self.ask(call, asking)), record, flights).await
    }

    /// Asks the vendor, and keeps what its fields allow.
    async fn ask(mut self, call: Call, asking: Asking) -> Result {
        let (record, connection) = (call.record.clone(), call.caller.connection.clone());
        let moment = self.shelf.moment(&connection, &self.row);
        let reply = self.inner.call(call).await?;
        let (answer, now) = (head(&reply), self.shelf.wall());
        let confirmed = asking.confirms.filter(|_| answer.status() == StatusCode::NOT_MODIFIED);
        if let Some((copy, kept)) = confirmed.as_ref().and_then(|copy| Some((copy, copy.policy()?)))
        {
            let AfterResponse::NotModified(kept, parts) =
                kept.after_response(&asking.request, &answer, now)
            else {
                // It confirms what the client holds, not what is kept here.
                return Ok(reply);
            };
            let answer = http::Response::from_parts(parts, ());
            let copy =
                Copy::new(&answer, copy.body(), NO_LIFE, moment.generation).with_policy(kept);
            let copy = Arc::new(copy);
            let after = self.shelf.moment(&connection, &self.row);
            self.shelf.keep(asking.key, copy.clone(), moment, after).await;
            record.mark(|marks| marks.cached = Some(Cached::Revalidated));
            return Ok(reuse(answer.into_parts().0.headers, &copy));
        }
        let kept = CachePolicy::new_options(&asking.request, &answer, now, OPTIONS);
        let useful = !kept.is_stale(now) || has_validator(answer.headers());
        let whole =
            ![StatusCode::NOT_MODIFIED, StatusCode::PARTIAL_CONTENT].contains(&answer.status());
        let cookie = reply.extensions().get::<HadCookie>().is_some();
        if !kept.is_storable() || !useful || !whole || cookie || forbids(answer.headers()) {
            return Ok(reply);
        }
        let (parts, body) = reply.into_parts();
        let body = match collect(body, self.shelf.largest()).await {
            Collected::Passing(body) => return Ok(Reply::from_parts(parts, body)),
            Collected::Whole(body) => body,
        };
        let copy = Copy::new(&answer, &body, NO_LIFE, moment.generation).with_policy(kept);
        let after = self.shelf.moment(&connection, &self.row);
        if self.shelf.keep(asking.key, Arc::new(copy), moment, after).await {
            mark_stored(&record);
        }
        Ok(Reply::from_parts(parts, call::full(body)))
    }
}

/// The answer from `copy` with `fields`.
fn reuse(fields: HeaderMap, copy: &Copy) -> Reply {
    let mut reply = copy.reply(&Method::GET);
    *reply.headers_mut() = fields;
    reply
}

fn has_validator(headers: &HeaderMap) -> bool {
    [header::ETAG, header::LAST_MODIFIED].iter().any(|name| headers.contains_key(name))
}

/// Words that the library reads in lower case only.
fn forbids(headers: &HeaderMap) -> bool {
    policy::names(headers, "no-store") || policy::names(headers, "private")
}
