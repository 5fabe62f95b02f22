//! A client's socket, which can be told to end with a reset, and tells when its client leaves.
//!
//! A client that leaves an answer unread leaves it in the kernel, too: after a plain close the kernel
//! keeps it for as long as the client's window stays shut. A reset frees it at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A socket. What it still has to write is lost if it is told so before it is dropped.
pub(super) struct Socket {
    read: Arc<OwnedReadHalf>,
    write: OwnedWriteHalf,
    reset: Reset,
}

/// Tells a socket to end with a reset. Clones tell the same one.
#[derive(Clone, Default)]
pub(super) struct Reset(Arc<AtomicBool>);

/// Sees the client shut its side.
#[derive(Default)]
pub(super) struct Leaving(Option<Arc<OwnedReadHalf>>);

impl Reset {
    /// From now on the socket's end is a reset.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Leaving {
    /// Whether it can be seen on this system.
    pub(super) const SEEN: bool = cfg!(target_os = "linux");

    /// Ends when the client has shut its side, whatever octets lie before that unread.
    pub(super) async fn seen(&self) {
        #[cfg(target_os = "linux")]
        if let Some(socket) = &self.0 {
            // The socket asks for no urgent octets. What is left of this interest is the end of what
            // the client sends, and not what can be read before it.
            if socket.ready(tokio::io::Interest::PRIORITY).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> (Self, Reset, Leaving) {
        let (read, write) = tcp.into_split();
        let (read, reset) = (Arc::new(read), Reset::default());
        let leaving = Leaving(Some(read.clone()));
        (Self { read, write, reset: reset.clone() }, reset, leaving)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Acquire) {
            // A socket that can't be set any more is over already.
            let _ = self.write.as_ref().set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket: &TcpStream = (*self.read).as_ref();
        loop {
            ready!(socket.poll_read_ready(cx))?;
            match socket.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
