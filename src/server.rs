//! Accepts client connections: a permit before the accept, a TLS handshake under a deadline,
//! HTTP/1.1 or HTTP/2, and a drain that lets calls finish.
//!
//! It knows no domain type: a request goes in, an answer comes out.

mod activity;
mod connection;
mod event;
mod linger;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
pub use event::{Event, Handshake, TooSlow, Unreadable};
use http_body::Body;
pub use linger::RequestBody;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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

/// Serves `listener` until `drain` begins, with at most `sockets` connections at a time.
pub async fn serve<A: Answer>(
    listener: TcpListener,
    sockets: usize,
    terms: Arc<ArcSwap<Terms>>,
    answer: A,
    drain: Drain,
) {
    let permits = Arc::new(Semaphore::new(sockets));
    loop {
        // Before the accept: what finds no place waits in the kernel, not here.
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            () = drain.token.cancelled() => return,
        };
        let tcp = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    // Out of descriptors, mostly: without a pause the loop would spin on it.
                    tracing::warn!(cause = %error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = drain.token.cancelled() => return,
        };
        let (terms, answer, token) = (terms.load_full(), answer.clone(), drain.token.clone());
        drain.connections.spawn(async move {
            answer.happened(Event::Opened);
            let closed = Closed(&answer);
            open(tcp, &terms, &answer, token).await;
            drop(closed);
            drop(permit);
        });
    }
}

/// Counts a connection as closed, also when its task panics.
struct Closed<'a, A: Answer>(&'a A);

impl<A: Answer> Drop for Closed<'_, A> {
    fn drop(&mut self) {
        self.0.happened(Event::Closed);
    }
}

async fn open<A: Answer>(tcp: TcpStream, terms: &Terms, answer: &A, token: CancellationToken) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = tcp.set_nodelay(true);
    let Some(tls) = &terms.tls else {
        return connection::serve(tcp, terms.limits, answer.clone(), token).await;
    };
    let handshake = TlsAcceptor::from(tls.clone()).accept(tcp);
    let ended = tokio::time::timeout(terms.limits.handshake, handshake).await;
    answer.happened(Event::Handshake(match &ended {
        Ok(Ok(_)) => Handshake::Done,
        Ok(Err(_)) => Handshake::Failed,
        Err(_) => Handshake::Slow,
    }));
    match ended {
        Ok(Ok(stream)) => connection::serve(stream, terms.limits, answer.clone(), token).await,
        Ok(Err(error)) => tracing::debug!(cause = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}
