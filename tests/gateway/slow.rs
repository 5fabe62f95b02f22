//! Slow clients by the hundred: each is let go at its limit, and holds little until then.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::process::Process;
use crate::rig::{Certificate, PORTS, raw};
use crate::support::Setup;

const CLIENTS: usize = 300;

/// Each limit of the configuration.
const LIMIT: Duration = Duration::from_secs(2);

/// By when all of them must be gone. Not a measure of the limits, which the server's own tests hold on a
/// clock that stands still: on a busy machine this process and the gateway may get little time.
const ENOUGH: Duration = Duration::from_secs(60);

/// Octets that one of them may hold.
const MOST: u64 = 64 << 10;

/// A preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A way to be slow.
struct Kind {
    name: &'static str,
    /// Written at once.
    first: Vec<u8>,
    /// Written again and again, ten times a second.
    then: &'static [u8],
    /// Whether it reads what comes.
    reads: bool,
}

impl Kind {
    fn new(name: &'static str, first: impl Into<Vec<u8>>) -> Self {
        Self { name, first: first.into(), then: b"", reads: true }
    }

    fn and(self, then: &'static [u8]) -> Self {
        Self { then, ..self }
    }

    /// One client, until the gateway has ended the connection. One that does not read looks only once
    /// the gateway says that all are `gone`.
    async fn is_let_go(&self, port: SocketAddr, mut gone: watch::Receiver<bool>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut io = socket.connect(port).await.unwrap();
        if io.write_all(&self.first).await.is_err() {
            return;
        }
        if !self.reads {
            gone.wait_for(|gone| *gone).await.unwrap();
            // What the kernel has of the answer comes first, unless the end is a reset.
            return drain(&mut io).await;
        }
        let (mut reading, mut writing) = io.split();
        tokio::select! {
            () = drain(&mut reading) => {}
            () = async {
                while !self.then.is_empty() && writing.write_all(self.then).await.is_ok() {
                    sleep(Duration::from_millis(100)).await;
                }
                std::future::pending::<()>().await;
            } => {}
        }
    }
}

/// Reads to the end, or a reset.
async fn drain(io: &mut (impl AsyncReadExt + Unpin)) {
    let mut piece = [0; 16 << 10];
    while matches!(io.read(&mut piece).await, Ok(1..)) {}
}

/// A frame of HTTP/2 on stream 1 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
}

/// A field block (RFC 7541): method, scheme, path and host by name and value, and a key.
fn fields(method: u8, path: &str, key: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let named = |index: u8, value: &str| [vec![index], text(value)].concat();
    let key = [vec![0], text("x-api-key"), text(key)].concat();
    [vec![method, 0x86], named(0x04, path), named(0x01, "a"), key].concat()
}

/// Twelve kinds and one more behind TLS, with `key` where they need one.
fn kinds(key: &str) -> Vec<Kind> {
    let post =
        format!("POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nContent-Length: 99\r\n\r\n");
    let get = format!("GET /profiles/a HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n");
    let stream = |flags, block: &[u8]| [PREFACE, &frame(1, flags, block)].concat();
    let upload = stream(4, &fields(0x83, "/send", key));
    let unread = Kind { reads: false, ..Kind::new("an answer that is not read", get) };
    let block = stream(5, &fields(0x82, "/profiles/a", key));
    let unread_stream = Kind { reads: false, ..Kind::new("a stream that is not read", block) };
    vec![
        Kind::new("nothing", ""),
        Kind::new("half a head", "GET / HTTP/1.1\r\nHost:"),
        Kind::new("a head by the octet", "GET / HTTP/1.1\r\nX: ").and(b"x"),
        Kind::new("half a preface", &PREFACE[..9]),
        Kind::new("a preface without settings", &PREFACE[..24]),
        Kind::new("settings and no request", PREFACE),
        Kind::new("pings and no request", PREFACE).and(b"\0\0\x08\x06\0\0\0\0\x00pingpong"),
        Kind::new("half a field block", stream(0, &[0x82])),
        Kind::new("half a body", post.clone() + "half"),
        Kind::new("a body by the octet", post).and(b"x"),
        Kind::new("half a body of a stream", [upload, frame(0, 0, b"{")].concat()),
        Kind::new("rest behind an answer", "GET /.tollgate/health HTTP/1.1\r\nHost: a\r\n\r\n"),
        unread,
        unread_stream,
    ]
}

/// A vendor whose answers have no end.
async fn endless(port: TcpListener) {
    while let Ok((mut io, _)) = port.accept().await {
        tokio::spawn(async move {
            let _ = io.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            let _ = io.write_all(head.as_bytes()).await;
            while io.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
        });
    }
}

/// Octets of memory that `process` has of its own.
fn memory(process: &Process) -> u64 {
    let status = procfs::process::Process::new(process.id().cast_signed()).unwrap().status();
    status.unwrap().rssanon.unwrap() * 1024
}

/// What a counter or gauge without labels says.
async fn reading(process: &Process, name: &str) -> u64 {
    let ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let page = raw(process.ops, ask, "").await;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// Lets so many clients be slow in this way at once.
async fn try_out(process: &Process, kind: Kind) {
    let before = memory(process);
    let accepted = "tollgate_client_sockets_accepted_total";
    let all = reading(process, accepted).await + CLIENTS as u64;
    let (all_gone, gone) = watch::channel(false);
    let (port, kind) = (process.data, std::sync::Arc::new(kind));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (kind, gone) = (kind.clone(), gone.clone());
            tokio::spawn(async move { kind.is_let_go(port, gone).await })
        })
        .collect();
    let mut most = before;
    let gone = timeout(ENOUGH, async {
        while reading(process, accepted).await < all
            || reading(process, "tollgate_client_sockets").await > 0
        {
            most = most.max(memory(process));
            sleep(Duration::from_millis(50)).await;
        }
        all_gone.send_replace(true);
        for client in clients {
            client.await.unwrap();
        }
    });
    assert!(gone.await.is_ok(), "{}: some are still there", kind.name);
    let each = (most - before) / CLIENTS as u64;
    assert!(each <= MOST, "{}: {each} octets each", kind.name);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute, in real time: cargo test --test gateway -- --ignored slow_clients"]
async fn slow_clients_by_the_hundred_are_let_go_at_their_limits_and_hold_little() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(endless(port));
    let limits: String =
        ["handshake", "head_time", "body_idle", "body_total", "keep_alive", "stalled_reader"]
            .map(|name| format!("{name} = \"{}s\"\n", LIMIT.as_secs()))
            .concat();
    let rest = format!(
        "[logs]\nlevels = {{ access = \"off\" }}\n[vendor]\nbase_url = \"http://{vendor}\"\n"
    );
    let setup = Setup::new(&format!("{PORTS}{limits}{rest}"));
    let process = Process::start(&setup);
    for kind in kinds(&setup.acme) {
        try_out(&process, kind).await;
    }
    let tls = Certificate::new();
    let secure = Process::start(&Setup::new(&format!("{PORTS}{limits}{}{rest}", tls.setting())));
    try_out(&secure, Kind::new("half a handshake", b"\x16\x03\x01".to_vec())).await;
    let mut honest = TcpStream::connect(process.data).await.unwrap();
    honest.write_all(b"GET /.tollgate/health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    honest.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
