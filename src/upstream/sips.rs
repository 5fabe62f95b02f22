//! A vendor socket that is read in small pieces.
//!
//! hyper's buffer doubles whenever a read fills it. What is in it when a client stops reading is
//! held for as long as the client likes. A read that never fills it keeps it at its first size; the
//! head of an answer may be longer than that all the same.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// Octets of a read at most: one less than hyper's first buffer holds.
const MOST: usize = (8 << 10) - 1;

/// Reads of `T` in pieces that never fill hyper's buffer.
pub(super) struct Sips<T>(pub(super) T);

impl<T: Read + Unpin> Read for Sips<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper's cursor can't be made shorter in safe code: the octets are copied once more.
        let mut piece = [MaybeUninit::uninit(); MOST];
        let most = into.remaining().min(MOST);
        let mut piece = ReadBuf::uninit(&mut piece[..most]);
        ready!(Pin::new(&mut self.0).poll_read(cx, piece.unfilled()))?;
        into.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Sips<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn pieces_are_small_however_long_the_head_and_the_body_are() {
        let filler = "x".repeat(120 << 10);
        let body: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let head =
            format!("HTTP/1.1 200 OK\r\nX: {filler}\r\nContent-Length: {}\r\n\r\n", body.len());
        let (mut vendor, io) = tokio::io::duplex(1 << 20);
        let sent = body.clone();
        tokio::spawn(async move {
            vendor.read_u8().await.unwrap();
            vendor.write_all(head.as_bytes()).await.unwrap();
            vendor.write_all(&sent).await.unwrap();
        });
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(128 << 10);
        let (mut sender, connection) = builder.handshake(Sips(TokioIo::new(io))).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::new(Empty::<Bytes>::new());
        let mut answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["x"].len(), filler.len());
        let mut read = Vec::new();
        while let Some(frame) = answer.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= MOST, "{}", piece.len());
            read.extend_from_slice(&piece);
        }
        assert!(read == body, "the octets are those that were sent, in their order");
    }
}
