//! What an answer that nobody reads holds in the gateway: the octets that the vendor got rid of, less
//! those that the kernel has. The few octets of heads, framing and TLS count as the kernel's.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::rustls::pki_types::ServerName;

use crate::rig::{Certificate, Rig};

/// The vendor has always more to say than hyper can read at once.
const VENDOR: u32 = 1 << 20;

/// The client takes next to nothing.
const CLIENT: u32 = 4 << 10;

/// How the vendor writes an answer without an end.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Long,
    Chunked,
    Http2,
}

/// A vendor whose answers have no end, and what it got rid of.
struct Vendor {
    at: SocketAddr,
    written: Arc<AtomicUsize>,
    tls: Certificate,
}

impl Vendor {
    async fn start(answer: Answer) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(VENDOR).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.listen(8).unwrap();
        let vendor = Self {
            at: port.local_addr().unwrap(),
            written: Arc::default(),
            tls: Certificate::new(),
        };
        let written = vendor.written.clone();
        match answer {
            Answer::Long => {
                tokio::spawn(h1(port, "Content-Length: 1000000000", vec![b'x'; 1 << 20], written))
            }
            Answer::Chunked => {
                let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
                tokio::spawn(h1(port, "Transfer-Encoding: chunked", chunk.into_bytes(), written))
            }
            Answer::Http2 => tokio::spawn(h2(port, acceptor(&vendor.tls), written)),
        };
        vendor
    }

    /// `base_url` and the like.
    fn setting(&self, answer: Answer) -> String {
        match answer {
            Answer::Http2 => format!(
                "base_url = \"https://localhost:{}\"\nca_file = '{}'",
                self.at.port(),
                self.tls.cert.display()
            ),
            _ => format!("base_url = \"http://{}\"", self.at),
        }
    }
}

fn acceptor(tls: &Certificate) -> tokio_rustls::TlsAcceptor {
    let config = tollgate::tls::server(&tls.cert, &tls.key).unwrap();
    let config = config.resuming(&tollgate::tls::Tickets::default());
    tokio_rustls::TlsAcceptor::from(config)
}

/// Answers one request with `piece` again and again.
async fn h1(port: TcpListener, framing: &str, piece: Vec<u8>, written: Arc<AtomicUsize>) {
    let (mut stream, _) = port.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut from = 0;
    while let Ok(n) = stream.write(&piece[from..]).await {
        written.fetch_add(n, Ordering::SeqCst);
        from = (from + n) % piece.len();
    }
}

/// The same over HTTP/2: as much as its window lets it send.
async fn h2(port: TcpListener, tls: tokio_rustls::TlsAcceptor, written: Arc<AtomicUsize>) {
    let (tcp, _) = port.accept().await.unwrap();
    let stream = tls.accept(tcp).await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut responding))) = connection.accept().await {
        let written = written.clone();
        tokio::spawn(async move {
            let head = http::Response::new(());
            let mut stream = responding.send_response(head, false).unwrap();
            loop {
                stream.reserve_capacity(1 << 10);
                while stream.capacity() == 0 {
                    let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await
                    else {
                        return;
                    };
                }
                let n = stream.capacity();
                stream.send_data(Bytes::from(vec![b'x'; n]), false).unwrap();
                written.fetch_add(n, Ordering::SeqCst);
            }
        });
    }
}

/// Octets that the kernel holds of all open sockets with an end at one of `ports`; nothing while some
/// are under way, since those would count on both sides.
fn in_the_kernel(ports: &[u16]) -> Option<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let port =
        |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let open = rows.filter(|row| {
        row[3] == "01" && (ports.contains(&port(row[1])) || ports.contains(&port(row[2])))
    });
    let octets = |queue: &str| usize::from_str_radix(queue, 16).unwrap();
    open.map(|row| {
        let unacknowledged = row[5].starts_with("01:");
        (!unacknowledged).then(|| row[4].split(':').map(octets).sum::<usize>())
    })
    .sum()
}

/// Asks for an answer by a client that never reads, and gives what the gateway then holds of it.
async fn held(target: &str, answer: Answer, secure: bool) -> usize {
    let vendor = Vendor::start(answer).await;
    let courier = simulator::Server::new(simulator::Options::default());
    let tls = Certificate::new();
    let server = if secure { tls.setting() } else { String::new() };
    let rig = Rig::before(courier, &server, &vendor.setting(answer)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(CLIENT).unwrap();
    let mut tcp = socket.connect(rig.gateway.data).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nx-api-key: {}\r\n\r\n", rig.setup.acme);
    let client: Box<dyn AsyncWrite + Unpin>;
    if secure {
        let connector = tokio_rustls::TlsConnector::from(tls.client(b"http/1.1"));
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, tcp).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        client = Box::new(stream);
    } else {
        tcp.write_all(request.as_bytes()).await.unwrap();
        client = Box::new(tcp);
    }
    let ports = match answer {
        // The vendor's window holds it back, not its socket, and the octets there are coded.
        Answer::Http2 => vec![rig.gateway.data.port()],
        _ => vec![rig.gateway.data.port(), vendor.at.port()],
    };
    // All runs on this one thread: it stands still when nothing moves however often others may run.
    let (mut last, mut still) = (0, 0);
    let held = loop {
        tokio::task::yield_now().await;
        let now = vendor.written.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        if now > 0
            && still % 10_000 == 9_999
            && let Some(kernel) = in_the_kernel(&ports)
        {
            break last.saturating_sub(kernel);
        }
    };
    drop(client);
    held
}

#[tokio::test]
async fn an_answer_that_an_http1_client_does_not_read_holds_64_kib_at_most() {
    for secure in [false, true] {
        for answer in [Answer::Long, Answer::Chunked] {
            for target in ["/profiles/u", "/brands/b"] {
                let held = held(target, answer, secure).await;
                assert!(
                    (1..=64 << 10).contains(&held),
                    "{target} {answer:?}, TLS {secure}: {held}"
                );
            }
        }
    }
}

#[tokio::test]
async fn behind_an_http2_vendor_it_holds_one_more_window_of_64_kib() {
    for secure in [false, true] {
        let held = held("/profiles/u", Answer::Http2, secure).await;
        assert!((1..=128 << 10).contains(&held), "TLS {secure}: {held}");
    }
}
