//! A client's socket, which can be told to end with a reset, and tells when its client leaves.
//!
//! An answer that the client does not read lies in the kernel, too. After a plain close the kernel
//! keeps it for as long as the client's window stays shut. A reset frees it at once.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::proof::Looks;

/// A client's socket. If it was told to, it ends with a reset when it is dropped, and what it still
/// has to write is lost.
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

/// Asks the kernel whether the client has shut its side. It keeps no socket open.
#[derive(Clone, Debug, Default)]
pub(super) struct Glance(Weak<OwnedReadHalf>);

impl Reset {
    /// From now on the socket's end is a reset.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Leaving {
    /// Whether this system can show it.
    pub(super) const SEEN: bool = cfg!(target_os = "linux");

    /// The same, for code that can't wait.
    pub(super) fn glance(&self) -> Glance {
        Glance(self.0.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// Ends when the client has shut its side, even if bytes before that are unread.
    pub(super) async fn seen(&self) {
        #[cfg(target_os = "linux")]
        if let Some(socket) = &self.0 {
            // The gateway uses no urgent bytes. So this interest fires only at the end of what the
            // client sends, and not for bytes that can be read before it.
            if socket.ready(tokio::io::Interest::PRIORITY).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Looks for Glance {
    fn has_left(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(socket) = self.0.upgrade() {
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let socket: &TcpStream = (*socket).as_ref();
            let mut ask = [PollFd::new(socket, PollFlags::RDHUP)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            return poll(&mut ask, Some(&at_once)).is_ok_and(|told| told > 0);
        }
        false
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
            // If this fails, the socket is over already.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_glance_sees_a_client_that_left_before_the_runtime_does() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(port.local_addr().unwrap()).await.unwrap();
        let (socket, _, leaving) = Socket::new(port.accept().await.unwrap().0);
        let glance = leaving.glance();
        assert!(!glance.has_left());
        client.try_write(b"unread").unwrap();
        drop(client);
        // Nothing is awaited, so only the kernel can tell.
        while !glance.has_left() {
            std::thread::yield_now();
        }
        drop((socket, leaving));
        assert!(!glance.has_left(), "the socket is closed");
    }
}
