//! One HTTP/1.1 connection: request, answer, and again.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep_until, timeout};

use super::Server;
use super::incoming::{self, Incoming};
use super::outgoing::{self, Written};
use super::rewind::Rewind;
use crate::journal::Ending;
use crate::reply::{End, Framing, Reply};
use crate::request::{Protocol, Request};
use crate::time::Micros;

/// Serves requests until one side ends the connection; `reset` makes the close an RST.
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
        match exchange(server, &mut io, request, unread).await {
            Next::Again => {}
            Next::Close => {
                // A client that is gone already needs no goodbye.
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
    let close = unread || asked || old || reply.delivery.framing == Framing::Close;
    if reply.delivery.first_byte > Micros::ZERO {
        sleep_until(server.instant(now + reply.delivery.first_byte)).await;
    }
    if reply.delivery.end == End::BlackHole {
        while io.read_buf(&mut BytesMut::with_capacity(1024)).await.is_ok_and(|n| n > 0) {}
        note_end(server, &reply, Ending::Faulted, 0);
        return Next::Close;
    }
    let (written, bytes) = outgoing::write(io, &reply, close, head_only).await;
    let (ending, next) = match (written, reply.delivery.end) {
        (Written::Gone, _) => (Ending::ClientGone, Next::Close),
        (_, End::Reset(_)) => (Ending::Faulted, Next::Reset),
        (Written::Stopped, _) | (_, End::Cut(_) | End::BlackHole) => (Ending::Faulted, Next::Close),
        (Written::All, End::Complete) if reply.delivery.raw.is_some() => {
            (Ending::Faulted, Next::Close)
        }
        (Written::All, End::Complete) => {
            (Ending::Written, if close { Next::Close } else { Next::Again })
        }
    };
    note_end(server, &reply, ending, bytes);
    next
}

async fn refuse<I: AsyncWrite + Unpin>(server: &Server, io: &mut I, request: Request, why: &str) {
    note_broken(server, request);
    let reply = Reply::error(400, "invalid_request_error", why);
    // It may be gone; there is nobody else to tell.
    let _sent = outgoing::write(io, &reply, true, false).await;
    drop(io.shutdown().await);
}

fn note_broken(server: &Server, request: Request) {
    let now = server.now();
    server.with(|sim| sim.note_broken(now, request));
}

fn note_end(server: &Server, reply: &Reply, ending: Ending, bytes: u64) {
    if let Some(entry) = reply.entry {
        let now = server.now();
        server.with(|sim| sim.note_end(now, entry, ending, bytes));
    }
}
