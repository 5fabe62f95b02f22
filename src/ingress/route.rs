//! Raw path and method become an operation; connection, scope and deadline are settled; from here
//! on the request is a [`Call`]. On the way back, what an answer refers to is written as its caller
//! can follow it.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use hyper::body::Body as _;
use pin_project_lite::pin_project;
use tokio_util::either::Either;

use crate::call::{self, Call, Caller, Next, Reply, Stage, StageLayer, Staged, Unread};
use crate::catalog::{Catalog, Match, MethodPattern, Operation};
use crate::error::{Code, Error, Outcome};
use crate::headers::{self, references};
use crate::identity::authenticate::Authenticated;
use crate::identity::{App, AppConnection};
use crate::ids::{ConnectionId, KeyId};
use crate::record::Record;
use crate::record::layer::Opened;

/// What a client's own time-out leaves for the way back.
const RETURN_TRIP: Duration = Duration::from_secs(1);

const PREFER: HeaderName = HeaderName::from_static("prefer");
const TIME_OUT: HeaderName = HeaderName::from_static("x-stainless-timeout");
const READ_TIME_OUT: HeaderName = HeaderName::from_static("x-stainless-read-timeout");

/// Routes requests by the catalogue.
pub struct Route {
    catalog: Arc<Catalog>,
    deadline: Duration,
}

pin_project! {
    /// An answer on its way to the caller.
    pub struct Back<F> {
        #[pin]
        answer: F,
        way: Way,
    }
}

/// How a caller came.
struct Way {
    connection: ConnectionId,
    /// By `/c/<connection>`.
    named: bool,
    safe: bool,
    key_travels: bool,
}

// === impl Route ===

impl Route {
    /// A call has at most `deadline` from ingress to the head of its answer.
    #[must_use]
    pub fn layer(catalog: Arc<Catalog>, deadline: Duration) -> StageLayer<Self> {
        StageLayer::new(Self { catalog, deadline })
    }

    fn route(&self, authenticated: Authenticated) -> Result<(Call, Way), Error> {
        let Authenticated { opened, app, key, key_travels } = authenticated;
        let Opened { request, habits, record, proof, notes, .. } = opened;
        let (mut head, body) = request.into_parts();
        let asked = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let named = asked.as_str().starts_with("/c/");
        let (connection, target) = connection(&app, asked)?;
        let safe = head.method.is_safe();
        let way = Way { connection: connection.id.clone(), named, safe, key_travels };
        record.mark(|marks| marks.caller.connection = Some(connection.id.clone()));
        let operation = self.operation(&app, &head.method, target.path(), &record)?;
        record.mark(|marks| marks.operation = Some(operation.clone()));
        let time_out = announced(&head.headers).or(habits.time_out);
        let client = time_out.map(less_the_way_back).filter(|client| *client < self.deadline);
        let deadline = record.started + client.unwrap_or(self.deadline);
        let wait_until = preferred_wait(&mut head.headers).map(|wait| record.started + wait);
        headers::strip_overrides(&mut head.headers);
        head.headers.remove(header::CONTENT_LENGTH);
        let body = Unread(Some(body).filter(|body| !body.is_end_stream()));
        let caller = caller(&app, key, connection);
        let call = Call {
            caller,
            operation,
            method: head.method,
            target,
            headers: head.headers,
            body,
            deadline,
            own_deadline: client.is_some(),
            wait_until,
            collects: None,
            before_send: None,
            habits,
            proof,
            notes,
            record,
        };
        Ok((call, way))
    }

    /// The row of a path, if `app` may call it; else `record` says which one it was. Empty segments
    /// match no row, also not `unlisted`.
    fn operation(
        &self,
        app: &App,
        method: &Method,
        path: &str,
        record: &Record,
    ) -> Result<Arc<Operation>, Error> {
        let unknown = |detail: &'static str| Error::refused(Code::UnknownOperation, detail);
        if path == "/" {
            return Err(unknown("no operation of the catalogue has this path"));
        }
        if path.split('/').skip(1).any(str::is_empty) {
            return Err(unknown("the path has an empty segment: does the base URL end in '/'?"));
        }
        match self.catalog.find(method, path) {
            Match::Operation(row) if app.scopes.allow(row) => Ok(row.clone()),
            Match::Operation(row) => {
                record.mark(|marks| marks.operation = Some(row.clone()));
                let detail = format!("the app's scopes do not cover '{}'", row.id);
                Err(Error::refused(Code::ScopeMissing, detail))
            }
            Match::WrongMethod(allow) => Err(not_allowed(allow)),
            Match::Unknown if !app.scopes.allow_unlisted() => {
                Err(unknown("no operation of the catalogue has this path"))
            }
            Match::Unknown if self.catalog.is_reserved(path) => Err(unknown(
                "another spelling of this path is an operation's, or of a group that scopes must name",
            )),
            Match::Unknown => {
                // TRACE would show the token to the caller; what is not known is not forwarded.
                if *method != Method::HEAD && !MethodPattern::ALL.contains(method) {
                    return Err(not_allowed(HeaderValue::from_static(
                        "GET, HEAD, POST, PUT, PATCH, DELETE",
                    )));
                }
                Ok(self.catalog.unlisted().clone())
            }
        }
    }
}

/// Who calls, by names and by numbers.
fn caller(app: &App, key: KeyId, connection: &AppConnection) -> Caller {
    Caller {
        tenant: app.tenant.clone(),
        app: app.id.clone(),
        key,
        connection: connection.id.clone(),
        ix: connection.ix,
        app_ix: connection.app,
        makes_keys: app.makes_keys,
        asks_cache: app.asks_cache,
    }
}

/// The time-out that the client says it has.
fn announced(headers: &HeaderMap) -> Option<Duration> {
    [TIME_OUT, READ_TIME_OUT]
        .iter()
        .filter_map(|name| headers.get(name)?.to_str().ok()?.parse::<f64>().ok())
        .filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|client| !client.is_zero())
        .min()
}

fn less_the_way_back(client: Duration) -> Duration {
    client.saturating_sub(RETURN_TRIP).max(client / 2)
}

fn not_allowed(allow: HeaderValue) -> Error {
    let detail = "this path takes the methods in Allow";
    Error::refused(Code::MethodNotAllowed, detail).with_header(header::ALLOW, allow)
}

/// How long the caller wants to wait in the queue (`Prefer: wait=N`, RFC 7240 section 4.3). It is
/// meant for the gateway: the vendor does not get it.
fn preferred_wait(headers: &mut HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let wait = values
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|preference| preference.trim().split_once('='))
        .find(|(name, _)| name.trim_end().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u32>().ok());
    headers.remove(PREFER);
    wait.map(|seconds| Duration::from_secs(seconds.into()))
}

/// The connection of a call and its target without the `/c/<connection>` prefix.
fn connection(app: &App, target: PathAndQuery) -> Result<(&AppConnection, PathAndQuery), Error> {
    let Some(rest) = target.as_str().strip_prefix("/c/") else {
        return Ok((app.default_connection(), target));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let named = app.connections.iter().find(|connection| connection.id.as_str() == &rest[..end]);
    let Some(connection) = named else {
        let detail = "the app has no connection of the name behind '/c/'";
        return Err(Error::refused(Code::ScopeMissing, detail));
    };
    let shorter = match &rest[end..] {
        "" => "/",
        tail => tail,
    };
    let target = PathAndQuery::try_from(shorter)
        .map_err(|_| Error::malformed("a path must follow the connection"))?;
    Ok((connection, target))
}

impl<S: Next<Call>> Stage<S> for Route {
    type Call = Authenticated;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<Back<S::Future>, Ready<call::Result>>;

    fn call(this: &Staged<Self, S>, authenticated: Authenticated) -> Self::Future {
        match this.stage().route(authenticated) {
            Ok((call, way)) => Either::Left(Back { answer: this.pass(call), way }),
            Err(error) => Either::Right(ready(Err(error))),
        }
    }
}

// === impl Back ===

impl<F: Future<Output = Result<Reply, Error>>> Future for Back<F> {
    type Output = Result<Reply, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.answer.poll(cx).map(|reply| this.way.back(reply?))
    }
}

impl Way {
    /// The answer with references that lead back through the gateway. A redirect that would take a
    /// send or the gateway's key to another host is not handed on.
    fn back(&self, mut reply: Reply) -> Result<Reply, Error> {
        let elsewhere =
            reply.status().is_redirection() && references::leads_elsewhere(reply.headers());
        if elsewhere && (!self.safe || self.key_travels) {
            let detail = match self.safe {
                true => {
                    "Courier redirects to another host, to which clients take 'x-api-key' along: send the key as 'Authorization: Bearer'"
                }
                false => "Courier redirects a write to another host",
            };
            return Err(
                Error::refused(Code::VendorMalformed, detail).with_outcome(Outcome::Unknown)
            );
        }
        references::outward(reply.headers_mut(), self.connection.as_str(), self.named);
        Ok(reply)
    }
}
