//! Octets in and out over every kind of socket, with and without TLS on either side.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind};
use tollgate::config::Config;

use crate::rig::{Certificate, Client, Rig};

/// Addresses as SDKs and hand-written clients send them.
const TARGETS: [&str; 9] = [
    "/brands",
    "/lists/a%2Fb?cursor=%3D%3d&x=a%2Cb&x=a,b",
    "/lists/a%2fb%20c+d;e=f@g:h!$&'()*",
    "/profiles/%C3%A4%F0%9F%93%A8",
    "/profiles/a%252e%252e",
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
                let response = client.send("GET", target, &rig.setup.acme, Vec::new()).await;
                assert_ne!(response.status().as_u16(), 502);
                response.into_body().collect().await.unwrap();
                sent.push(("GET".to_owned(), target.to_owned(), Bytes::new()));
            }
            let response =
                client.send("POST", "/profiles/a%2Fb", &rig.setup.acme, body.clone()).await;
            response.into_body().collect().await.unwrap();
            sent.push(("POST".to_owned(), "/profiles/a%2Fb".to_owned(), body.into()));
            let arrived = crate::support::arrived(&rig.courier);
            let lines = arrived.iter().map(|call| format!("{} {}", call.method, call.target));
            let wanted = sent.iter().map(|(method, target, _)| format!("{method} {target}"));
            assert_eq!(
                lines.collect::<Vec<_>>(),
                wanted.collect::<Vec<_>>(),
                "h2 {h2}, TLS {}",
                secure.is_some()
            );
            assert!(arrived.iter().map(|call| &call.body).eq(sent.iter().map(|(_, _, body)| body)));
        }
    }
}

/// How handshakes went, in their order.
type Kinds = Arc<Mutex<Vec<HandshakeKind>>>;

/// The simulator behind TLS, speaking what `alpn` says.
async fn courier_behind_tls(
    tls: &Certificate,
    alpn: &'static [u8],
) -> (simulator::Server, SocketAddr) {
    courier_noting(tls, alpn, Kinds::default()).await
}

/// The same, noting its handshakes in `kinds`.
async fn courier_noting(
    tls: &Certificate,
    alpn: &'static [u8],
    kinds: Kinds,
) -> (simulator::Server, SocketAddr) {
    let courier = simulator::Server::new(simulator::Options::default());
    let config = tollgate::tls::server(&tls.cert, &tls.key).unwrap();
    let mut config = (*config.resuming(&tollgate::tls::Tickets::default())).clone();
    config.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, server) = (port.local_addr().unwrap(), courier.clone());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = port.accept().await.unwrap();
            let (acceptor, server, kinds) = (acceptor.clone(), server.clone(), kinds.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    kinds.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
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
    for (alpn, protocol) in
        [(&b"h2"[..], simulator::Protocol::Http2), (b"http/1.1", simulator::Protocol::Http11)]
    {
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
                let target = format!("/profiles/a%2F{n}?x=%2c");
                let body = if n % 2 == 0 { b"{\"name\":\"x\"}".to_vec() } else { Vec::new() };
                client.send("PUT", &target, &key, body).await.status().as_u16()
            }
        });
        let statuses = futures_util::future::join_all(calls).await;
        assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
        let arrived = crate::support::arrived(&rig.courier);
        assert_eq!(arrived.len(), 50);
        let sockets: std::collections::BTreeSet<_> =
            arrived.iter().map(|call| call.socket).collect();
        for call in &arrived {
            assert_eq!(call.protocol, protocol);
            assert!(call.target.starts_with("/profiles/a%2F") && call.target.ends_with("?x=%2c"));
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
    let rig =
        Rig::before(courier, "", &format!("base_url = \"https://localhost:{}\"", address.port()))
            .await;
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    let response = client.send("POST", "/send", &rig.setup.acme, b"{}".to_vec()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["tollgate-outcome"]),
        (502, &"not-sent".parse().unwrap())
    );
    assert!(crate::support::arrived(&rig.courier).is_empty());
}

/// One request on a new socket of `client`; how the handshake went.
async fn shaken(address: SocketAddr, client: &Arc<ClientConfig>) -> HandshakeKind {
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(client.clone());
    let mut tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    let head =
        "GET /.tollgate/health HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\n\r\n";
    tls.write_all(head.as_bytes()).await.unwrap();
    tls.read_to_end(&mut Vec::new()).await.unwrap();
    tls.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn a_client_resumes_its_tls_session_after_a_reload() {
    let certificate = Certificate::new();
    let mut rig = Rig::start(&certificate.setting()).await;
    let client = certificate.client(b"http/1.1");
    assert_eq!(shaken(rig.gateway.data, &client).await, HandshakeKind::Full);
    rig.gateway.reload(&rig.setup.config()).unwrap();
    assert_eq!(shaken(rig.gateway.data, &client).await, HandshakeKind::Resumed);
}

#[tokio::test]
async fn sessions_with_the_vendor_are_resumed_after_a_reload() {
    let tls = Certificate::new();
    let kinds = Kinds::default();
    let (courier, address) = courier_noting(&tls, b"http/1.1", kinds.clone()).await;
    let vendor = |idle: &str| {
        let (port, file) = (address.port(), tls.cert.display());
        format!("base_url = \"https://localhost:{port}\"\nca_file = '{file}'\nidle = \"{idle}\"")
    };
    let mut rig = Rig::before(courier, "", &vendor("20s")).await;
    for target in ["/brands", "/messages"] {
        if target == "/messages" {
            // Other limits mean other sockets.
            let text = rig.setup.text.replace("idle = \"20s\"", "idle = \"21s\"");
            rig.gateway.reload(&Config::parse(&text).unwrap()).unwrap();
        }
        let mut client = Client::connect(rig.gateway.data, false, None).await;
        let answer = client.send("GET", target, &rig.setup.acme, Vec::new()).await;
        assert_eq!(answer.status().as_u16(), 200);
        answer.into_body().collect().await.unwrap();
    }
    let kinds = kinds.lock().unwrap().clone();
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}
