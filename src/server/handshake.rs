//! The TLS handshake of a client, under its deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::front::Protocol;
use super::socket::Socket;
use super::{Answer, Event, Handshake};

/// The most bytes that TLS has ready for a client. A piece of an answer fits with its framing.
/// Little is held for a client that does not read.
const CODED: usize = 12 << 10;

/// What `socket` carries over TLS and the protocol that was agreed on, if the handshake ends well
/// and within `time`.
pub(super) async fn secured<A: Answer>(
    socket: Socket,
    tls: Arc<ServerConfig>,
    time: Duration,
    observer: &A,
) -> Option<(Box<TlsStream<Socket>>, Protocol)> {
    let ended = timeout(time, TlsAcceptor::from(tls).accept(socket)).await;
    observer.happened(Event::Handshake(match &ended {
        Ok(Ok(_)) => Handshake::Done,
        Ok(Err(_)) => Handshake::Failed,
        Err(_) => Handshake::Slow,
    }));
    match ended {
        Ok(Ok(mut io)) => {
            io.get_mut().1.set_buffer_limit(Some(CODED));
            let protocol = Protocol::agreed(io.get_ref().1.alpn_protocol());
            return Some((Box::new(io), protocol));
        }
        Ok(Err(error)) => tracing::debug!(cause = %error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
    None
}
