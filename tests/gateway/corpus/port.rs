//! The gateway of the corpus, in plain text or over TLS, and how a client gets to it.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::wire::Who;
use crate::rig::{Certificate, Rig};

/// A client's socket, plain or over TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A gateway in plain text or over TLS.
pub(crate) struct Port {
    pub(crate) rig: Rig,
    tls: Option<Certificate>,
}

impl Port {
    pub(crate) async fn open(tls: bool) -> Self {
        let tls = tls.then(Certificate::new);
        let setting = tls.as_ref().map(Certificate::setting).unwrap_or_default();
        // A client that stops in the middle is given up soon; all others are done long before.
        let times = "body_size = \"8KiB\"\nbody_idle = \"300ms\"\nhead_time = \"300ms\"\n";
        Self { rig: Rig::start(&format!("{times}{setting}")).await, tls }
    }

    /// A new connection that speaks `alpn`, where that is asked.
    pub(crate) async fn connect(&self, alpn: &[u8]) -> Box<dyn Io> {
        let address = self.rig.gateway.data;
        match &self.tls {
            None => Box::new(TcpStream::connect(address).await.unwrap()),
            Some(tls) => Box::new(tls.connect(address, alpn).await),
        }
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who { key: &self.rig.setup.acme, tls: self.tls.is_some() }
    }
}
