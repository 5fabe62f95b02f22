//! Opens lines to a vendor host: name look-up, TCP, TLS.

use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use tower::Service;

use crate::call::BoxFuture;
use crate::error::Cause;
use crate::tls;

/// What hyper reads from and writes to.
pub trait Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static> Io for T {}

/// An open line to a host.
pub struct Line {
    /// The octets.
    pub io: Box<dyn Io>,
    /// HTTP/2 was agreed on.
    pub h2: bool,
}

/// Opens lines. Tests put a pipe to the simulator in its place.
pub trait Dial: Send + Sync + 'static {
    /// Opens a line to the host of `uri`; the caller bounds the time.
    fn dial(&self, uri: http::Uri) -> BoxFuture<Result<Line, Cause>>;
}

/// Opens lines over TCP, with TLS where the scheme is `https`.
pub struct Dialer {
    connector: HttpsConnector<HttpConnector>,
}

impl Dialer {
    /// TLS by `tls`; ALPN offers h2 and http/1.1.
    #[must_use]
    pub fn new(tls: tls::Client) -> Self {
        Self { connector: tls::connector(tls) }
    }
}

impl Dial for Dialer {
    fn dial(&self, uri: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        let connecting = self.connector.clone().call(uri);
        Box::pin(async move {
            let stream = connecting.await?;
            let h2 = stream.connected().is_negotiated_h2();
            Ok(Line { io: Box::new(stream), h2 })
        })
    }
}
