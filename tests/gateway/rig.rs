//! A gateway and a simulator on ports, and the clients that talk to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tollgate::app::Gateway;
use tollgate::ids::RandomId;

use crate::support::{Lines, Setup};

/// Both ports are free ones; the end is not put off.
pub(crate) const PORTS: &str =
    "[ops]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"127.0.0.1:0\"\ndrain_delay = \"0s\"\n";

/// A simulator and a gateway before it, on sockets.
pub(crate) struct Rig {
    pub(crate) gateway: Gateway,
    pub(crate) courier: simulator::Server,
    pub(crate) setup: Setup,
    pub(crate) lines: Lines,
}

impl Rig {
    /// `server` follows in the table `[server]`.
    pub(crate) async fn start(server: &str) -> Self {
        let mut options = simulator::Options::default();
        options.journal.body = 1 << 20;
        let courier = simulator::Server::new(options);
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = port.local_addr().unwrap();
        tokio::spawn(courier.clone().serve(port, std::future::pending()));
        Self::before(courier, server, &format!("base_url = \"http://{vendor}\"")).await
    }

    /// A simulator that counts as `options` say, and a gateway with its own table `[quota]`.
    pub(crate) async fn with_quota(options: simulator::Options, quota: &str) -> Self {
        let courier = simulator::Server::new(options);
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = port.local_addr().unwrap();
        tokio::spawn(courier.clone().serve(port, std::future::pending()));
        let head = format!("{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n");
        let setup = Setup::with_quota(&head, &format!("[quota]\n{quota}\n"));
        let lines = Lines::default();
        let gateway = Gateway::start(setup.config(), lines.log()).await.unwrap();
        Self { gateway, courier, setup, lines }
    }

    /// The same with its own table `[vendor]`.
    pub(crate) async fn before(courier: simulator::Server, server: &str, vendor: &str) -> Self {
        let setup = Setup::new(&format!("{PORTS}{server}\n[vendor]\n{vendor}\n"));
        let lines = Lines::default();
        let gateway = Gateway::start(setup.config(), lines.log()).await.unwrap();
        Self { gateway, courier, setup, lines }
    }
}

/// A certificate for `localhost`, and where its files are.
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
                .unwrap();
        let folder = std::env::temp_dir().join(format!("tollgate-tls-{}", RandomId::new()));
        std::fs::create_dir_all(&folder).unwrap();
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { cert, key }
    }

    /// `tls = …` for the table `[server]`.
    pub(crate) fn setting(&self) -> String {
        format!("tls = {{ cert = '{}', key = '{}' }}\n", self.cert.display(), self.key.display())
    }

    /// A client that trusts it, speaks `alpn` and resumes its sessions.
    pub(crate) fn client(&self, alpn: &[u8]) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.cert).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }

    /// A TLS connection that speaks `alpn`.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[u8],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let config = self.client(alpn);
        let tcp = tcp(address).await;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn));
        stream
    }
}

/// One client socket.
pub(crate) enum Client {
    H1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) async fn h1(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::H1(sender)
    }

    pub(crate) async fn h2(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io))
                .await
                .unwrap();
        tokio::spawn(connection);
        Self::H2(sender)
    }

    /// One of the four ways in: HTTP/1.1 or HTTP/2, plain or over TLS.
    pub(crate) async fn connect(address: SocketAddr, h2: bool, tls: Option<&Certificate>) -> Self {
        match (h2, tls) {
            (false, None) => Self::h1(tcp(address).await).await,
            (true, None) => Self::h2(tcp(address).await).await,
            (false, Some(tls)) => Self::h1(tls.connect(address, b"http/1.1").await).await,
            (true, Some(tls)) => Self::h2(tls.connect(address, b"h2").await).await,
        }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        target: &str,
        key: &str,
        body: Vec<u8>,
    ) -> Response<Incoming> {
        let fields = http::HeaderMap::new();
        self.ask(Request::builder().method(method), target, key, (fields, body)).await
    }

    /// A request with further fields and no body.
    pub(crate) async fn send_with(
        &mut self,
        method: &str,
        target: &str,
        key: &str,
        fields: http::HeaderMap,
    ) -> Response<Incoming> {
        self.ask(Request::builder().method(method), target, key, (fields, Vec::new())).await
    }

    /// A request with further fields and a body.
    pub(crate) async fn ask(
        &mut self,
        request: http::request::Builder,
        target: &str,
        key: &str,
        (fields, body): (http::HeaderMap, Vec<u8>),
    ) -> Response<Incoming> {
        let mut request = request.header("x-api-key", key);
        request = match self {
            Self::H1(_) => request.uri(target).header("host", "gateway.example"),
            Self::H2(_) => request.uri(format!("http://gateway.example{target}")),
        };
        let mut request = request.body(Full::from(body)).unwrap();
        request.headers_mut().extend(fields);
        match self {
            Self::H1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Self::H2(sender) => sender.send_request(request).await.unwrap(),
        }
    }
}

/// What is written leaves at once: with Nagle's algorithm a reset of a stream would wait for the
/// acknowledgement of the frame before it (RFC 1122 section 4.2.3.4), some 40 ms.
async fn tcp(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// Sends octets and reads until the gateway closes or `until` is there.
pub(crate) async fn raw(address: SocketAddr, octets: &[u8], until: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while until.is_empty() || !String::from_utf8_lossy(&answer).contains(until) {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}
