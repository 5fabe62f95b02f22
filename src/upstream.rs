//! The vendor's side: pooled sockets, the attempt's own limits, an answer that streams.
//!
//! hyper's connection API gives a message back when nothing of it was written; that, and only
//! that, is "not sent". A reused socket that gives a message back was closed by the vendor in the
//! meantime: the message takes the next one, which is no second attempt. Neither is what the vendor
//! refuses by HTTP/2's own rules before it looks at it.

mod body;
mod dial;
mod framing;
mod host;
mod places;
mod pool;
mod shares;
mod sips;
mod site;
mod socket;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};
use http_body_util::Full;
use tokio::time::{timeout, timeout_at};
use tower::Service;

pub use dial::{Dial, Dialer, Io, Line};
pub use host::Host;
pub use pool::SocketPool;
pub use site::{HostLimits, Site};

use crate::call::{self, AuthorizedCall, BoxFuture, BufferedCall, Facts, Head, Reply, Result};
use crate::clock::Instant;
use crate::error::{Code, Error, Evidence, Outcome};
use crate::headers::{self, references};
use crate::numbers::{ConnectionIx, Table};
use crate::record::{Sampling, Shortage};
use pool::{Lease, NoSocket};
use socket::Unanswered;

/// How often one attempt is sent again that the vendor itself refused before it looked at it.
const REFUSALS: u32 = 3;

/// Fields that are added to a request: credential, `Via`, host, length, trace.
const OWN_FIELDS: usize = 6;

/// How long an attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct AttemptLimits {
    /// From the send to the head of the answer.
    pub first_byte: Duration,
    /// From the take of the attempt's slots to the head of the answer.
    pub hard_limit: Duration,
    /// Between two pieces of the answer's body.
    pub body_idle: Duration,
    /// For the whole of the answer's body.
    pub body_total: Duration,
}

/// Where a connection's calls go.
#[derive(Clone, Debug)]
pub struct VendorDestination {
    /// The connection's sockets to its host.
    pub pool: Arc<SocketPool>,
    /// What stands before every path.
    pub prefix: Arc<str>,
}

/// Sends calls to the vendor.
#[derive(Clone)]
pub struct Upstream {
    destinations: Arc<Table<ConnectionIx, VendorDestination>>,
    limits: AttemptLimits,
    /// The gateway's own name in `Via`.
    via: HeaderValue,
    traces: Option<Sampling>,
}

/// One try of one call.
struct Attempt<'a> {
    limits: AttemptLimits,
    pool: &'a Arc<SocketPool>,
    call: &'a BufferedCall,
    /// Earlier attempts of the call that the vendor may have acted on.
    earlier: u32,
    /// A socket that is not there by then is of no use.
    socket_until: Instant,
    /// Nothing is under way from then on: the attempt's slots rest as if it were so.
    end: Instant,
}

/// A request that can be written to either kind of socket.
struct Outgoing {
    method: Method,
    target: PathAndQuery,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    headers: HeaderMap,
    body: Bytes,
    interim: framing::Interim,
}

// === impl VendorDestination ===

impl VendorDestination {
    /// What the references of an answer are read against.
    fn base<'a>(&'a self, target: &'a str) -> references::Base<'a> {
        let site = self.pool.site();
        let (scheme, authority) = (site.scheme(), site.authority());
        references::Base { scheme, authority, prefix: &self.prefix, target }
    }
}

// === impl Upstream ===

impl Upstream {
    /// `destinations` has one for every connection; `instance` is this gateway's name in `Via`.
    #[must_use]
    pub fn new(
        destinations: Table<ConnectionIx, VendorDestination>,
        limits: AttemptLimits,
        instance: &str,
    ) -> Self {
        let destinations = Arc::new(destinations);
        Self { destinations, limits, via: headers::via(instance), traces: None }
    }

    /// Each attempt carries its own span in `traceparent`, if `traces` says which are recorded.
    #[must_use]
    pub fn passing_on(self, traces: Option<Sampling>) -> Self {
        Self { traces, ..self }
    }

    async fn attempt(self, call: AuthorizedCall) -> Result {
        let destination = &self.destinations[call.caller.ix];
        let (record, target) = (call.record.clone(), call.target.clone());
        let mut outgoing = self.outgoing(&call, destination)?;
        let start = Instant::now();
        record.mark(|marks| marks.timeline.try_begins(start));
        if let Some(traces) = self.traces {
            record.pass_on(traces, &mut outgoing.headers);
        }
        let end = call.taken() + self.limits.hard_limit;
        let attempt = Attempt {
            limits: self.limits,
            pool: &destination.pool,
            earlier: call.proof.sent(),
            call: &call,
            socket_until: call.deadline.min(end),
            end,
        };
        let answered = timeout_at(end, attempt.send(outgoing)).await;
        let mut result = answered.unwrap_or_else(|_| Err(attempt.no_answer()));
        if let Ok(reply) = &mut result {
            references::neutral(reply.headers_mut(), destination.base(target.as_str()));
        }
        let end = result.as_ref().map(Reply::status).map_err(|error| error.code);
        record.mark(|marks| marks.timeline.try_ends(Instant::now(), end));
        result
    }

    fn outgoing(&self, call: &AuthorizedCall, destination: &VendorDestination) -> Result<Outgoing> {
        let target = if destination.prefix.is_empty() {
            call.target.clone()
        } else {
            PathAndQuery::try_from(format!("{}{}", destination.prefix, call.target)).map_err(
                |_| Error::malformed("the path cannot be put behind the vendor's base path"),
            )?
        };
        // One allocation, with room for what the gateway adds.
        let mut headers = HeaderMap::with_capacity(call.headers.len() + OWN_FIELDS);
        headers.extend(call.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(header::AUTHORIZATION, call.authorization.clone());
        headers.append(header::VIA, self.via.clone());
        let body = call.body.bytes.clone();
        let with_content = [Method::POST, Method::PUT, Method::PATCH].contains(&call.method);
        if body.is_empty() && with_content {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let site = destination.pool.site();
        Ok(Outgoing {
            method: call.method.clone(),
            target,
            scheme: site.scheme().clone(),
            authority: site.authority().clone(),
            host: site.host_field().clone(),
            headers,
            body,
            interim: framing::Interim::default(),
        })
    }
}

// === impl Attempt ===

impl Attempt<'_> {
    async fn send(&self, mut outgoing: Outgoing) -> Result {
        let mut refusals = 0;
        loop {
            let lease = self.pool.socket(self.socket_until).await;
            let mut lease = lease.map_err(|reason| self.no_socket(reason))?;
            // A time-out looks at what it bounds first: a call that comes here too late would be
            // sent.
            if Instant::now() >= self.end {
                return Err(self.no_answer());
            }
            let socket = lease.socket();
            let request = outgoing.request(socket.is_h2());
            self.call.sending();
            let answer = timeout(self.limits.first_byte, socket.send(request)).await;
            let refusal = match answer.map_err(|_| self.no_answer())? {
                Ok(response) => return self.reply(response, &outgoing, lease),
                Err(refusal) => refusal,
            };
            if !refusal.unsent {
                return Err(broken(refusal));
            }
            self.call.not_sent();
            let again = if refusal.refused { refusals < REFUSALS } else { socket.was_reused() };
            if !again {
                return Err(unsent(refusal));
            }
            refusals += u32::from(refusal.refused);
            if let Some(request) = refusal.message {
                outgoing.take_back(request);
            }
        }
    }

    fn reply(
        &self,
        response: http::Response<hyper::body::Incoming>,
        asked: &Outgoing,
        lease: Lease,
    ) -> Result {
        let (mut head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let detail = "Courier answered with a change of protocol that nobody asked for";
            return Err(Error::refused(Code::VendorMalformed, detail)
                .with_outcome(Outcome::Unknown)
                .with_evidence(Evidence::Alive));
        }
        asked.interim.check()?;
        framing::check(&asked.method, head.status, &mut head.headers)?;
        let bodiless = framing::is_bodiless(&asked.method, head.status);
        let cookie = head.headers.contains_key(header::SET_COOKIE);
        headers::strip_answer(&mut head.headers);
        let facts = Facts { had_cookie: cookie, ..Facts::default() };
        let head = Head { status: head.status, headers: head.headers, facts };
        let (idle, total) = (self.limits.body_idle, self.limits.body_total);
        let body = body::Answer::new(incoming, bodiless, (idle, total), lease);
        Ok(Reply::from_parts(head, call::stream(body)))
    }

    /// Nothing was sent, for want of a socket.
    fn no_socket(&self, reason: NoSocket) -> Error {
        match reason {
            NoSocket::Short(shortage, cause) => {
                self.call.record.mark(|marks| marks.shortage = Some(shortage));
                let detail = match shortage {
                    Shortage::Places => {
                        "all sockets to Courier were in use until the caller's time was over"
                    }
                    _ => "the gateway's machine had no room for one more socket to Courier",
                };
                let error = Error::refused(Code::Overloaded, detail);
                match cause {
                    Some(cause) => error.caused_by(cause),
                    None => error,
                }
            }
            NoSocket::Unreachable(cause) => {
                Error::refused(Code::VendorUnreachable, "Courier could not be reached")
                    .with_evidence(Evidence::Unreachable)
                    .caused_by(cause)
            }
            NoSocket::Late => {
                let detail = "no connection to Courier could be opened in time";
                Error::refused(Code::VendorTimeout, detail).with_evidence(Evidence::Unreachable)
            }
        }
    }

    fn no_answer(&self) -> Error {
        let timeout = |detail| Error::refused(Code::VendorTimeout, detail);
        if self.call.proof.sent() > self.earlier {
            timeout("Courier did not answer in time")
                .with_outcome(Outcome::Unknown)
                .with_evidence(Evidence::Silent)
        } else {
            timeout("the attempt's time was over before the call could be sent")
        }
    }
}

/// What is known when a message was written and no answer to it can be had.
fn broken(refusal: Unanswered) -> Error {
    let cause = refusal.cause;
    let error = if socket::is_malformed(&cause) {
        Error::refused(Code::VendorMalformed, "Courier's answer could not be read")
            .with_evidence(Evidence::Alive)
    } else {
        Error::refused(Code::VendorUnreachable, "the connection to Courier broke")
    };
    error.with_outcome(Outcome::Unknown).caused_by(cause)
}

/// What is known when the vendor did not get to work on a message.
fn unsent(refusal: Unanswered) -> Error {
    let (detail, evidence) = if refusal.refused {
        ("Courier refused the call before it looked at it", Evidence::Alive)
    } else {
        ("the connection to Courier broke", Evidence::Unreachable)
    };
    Error::refused(Code::VendorUnreachable, detail).with_evidence(evidence).caused_by(refusal.cause)
}

impl Service<AuthorizedCall> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: AuthorizedCall) -> BoxFuture {
        Box::pin(self.clone().attempt(call))
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Origin form and `Host` for HTTP/1.1, pseudo-header fields for HTTP/2. The fields go with it
    /// over HTTP/1.1, which gives back what it did not send; HTTP/2 may not.
    fn request(&mut self, h2: bool) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        let mut uri = http::uri::Parts::default();
        uri.path_and_query = Some(self.target.clone());
        if h2 {
            *request.headers_mut() = self.headers.clone();
            uri.scheme = Some(self.scheme.clone());
            uri.authority = Some(self.authority.clone());
            *request.version_mut() = Version::HTTP_2;
        } else {
            *request.headers_mut() = std::mem::take(&mut self.headers);
            request.headers_mut().insert(header::HOST, self.host.clone());
            self.interim.watch(&mut request);
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

#[cfg(test)]
mod tests;
