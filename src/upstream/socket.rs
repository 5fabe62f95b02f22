//! One socket to the vendor, as a call holds it.
//!
//! Over HTTP/1.1 it carries one call at a time, over HTTP/2 as many as the vendor's SETTINGS and
//! our own bound allow. They are counted here, so that what is handed to hyper is opened at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use tokio::sync::Notify;

use super::dial::Io;
use super::places::SocketPlace;
use super::sips::Sips;
use crate::clock::Instant;
use crate::targets;

pub(super) type VendorRequest = http::Request<Full<Bytes>>;
type Response = http::Response<hyper::body::Incoming>;

/// Streams on one HTTP/2 socket, whatever the vendor would take. Usual fronts take 100 or 128.
const STREAMS: usize = 64;

/// What an HTTP/2 answer holds here at most while nobody reads it. Courier's answers are seldom
/// longer; those go on at this much a round trip. The window of the whole socket is larger than
/// all of its streams' together, so that an unread answer stops itself only.
const STREAM_WINDOW: u32 = 64 << 10;

/// The largest window there is (RFC 9113 section 6.9.1).
const SOCKET_WINDOW: u32 = (1 << 31) - 1;

/// Octets of an answer's head, over either protocol.
const HEAD: usize = 128 << 10;

/// A socket that a call holds.
pub(super) struct VendorSocket {
    sender: Sender,
    born: Instant,
    /// The thread whose runtime reads and writes it.
    thread: ThreadId,
    reused: bool,
}

enum Sender {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>, Arc<Load>),
}

/// How much an HTTP/2 socket carries, and how much it may.
#[derive(Debug)]
pub(super) struct Load {
    streams: AtomicUsize,
    /// By the vendor's SETTINGS.
    allowed: AtomicUsize,
    /// By what the vendor refused.
    proven: AtomicUsize,
}

/// A request that got no answer.
pub(super) struct Unanswered {
    /// It is certain that the vendor did not get to work on it.
    pub(super) unsent: bool,
    /// The vendor itself said so, over HTTP/2: it lives.
    pub(super) refused: bool,
    /// The request, when the transport gave it back.
    pub(super) message: Option<VendorRequest>,
    /// Why.
    pub(super) cause: hyper::Error,
}

// === impl VendorSocket ===

impl VendorSocket {
    /// Speaks HTTP/1.1 over `io`; `place` is held as long as the socket is open.
    pub(super) async fn h1(io: Box<dyn Io>, place: SocketPlace) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        // Answers with many fields are honest; hyper's own bound is 100. It makes room for as many
        // as are allowed with every answer, twice 32 octets each.
        builder.max_headers(160).max_buf_size(HEAD);
        let (sender, connection) = builder.handshake(Sips(io)).await?;
        tokio::spawn(drive(connection, place));
        Ok(Self::new(Sender::H1(sender)))
    }

    /// Speaks HTTP/2 over `io`, once the vendor has said how many streams it takes: a burst on a
    /// new socket would else be refused.
    pub(super) async fn h2(io: Box<dyn Io>, place: SocketPlace) -> hyper::Result<Self> {
        let moved = Arc::new(Notify::new());
        let mut builder = http2::Builder::new(Tasks(Arc::downgrade(&moved)));
        // A dead peer is noticed while calls wait on it, not only when the first limit is over.
        builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(10));
        builder.initial_stream_window_size(STREAM_WINDOW);
        builder.initial_connection_window_size(SOCKET_WINDOW);
        builder.max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX));
        builder.initial_max_send_streams(0);
        let (sender, mut connection) = builder.handshake::<_, Full<Bytes>>(io).await?;
        while connection.current_max_send_streams() == 0 {
            tokio::select! {
                ended = &mut connection => {
                    ended?;
                    break;
                }
                () = moved.notified() => {}
            }
        }
        let load = Arc::new(Load::new(connection.current_max_send_streams()));
        let seen = load.clone();
        let watched = std::future::poll_fn(move |cx| {
            let ended = std::pin::Pin::new(&mut connection).poll(cx);
            if ended.is_pending() {
                seen.allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
            }
            ended
        });
        tokio::spawn(drive(watched, place));
        Ok(Self::new(Sender::H2(sender, load)))
    }

    fn new(sender: Sender) -> Self {
        Self { sender, born: Instant::now(), thread: thread::current().id(), reused: false }
    }

    /// True if this thread's runtime reads and writes it: no other has to be woken.
    pub(super) fn is_near(&self) -> bool {
        self.thread == thread::current().id()
    }

    pub(super) fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(..))
    }

    /// It had carried a call before, so the vendor may have closed it in the meantime.
    pub(super) fn was_reused(&self) -> bool {
        self.reused
    }

    /// It is open and, at `now`, younger than `max_age`.
    pub(super) fn takes_calls(&self, max_age: Duration, now: Instant) -> bool {
        let open = match &self.sender {
            Sender::H1(sender) => !sender.is_closed(),
            Sender::H2(sender, _) => !sender.is_closed(),
        };
        open && now.saturating_duration_since(self.born) < max_age
    }

    pub(super) fn load(&self) -> Option<&Arc<Load>> {
        match &self.sender {
            Sender::H1(_) => None,
            Sender::H2(_, load) => Some(load),
        }
    }

    /// The same HTTP/2 socket for another call.
    pub(super) fn shared(&self) -> Option<Self> {
        let Sender::H2(sender, load) = &self.sender else { return None };
        let sender = Sender::H2(sender.clone(), load.clone());
        Some(Self { sender, born: self.born, thread: self.thread, reused: true })
    }

    /// The connection task of an HTTP/1.1 socket may still be putting the last answer away. Gives
    /// the socket when that is done, and none if it ended.
    pub(super) async fn ready(mut self) -> Option<Self> {
        if let Sender::H1(sender) = &mut self.sender {
            sender.ready().await.ok()?;
            self.reused = true;
        }
        Some(self)
    }

    pub(super) async fn send(&mut self, request: VendorRequest) -> Result<Response, Unanswered> {
        let sent = match &mut self.sender {
            Sender::H1(sender) => sender.try_send_request(request).await,
            Sender::H2(sender, _) => sender.try_send_request(request).await,
        };
        sent.map_err(|error| {
            let refusal = Unanswered::new(error);
            if let Some(load) = self.load().filter(|_| refusal.refused) {
                load.was_refused();
            }
            refusal
        })
    }
}

/// Runs a connection to its end, and holds its place until then. How it ends, the call on it is
/// told.
async fn drive(connection: impl Future<Output = hyper::Result<()>>, place: SocketPlace) {
    if let Err(error) = connection.await {
        tracing::debug!(target: targets::VENDOR, cause = crate::error::chain(&error), "vendor connection ended");
    }
    drop(place);
}

/// Runs hyper's own tasks of an HTTP/2 connection. As long as somebody waits for the vendor's
/// SETTINGS, it is told whenever one of them has moved: hyper gives no other sign.
#[derive(Clone)]
struct Tasks(std::sync::Weak<Notify>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let moved = self.0.clone();
        let mut task = Box::pin(task);
        tokio::spawn(std::future::poll_fn(move |cx| {
            let polled: Poll<()> = task.as_mut().poll(cx);
            if let Some(moved) = moved.upgrade() {
                moved.notify_one();
            }
            polled
        }));
    }
}

// === impl Load ===

impl Load {
    fn new(allowed: usize) -> Self {
        Self {
            // That of its opener.
            streams: AtomicUsize::new(1),
            allowed: AtomicUsize::new(allowed),
            proven: AtomicUsize::new(STREAMS),
        }
    }

    /// Streams that it may carry at a time.
    pub(super) fn most(&self) -> usize {
        self.allowed.load(Ordering::Relaxed).min(self.proven.load(Ordering::Relaxed))
    }

    /// Takes one more stream, if it may. The caller makes sure that no two do it at a time.
    pub(super) fn begin(&self) -> bool {
        let fits = self.streams.load(Ordering::Acquire) < self.most();
        if fits {
            self.streams.fetch_add(1, Ordering::AcqRel);
        }
        fits
    }

    /// A stream is over; gives how many are left.
    pub(super) fn end(&self) -> usize {
        self.streams.fetch_sub(1, Ordering::AcqRel).saturating_sub(1)
    }

    /// True while it carries nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Acquire) == 0
    }

    /// The vendor refused a stream: it takes no more than the others that it carries.
    fn was_refused(&self) {
        let others = self.streams.load(Ordering::Acquire).saturating_sub(1);
        self.proven.fetch_min(others.max(1), Ordering::AcqRel);
    }
}

// === impl Unanswered ===

impl Unanswered {
    fn new(mut error: TrySendError<VendorRequest>) -> Self {
        let message = error.take_message();
        let cause = error.into_error();
        let refused = was_refused(&cause);
        Self { unsent: message.is_some() || refused, refused, message, cause }
    }
}

/// True when the vendor answered, and what came breaks the rules of HTTP: over HTTP/2 it is our own
/// side that ends such a stream.
pub(super) fn is_malformed(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let h2 = source.and_then(|cause| cause.downcast_ref::<h2::Error>());
    error.is_parse()
        || h2.is_some_and(|h2| {
            h2.is_library() && h2.is_reset() && h2.reason() == Some(h2::Reason::PROTOCOL_ERROR)
        })
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
