//! Accepts client connections: a place among the sockets, a TLS handshake under a deadline,
//! HTTP/1.1 or HTTP/2, and a drain that lets calls finish.
//!
//! It knows no domain type: a request goes in, an answer comes out.

mod activity;
mod connection;
mod event;
mod linger;
mod places;
mod socket;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use activity::Activity;
use arc_swap::ArcSwap;
use bytes::Bytes;
use connection::{Client, Protocol};
pub use event::{Event, Handshake, TooSlow, Unreadable};
use http_body::Body;
pub use linger::RequestBody;
pub use places::Bound;
use places::{Place, Places};
use rustls::ServerConfig;
use socket::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Instant;

/// What a client connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// Octets of a request head.
    pub head_size: usize,
    /// Fields of a request head.
    pub head_fields: usize,
    /// From connect to the end of the first request head.
    pub head_time: Duration,
    /// Open without a request.
    pub keep_alive: Duration,
    /// An answer that the client does not read.
    pub stalled_reader: Duration,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
}

/// What new connections get; a reload replaces it whole.
pub struct Terms {
    /// Limits.
    pub limits: Limits,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Answers requests. Clones share what is behind it.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The answer's body.
    type Body: Body<Data = Bytes, Error: Into<crate::error::Cause>> + Send + 'static;

    /// Answers one request.
    fn answer(
        &self,
        request: http::Request<RequestBody>,
    ) -> impl Future<Output = http::Response<Self::Body>> + Send;

    /// Something happened to a connection.
    fn happened(&self, _event: Event) {}
}

/// Stops accepting, then waits for connections.
#[derive(Clone, Default)]
pub struct Drain {
    token: CancellationToken,
    connections: TaskTracker,
}

impl Drain {
    /// Connections take no new request from now on and end when they have answered.
    pub fn begin(&self) {
        self.token.cancel();
        self.connections.close();
    }

    /// Waits until every connection has ended.
    pub async fn ended(&self) {
        self.connections.wait().await;
    }

    /// Connections that are still open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.connections.len()
    }
}

/// Serves `listener` until `drain` begins, with as many connections at a time as `bound` says.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    bound: Bound,
    terms: Arc<ArcSwap<Terms>>,
    answer: A,
    drain: Drain,
) {
    let places = Arc::new(Places::new(bound));
    let mut failures = Failures::default();
    loop {
        let door = places.door();
        let (tcp, peer) = tokio::select! {
            accepted = listener.accept(), if door.open => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    failures.happened(&error).await;
                    continue;
                }
            },
            () = places.look(), if door.awaited => continue,
            () = drain.token.cancelled() => return,
        };
        let Some(ticket) = places.take(peer.ip()) else {
            answer.happened(Event::TurnedAway);
            continue;
        };
        let (terms, answer, token) = (terms.load_full(), answer.clone(), drain.token.clone());
        drain.connections.spawn(async move {
            let place = tokio::select! {
                place = ticket.place(terms.limits.head_time) => place,
                () = token.cancelled() => return,
            };
            match place {
                Some(place) => held(place, tcp, terms, answer, token).await,
                None => answer.happened(Event::TurnedAway),
            }
        });
    }
}

/// Serves one connection for as long as it may keep its place.
async fn held<A: Answer>(
    place: Place,
    tcp: TcpStream,
    terms: Arc<Terms>,
    answer: A,
    token: CancellationToken,
) {
    answer.happened(Event::Opened);
    let _closed = Closed(&answer);
    tokio::select! {
        () = open(tcp, &terms, &answer, (token, &place)) => {}
        () = place.is_needed() => tracing::debug!("client connection closed: its place is needed"),
    }
}

/// Accepts that failed: said once a second, with their number.
#[derive(Default)]
struct Failures {
    unsaid: u64,
    said: Option<Instant>,
}

impl Failures {
    /// Says it and rests, if that helps.
    async fn happened(&mut self, error: &std::io::Error) {
        if let Some(count) = self.due(Instant::now()) {
            tracing::warn!(cause = %error, count, "accept failed");
        }
        // A client that left before it was accepted is taken out of the queue. Anything else is most
        // likely a want of descriptors or memory: without a rest the loop would spin on it.
        if error.kind() != std::io::ErrorKind::ConnectionAborted {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many failures are to be said now, this one included.
    fn due(&mut self, now: Instant) -> Option<u64> {
        self.unsaid += 1;
        if self.said.is_some_and(|said| now < said + Duration::from_secs(1)) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// Counts a connection as closed, also when its task panics.
struct Closed<'a, A: Answer>(&'a A);

impl<A: Answer> Drop for Closed<'_, A> {
    fn drop(&mut self) {
        self.0.happened(Event::Closed);
    }
}

async fn open<A: Answer>(
    tcp: TcpStream,
    terms: &Terms,
    answer: &A,
    (token, place): (CancellationToken, &Place),
) {
    let watched = || {
        let activity = Arc::new(Activity::new(&terms.limits));
        place.watch(activity.clone());
        activity
    };
    // Answers are written whole; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    let (socket, reset) = Socket::new(tcp);
    let Some(tls) = &terms.tls else {
        let client = Client { io: socket, protocol: Protocol::Told, reset, activity: watched() };
        return connection::serve(client, terms.limits, answer.clone(), token).await;
    };
    let handshake = TlsAcceptor::from(tls.clone()).accept(socket);
    let ended = tokio::time::timeout(terms.limits.handshake, handshake).await;
    answer.happened(Event::Handshake(match &ended {
        Ok(Ok(_)) => Handshake::Done,
        Ok(Err(_)) => Handshake::Failed,
        Err(_) => Handshake::Slow,
    }));
    match ended {
        Ok(Ok(io)) => {
            let protocol = Protocol::agreed(io.get_ref().1.alpn_protocol());
            let client = Client { io, protocol, reset, activity: watched() };
            connection::serve(client, terms.limits, answer.clone(), token).await;
        }
        Ok(Err(error)) => tracing::debug!(cause = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Limits as they are by default.
    pub(crate) fn limits() -> Limits {
        Limits {
            handshake: Duration::from_secs(10),
            head_size: 1 << 15,
            head_fields: 100,
            head_time: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            stalled_reader: Duration::from_secs(30),
            streams: 100,
        }
    }

    #[test]
    fn failed_accepts_are_said_once_a_second_with_their_number() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let looks = (0..35).map(|tenth| start + Duration::from_millis(100 * tenth));
        let said: Vec<u64> = looks.filter_map(|now| failures.due(now)).collect();
        assert_eq!(said, [1, 10, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_want_of_descriptors_makes_the_loop_rest_and_a_client_that_left_does_not() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        failures.happened(&std::io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        failures.happened(&std::io::ErrorKind::OutOfMemory.into()).await;
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }
}
