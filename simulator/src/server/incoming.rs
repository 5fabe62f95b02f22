//! Reads requests from an HTTP/1.1 connection: first the head, then the body. Both are bounded.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::head::{self, Length, MAX_HEAD};
use crate::request::{MAX_BODY, Request};

/// How much of a body over 6 MB is read, so that the client gets the 413 and not a reset.
const MAX_DRAIN: u64 = 64 * 1024 * 1024;
/// The smallest body that is too large.
const TOO_MUCH: u64 = MAX_BODY + 1;
/// The longest line of a chunk's size or of a trailer.
const MAX_LINE: usize = 8 * 1024;

/// What came.
pub(super) enum Incoming {
    /// A whole request, and whether the rest of its body was left unread.
    Whole(Request, bool),
    /// A request that breaks the rules, as far as it could be read. The connection can't go on.
    Broken(Request, &'static str),
    /// The client left. It may have sent a part of a request.
    Gone(Option<Request>),
}

/// Reads the next request.
pub(super) async fn next<I>(io: &mut I, buffer: &mut BytesMut, socket: u64) -> io::Result<Incoming>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let unparsed = |raw_head| Request { raw_head, socket, ..Request::default() };
    let raw = match raw_head(io, buffer).await? {
        Head::Whole(raw) => raw,
        Head::TooLong(raw) => return Ok(Incoming::Broken(unparsed(raw), "the head is too long")),
        Head::Gone(raw) => return Ok(Incoming::Gone((!raw.is_empty()).then(|| unparsed(raw)))),
    };
    let mut request = match head::parse(&raw, socket) {
        Ok(request) => request,
        Err(why) => return Ok(Incoming::Broken(unparsed(raw), why)),
    };
    let length = match head::length(&request) {
        Ok(length) => length,
        Err(why) => return Ok(Incoming::Broken(request, why)),
    };
    if request.field("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
        if let Length::Exact(n @ TOO_MUCH..) = length {
            // The client waits for permission, so the refusal needs no byte of the body.
            request.body_len = n;
            return Ok(Incoming::Whole(request, true));
        }
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        io.flush().await?;
    }
    let mut body = ReadBody { kept: BytesMut::new(), len: 0 };
    let end = match length {
        Length::Exact(n) => exact(io, buffer, n, &mut body).await?,
        Length::Chunked => chunked(io, buffer, &mut body).await?,
    };
    request.body_len = body.len;
    request.body = body.kept.freeze();
    Ok(match end {
        BodyEnd::Complete => Incoming::Whole(request, false),
        BodyEnd::Unread => Incoming::Whole(request, true),
        BodyEnd::Gone => Incoming::Gone(Some(request)),
        BodyEnd::Broken(why) => Incoming::Broken(request, why),
    })
}

enum Head {
    Whole(Bytes),
    TooLong(Bytes),
    Gone(Bytes),
}

async fn raw_head<I: AsyncRead + Unpin>(io: &mut I, buffer: &mut BytesMut) -> io::Result<Head> {
    loop {
        match head::take(buffer) {
            Some(raw) if raw.len() > MAX_HEAD => return Ok(Head::TooLong(raw)),
            Some(raw) => return Ok(Head::Whole(raw)),
            None if buffer.len() > MAX_HEAD => return Ok(Head::TooLong(buffer.split().freeze())),
            None => {}
        }
        if io.read_buf(buffer).await? == 0 {
            return Ok(Head::Gone(buffer.split().freeze()));
        }
    }
}

enum BodyEnd {
    Complete,
    Unread,
    Gone,
    Broken(&'static str),
}

/// A body. Its first 6 MB and one byte are kept, and all bytes are counted.
struct ReadBody {
    kept: BytesMut,
    len: u64,
}

impl ReadBody {
    fn push(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let room = usize::try_from(TOO_MUCH).unwrap_or(usize::MAX) - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

async fn exact<I: AsyncRead + Unpin>(
    io: &mut I,
    buffer: &mut BytesMut,
    n: u64,
    body: &mut ReadBody,
) -> io::Result<BodyEnd> {
    let end = body.len.saturating_add(n);
    while body.len < end {
        if body.len > MAX_DRAIN {
            body.len = end;
            return Ok(BodyEnd::Unread);
        }
        if buffer.is_empty() && io.read_buf(buffer).await? == 0 {
            return Ok(BodyEnd::Gone);
        }
        let take = buffer.len().min(usize::try_from(end - body.len).unwrap_or(usize::MAX));
        body.push(&buffer[..take]);
        buffer.advance(take);
    }
    Ok(BodyEnd::Complete)
}

async fn chunked<I: AsyncRead + Unpin>(
    io: &mut I,
    buffer: &mut BytesMut,
    body: &mut ReadBody,
) -> io::Result<BodyEnd> {
    loop {
        let size = match line(io, buffer).await? {
            Line::Text(text) => {
                u64::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16)
            }
            Line::Gone => return Ok(BodyEnd::Gone),
            Line::TooLong => return Ok(BodyEnd::Broken("a chunk's first line is too long")),
        };
        match size {
            Err(_) => return Ok(BodyEnd::Broken("a chunk's size is no number")),
            Ok(0) => break,
            Ok(n) => match exact(io, buffer, n, body).await? {
                BodyEnd::Complete => {}
                end => return Ok(end),
            },
        }
        match line(io, buffer).await? {
            Line::Text(text) if text.is_empty() => {}
            Line::Gone => return Ok(BodyEnd::Gone),
            _ => return Ok(BodyEnd::Broken("a chunk is longer than its size")),
        }
    }
    loop {
        match line(io, buffer).await? {
            Line::Text(text) if text.is_empty() => return Ok(BodyEnd::Complete),
            Line::Text(_) => {}
            Line::Gone => return Ok(BodyEnd::Gone),
            Line::TooLong => return Ok(BodyEnd::Broken("a trailer is too long")),
        }
    }
}

enum Line {
    Text(String),
    Gone,
    TooLong,
}

async fn line<I: AsyncRead + Unpin>(io: &mut I, buffer: &mut BytesMut) -> io::Result<Line> {
    loop {
        if let Some(end) = buffer.windows(2).position(|w| w == b"\r\n") {
            let text = head::latin1(&buffer[..end]);
            buffer.advance(end + 2);
            return Ok(Line::Text(text));
        }
        if buffer.len() > MAX_LINE {
            return Ok(Line::TooLong);
        }
        if io.read_buf(buffer).await? == 0 {
            return Ok(Line::Gone);
        }
    }
}
