//! Serves one HTTP/1.1 connection, request after request.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::Server;
use super::head::MAX_HEAD;
use super::incoming::{self, Incoming};
use super::outgoing::{self, Written};
use super::pending::Pending;
use super::rewind::Rewind;
use crate::journal::Ending;
use crate::reply::{End, Framing, Reply};
use crate::request::{Protocol, Request};

/// Serves requests until one side ends the connection. `reset` makes the close an RST.
pub(super) async fn serve<I>(server: &Server, mut io: Rewind<I>, socket: u64, reset: fn(&I))
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        if buffer.is_empty() && !wait_for_more(server, &mut io, &mut buffer).await {
            return;
        }
        let (request, unread) = match incoming::next(&mut io, &mut buffer, socket).await {
            Ok(Incoming::Whole(request, unread)) => (request, unread),
            Ok(Incoming::Broken(request, why)) => {
                return refuse(server, &mut io, request, why).await;
            }
            Ok(Incoming::Gone(request)) => {
                request.into_iter().for_each(|r| note_broken(server, r));
                return;
            }
            Err(_) => return,
        };
        match exchange(server, &mut io, &mut buffer, request, unread).await {
            Next::Again => {}
            Next::Close => {
                // The client may have left already.
                drop(io.shutdown().await);
                return;
            }
            Next::Reset => {
                reset(io.inner());
                return;
            }
        }
    }
}

enum Next {
    Again,
    Close,
    Reset,
}

/// Waits for the first byte of the next request, at most the idle time.
async fn wait_for_more<I: AsyncRead + Unpin>(
    server: &Server,
    io: &mut I,
    buffer: &mut BytesMut,
) -> bool {
    let read = io.read_buf(buffer);
    let read = match server.shared.idle_close {
        Some(idle) => timeout(idle, read).await.unwrap_or(Ok(0)),
        None => read.await,
    };
    read.is_ok_and(|n| n > 0)
}

async fn exchange<I: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    io: &mut I,
    buffer: &mut BytesMut,
    request: Request,
    unread: bool,
) -> Next {
    let asked = request.headers.iter().any(|(n, v)| {
        n.eq_ignore_ascii_case("connection") && v.to_ascii_lowercase().contains("close")
    });
    let head_only = request.method == "HEAD";
    let old = request.protocol == Protocol::Http10;
    let now = server.now();
    let reply = server.with(|sim| sim.handle(now, request));
    let mut pending = Pending::new(server, &reply);
    let delivery = &reply.delivery;
    let close = unread || asked || old || delivery.last || delivery.framing == Framing::Close;
    if !stays(io, buffer, server.instant(now + delivery.first_byte)).await {
        return Next::Close;
    }
    if delivery.end == End::BlackHole {
        pending.held_back();
        let mut ignored = BytesMut::with_capacity(1024);
        while io.read_buf(&mut ignored).await.is_ok_and(|n| n > 0) {
            ignored.clear();
        }
        return Next::Close;
    }
    let (written, bytes) = outgoing::write(io, &reply, close, head_only).await;
    let (ending, next) = match (written, delivery.end) {
        (Written::Gone, _) => (Ending::ClientGone, Next::Close),
        (_, End::Reset(_)) => (Ending::Faulted, Next::Reset),
        (Written::Stopped, _) | (_, End::Cut(_) | End::BlackHole | End::Refused) => {
            (Ending::Faulted, Next::Close)
        }
        (Written::All, End::Complete) if delivery.raw.is_some() => (Ending::Faulted, Next::Close),
        (Written::All, End::Complete) if close => (Ending::Written, Next::Close),
        (Written::All, End::Complete) => (Ending::Written, Next::Again),
    };
    pending.end(ending, bytes);
    next
}

/// Waits until `due` and returns whether the client is still there.
///
/// Bytes that it sends meanwhile are kept for later.
///
/// A client that closes its side counts as gone, because no proxy waits for an answer after that.
async fn stays<I: AsyncRead + Unpin>(io: &mut I, buffer: &mut BytesMut, due: Instant) -> bool {
    while buffer.len() < MAX_HEAD {
        tokio::select! {
            biased;
            () = sleep_until(due) => return true,
            read = io.read_buf(buffer) => if !read.is_ok_and(|n| n > 0) {
                return false;
            },
        }
    }
    sleep_until(due).await;
    true
}

async fn refuse<I: AsyncWrite + Unpin>(server: &Server, io: &mut I, request: Request, why: &str) {
    note_broken(server, request);
    let reply = Reply::error(400, "invalid_request_error", why);
    // The client may be gone. Nobody else needs to know.
    let _sent = outgoing::write(io, &reply, true, false).await;
    drop(io.shutdown().await);
}

fn note_broken(server: &Server, request: Request) {
    let now = server.now();
    server.with(|sim| sim.note_broken(now, request));
}
