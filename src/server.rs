//! Accepts client connections. Each gets a place among the sockets, a TLS handshake under a
//! deadline, and HTTP/1.1 or HTTP/2. A drain lets calls finish.
//!
//! It knows no domain type: a request goes in, an answer comes out.

mod activity;
mod connection;
mod event;
mod failures;
mod keep_alive;
mod linger;
mod places;
mod socket;
mod streams;
mod watched;
mod workers;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::proof::SendProof;
use activity::Activity;
use arc_swap::ArcSwap;
use bytes::Bytes;
use connection::{Protocol, ServedClient};
pub use event::{Event, Handshake, TooSlow, Unreadable};
use failures::Failures;
use hyper::body::Body;
pub use linger::RequestBody;
pub use places::Bound;
use places::{ConnectionPlace, ConnectionPlaces};
use socket::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
pub use workers::Workers;
use workers::moved;

/// The most bytes that TLS has ready for a client. A piece of an answer fits with its framing.
/// Little is held for a client that does not read.
const CODED: usize = 12 << 10;

/// What a client connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Most bytes of a request head.
    pub head_size: usize,
    /// Most fields of a request head.
    pub head_fields: usize,
    /// Time from connect to the end of the first request head.
    pub head_time: Duration,
    /// Time that a connection may be open without a request.
    pub keep_alive: Duration,
    /// Time that the client may leave an answer unread.
    pub stalled_reader: Duration,
    /// Requests at a time on one HTTP/2 connection.
    pub streams: u32,
}

/// What new connections get; a reload replaces it whole.
pub struct Terms {
    /// The limits.
    pub limits: Limits,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Answers requests. Clones share what is behind it.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The answer's body.
    type Body: Body<Data = Bytes, Error: Into<crate::error::Cause>> + Send + 'static;

    /// Answers one request; `proof` is told when its client leaves.
    fn answer(
        &self,
        request: http::Request<RequestBody>,
        proof: Arc<SendProof>,
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

/// Serves `listener` by `workers` until `drain` begins, with as many connections at a time as `bound`
/// says.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    (workers, bound): (Workers, Bound),
    terms: Arc<ArcSwap<Terms>>,
    answer: A,
    drain: Drain,
) {
    let places = Arc::new(ConnectionPlaces::new(bound));
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
        let (runtime, served) = workers.next();
        let connection = async move {
            let _served = served;
            let place = tokio::select! {
                place = ticket.place(terms.limits.head_time) => place,
                () = token.cancelled() => return,
            };
            match place {
                Some(place) => held(place, tcp, terms, answer, token).await,
                None => answer.happened(Event::TurnedAway),
            }
        };
        drain.connections.spawn_on(connection, runtime);
    }
}

/// Serves one connection for as long as it may keep its place.
async fn held<A: Answer>(
    place: ConnectionPlace,
    tcp: TcpStream,
    terms: Arc<Terms>,
    answer: A,
    token: CancellationToken,
) {
    answer.happened(Event::Opened);
    let _closed = Closed(&answer);
    let ending = token.child_token();
    let mut serving = pin!(open(tcp, &terms, &answer, (ending.clone(), &place)));
    tokio::select! {
        () = serving.as_mut() => return,
        () = place.is_needed() => tracing::debug!("client connection ends: its place is needed"),
    }
    if place.may_not_be_cut() {
        ending.cancel();
        serving.await;
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
    (token, place): (CancellationToken, &ConnectionPlace),
) {
    let watched = || {
        let activity = Arc::new(Activity::new(&terms.limits));
        place.watch(activity.clone());
        activity
    };
    let tcp = match moved(tcp) {
        Ok(tcp) => tcp,
        Err(error) => return tracing::warn!(cause = %error, "a client connection can't be served"),
    };
    // Answers are written whole; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    let (socket, reset, leaving) = Socket::new(tcp);
    let Some(tls) = &terms.tls else {
        let activity = watched();
        let client =
            ServedClient { io: socket, protocol: Protocol::Told, reset, leaving, activity };
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
        Ok(Ok(mut io)) => {
            io.get_mut().1.set_buffer_limit(Some(CODED));
            let protocol = Protocol::agreed(io.get_ref().1.alpn_protocol());
            let client = ServedClient { io, protocol, reset, leaving, activity: watched() };
            connection::serve(client, terms.limits, answer.clone(), token).await;
        }
        Ok(Err(error)) => tracing::debug!(cause = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use http_body_util::Full;
    use places::PlaceTicket;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

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

    /// Says that a request came, and answers it when it may.
    #[derive(Clone)]
    struct Gated(Arc<Notify>, Arc<Notify>);

    impl Answer for Gated {
        type Body = Full<Bytes>;

        async fn answer(
            &self,
            _: http::Request<RequestBody>,
            _: Arc<SendProof>,
        ) -> http::Response<Full<Bytes>> {
            self.0.notify_one();
            self.1.notified().await;
            http::Response::new(Full::from("whole"))
        }
    }

    #[tokio::test]
    async fn a_call_that_came_whole_after_the_look_is_answered_before_its_place_is_given_away() {
        for (bound, answered) in [
            (Bound::ForMany { sockets: 2, per_peer: None }, true),
            (Bound::ForFew { sockets: 2 }, false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (tcp, peer) = listener.accept().await.unwrap();
            let Some(PlaceTicket::Seated(place)) =
                Arc::new(ConnectionPlaces::new(bound)).take(peer.ip())
            else {
                panic!("there is a place");
            };
            let (needed, gate) = (place.needed(), Gated(Arc::default(), Arc::default()));
            let terms = Arc::new(Terms { limits: limits(), tls: None });
            let serving =
                tokio::spawn(held(place, tcp, terms, gate.clone(), CancellationToken::new()));
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            gate.0.notified().await;
            needed.cancel();
            tokio::task::yield_now().await;
            gate.1.notify_one();
            let mut answer = String::new();
            let _ = client.read_to_string(&mut answer).await;
            assert_eq!(answer.ends_with("whole"), answered, "{bound:?}: {answer}");
            serving.await.unwrap();
        }
    }
}
