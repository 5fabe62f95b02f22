//! Writes answers on HTTP/1.1, whole or broken, as the delivery says.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use crate::reply::{Body, End, Framing, Pace, Reply};

/// Bytes of a made-up body written at a time.
pub(super) const PIECE: usize = 64 * 1024;

/// How the writing ended.
pub(super) enum Written {
    /// All of it.
    All,
    /// The offset at which the fault strikes was reached.
    Stopped,
    /// The client is gone.
    Gone,
}

/// Counts the written bytes, and stops at the offset of the fault.
struct Writer<'a, I> {
    io: &'a mut I,
    sent: u64,
    stop: Option<u64>,
}

impl<I: AsyncWrite + Unpin> Writer<'_, I> {
    async fn put(&mut self, bytes: &[u8], pace: Option<Pace>) -> Result<(), Written> {
        let room = self.stop.map_or(u64::MAX, |stop| stop - self.sent);
        let n = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let written = match pace {
            None => self.io.write_all(&bytes[..n]).await,
            Some(pace) => slowly(self.io, &bytes[..n], pace).await,
        };
        written.map_err(|_| Written::Gone)?;
        self.sent += n as u64;
        if self.stop == Some(self.sent) { Err(Written::Stopped) } else { Ok(()) }
    }
}

async fn slowly<I: AsyncWrite + Unpin>(io: &mut I, bytes: &[u8], pace: Pace) -> io::Result<()> {
    for piece in bytes.chunks(pace.bytes) {
        io.write_all(piece).await?;
        io.flush().await?;
        sleep(pace.every.as_duration()).await;
    }
    Ok(())
}

/// Writes and flushes an answer. Also returns how many bytes were written.
pub(super) async fn write<I: AsyncWrite + Unpin>(
    io: &mut I,
    reply: &Reply,
    close: bool,
    head_only: bool,
) -> (Written, u64) {
    let stop = match reply.delivery.end {
        End::Cut(after) | End::Reset(after) => Some(after),
        End::BlackHole | End::Refused => Some(0),
        End::Complete => None,
    };
    let mut writer = Writer { io, sent: 0, stop };
    let outcome = match &reply.delivery.raw {
        Some(raw) => writer.put(raw, reply.delivery.head).await,
        None => answer(&mut writer, reply, close, head_only).await,
    };
    let sent = writer.sent;
    let outcome = match (outcome, io.flush().await) {
        (Err(Written::Gone), _) | (_, Err(_)) => Written::Gone,
        (Err(stopped), Ok(())) => stopped,
        (Ok(()), Ok(())) => Written::All,
    };
    (outcome, sent)
}

async fn answer<I: AsyncWrite + Unpin>(
    writer: &mut Writer<'_, I>,
    reply: &Reply,
    close: bool,
    head_only: bool,
) -> Result<(), Written> {
    if writer.stop == Some(0) {
        return Err(Written::Stopped);
    }
    let head = head(reply, close);
    let bodiless = head_only || matches!(reply.status, 204 | 304);
    // Head and body in one write, when nothing asks for two.
    if let (Body::Bytes(body), Framing::Length, None, None, false) =
        (&reply.body, reply.delivery.framing, reply.delivery.head, reply.delivery.body, bodiless)
    {
        return writer.put(&[head.as_slice(), body].concat(), None).await;
    }
    writer.put(&head, reply.delivery.head).await?;
    if bodiless {
        return Ok(());
    }
    let chunked = reply.delivery.framing == Framing::Chunked;
    for piece in pieces(&reply.body) {
        if chunked {
            writer.put(format!("{:x}\r\n", piece.len()).as_bytes(), None).await?;
        }
        writer.put(&piece, reply.delivery.body).await?;
        if chunked {
            writer.put(b"\r\n", None).await?;
        }
    }
    if chunked { writer.put(b"0\r\n\r\n", None).await } else { Ok(()) }
}

/// The body in pieces. A made-up body is never whole in memory.
pub(super) fn pieces(body: &Body) -> Box<dyn Iterator<Item = Bytes> + Send> {
    match body {
        Body::Empty => Box::new(std::iter::empty()),
        Body::Bytes(bytes) if bytes.is_empty() => Box::new(std::iter::empty()),
        Body::Bytes(bytes) => Box::new(std::iter::once(bytes.clone())),
        Body::Filler(len) => {
            let (first, last): (&'static [u8], &'static [u8]) = (b"{\"filler\":\"", b"\"}");
            let middle = len.saturating_sub((first.len() + last.len()) as u64);
            let piece = Bytes::from(vec![b'a'; PIECE]);
            let full = middle / PIECE as u64;
            let rest = usize::try_from(middle % PIECE as u64).unwrap_or(0);
            let middle = (0..full).map({
                let piece = piece.clone();
                move |_| piece.clone()
            });
            let rest = (rest > 0).then(|| piece.slice(..rest));
            Box::new(
                std::iter::once(Bytes::from_static(first))
                    .chain(middle)
                    .chain(rest)
                    .chain(std::iter::once(Bytes::from_static(last))),
            )
        }
    }
}

fn head(reply: &Reply, close: bool) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(reply.status)
        .ok()
        .and_then(|s| s.canonical_reason())
        .unwrap_or("Unknown");
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", reply.status);
    for (name, value) in &reply.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    match reply.delivery.framing {
        // These answers end with their head. A 204 must have no framing field (RFC 9112, 6.1, 6.3).
        Framing::Length | Framing::Chunked if matches!(reply.status, 204 | 304) => {}
        Framing::Length => text.push_str(&format!("content-length: {}\r\n", reply.body.len())),
        Framing::Chunked => text.push_str("transfer-encoding: chunked\r\n"),
        Framing::Close => {}
    }
    if close {
        text.push_str("connection: close\r\n");
    }
    text.push_str("\r\n");
    // Texts hold one character per byte. Characters beyond Latin-1 never came from the wire.
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
