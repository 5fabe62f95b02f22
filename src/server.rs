//! Accepts client connections. Each gets a place among the sockets, a TLS handshake under a
//! deadline, and HTTP/1.1 or HTTP/2. A drain lets calls finish.
//!
//! It knows no domain type: a request goes in, an answer comes out.

mod activity;
mod connection;
mod desk;
mod event;
mod failures;
mod front;
mod handshake;
mod heads;
mod keep_alive;
mod linger;
mod places;
mod socket;
mod spoken;
mod streams;
mod watched;
mod workers;

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::proof::SendProof;
use activity::Activity;
use arc_swap::ArcSwap;
use bytes::Bytes;
use connection::ServedClient;
pub use event::{Event, Handshake, TooSlow, Unreadable};
use failures::Failures;
use front::Protocol;
use hyper::body::Body;
pub use linger::RequestBody;
pub use places::Bound;
use places::{ConnectionPlace, ConnectionPlaces};
use socket::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
pub use workers::Workers;
use workers::moved;

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

    /// The one that answers a client at `peer`; `None` if that may not connect.
    fn for_client(&self, _peer: IpAddr) -> Option<Self> {
        Some(self.clone())
    }

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
        let Some(answer) = answer.for_client(peer.ip()) else { continue };
        let Some(ticket) = places.take(peer.ip()) else {
            answer.happened(Event::TurnedAway);
            continue;
        };
        let (terms, token) = (terms.load_full(), drain.token.clone());
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
    let tcp = match moved(tcp) {
        Ok(tcp) => tcp,
        Err(error) => return tracing::warn!(cause = %error, "a client connection can't be served"),
    };
    // Answers are written whole; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    let (io, reset, leaving) = Socket::new(tcp);
    let limits = &terms.limits;
    let Some(tls) = &terms.tls else {
        let activity = watch(limits, place);
        let client = ServedClient { io, protocol: Protocol::Told, reset, leaving, activity };
        return connection::serve(client, limits, answer, token).await;
    };
    // What TLS needs is in boxes, so that the task of a plain connection is small.
    let secured = Box::pin(handshake::secured(io, tls.clone(), limits.handshake, answer)).await;
    if let Some((io, protocol)) = secured {
        let activity = watch(limits, place);
        let client = ServedClient { io, protocol, reset, leaving, activity };
        connection::serve(client, limits, answer, token).await;
    }
}

/// The watch of a connection; `place` asks it, too.
fn watch(limits: &Limits, place: &ConnectionPlace) -> Arc<Activity> {
    let activity = Arc::new(Activity::new(limits));
    place.watch(activity.clone());
    activity
}

#[cfg(test)]
#[path = "server/tests.rs"]
pub(crate) mod tests;
