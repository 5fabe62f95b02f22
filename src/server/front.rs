//! A client's bytes, as far as somebody has to see them before hyper does.
//!
//! For a connection that rests nothing is built and nothing is held. So the first octets of its
//! next request are read here. hyper then reads them again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Not agreed on; its first bytes tell.
    Told,
}

impl Protocol {
    /// The protocol that the TLS handshake agreed on (RFC 7301 section 3.2, RFC 9113 section 3.2).
    pub(super) fn agreed(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            Some(_) => Self::Http1,
            None => Self::Told,
        }
    }
}

/// The bytes; see the top of this file.
pub(super) struct Front<T> {
    io: T,
    /// What came already, and is to be read again.
    first: Bytes,
    activity: Arc<Activity>,
}

impl<T> Front<T> {
    /// Tells `activity` whether `io` has taken all that was written.
    pub(super) fn new(io: T, activity: Arc<Activity>) -> Self {
        Self { io, first: Bytes::new(), activity }
    }

    /// Gives back `octets`, which were read and not used. They are copied, because they keep the
    /// whole buffer of their reader.
    pub(super) fn give_back(&mut self, octets: &[u8]) {
        self.first = [octets, &self.first].concat().into();
    }
}

impl<T: AsyncRead + Unpin> Front<T> {
    /// Waits for the client's next octets, until they tell what it speaks; `None` if it sends no
    /// more. If the future is dropped, nothing is lost.
    pub(super) async fn spoken(&mut self, protocol: Protocol) -> io::Result<Option<Protocol>> {
        loop {
            let (came, told) = (&self.first[..], protocol == Protocol::Told);
            match came.len() {
                // The server's SETTINGS need not wait for the client.
                _ if protocol == Protocol::Http2 => return Ok(Some(protocol)),
                len if told && len >= PREFACE.len() && came.starts_with(PREFACE) => {
                    return Ok(Some(Protocol::Http2));
                }
                len if len > 0 && !(told && PREFACE.starts_with(came)) => {
                    return Ok(Some(Protocol::Http1));
                }
                _ => {}
            }
            let mut piece = [0; PREFACE.len()];
            let room = PREFACE.len() - came.len();
            let read = self.io.read(&mut piece[..room]).await?;
            if read == 0 {
                return Ok((!self.first.is_empty()).then_some(Protocol::Http1));
            }
            self.first = [&self.first, &piece[..read]].concat().into();
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Front<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let fits = buffer.remaining().min(self.first.len());
        buffer.put_slice(&self.first[..fits]);
        self.first.advance(fits);
        if self.first.is_empty() {
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Front<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.unwritten(true);
        Pin::new(&mut self.io).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.unwritten(true);
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes when it has written all that it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.activity.unwritten(!matches!(flushed, Poll::Ready(Ok(()))));
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing comes after it.
        self.activity.unwritten(true);
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
