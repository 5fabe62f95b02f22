//! Real sockets: a gateway on a port, clients that speak HTTP/1.1, HTTP/2 and raw octets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollgate::app::Gateway;
use tollgate::ids::RandomId;

use crate::support::{Lines, Setup};

/// Both ports are free ones.
pub(crate) const PORTS: &str =
    "[ops]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"127.0.0.1:0\"\n";

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

    /// The same with its own table `[vendor]`.
    pub(crate) async fn before(courier: simulator::Server, server: &str, vendor: &str) -> Self {
        let setup = Setup::new(&format!("{PORTS}{server}\n[vendor]\n{vendor}\n"));
        let lines = Lines::default();
        let gateway = Gateway::start(setup.config(), lines.log()).await.unwrap();
        Self {
            gateway,
            courier,
            setup,
            lines,
        }
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
        format!(
            "tls = {{ cert = '{}', key = '{}' }}\n",
            self.cert.display(),
            self.key.display()
        )
    }

    async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[u8],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.cert).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
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
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self::H1(sender)
    }

    async fn h2(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io))
                .await
                .unwrap();
        tokio::spawn(connection);
        Self::H2(sender)
    }

    /// One of the four ways in: HTTP/1.1 or HTTP/2, plain or over TLS.
    async fn connect(address: SocketAddr, h2: bool, tls: Option<&Certificate>) -> Self {
        match (h2, tls) {
            (false, None) => Self::h1(TcpStream::connect(address).await.unwrap()).await,
            (true, None) => Self::h2(TcpStream::connect(address).await.unwrap()).await,
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
        let mut request = Request::builder().method(method).header("x-api-key", key);
        request = match self {
            Self::H1(_) => request.uri(target).header("host", "gateway.example"),
            Self::H2(_) => request.uri(format!("http://gateway.example{target}")),
        };
        let request = request.body(Full::from(body)).unwrap();
        match self {
            Self::H1(sender) => sender.send_request(request).await.unwrap(),
            Self::H2(sender) => sender.send_request(request).await.unwrap(),
        }
    }
}

/// Addresses as SDKs and hand-written clients send them.
const TARGETS: [&str; 9] = [
    "/brands",
    "/lists/a%2Fb?cursor=%3D%3d&x=a%2Cb&x=a,b",
    "/lists/a%2fb%20c+d;e=f@g:h!$&'()*",
    "/profiles/%C3%A4%F0%9F%93%A8",
    "/profiles/%252e%252e",
    "/messages?status=SENT%2COPENED&&=&a",
    "/messages?",
    "/lists/100%25",
    "/audiences/...%2e?q=/../x",
];

#[tokio::test]
async fn requests_arrive_byte_for_byte_over_every_kind_of_client_socket() {
    let tls = Certificate::new();
    for secure in [None, Some(&tls)] {
        let server = secure.map(Certificate::setting).unwrap_or_default();
        for h2 in [false, true] {
            let rig = Rig::start(&server).await;
            let mut client = Client::connect(rig.gateway.data, h2, secure).await;
            let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
            let mut sent = Vec::new();
            for target in TARGETS {
                let response = client
                    .send("GET", target, &rig.setup.acme, Vec::new())
                    .await;
                assert_ne!(response.status().as_u16(), 502);
                response.into_body().collect().await.unwrap();
                sent.push(("GET".to_owned(), target.to_owned(), Bytes::new()));
            }
            let response = client
                .send("POST", "/profiles/a%2Fb", &rig.setup.acme, body.clone())
                .await;
            response.into_body().collect().await.unwrap();
            sent.push(("POST".to_owned(), "/profiles/a%2Fb".to_owned(), body.into()));
            let arrived = crate::support::arrived(&rig.courier);
            let lines = arrived
                .iter()
                .map(|call| format!("{} {}", call.method, call.target));
            let wanted = sent
                .iter()
                .map(|(method, target, _)| format!("{method} {target}"));
            assert_eq!(
                lines.collect::<Vec<_>>(),
                wanted.collect::<Vec<_>>(),
                "h2 {h2}, TLS {}",
                secure.is_some()
            );
            assert!(
                arrived
                    .iter()
                    .map(|call| &call.body)
                    .eq(sent.iter().map(|(_, _, body)| body))
            );
        }
    }
}

/// The simulator behind TLS, speaking what `alpn` says.
async fn courier_behind_tls(
    tls: &Certificate,
    alpn: &'static [u8],
) -> (simulator::Server, SocketAddr) {
    let courier = simulator::Server::new(simulator::Options::default());
    let mut config = (*tollgate::tls::server(&tls.cert, &tls.key).unwrap()).clone();
    config.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (port.local_addr().unwrap(), courier.clone());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = port.accept().await.unwrap();
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    server.serve_io(stream).await;
                }
            });
        }
    });
    (courier, address)
}

#[tokio::test]
async fn the_vendor_is_reached_over_tls_by_either_protocol() {
    let tls = Certificate::new();
    for (alpn, protocol) in [
        (&b"h2"[..], simulator::Protocol::Http2),
        (b"http/1.1", simulator::Protocol::Http11),
    ] {
        let (courier, address) = courier_behind_tls(&tls, alpn).await;
        let vendor = format!(
            "base_url = \"https://localhost:{}\"\nca_file = '{}'",
            address.port(),
            tls.cert.display()
        );
        let rig = Rig::before(courier, "", &vendor).await;
        let calls = (0..50).map(|n| {
            let (address, key) = (rig.gateway.data, rig.setup.acme.clone());
            async move {
                let mut client = Client::connect(address, false, None).await;
                let target = format!("/lists/a%2F{n}?x=%2c");
                let body = if n % 2 == 0 {
                    b"{\"name\":\"x\"}".to_vec()
                } else {
                    Vec::new()
                };
                client
                    .send("PUT", &target, &key, body)
                    .await
                    .status()
                    .as_u16()
            }
        });
        let statuses = futures_util::future::join_all(calls).await;
        assert!(
            statuses
                .iter()
                .all(|status| [204, 400, 429].contains(status)),
            "{statuses:?}"
        );
        let arrived = crate::support::arrived(&rig.courier);
        assert_eq!(arrived.len(), 50);
        let sockets: std::collections::BTreeSet<_> =
            arrived.iter().map(|call| call.socket).collect();
        for call in &arrived {
            assert_eq!(call.protocol, protocol);
            assert!(call.target.starts_with("/lists/a%2F") && call.target.ends_with("?x=%2c"));
        }
        if protocol == simulator::Protocol::Http2 {
            assert_eq!(sockets.len(), 1, "a burst over HTTP/2 opens one socket");
        }
    }
}

#[tokio::test]
async fn a_vendor_whose_certificate_is_not_trusted_gets_nothing() {
    let tls = Certificate::new();
    let (courier, address) = courier_behind_tls(&tls, b"h2").await;
    let rig = Rig::before(
        courier,
        "",
        &format!("base_url = \"https://localhost:{}\"", address.port()),
    )
    .await;
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    let response = client
        .send("POST", "/send", &rig.setup.acme, b"{}".to_vec())
        .await;
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["tollgate-outcome"]
        ),
        (502, &"not-sent".parse().unwrap())
    );
    assert!(crate::support::arrived(&rig.courier).is_empty());
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

#[tokio::test]
async fn requests_that_no_two_servers_read_alike_are_refused() {
    let rig = Rig::start("").await;
    let key = &rig.setup.acme;
    let end = format!("x-api-key: {key}\r\nConnection: close\r\n\r\n");
    let cases = [
        ("no host", format!("GET /brands HTTP/1.1\r\n{end}"), "400"),
        (
            "two hosts",
            format!("GET /brands HTTP/1.1\r\nHost: a\r\nHost: b\r\n{end}"),
            "400",
        ),
        (
            "a URL",
            format!("GET http://a/brands HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        (
            "an authority",
            format!("GET a.example HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        (
            "an asterisk",
            format!("OPTIONS * HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        (
            "CONNECT",
            format!("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        (
            "TRACE",
            format!("TRACE /brands HTTP/1.1\r\nHost: a\r\n{end}"),
            "405",
        ),
        (
            "two codings",
            format!(
                "POST /send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n{end}0\r\n\r\n"
            ),
            "400",
        ),
        (
            "an unknown coding",
            format!("POST /send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n{end}"),
            "400",
        ),
        (
            "two lengths",
            format!(
                "POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n{end}xx"
            ),
            "400",
        ),
        (
            "a length of letters",
            format!("POST /send HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n{end}"),
            "400",
        ),
        (
            "a dot segment",
            format!("GET /brands/../providers HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        (
            "a control in the path",
            format!("GET /brands/%0a HTTP/1.1\r\nHost: a\r\n{end}"),
            "400",
        ),
        ("no HTTP", "hello\r\n\r\n".to_owned(), "400"),
        (
            "a long target",
            format!(
                "GET /brands?{} HTTP/1.1\r\nHost: a\r\n{end}",
                "x".repeat(9 << 10)
            ),
            "414",
        ),
        (
            "many fields",
            format!(
                "GET /brands HTTP/1.1\r\nHost: a\r\n{}{end}",
                "x: y\r\n".repeat(101)
            ),
            "431",
        ),
        (
            "a large head",
            format!(
                "GET /brands HTTP/1.1\r\nHost: a\r\nx: {}\r\n{end}",
                "y".repeat(40 << 10)
            ),
            "431",
        ),
    ];
    for (what, request, status) in cases {
        let answer = raw(rig.gateway.data, request.as_bytes(), "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {answer}"
        );
    }
    assert!(
        crate::support::arrived(&rig.courier).is_empty(),
        "nothing of it reached the vendor"
    );
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    assert_eq!(
        client
            .send("GET", "/brands", key, Vec::new())
            .await
            .status()
            .as_u16(),
        200
    );
}

#[tokio::test]
async fn a_socket_stays_usable_after_a_refusal() {
    let rig = Rig::start("").await;
    for h2 in [false, true] {
        let mut client = Client::connect(rig.gateway.data, h2, None).await;
        for (method, target, status) in [
            ("GET", "/nope", 404),
            ("PATCH", "/brands", 405),
            ("GET", "/a/./b", 400),
            ("GET", "/brands", 200),
        ] {
            let response = client
                .send(method, target, &rig.setup.acme, Vec::new())
                .await;
            assert_eq!(response.status().as_u16(), status, "{target}");
            response.into_body().collect().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_octet_more_does_not() {
    let rig = Rig::start("").await;
    for h2 in [false, true] {
        let mut client = Client::connect(rig.gateway.data, h2, None).await;
        let mut body = b"{\"profile\":{\"x\":\"".to_vec();
        body.resize(6 * 1024 * 1024 - 3, b'y');
        body.extend_from_slice(b"\"}}");
        let response = client
            .send("POST", "/profiles/u", &rig.setup.acme, body.clone())
            .await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(
            crate::support::arrived(&rig.courier)
                .last()
                .unwrap()
                .body_len,
            6 * 1024 * 1024
        );
        body.push(b' ');
        let response = client
            .send("POST", "/profiles/u", &rig.setup.acme, body)
            .await;
        assert_eq!(response.status().as_u16(), 413);
    }
    assert_eq!(crate::support::arrived(&rig.courier).len(), 2);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_when_it_is_over() {
    let rig = Rig::start("body_size = \"1KiB\"\n").await;
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        rig.setup.acme
    );
    let body = format!("200\r\n{}\r\n", "x".repeat(512)).repeat(3);
    let answer = raw(rig.gateway.data, format!("{head}{body}").as_bytes(), "").await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("1024 octets"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_refused_upload_is_never_asked_for() {
    let rig = Rig::start("").await;
    let head = |key: &str, length: usize| {
        format!(
            "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let wrong = raw(rig.gateway.data, head("tg_a_b", 10).as_bytes(), "\r\n\r\n").await;
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
    let large = raw(
        rig.gateway.data,
        head(&rig.setup.acme, 7 << 20).as_bytes(),
        "\r\n\r\n",
    )
    .await;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let fine = raw(
        rig.gateway.data,
        head(&rig.setup.acme, 10).as_bytes(),
        "\r\n\r\n",
    )
    .await;
    assert!(fine.starts_with("HTTP/1.1 100 Continue"), "{fine}");
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let limits = "head_time = \"150ms\"\nbody_idle = \"150ms\"\nkeep_alive = \"150ms\"\nhandshake = \"150ms\"\n";
    let rig = Rig::start(limits).await;
    let at = rig.gateway.data;
    let key = &rig.setup.acme;
    assert_eq!(raw(at, b"", "").await, "", "no head at all");
    assert_eq!(
        raw(at, b"GET / HTTP/1.1\r\nHost:", "").await,
        "",
        "half a head"
    );
    assert_eq!(
        raw(at, b"PRI * HTTP/2.0\r\n", "").await,
        "",
        "half a preface"
    );
    let half = format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: 10\r\n\r\nhalf"
    );
    let answer = raw(at, half.as_bytes(), "").await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"),
        "{answer}"
    );
    let rest = format!("GET /brands HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n");
    let answer = raw(at, rest.as_bytes(), "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "answered, then closed: {answer}"
    );
    let tls = Certificate::new();
    let rig = Rig::start(&format!("{limits}{}", tls.setting())).await;
    assert_eq!(
        raw(rig.gateway.data, b"\x16\x03", "").await,
        "",
        "half a handshake"
    );
}

#[tokio::test]
async fn uploads_are_held_within_their_total() {
    let rig = Rig::start("body_size = \"1MiB\"\nuploads_total = \"1MiB\"\n").await;
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nContent-Length: 1048576\r\nExpect: 100-continue\r\n\r\n",
        rig.setup.acme
    );
    let mut first = TcpStream::connect(rig.gateway.data).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    let second = raw(rig.gateway.data, head.as_bytes(), "\r\n\r\n").await;
    assert!(
        second.starts_with("HTTP/1.1 503 ") && second.contains("retry-after: 1"),
        "{second}"
    );
    drop(first);
    while raw(rig.gateway.data, head.as_bytes(), "\r\n\r\n")
        .await
        .starts_with("HTTP/1.1 503 ")
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn health_is_for_everybody_and_leaves_no_line() {
    let rig = Rig::start("").await;
    let ask = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    };
    let data = rig.gateway.data;
    assert!(
        raw(data, ask("GET", "/.tollgate/health").as_bytes(), "")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        raw(data, ask("POST", "/.tollgate/health").as_bytes(), "")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
    assert!(rig.lines.all().is_empty());
    let ops = rig.gateway.ops;
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/metrics", 200),
        ("/nope", 404),
    ] {
        let answer = raw(ops, ask("GET", path).as_bytes(), "").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
    }
    assert!(
        raw(ops, ask("DELETE", "/metrics").as_bytes(), "")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
}

#[tokio::test]
async fn metrics_count_calls_by_operation_and_code() {
    let rig = Rig::start("").await;
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    for target in ["/brands", "/brands", "/nope"] {
        client
            .send("GET", target, &rig.setup.acme, Vec::new())
            .await
            .into_body()
            .collect()
            .await
            .unwrap();
    }
    drop(client);
    let ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let wanted = [
        "tollgate_requests_total{operation=\"brands.list\",status_class=\"2xx\",code=\"ok\"} 2",
        "tollgate_requests_total{operation=\"none\",status_class=\"4xx\",code=\"unknown-operation\"} 1",
        "http_server_request_duration_seconds_count{operation=\"brands.list\",status_class=\"2xx\"} 2",
        "http_client_request_duration_seconds_count{operation=\"brands.list\"} 2",
        "tollgate_requests_in_flight 0",
    ];
    // A record ends when the server lets go of the answer, a moment after the client has it.
    let mut page = raw(rig.gateway.ops, ask, "").await;
    while !wanted.iter().all(|line| page.contains(line)) {
        tokio::task::yield_now().await;
        assert!(page.contains("tollgate_build_info"), "{page}");
        page = raw(rig.gateway.ops, ask, "").await;
    }
}

#[tokio::test]
async fn a_base_url_that_leads_back_is_a_loop() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let courier = simulator::Server::new(simulator::Options::default());
    let text = format!(
        "[ops]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = \"{free}\"\n[vendor]\nbase_url = \"http://{free}\"\n"
    );
    let setup = Setup::new(&text);
    let lines = Lines::default();
    let gateway = Gateway::start(setup.config(), lines.log()).await.unwrap();
    let rig = Rig {
        gateway,
        courier,
        setup,
        lines,
    };
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    let response = client
        .send("GET", "/brands", &rig.setup.acme, Vec::new())
        .await;
    assert_eq!(response.status().as_u16(), 508);
    assert_eq!(rig.lines.all().len(), 2, "the request came back once");
}
