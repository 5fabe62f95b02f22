//! A raw vendor on pipes before the stack, and clients that take answers apart by the letter.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;
use tollgate::call::BoxFuture;
use tollgate::error::Cause;
use tollgate::pipeline::Pipeline;
use tollgate::runtime::State;
use tollgate::telemetry::Telemetry;
use tollgate::upstream::{Dial, Line};

use crate::support::{Lines, Setup};

/// What every answer to an even-tempered request holds, and no odd one does.
pub(crate) const HONEST: &str = "{\"honest\":true}";

/// An answer of the vendor, as it is written.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The octets of HTTP/1.1, and whether the socket is closed behind them.
    Octets(Vec<u8>, bool),
    /// The octets of HTTP/1.1, and what comes unasked a little later.
    Late(Vec<u8>, &'static str),
    /// HTTP/2: status, fields, pieces, and how it ends.
    Stream(u16, Vec<(&'static str, String)>, Vec<&'static str>, End),
}

/// When what is late comes.
pub(crate) const LATE: Duration = Duration::from_millis(20);

/// How an answer over HTTP/2 ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the head, or the last piece.
    There,
    Trailers,
    Reset,
    /// Reset with the reason that follows a whole answer.
    Stopped,
}

/// A vendor on pipes: paths that end in a known word get that answer, all others an honest one.
#[derive(Clone)]
pub(crate) struct Vendor {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    /// Answers that are given before those, once each.
    first: Arc<Mutex<HashMap<String, VecDeque<Answer>>>>,
    h2: bool,
}

impl Vendor {
    fn answer(&self, path: &str) -> Answer {
        let name = path.rsplit('/').next().unwrap().split('?').next().unwrap();
        if let Some(answer) = self.first.lock().unwrap().get_mut(name).and_then(VecDeque::pop_front)
        {
            return answer;
        }
        let known = self.answers.lock().unwrap().get(name).cloned();
        known.unwrap_or_else(|| match self.h2 {
            true => Answer::Stream(200, Vec::new(), vec![HONEST], End::There),
            false => Answer::Octets(octets("Content-Length: 15\r\n", HONEST), false),
        })
    }

    async fn speak_h1(self, mut io: DuplexStream) {
        let mut read = Vec::new();
        loop {
            let Some(target) = request(&mut io, &mut read).await else { return };
            let (octets, late, closes) = match self.answer(&target) {
                Answer::Octets(octets, closes) => (octets, None, closes),
                Answer::Late(octets, late) => (octets, Some(late), false),
                Answer::Stream(..) => panic!("HTTP/1.1"),
            };
            if io.write_all(&octets).await.is_err() || closes {
                return;
            }
            if let Some(late) = late {
                sleep(LATE).await;
                let _ = io.write_all(late.as_bytes()).await;
            }
        }
    }

    async fn speak_h2(self, io: DuplexStream) {
        let mut connection = h2::server::handshake(io).await.unwrap();
        while let Some(Ok((request, responding))) = connection.accept().await {
            tokio::spawn(self.clone().answer_h2(request, responding));
        }
    }

    async fn answer_h2(
        self,
        mut request: Request<h2::RecvStream>,
        mut responding: h2::server::SendResponse<Bytes>,
    ) {
        // The stream of a request that is not read to its end is reset behind its answer.
        while request.body_mut().data().await.is_some() {}
        let target = request.uri().path_and_query().unwrap().as_str();
        let Answer::Stream(status, fields, pieces, end) = self.answer(target) else {
            panic!("HTTP/2")
        };
        let mut head = Response::builder().status(status);
        for (name, value) in fields {
            head = head.header(name, value);
        }
        let last = pieces.len();
        let ends = last == 0 && end == End::There;
        let mut stream = responding.send_response(head.body(()).unwrap(), ends).unwrap();
        for (nth, piece) in pieces.into_iter().enumerate() {
            let ends = nth + 1 == last && end == End::There;
            stream.send_data(Bytes::from(piece), ends).unwrap();
        }
        match end {
            End::There => {}
            End::Trailers => {
                let trailers = [("x-sum", "1"), ("content-length", "2")];
                let trailers = trailers.map(|(name, value)| {
                    (name.parse().unwrap(), http::HeaderValue::from_static(value))
                });
                stream.send_trailers(trailers.into_iter().collect()).unwrap();
            }
            End::Reset => reset(stream, h2::Reason::INTERNAL_ERROR).await,
            End::Stopped => reset(stream, h2::Reason::NO_ERROR).await,
        }
    }
}

/// A reset takes the place of all that has not left yet: the answer leaves first.
async fn reset(mut stream: h2::SendStream<Bytes>, reason: h2::Reason) {
    sleep(LATE).await;
    stream.send_reset(reason);
}

impl Dial for Vendor {
    fn dial(&self, _: http::Uri) -> BoxFuture<Result<Line, Cause>> {
        let (ours, theirs) = duplex(256 << 10);
        let h2 = self.h2;
        match h2 {
            true => tokio::spawn(self.clone().speak_h2(theirs)),
            false => tokio::spawn(self.clone().speak_h1(theirs)),
        };
        Box::pin(async move { Ok(Line { io: Box::new(TokioIo::new(ours)), h2 }) })
    }
}

/// The target of the next request, read with its body; nothing when the other side is gone.
async fn request(io: &mut DuplexStream, read: &mut Vec<u8>) -> Option<String> {
    let end = until_head(io, read).await?;
    let head = String::from_utf8(read.drain(..end).collect()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while read.len() < length {
        more(io, read).await?;
    }
    read.drain(..length);
    Some(head.split(' ').nth(1).unwrap().to_owned())
}

async fn more(io: &mut DuplexStream, read: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let n = io.read(&mut piece).await.ok().filter(|n| *n > 0)?;
    read.extend_from_slice(&piece[..n]);
    Some(())
}

async fn until_head(io: &mut DuplexStream, read: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some(end + 4);
        }
        more(io, read).await?;
    }
}

/// A 200 with these fields.
pub(crate) fn octets(fields: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{fields}\r\n{body}");
    head.into_bytes()
}

/// What a client holds in its hand.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    /// `None`: the answer did not come to its end.
    pub(crate) body: Option<String>,
}

/// A client that takes answers apart by the letter.
pub(crate) enum Client {
    /// The octets that were read beyond the last answer must be none.
    H1(DuplexStream, Vec<u8>),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

/// A gateway with a raw vendor behind it.
pub(crate) struct Bench {
    pub(crate) setup: Setup,
    pub(crate) lines: Lines,
    pipeline: Pipeline,
    vendor: Vendor,
}

impl Bench {
    pub(crate) fn new(h2: bool) -> Self {
        Self::with(h2, "")
    }

    /// `head` stands before the tenants.
    pub(crate) fn with(h2: bool, head: &str) -> Self {
        let setup = Setup::new(head);
        let (lines, vendor) =
            (Lines::default(), Vendor { answers: Arc::default(), first: Arc::default(), h2 });
        let (config, telemetry) = (setup.config(), Telemetry::new(lines.log()));
        let state = State::with_dial(&config, telemetry, Arc::new(vendor.clone())).unwrap();
        let pipeline = Pipeline::build(&config, &state);
        Self { setup, lines, pipeline, vendor }
    }

    /// From now on the vendor answers so where a path ends in `name`.
    pub(crate) fn answers(&self, name: &str, answer: Answer) {
        self.vendor.answers.lock().unwrap().insert(name.to_owned(), answer);
    }

    /// The vendor answers so once before all else.
    pub(crate) fn answers_first(&self, name: &str, answer: Answer) {
        let mut first = self.vendor.first.lock().unwrap();
        first.entry(name.to_owned()).or_default().push_back(answer);
    }

    /// What the vendor has for `name`.
    pub(crate) fn answer(&self, name: &str) -> Option<Answer> {
        self.vendor.answers.lock().unwrap().get(name).cloned()
    }

    pub(crate) fn honest_again(&self, name: &str) {
        self.vendor.answers.lock().unwrap().remove(name);
    }

    /// A connection to the gateway.
    pub(crate) async fn client(&self, h2: bool) -> Client {
        let (ours, theirs) = duplex(256 << 10);
        let pipeline = self.pipeline.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let pipeline = pipeline.clone();
                let request = request.map(tollgate::call::stream);
                async move { Ok::<_, std::convert::Infallible>(pipeline.answer(request).await) }
            });
            let builder = Builder::new(TokioExecutor::new());
            // An answer that is cut ends a connection with an error: the client sees it, too.
            let _ = builder.serve_connection(TokioIo::new(theirs), service).await;
        });
        if !h2 {
            return Client::H1(ours, Vec::new());
        }
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours))
                .await
                .unwrap();
        tokio::spawn(connection);
        Client::H2(sender)
    }
}

/// A kind of row: how it is called, and how its answers are handled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row {
    Cached,
    Shared,
    Keyed,
    Streams,
    Head,
}

impl Row {
    pub(crate) const ALL: [Self; 5] =
        [Self::Cached, Self::Shared, Self::Keyed, Self::Streams, Self::Head];

    fn method(self) -> Method {
        match self {
            Self::Keyed => Method::POST,
            Self::Head => Method::HEAD,
            _ => Method::GET,
        }
    }

    fn target(self, name: &str) -> String {
        match self {
            Self::Cached => format!("/brands/{name}"),
            Self::Shared => format!("/messages/{name}"),
            Self::Keyed => format!("/send?name=/{name}"),
            Self::Streams | Self::Head => format!("/profiles/{name}"),
        }
    }
}

impl Client {
    pub(crate) async fn call(&mut self, row: Row, name: &str, key: &str) -> Option<Got> {
        let (method, target) = (row.method(), row.target(name));
        match self {
            Self::H1(io, read) => {
                assert!(read.is_empty(), "octets that nobody asked for: {read:?}");
                let body = if method == Method::POST { "{}" } else { "" };
                let text = format!(
                    "{method} {target} HTTP/1.1\r\nhost: gateway\r\nx-api-key: {key}\r\n\
                     idempotency-key: {name}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                io.write_all(text.as_bytes()).await.ok()?;
                answer(io, read, &method).await
            }
            Self::H2(sender) => {
                let body = if method == Method::POST { "{}" } else { "" };
                let request = Request::builder()
                    .method(method)
                    .uri(format!("http://gateway{target}"))
                    .header("x-api-key", key)
                    .header("idempotency-key", name);
                let sent = sender.send_request(request.body(Full::from(body)).unwrap()).await;
                let (head, body) = sent.ok()?.into_parts();
                let body = body.collect().await.ok().map(|body| {
                    assert!(body.trailers().is_none_or(http::HeaderMap::is_empty));
                    String::from_utf8(body.to_bytes().to_vec()).unwrap()
                });
                Some(Got { status: head.status.as_u16(), headers: head.headers, body })
            }
        }
    }
}

/// One answer by RFC 9112, and nothing that it leaves open.
async fn answer(io: &mut DuplexStream, read: &mut Vec<u8>, method: &Method) -> Option<Got> {
    let end = until_head(io, read).await?;
    let head = String::from_utf8(read.drain(..end).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let mut headers = http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let lengths: Vec<_> = headers.get_all("content-length").iter().collect();
    let chunked = headers.get_all("transfer-encoding").iter().count() == 1;
    assert!(lengths.len() + usize::from(chunked) <= 1, "two framings: {head}");
    let length = lengths.first().map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    let body = if *method == Method::HEAD || matches!(status, 204 | 304) {
        Some(String::new())
    } else if chunked {
        chunks(io, read).await
    } else {
        let length = length.unwrap_or_else(|| panic!("no framing: {head}"));
        exactly(io, read, length).await
    };
    Some(Got { status, headers, body })
}

async fn exactly(io: &mut DuplexStream, read: &mut Vec<u8>, length: usize) -> Option<String> {
    while read.len() < length {
        more(io, read).await?;
    }
    Some(String::from_utf8(read.drain(..length).collect()).unwrap())
}

async fn chunks(io: &mut DuplexStream, read: &mut Vec<u8>) -> Option<String> {
    let mut body = String::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            more(io, read).await?;
        };
        let size: Vec<u8> = read.drain(..end + 2).collect();
        let size = usize::from_str_radix(str::from_utf8(&size[..end]).unwrap(), 16).unwrap();
        let chunk = exactly(io, read, size + 2).await?;
        if size == 0 {
            assert_eq!(chunk, "\r\n", "trailers are dropped");
            return Some(body);
        }
        body.push_str(chunk.strip_suffix("\r\n").unwrap());
    }
}
