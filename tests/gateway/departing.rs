//! Clients that shut their side of a connection, to leave or because they have no more to say: a call
//! that was not sent ends, one that was is answered, and the same send again is one with it.
#![cfg(target_os = "linux")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::rustls::pki_types::ServerName;

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

const BODY: &str = "{\"message\":{\"to\":{\"user_id\":\"u\"},\"template\":\"t\"}}";

/// A send with further fields, and what stands behind it.
fn send(rig: &Rig, fields: &str, strays: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: gateway\r\nx-api-key: {}\r\n{fields}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        rig.setup.acme,
        BODY.len()
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
            client.write_all(&send(&rig, "", &strays)).await.unwrap();
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
            client.write_all(&send(&rig, "", b"")).await.unwrap();
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

/// A vendor that answers its first send when it is told to, later ones at once, and notes their keys.
#[derive(Clone, Default)]
struct Holding {
    keys: Arc<Mutex<Vec<String>>>,
    goes_on: Arc<Notify>,
}

impl Holding {
    async fn before_it() -> (Self, Rig) {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let setting = format!("base_url = \"http://{}\"", port.local_addr().unwrap());
        let courier = simulator::Server::new(simulator::Options::default());
        let vendor = Self::default();
        let serving = vendor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = port.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        (vendor, Rig::before(courier, "", &setting).await)
    }

    async fn serve(self, mut stream: TcpStream) {
        loop {
            let mut request = Vec::new();
            while !request.ends_with(b"}}") {
                let Ok(octet) = stream.read_u8().await else { return };
                request.push(octet);
            }
            let request = String::from_utf8(request).unwrap().to_lowercase();
            let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            self.keys.lock().unwrap().push(key.unwrap_or_default().to_owned());
            if self.sends() == 1 {
                self.goes_on.notified().await;
            }
            let answer = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"requestId\":\"1\"}";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    fn sends(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

type Field = (&'static str, &'static str);

/// Of an SDK that counts no retries.
const UNCOUNTED: Field = ("user-agent", "courier-node/5.7.0");
const FIRST: Field = ("x-stainless-retry-count", "0");
const RETRY: Field = ("x-stainless-retry-count", "1");

/// The send over `client`: its status, and whether its answer is that of another one.
async fn sent(rig: &Rig, client: &mut Client, (name, value): Field) -> (u16, bool) {
    let fields = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
    let request = http::Request::builder().method("POST");
    let answer = client.ask(request, "/send", &rig.setup.acme, (fields, BODY.into())).await;
    (answer.status().as_u16(), answer.headers().contains_key("idempotency-replayed"))
}

/// Sends the same again while the first is at the vendor: as one send with it, or as a second one.
async fn one_or_two(rig: &Rig, vendor: &Holding, again: (Field, Field), one: bool, case: &str) {
    rounds(rig).await;
    let mut client = Client::connect(rig.gateway.data, false, None).await;
    let page = || rig.gateway.state().metrics().page();
    let under_way = || page().lines().any(|line| line == "tollgate_requests_in_flight 2");
    let goes_on = async {
        until(|| (one && under_way()) || vendor.sends() == 2).await;
        rounds(rig).await;
        assert_eq!(vendor.sends(), if one { 1 } else { 2 }, "{case}");
        vendor.goes_on.notify_one();
    };
    let (answer, ()) = tokio::join!(sent(rig, &mut client, again.0), goes_on);
    assert_eq!(answer, (202, one), "{case}");
    if one {
        // It has its answer: the same once more is wanted.
        assert_eq!(sent(rig, &mut client, again.1).await, (202, false), "{case}");
    }
    let keys = vendor.keys.lock().unwrap().clone();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{case}: {keys:?}");
}

#[tokio::test]
async fn a_send_whose_client_left_while_it_is_at_the_vendor_is_one_with_the_same_again() {
    let (old, new) = ((UNCOUNTED, UNCOUNTED), (RETRY, FIRST));
    for (case, first, again, one) in [
        ("closes", UNCOUNTED, old, true),
        ("half-closes", UNCOUNTED, old, true),
        ("resets", UNCOUNTED, old, true),
        ("stays", UNCOUNTED, old, false),
        ("closes, counts", FIRST, new, true),
        ("stays, counts", FIRST, new, true),
    ] {
        let (vendor, rig) = Holding::before_it().await;
        let mut client = TcpStream::connect(rig.gateway.data).await.unwrap();
        let field = format!("{}: {}\r\n", first.0, first.1);
        client.write_all(&send(&rig, &field, b"")).await.unwrap();
        until(|| vendor.sends() == 1).await;
        match case {
            "half-closes" => client.shutdown().await.unwrap(),
            "resets" => client.set_zero_linger().unwrap(),
            _ => {}
        }
        let stays = (!case.starts_with("closes") && case != "resets").then_some(client);
        one_or_two(&rig, &vendor, again, one, case).await;
        let Some(mut client) = stays else { continue };
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 202", "{case}");
    }
}

#[tokio::test]
async fn a_send_whose_stream_was_reset_at_the_vendor_is_one_with_the_same_again() {
    for (case, one) in [("resets", true), ("stays", false)] {
        let (vendor, rig) = Holding::before_it().await;
        let mut client = Client::connect(rig.gateway.data, true, None).await;
        let mut first = Box::pin(sent(&rig, &mut client, UNCOUNTED));
        tokio::select! {
            answer = &mut first => unreachable!("the vendor holds it: {answer:?}"),
            () = until(|| vendor.sends() == 1) => {}
        }
        // To drop it resets its stream; the connection stays.
        let stays = (case == "stays").then_some(first);
        one_or_two(&rig, &vendor, (UNCOUNTED, UNCOUNTED), one, case).await;
        let Some(first) = stays else { continue };
        assert_eq!(first.await, (202, false), "{case}");
    }
}
