//! Clients that shut their side of a connection, to leave or because they have no more to say: a call
//! that was not sent ends, one that was is answered.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::rig::{Certificate, Client, Rig, raw};

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// How a client shuts its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Leaves,
    HalfCloses,
}

/// What a client may send behind its request.
fn strays() -> [Vec<u8>; 4] {
    let next = "GET /.tollgate/health HTTP/1.1\r\nHost: a\r\n\r\n";
    [Vec::new(), b"\r\n".to_vec(), next.into(), vec![b'x'; 30 << 10]]
}

async fn connect(rig: &Rig, tls: Option<&Certificate>) -> Box<dyn Stream> {
    let tcp = TcpStream::connect(rig.gateway.data).await.unwrap();
    let Some(tls) = tls else { return Box::new(tcp) };
    let connector = tokio_rustls::TlsConnector::from(tls.client(b"http/1.1"));
    let name = ServerName::try_from("localhost").unwrap();
    Box::new(connector.connect(name, tcp).await.unwrap())
}

/// A send, and what stands behind it.
fn send(rig: &Rig, strays: &[u8]) -> Vec<u8> {
    let body = "{\"message\":{\"to\":{\"user_id\":\"u\"},\"template\":\"t\"}}";
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: gateway\r\nx-api-key: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        rig.setup.acme,
        body.len()
    );
    [head.as_bytes(), strays].concat()
}

/// Lets others run until `done`.
async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

fn waiting(rig: &Rig) -> u32 {
    let figures = rig.gateway.state().admission().figures();
    figures.iter().flat_map(|workspace| &workspace.lanes).map(|lane| lane.waiting).sum()
}

#[tokio::test]
async fn a_client_that_left_before_the_send_is_noticed_whatever_lies_behind_its_request() {
    for strays in strays() {
        for way in [Way::Leaves, Way::HalfCloses] {
            let quota = "calls = 1\nwindow = \"5s\"\nmax_wait = \"60s\"";
            let rig = Rig::with_quota(simulator::Options::default(), quota).await;
            let mut first = Client::connect(rig.gateway.data, false, None).await;
            first.send("GET", "/profiles/u", &rig.setup.acme, Vec::new()).await;
            let mut client = connect(&rig, None).await;
            client.write_all(&send(&rig, &strays)).await.unwrap();
            until(|| waiting(&rig) == 1).await;
            let before = rig.lines.all().len();
            if way == Way::HalfCloses {
                client.shutdown().await.unwrap();
                let mut answer = Vec::new();
                // A reset is as good an end as any: its octets were not all read.
                let _ = client.read_to_end(&mut answer).await;
                assert!(answer.is_empty(), "{way:?}, {} octets behind it", strays.len());
            }
            drop(client);
            until(|| rig.lines.all().len() > before).await;
            let code = rig.lines.last()["code"].clone();
            assert_eq!(code, "client-gone", "{way:?}, {} octets behind it", strays.len());
            assert_eq!(waiting(&rig), 0);
            assert_eq!(crate::support::arrived(&rig.courier).len(), 1, "it was not sent");
        }
    }
}

/// A vendor that says when a request is there, and answers it when it is told to.
async fn vendor(port: TcpListener, came: Arc<Notify>, goes_on: Arc<Notify>) {
    loop {
        let (mut stream, _) = port.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}}") {
            request.push(stream.read_u8().await.unwrap());
        }
        came.notify_one();
        goes_on.notified().await;
        let answer = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"requestId\":\"1\"}";
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_half_closed_client_whose_call_was_sent_gets_its_answer() {
    let tls = Certificate::new();
    let (came, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setting = format!("base_url = \"http://{}\"", port.local_addr().unwrap());
    tokio::spawn(vendor(port, came.clone(), goes_on.clone()));
    for secure in [None, Some(&tls)] {
        let courier = simulator::Server::new(simulator::Options::default());
        let server = secure.map(Certificate::setting).unwrap_or_default();
        let rig = Rig::before(courier, &server, &setting).await;
        for (count, way) in [(1, Way::HalfCloses), (2, Way::Leaves)] {
            let mut client = connect(&rig, secure).await;
            client.write_all(&send(&rig, b"")).await.unwrap();
            came.notified().await;
            if way == Way::HalfCloses {
                client.shutdown().await.unwrap();
                rounds(&rig).await;
                goes_on.notify_one();
                let mut answer = String::new();
                let _ = client.read_to_string(&mut answer).await;
                assert!(answer.starts_with("HTTP/1.1 202 "), "TLS {}: {answer}", secure.is_some());
                assert!(answer.ends_with("{\"requestId\":\"1\"}"), "{answer}");
            } else {
                drop(client);
                rounds(&rig).await;
                goes_on.notify_one();
            }
            // Nobody can tell which of both it was: a retry of the same send finds it.
            let answered = |line: &serde_json::Value| line["status"] == 202;
            until(|| rig.lines.all().iter().filter(|line| answered(line)).count() == count).await;
            assert_eq!(rig.lines.last()["code"], "client-gone", "{way:?}");
        }
    }
}

/// The gateway answers others: it has seen by then what happened before.
async fn rounds(rig: &Rig) {
    for _ in 0..5 {
        let ask = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert!(raw(rig.gateway.ops, ask, "").await.starts_with("HTTP/1.1 200 "));
    }
}
