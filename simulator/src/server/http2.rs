//! HTTP/2 with prior knowledge, by hyper.
//!
//! Faults that cut or break an answer on HTTP/1.1 reset the stream here.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::{Error, Reason};
use http::{HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, sleep_until};

use super::Server;
use super::outgoing::pieces;
use super::pending::Pending;
use super::rewind::Rewind;
use crate::journal::Ending;
use crate::reply::{End, Framing, Reply};
use crate::request::{MAX_BODY, Protocol, Request};
use crate::time::Micros;

/// The error that ends a stream on purpose. hyper takes the code of RST_STREAM from it.
fn cut() -> Error {
    Reason::INTERNAL_ERROR.into()
}

/// A body that another task feeds. The channel holds one piece, which is the back-pressure.
struct Fed {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    len: Option<u64>,
}

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|p| p.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.len == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.len.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Serves streams until the connection ends.
pub(super) async fn serve<I>(server: &Server, io: Rewind<I>, socket: u64)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let last = Arc::new(Notify::new());
    let service = service_fn({
        let (server, last) = (server.clone(), last.clone());
        move |request| answer(server.clone(), request, socket, last.clone())
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // The vendor's clock writes the date.
    builder.auto_date_header(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    // A connection that breaks the protocol has ended. Nobody needs to know.
    tokio::select! {
        over = connection.as_mut() => return drop(over),
        () = last.notified() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

async fn answer(
    server: Server,
    request: http::Request<Incoming>,
    socket: u64,
    last: Arc<Notify>,
) -> Result<Response<Fed>, Error> {
    let request = match collect(request, socket).await {
        Ok(request) => request,
        Err(partial) => {
            let now = server.now();
            server.with(|sim| sim.note_broken(now, partial));
            return Err(cut());
        }
    };
    let head_only = request.method == "HEAD";
    let now = server.now();
    let reply = server.with(|sim| sim.handle(now, request));
    let mut pending = Pending::new(&server, &reply);
    let slow_head =
        reply.delivery.head.map_or(0, |p| 200_usize.div_ceil(p.bytes) as u64 * p.every.0);
    let first_byte = reply.delivery.first_byte + Micros(slow_head);
    if first_byte > Micros::ZERO {
        sleep_until(server.instant(now + first_byte)).await;
    }
    if reply.delivery.end == End::BlackHole {
        pending.held_back();
        std::future::pending::<()>().await;
    }
    if reply.delivery.raw.is_some() || matches!(reply.delivery.end, End::Cut(0) | End::Reset(0)) {
        pending.end(Ending::Faulted, 0);
        return Err(cut());
    }
    if reply.delivery.end == End::Refused {
        pending.end(Ending::Faulted, 0);
        return Err(Reason::REFUSED_STREAM.into());
    }
    if reply.delivery.last {
        last.notify_one();
    }
    Ok(response(pending, reply, head_only))
}

/// Reads a request. If the client leaves early, the error is what arrived of it.
async fn collect(request: http::Request<Incoming>, socket: u64) -> Result<Request, Request> {
    let (parts, mut body) = request.into_parts();
    let latin1 = |v: &HeaderValue| super::head::latin1(v.as_bytes());
    let mut headers: Vec<_> =
        parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), latin1(v))).collect();
    if let Some(authority) = parts.uri.authority() {
        headers.insert(0, (":authority".into(), authority.as_str().to_owned()));
    }
    let target =
        parts.uri.path_and_query().map_or_else(|| "/".to_owned(), |p| p.as_str().to_owned());
    let mut request = Request {
        method: parts.method.to_string(),
        target,
        headers,
        protocol: Protocol::Http2,
        socket,
        ..Request::default()
    };
    let mut kept = BytesMut::new();
    let limit = usize::try_from(MAX_BODY + 1).unwrap_or(usize::MAX);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            request.body = kept.freeze();
            return Err(request);
        };
        if let Ok(data) = frame.into_data() {
            request.body_len += data.len() as u64;
            kept.extend_from_slice(&data[..data.len().min(limit - kept.len())]);
        }
    }
    request.body = kept.freeze();
    Ok(request)
}

fn response(pending: Pending, reply: Reply, head_only: bool) -> Response<Fed> {
    let bodiless = head_only || matches!(reply.status, 204 | 304);
    let (feed, received) = mpsc::channel(1);
    let len = if bodiless {
        Some(0)
    } else {
        (reply.delivery.framing == Framing::Length).then(|| reply.body.len())
    };
    let mut response = Response::new(Fed { pieces: received, len });
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        let bytes: Vec<u8> =
            value.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(&bytes))
        {
            response.headers_mut().append(name, value);
        }
    }
    if head_only && reply.delivery.framing == Framing::Length {
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    }
    if bodiless || reply.body.is_empty() {
        pending.end(Ending::Written, 0);
    } else {
        tokio::spawn(feed_body(pending, reply, feed));
    }
    response
}

/// Feeds the body. Offsets of faults count only its bytes, because HTTP/2 compresses heads.
async fn feed_body(pending: Pending, reply: Reply, feed: mpsc::Sender<Result<Bytes, Error>>) {
    let stop = match reply.delivery.end {
        End::Cut(after) | End::Reset(after) => after,
        End::Complete | End::BlackHole | End::Refused => u64::MAX,
    };
    let mut sent = 0;
    for whole in pieces(&reply.body) {
        let step = reply.delivery.body.map_or(whole.len(), |p| p.bytes);
        for piece in whole.chunks(step.max(1)) {
            let room = usize::try_from(stop - sent).unwrap_or(usize::MAX);
            let piece = whole.slice_ref(&piece[..piece.len().min(room)]);
            sent += piece.len() as u64;
            if feed.send(Ok(piece)).await.is_err() {
                return pending.end(Ending::ClientGone, sent);
            }
            if sent == stop {
                // The receiver may be gone. The stream ends either way.
                drop(feed.send(Err(cut())).await);
                return pending.end(Ending::Faulted, sent);
            }
            if let Some(pace) = reply.delivery.body {
                sleep(pace.every.as_duration()).await;
            }
        }
    }
    pending.end(Ending::Written, sent);
}
