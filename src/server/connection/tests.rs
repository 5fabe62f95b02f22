//! One connection over a pipe, with a paused clock. HTTP/2 frames are written by hand where a
//! well-behaved client would not send what the test needs.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use super::*;
use crate::proof::SendProof;
use crate::server::RequestBody;
use crate::server::tests::limits;

#[path = "rests.rs"]
mod rests;

/// Answers `/` at once, `/slow` after seven seconds, `/large` with 1 MiB, `/endless` without a
/// length, and reads `POST /read`.
#[derive(Clone)]
struct Paths;

impl Answer for Paths {
    type Body = UnsyncBoxBody<Bytes, Infallible>;

    async fn answer(
        &self,
        request: http::Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<Self::Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/slow" => sleep(Duration::from_secs(7)).await,
            "/late" => {
                let mut response = Response::new(UnsyncBoxBody::default());
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                return response;
            }
            "/read" => drop(request.into_body().collect().await),
            _ => {}
        }
        let size = if path == "/large" { 1 << 20 } else { 2 };
        let body = Full::from(vec![b'x'; size]);
        if path == "/endless" {
            let pieces = http_body_util::BodyDataStream::new(body).map_ok(Frame::data);
            return Response::new(http_body_util::StreamBody::new(pieces).boxed_unsync());
        }
        Response::new(body.boxed_unsync())
    }
}

fn connect(protocol: Protocol, drain: CancellationToken) -> DuplexStream {
    open(protocol, drain, limits().keep_alive)
}

/// A connection that may rest for `keep_alive`.
fn open(protocol: Protocol, drain: CancellationToken, keep_alive: Duration) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let limits = Limits { keep_alive, ..limits() };
    let activity = Arc::new(Activity::new(&limits));
    let client = ServedClient {
        io: theirs,
        protocol,
        reset: Reset::default(),
        leaving: Leaving::default(),
        activity,
    };
    tokio::spawn(async move { serve(client, &limits, &Paths, drain).await });
    ours
}

async fn ask(io: &mut DuplexStream, octets: &[u8]) -> String {
    io.write_all(octets).await.unwrap();
    let mut answer = String::new();
    let _ = io.read_to_string(&mut answer).await;
    answer
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A GET of `path` that ends its stream (RFC 7541: indexed fields, one literal path, one host).
fn get(stream: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x41, 1, b'a']);
    let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, stream];
    frame.append(&mut block);
    frame
}

/// Type, flags and stream of the next frame, and what it holds; `None` at the end.
async fn frame(io: &mut DuplexStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let mut held = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    io.read_exact(&mut held).await.ok()?;
    Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), held))
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Reads until a frame of this type comes on this stream, and answers pings that come before it.
async fn until(io: &mut DuplexStream, kind: u8, stream: u32) -> Vec<u8> {
    loop {
        let next = frame(io).await.expect("the connection goes on until then");
        if (next.0, next.2) == (kind, stream) {
            return next.3;
        }
        if (next.0, next.1) == (PING, 0) {
            pong(io, &next.3).await;
        }
    }
}

async fn pong(io: &mut DuplexStream, ping: &[u8]) {
    io.write_all(&[&[0, 0, 8, PING, 1, 0, 0, 0, 0], ping].concat()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_crosses_the_idle_close_is_answered() {
    let mut io = connect(Protocol::Told, CancellationToken::new());
    io.write_all(PREFACE).await.unwrap();
    io.write_all(&get(1, "/")).await.unwrap();
    until(&mut io, HEADERS, 1).await;
    let idle = Instant::now();
    until(&mut io, GOAWAY, 0).await;
    let ping = until(&mut io, PING, 0).await;
    assert!(idle.elapsed() >= Duration::from_secs(60));
    // One round trip late, as on any network: a request first, then the answer to the ping.
    io.write_all(&get(3, "/slow")).await.unwrap();
    pong(&mut io, &ping).await;
    until(&mut io, HEADERS, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_half_a_head_after_the_time_for_last_octets() {
    let drain = CancellationToken::new();
    for begun in [&b""[..], b"GET / HT", b"PRI * HTTP/2.0\r\n"] {
        let mut io = connect(Protocol::Told, drain.clone());
        io.write_all(begun).await.unwrap();
        tokio::task::yield_now().await;
        drain.cancel();
        let told = Instant::now();
        assert_eq!(ask(&mut io, b"").await, "");
        assert!(told.elapsed() <= LAST_OCTETS, "{begun:?}: {:?}", told.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_ends_its_stream_and_no_other() {
    let mut io = connect(Protocol::Told, CancellationToken::new());
    io.write_all(PREFACE).await.unwrap();
    // 64 KiB fit into the windows; the rest of the 1 MiB is never asked for.
    io.write_all(&get(1, "/large")).await.unwrap();
    let begun = Instant::now();
    let held = until(&mut io, RST_STREAM, 1).await;
    assert_eq!(held, [0, 0, 0, 8], "CANCEL");
    assert!(begun.elapsed() >= Duration::from_secs(30), "{:?}", begun.elapsed());
    io.write_all(&get(3, "/")).await.unwrap();
    until(&mut io, HEADERS, 3).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_agreed_on_in_the_handshake_is_what_is_spoken() {
    let get1 = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (alpn, octets, served) in
        [(Some(&b"h2"[..]), &get1[..], false), (Some(b"http/1.1"), get1, true), (None, get1, true)]
    {
        let mut io = connect(Protocol::agreed(alpn), CancellationToken::new());
        let answer = ask(&mut io, octets).await;
        assert_eq!(answer.contains("HTTP/1.1 200"), served, "{alpn:?}: {answer}");
    }
    for (alpn, served) in [(Some(&b"h2"[..]), true), (None, true), (Some(b"http/1.1"), false)] {
        let mut io = connect(Protocol::agreed(alpn), CancellationToken::new());
        io.write_all(PREFACE).await.unwrap();
        let first = frame(&mut io).await.map(|(kind, ..)| kind);
        assert_eq!(first == Some(4), served, "{alpn:?}: SETTINGS come first in HTTP/2");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_too_slow_is_not_waited_for() {
    let mut io = connect(Protocol::Told, CancellationToken::new());
    let begun = Instant::now();
    let answer =
        ask(&mut io, b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx").await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_goes_on_behind_its_refusal_is_read_and_the_client_told_of_a_close() {
    for (length, closes) in [(1_u64 << 20, false), (65 << 20, true)] {
        let mut io = connect(Protocol::Told, CancellationToken::new());
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        io.write_all(head.as_bytes()).await.unwrap();
        io.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        let mut answer = [0; 512];
        let read = io.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(answer.contains("connection: close"), closes, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_http2_too_the_rest_of_a_refused_upload_is_read() {
    let io = connect(Protocol::Http2, CancellationToken::new());
    let (mut client, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://a/").body(()).unwrap();
    let (response, mut upload) = client.send_request(request, false).unwrap();
    // This is more than the windows that the server gave. Without a reader the upload would stand
    // still.
    for _ in 0..128 {
        upload.reserve_capacity(16 << 10);
        while upload.capacity() < 16 << 10 {
            let more = std::future::poll_fn(|cx| upload.poll_capacity(cx)).await;
            more.expect("the stream is not reset").unwrap();
        }
        upload.send_data(Bytes::from(vec![0; 16 << 10]), false).unwrap();
    }
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

/// The fields of an answer to `request`, on a connection that may rest for `limit`.
async fn fields(request: &str, limit: Duration) -> String {
    let mut io = open(Protocol::Told, CancellationToken::new(), limit);
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1 << 10];
    let read = io.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).split("\r\n\r\n").next().unwrap().to_owned()
}

const TELLS: &str = "connection: keep-alive\r\nkeep-alive: timeout=";

#[tokio::test(start_paused = true)]
async fn an_http1_client_is_told_how_long_its_connection_may_rest() {
    for (request, told) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
        ("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET /endless HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        // What the answer itself says counts.
        ("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", false),
        // hyper closes the connection after it.
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", false),
    ] {
        let answer = fields(request, Duration::from_secs(75)).await;
        assert_eq!(answer.contains(&format!("{TELLS}74\r\n")), told, "{request}\n{answer}");
        assert_eq!(answer.contains("timeout"), told, "{request}\n{answer}");
        let closes = answer.contains("connection: close") || answer.starts_with("HTTP/1.0");
        assert!(told || closes, "{request}\n{answer}");
    }
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let short = fields(request, Duration::from_millis(1_999)).await;
    assert!(!short.contains("timeout"), "{short}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_may_rest_no_more_tells_no_time() {
    let drain = CancellationToken::new();
    let mut io = connect(Protocol::Told, drain.clone());
    let slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    io.write_all(&[&slow[..], slow].concat()).await.unwrap();
    let mut answers = String::new();
    while !answers.ends_with("xx") {
        let mut piece = [0; 512];
        let read = io.read(&mut piece).await.unwrap();
        answers += &String::from_utf8_lossy(&piece[..read]);
    }
    assert!(answers.contains(&format!("{TELLS}59\r\n")), "{answers}");
    sleep(Duration::from_secs(1)).await;
    drain.cancel();
    let last = ask(&mut io, b"").await;
    assert!(last.contains("connection: close") && !last.contains("timeout"), "{last}");
}
