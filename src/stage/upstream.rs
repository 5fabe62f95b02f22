//! The vendor's side: pooled sockets, the attempt's own limits, an answer that streams.
//!
//! hyper's connection API gives a message back when nothing of it was written; that, and only
//! that, is "not sent". A reused socket that gives a message back was closed by the vendor in the
//! meantime: the message takes the next one, which is no second attempt.

mod body;
mod dial;
mod host;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;
use tower::Service;

pub use dial::{Dial, Dialer, Io, Line};
pub use host::{Host, HostLimits};

use crate::call::{Body, BoxFuture, Call, Reply, Result};
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};
use crate::headers;
use crate::ids::ConnectionId;
use crate::record::{Record, Sampling};
use host::{Refusal, Socket};

/// How long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the send to the head of the answer.
    pub first_byte: Duration,
    /// From the start of the attempt to the head of the answer.
    pub hard_limit: Duration,
    /// Between two pieces of the answer's body.
    pub body_idle: Duration,
    /// For the whole of the answer's body.
    pub body_total: Duration,
}

/// Where a connection's calls go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The host and its sockets.
    pub host: Arc<Host>,
    /// What stands before every path.
    pub prefix: Arc<str>,
}

/// Sends calls to the vendor.
#[derive(Clone)]
pub struct Upstream {
    destinations: Arc<HashMap<ConnectionId, Destination>>,
    limits: Limits,
    instance: Arc<str>,
    traces: Option<Sampling>,
}

/// A request that can be written to either kind of socket.
struct Outgoing {
    method: Method,
    target: PathAndQuery,
    scheme: Scheme,
    authority: Authority,
    headers: HeaderMap,
    body: Bytes,
}

// === impl Upstream ===

impl Upstream {
    /// `destinations` has one for every connection; `instance` is this gateway's name in `Via`.
    #[must_use]
    pub fn new(
        destinations: Arc<HashMap<ConnectionId, Destination>>,
        limits: Limits,
        instance: Arc<str>,
    ) -> Self {
        Self { destinations, limits, instance, traces: None }
    }

    /// Each attempt carries its own span in `traceparent`, if `traces` says which are recorded.
    #[must_use]
    pub fn passing_on(self, traces: Option<Sampling>) -> Self {
        Self { traces, ..self }
    }

    async fn attempt(self, call: Call) -> Result {
        let destination = self.destinations.get(&call.caller.connection);
        let destination =
            destination.expect("every connection of the configuration has a destination");
        let record = call.record.clone();
        let mut outgoing = self.outgoing(&call, destination)?;
        record.mark(|marks| marks.timeline.try_begins(Instant::now()));
        if let Some(traces) = self.traces {
            record.pass_on(traces, &mut outgoing.headers);
        }
        let sending = self.send(&destination.host, outgoing, &record);
        // The permit of a buffered body is held until the answer's head: `call` lives that long.
        let answered = timeout(self.limits.hard_limit, sending).await;
        drop(call);
        let result = answered.unwrap_or_else(|_| Err(no_answer(&record)));
        let end = result.as_ref().map(Reply::status).map_err(|error| error.code);
        record.mark(|marks| marks.timeline.try_ends(Instant::now(), end));
        result
    }

    fn outgoing(&self, call: &Call, destination: &Destination) -> Result<Outgoing> {
        let target = if destination.prefix.is_empty() {
            call.target.clone()
        } else {
            PathAndQuery::try_from(format!("{}{}", destination.prefix, call.target)).map_err(
                |_| Error::malformed("the path cannot be put behind the vendor's base path"),
            )?
        };
        let mut headers = call.headers.clone();
        headers::add_via(&mut headers, Version::HTTP_11, &self.instance);
        let body = match &call.body {
            Body::Buffered(bytes, _) => bytes.clone(),
            Body::Empty | Body::Unread(_) => Bytes::new(),
        };
        let with_content = [Method::POST, Method::PUT, Method::PATCH].contains(&call.method);
        if body.is_empty() && with_content {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(Outgoing {
            method: call.method.clone(),
            target,
            scheme: destination.host.scheme().clone(),
            authority: destination.host.authority().clone(),
            headers,
            body,
        })
    }

    async fn send(&self, host: &Arc<Host>, mut outgoing: Outgoing, record: &Record) -> Result {
        loop {
            let mut socket = host.socket().await?;
            let request = outgoing.request(socket.is_h2());
            record.sending();
            let answer = timeout(self.limits.first_byte, socket.send(request)).await;
            match answer.map_err(|_| no_answer(record))? {
                Ok(response) => {
                    record.mark(|marks| marks.first_byte_at = Some(Instant::now()));
                    return self.reply(response, socket, host);
                }
                Err(Refusal { unsent: true, message, cause }) => {
                    record.not_sent();
                    match message.filter(|_| socket.was_reused()) {
                        Some(request) => outgoing.take_back(request),
                        None => return Err(unreachable(cause).with_outcome(Outcome::NotSent)),
                    }
                }
                Err(Refusal { cause, .. }) if cause.is_parse() => {
                    let detail = "Courier's answer could not be read";
                    return Err(Error::refused(Code::VendorMalformed, detail)
                        .with_outcome(Outcome::Unknown)
                        .caused_by(cause));
                }
                Err(Refusal { cause, .. }) => {
                    return Err(unreachable(cause).with_outcome(Outcome::Unknown));
                }
            }
        }
    }

    fn reply(
        &self,
        response: http::Response<hyper::body::Incoming>,
        socket: Socket,
        host: &Arc<Host>,
    ) -> Result {
        let (mut head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let detail = "Courier answered with a change of protocol that nobody asked for";
            return Err(
                Error::refused(Code::VendorMalformed, detail).with_outcome(Outcome::Unknown)
            );
        }
        let cookie = head.headers.contains_key(header::SET_COOKIE);
        headers::strip_answer(&mut head.headers);
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        let mut reply = http::Response::new(());
        *reply.status_mut() = head.status;
        *reply.headers_mut() = head.headers;
        if cookie {
            reply.extensions_mut().insert(headers::HadCookie);
        }
        let (idle, total) = (self.limits.body_idle, self.limits.body_total);
        let body = body::Answer::new(incoming, idle, total, host.lease(socket));
        Ok(reply.map(|()| body.boxed_unsync()))
    }
}

fn unreachable(cause: hyper::Error) -> Error {
    Error::refused(Code::VendorUnreachable, "the connection to Courier broke").caused_by(cause)
}

fn no_answer(record: &Record) -> Error {
    Error::refused(Code::VendorTimeout, "Courier did not answer in time")
        .with_outcome(record.outcome())
}

impl Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> BoxFuture {
        Box::pin(self.clone().attempt(call))
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Origin form and `Host` for HTTP/1.1, pseudo-header fields for HTTP/2.
    fn request(&mut self, h2: bool) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = std::mem::take(&mut self.headers);
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(self.target.clone());
        if h2 {
            uri.scheme = Some(self.scheme.clone());
            uri.authority = Some(self.authority.clone());
            *request.version_mut() = Version::HTTP_2;
        } else {
            let host = HeaderValue::from_str(self.authority.as_str());
            request
                .headers_mut()
                .insert(header::HOST, host.expect("an authority is visible ASCII"));
        }
        *request.uri_mut() =
            Uri::from_parts(uri).expect("scheme, authority and target are complete");
        request
    }

    /// Takes a message that was not sent apart again.
    fn take_back(&mut self, request: http::Request<Full<Bytes>>) {
        self.headers = request.into_parts().0.headers;
        self.headers.remove(header::HOST);
    }
}
