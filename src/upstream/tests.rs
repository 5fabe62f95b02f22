//! The vendor's side, on lines in memory and a clock that stands still.

mod bounds;
mod http2;
mod messages;
mod sockets;
mod times;

use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::call::testing::{buffered, text};
use crate::error::Cause;
use crate::proof::SendProof;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nit";

const LIMITS: AttemptLimits = AttemptLimits {
    first_byte: Duration::from_secs(10),
    hard_limit: Duration::from_secs(30),
    body_idle: Duration::from_secs(5),
    body_total: Duration::from_secs(20),
};

const HOST: HostLimits = HostLimits {
    connect: Duration::from_secs(3),
    idle: Duration::from_secs(60),
    max_age: Duration::from_secs(600),
    sockets: 4,
};

/// More than a timer is late.
const LATE: Duration = Duration::from_millis(10);

/// The sender on lines that the test answers.
struct World {
    upstream: Upstream,
    lines: Arc<Lines>,
    host: Host,
}

/// Opens lines, counts them and keeps what came on them: the number of the line, and the request.
struct Lines {
    open: Box<Opens>,
    opened: AtomicU32,
    heard: Arc<Mutex<Vec<(u32, String)>>>,
}

/// How the n-th line opens, from 0.
type Opens = dyn Fn(Theirs, DuplexStream) -> BoxFuture<Dialled> + Send + Sync;
type Dialled = std::result::Result<Line, Cause>;

/// The vendor's end of a line.
struct Theirs {
    number: u32,
    io: DuplexStream,
    heard: Arc<Mutex<Vec<(u32, String)>>>,
}

impl Dial for Lines {
    fn dial(&self, _: Uri) -> BoxFuture<Dialled> {
        let (ours, io) = duplex(64 << 10);
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        (self.open)(Theirs { number, io, heard: self.heard.clone() }, ours)
    }
}

impl Theirs {
    /// Reads one request to its end; nothing when the gateway has closed the line.
    async fn hear(&mut self) -> Option<String> {
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8(read.clone()).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                    self.heard.lock().unwrap().push((self.number, text.clone()));
                    return Some(text);
                }
            }
            if self.io.read_buf(&mut read).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Says `answer` to every request.
    async fn answers(mut self, answer: &str) {
        while self.hear().await.is_some() {
            self.say(answer).await;
        }
    }
}

/// A world of a host without TLS whose lines open in this way.
fn world_with(
    host: HostLimits,
    open: impl Fn(Theirs, DuplexStream) -> BoxFuture<Dialled> + Send + Sync + 'static,
) -> World {
    world_at(Scheme::HTTP, host, open)
}

/// A world with two connections to the host, the first of which is called, without a base path.
fn world_at(
    scheme: Scheme,
    host: HostLimits,
    open: impl Fn(Theirs, DuplexStream) -> BoxFuture<Dialled> + Send + Sync + 'static,
) -> World {
    let lines = Lines { open: Box::new(open), opened: AtomicU32::new(0), heard: Arc::default() };
    let lines = Arc::new(lines);
    let authority = Authority::from_static("vendor.example:8080");
    let host = Host::new(scheme, authority, host, lines.clone());
    let destination = |(name, prefix): (&str, &str)| VendorDestination {
        pool: host.pool(&name.parse().unwrap()),
        prefix: prefix.into(),
    };
    let destinations = [("acme-prod", ""), ("acme-test", "/base")].into_iter().map(destination);
    let upstream = Upstream::new(destinations.collect(), LIMITS, "here");
    World { upstream, lines, host }
}

/// A world whose lines open at once, and are answered in this way.
fn world<F>(serve: impl Fn(Theirs) -> F + Send + Sync + 'static) -> World
where
    F: Future<Output = ()> + Send + 'static,
{
    world_with(HOST, move |theirs, ours| {
        tokio::spawn(serve(theirs));
        Box::pin(ready(Ok(line(ours))))
    })
}

/// A world whose vendor always says `answer`.
fn saying(answer: &'static str) -> World {
    world(move |theirs| theirs.answers(answer))
}

fn line(ours: DuplexStream) -> Line {
    Line { io: Box::new(TokioIo::new(ours)), h2: false }
}

impl World {
    async fn ask(&self, call: BufferedCall) -> Result {
        self.send(call, Instant::now()).await
    }

    /// Sends `call`, whose slots were taken then.
    async fn send(&self, call: BufferedCall, taken: Instant) -> Result {
        let attempt = call::Attempt::first(Arc::new(call)).admitted(taken);
        let token = HeaderValue::from_static("Bearer pk_prod_first");
        self.upstream.clone().call(attempt.authorized(token)).await
    }

    /// Asks, and reads all of the answer.
    async fn whole(&self) -> String {
        text(self.ask(get()).await.unwrap()).await.unwrap()
    }

    /// Lines that were opened.
    fn opened(&self) -> u32 {
        self.lines.opened.load(Ordering::SeqCst)
    }

    fn heard(&self) -> Vec<(u32, String)> {
        self.lines.heard.lock().unwrap().clone()
    }

    /// On which line each request came.
    fn on(&self) -> Vec<u32> {
        self.heard().into_iter().map(|(number, _)| number).collect()
    }
}

fn get() -> BufferedCall {
    buffered(Method::GET, "/brands")
}

/// A call, and what becomes of its proof.
fn proven() -> (BufferedCall, Arc<SendProof>) {
    let call = get();
    let proof = call.proof.clone();
    (call, proof)
}

/// What an error says, in three words.
fn said(error: &Error) -> (Code, Outcome, Evidence) {
    (error.code, error.outcome, error.evidence)
}

fn is_about(passed: Duration, wanted: Duration) -> bool {
    passed >= wanted && passed < wanted + LATE
}
