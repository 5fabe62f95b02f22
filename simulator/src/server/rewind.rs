//! Tells HTTP/2 from HTTP/1.1 by the first bytes. The stream then gives these bytes again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read already. It gives them once more.
pub(super) struct Rewind<I> {
    first: Bytes,
    inner: I,
}

impl<I> Rewind<I> {
    /// The stream below. Bytes that were read already are lost.
    pub(super) const fn inner(&self) -> &I {
        &self.inner
    }
}

/// Reads until it is clear whether the preface comes. Returns whether it did.
pub(super) async fn sniff<I: AsyncRead + Unpin>(mut io: I) -> io::Result<(Rewind<I>, bool)> {
    let mut first = BytesMut::with_capacity(4096);
    loop {
        let n = first.len().min(PREFACE.len());
        if first[..n] != PREFACE[..n] || n == PREFACE.len() {
            break;
        }
        if io.read_buf(&mut first).await? == 0 {
            break;
        }
    }
    let preface = first.starts_with(PREFACE);
    Ok((Rewind { first: first.freeze(), inner: io }, preface))
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewind<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let n = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..n]);
        self.first.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewind<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
