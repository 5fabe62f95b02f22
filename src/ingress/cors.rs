//! Pages in browsers: which origins may call the gateway (Fetch standard, section 3.2).
//!
//! Off unless origins are named: a page has no safe place for a key. A preflight carries no key, so
//! it is answered above `authenticate`; answers get their fields here too, the gateway's own errors
//! among them, or a page could not read its 429. Cookies are never allowed: `Cookie` is not sent
//! on.

use std::future::{Ready, ready};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio_util::either::Either;

use crate::call::{self, BoxFuture, Next, Reply, Request, Result, Stage, StageLayer, Staged};
use crate::error::{Code, Error};
use crate::record::layer::Opened;

/// Seconds that a browser may keep the answer to a preflight.
const KEPT: HeaderValue = HeaderValue::from_static("600");

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Lets pages of some origins in.
pub struct Cors {
    origins: Vec<HeaderValue>,
}

/// The fields of an answer.
type Fields = Vec<(HeaderName, HeaderValue)>;

impl Cors {
    /// `origins` as browsers write them (`https://app.example`), or `*` for all; none lets no page
    /// in.
    #[must_use]
    pub fn layer(origins: Vec<HeaderValue>) -> StageLayer<Self> {
        StageLayer::new(Self { origins })
    }

    /// The fields by which the browser lets the page at `request` read its answer; none if it may
    /// not.
    fn fields(&self, request: &Request) -> Fields {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Vec::new() };
        let all = HeaderValue::from_static("*");
        let allowed = if self.origins.contains(&all) {
            all
        } else if self.origins.contains(origin) {
            origin.clone()
        } else {
            return Vec::new();
        };
        vec![
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*")),
        ]
    }
}

/// A browser's question whether a page may send a request.
fn is_preflight(request: &Request) -> bool {
    let fields = request.headers();
    *request.method() == Method::OPTIONS
        && fields.contains_key(header::ORIGIN)
        && fields.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: whatever the page wants to send, its key decides what it may do.
fn preflight(request: &Request, fields: Fields) -> Result {
    if fields.is_empty() {
        let detail =
            "pages of this origin are not served: [server.cors] origins names those that are";
        return Err(Error::refused(Code::OriginRefused, detail));
    }
    let mut reply = Reply::new(call::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT);
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    put(headers, fields);
    Ok(reply)
}

/// Puts `fields` in; by `Vary` no cache gives one page's answer to another.
fn put(headers: &mut HeaderMap, fields: Fields) {
    headers.extend(fields);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

impl<S: Next<Opened>> Stage<S> for Cors {
    type Call = Opened;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, Either<BoxFuture, Ready<Result>>>;

    fn call(this: &Staged<Self, S>, opened: Opened) -> Self::Future {
        let fields = this.stage().fields(&opened.request);
        if is_preflight(&opened.request) {
            return Either::Right(Either::Right(ready(preflight(&opened.request, fields))));
        }
        let answer = this.pass(opened);
        if fields.is_empty() {
            return Either::Left(answer);
        }
        Either::Right(Either::Left(Box::pin(async move {
            match answer.await {
                Ok(mut reply) => {
                    put(reply.headers_mut(), fields);
                    Ok(reply)
                }
                Err(mut error) => {
                    error.headers.extend(fields);
                    error.headers.push((header::VARY, HeaderValue::from_static("origin")));
                    Err(error)
                }
            }
        })))
    }
}
