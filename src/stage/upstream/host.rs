//! One vendor host and the sockets to it.
//!
//! HTTP/1.1 sockets carry one call at a time and rest in a list, newest on top; one HTTP/2 socket
//! carries many. A socket that rested too long or is too old takes no new call, so that the vendor
//! never closes first and a changed address is followed. All sockets together are bounded.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::dial::{Dial, Line};
use crate::call::Result;
use crate::clock::Instant;
use crate::error::{Code, Error};

type Request = http::Request<Full<Bytes>>;
type Response = http::Response<hyper::body::Incoming>;

/// Limits of the sockets to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// For name look-up, TCP and TLS together, and for a place among the sockets.
    pub connect: Duration,
    /// A socket that rested longer is closed.
    pub idle: Duration,
    /// A socket that is older takes no new call.
    pub max_age: Duration,
    /// Sockets at a time.
    pub sockets: usize,
}

/// A host and its sockets.
pub struct Host {
    scheme: Scheme,
    authority: Authority,
    limits: HostLimits,
    dial: ArcSwap<Arc<dyn Dial>>,
    places: Arc<Semaphore>,
    /// std, not tokio: each section is a push, a pop or a clone and never awaits.
    resting: Mutex<Resting>,
    /// Held while the first HTTP/2 socket is opened, so that a burst opens one, not a hundred.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Resting {
    h1: Vec<(Socket, Instant)>,
    h2: Option<Socket>,
    /// What the host spoke last; unknown before the first line.
    speaks_h2: Option<bool>,
}

/// A socket that a call holds.
pub(super) struct Socket {
    sender: Sender,
    born: Instant,
    reused: bool,
    place: Arc<OwnedSemaphorePermit>,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

/// Gives a socket back to its host when the answer's body was read to its end.
pub(super) struct Lease {
    host: Arc<Host>,
    socket: Option<Socket>,
}

/// A request that got no answer.
pub(super) struct Refusal {
    /// It is certain that the vendor did not get to work on it.
    pub(super) unsent: bool,
    /// The request, when the transport gave it back.
    pub(super) message: Option<Request>,
    /// Why.
    pub(super) cause: hyper::Error,
}

// === impl Host ===

impl Host {
    /// A host without sockets yet.
    #[must_use]
    pub fn new(
        scheme: Scheme,
        authority: Authority,
        limits: HostLimits,
        dial: Arc<dyn Dial>,
    ) -> Self {
        Self {
            scheme,
            authority,
            limits,
            dial: ArcSwap::from_pointee(dial),
            places: Arc::new(Semaphore::new(limits.sockets)),
            resting: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// From now on lines are opened by `dial`; those that are open stay.
    pub fn redial(&self, dial: Arc<dyn Dial>) {
        self.dial.store(Arc::new(dial));
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sockets that are open or being opened.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.limits.sockets.saturating_sub(self.places.available_permits())
    }

    pub(super) fn lease(self: &Arc<Self>, socket: Socket) -> Lease {
        Lease { host: self.clone(), socket: Some(socket) }
    }

    /// A socket for one call: a resting one or a new one.
    pub(super) async fn socket(&self) -> Result<Socket> {
        timeout(self.limits.connect, self.find_or_open()).await.unwrap_or_else(|_| {
            Err(Error::refused(
                Code::VendorTimeout,
                "no connection to Courier could be opened in time",
            ))
        })
    }

    async fn find_or_open(&self) -> Result<Socket> {
        if let Some(socket) = self.take_resting().await {
            return Ok(socket);
        }
        // A host that speaks HTTP/1.1 needs a socket for each call; no call waits for another's.
        let turn = match self.with(|resting| resting.speaks_h2) {
            Some(false) => None,
            _ if self.scheme == Scheme::HTTP => None,
            _ => Some(self.opening.lock().await),
        };
        if turn.is_some()
            && let Some(socket) = self.take_resting().await
        {
            return Ok(socket);
        }
        let place = self.places.clone().acquire_owned().await;
        self.open(Arc::new(place.expect("the semaphore is never closed"))).await
    }

    async fn take_resting(&self) -> Option<Socket> {
        loop {
            let mut socket = self.with(|resting| resting.take(&self.limits))?;
            // The connection task may still be putting the last answer away.
            if let Sender::H1(sender) = &mut socket.sender
                && sender.ready().await.is_err()
            {
                continue;
            }
            socket.reused = true;
            return Some(socket);
        }
    }

    async fn open(&self, place: Arc<OwnedSemaphorePermit>) -> Result<Socket> {
        let unreachable = |detail: &'static str| Error::refused(Code::VendorUnreachable, detail);
        let uri = http::Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
            .expect("scheme, authority and path make a URI");
        let dialing = self.dial.load().dial(uri);
        let line = dialing.await;
        let Line { io, h2 } =
            line.map_err(|cause| unreachable("Courier could not be reached").caused_by(cause))?;
        let greeted = |cause: hyper::Error| {
            unreachable("Courier's connection broke at once").caused_by(cause)
        };
        let sender = if h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            // A dead peer is noticed while calls wait on it, not only when the first limit is over.
            builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(10));
            let (sender, connection) = builder.handshake(io).await.map_err(greeted)?;
            tokio::spawn(drive(connection));
            Sender::H2(sender)
        } else {
            let builder = {
                let mut builder = http1::Builder::new();
                // Answers with many fields are honest; hyper's own bound is 100.
                builder.max_headers(512).max_buf_size(128 << 10);
                builder
            };
            let (sender, connection) = builder.handshake(io).await.map_err(greeted)?;
            tokio::spawn(drive(connection));
            Sender::H1(sender)
        };
        let socket = Socket { sender, born: Instant::now(), reused: false, place };
        self.with(|resting| {
            resting.speaks_h2 = Some(h2);
            resting.h2 = socket.shared().or(resting.h2.take());
        });
        Ok(socket)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Resting) -> T) -> T {
        act(&mut self.resting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, socket: Socket) {
        let young = socket.born.elapsed() < self.limits.max_age;
        if matches!(socket.sender, Sender::H1(_)) && young {
            self.with(|resting| resting.h1.push((socket, Instant::now())));
        }
    }
}

/// Runs a connection to its end. How it ends, the call on it is told.
async fn drive(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::debug!(cause = crate::error::chain(&error), "vendor connection ended");
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({}://{})", self.scheme, self.authority)
    }
}

// === impl Resting ===

impl Resting {
    /// A socket that may take a new call; those that may not are dropped on the way.
    fn take(&mut self, limits: &HostLimits) -> Option<Socket> {
        let young = |socket: &Socket| socket.born.elapsed() < limits.max_age;
        self.h2 = self.h2.take().filter(|socket| young(socket) && socket.is_open());
        if let Some(socket) = self.h2.as_ref().and_then(Socket::shared) {
            return Some(socket);
        }
        self.h1.retain(|(socket, since)| {
            young(socket) && socket.is_open() && since.elapsed() < limits.idle
        });
        self.h1.pop().map(|(socket, _)| socket)
    }
}

// === impl Socket ===

impl Socket {
    pub(super) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    /// It had carried a call before, so the vendor may have closed it in the meantime.
    pub(super) fn was_reused(&self) -> bool {
        self.reused
    }

    pub(super) async fn send(
        &mut self,
        request: Request,
    ) -> std::result::Result<Response, Refusal> {
        let sent = match &mut self.sender {
            Sender::H1(sender) => sender.try_send_request(request).await,
            Sender::H2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(Refusal::new)
    }

    fn is_open(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => !sender.is_closed(),
            Sender::H2(sender) => !sender.is_closed(),
        }
    }

    /// The same HTTP/2 socket for another call.
    fn shared(&self) -> Option<Self> {
        let Sender::H2(sender) = &self.sender else {
            return None;
        };
        let sender = Sender::H2(sender.clone());
        Some(Self { sender, born: self.born, reused: true, place: self.place.clone() })
    }
}

// === impl Lease ===

impl Lease {
    /// The answer was read to its end: the socket may carry another call.
    pub(super) fn finished(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.host.put_back(socket);
        }
    }
}

// === impl Refusal ===

impl Refusal {
    fn new(mut error: TrySendError<Request>) -> Self {
        let message = error.take_message();
        let cause = error.into_error();
        Self { unsent: message.is_some() || was_refused(&cause), message, cause }
    }
}

/// HTTP/2's own proofs that a request was not processed (RFC 9113 sections 6.8 and 8.7): a stream
/// reset with REFUSED_STREAM, or one above the last that a graceful GOAWAY names. With any other
/// reason h2 gives the same error to streams that the vendor may have worked on.
fn was_refused(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            let refused = h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            let above = h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR);
            return h2.is_remote() && (refused || above);
        }
        source = cause.source();
    }
    false
}
