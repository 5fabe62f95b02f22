//! The threads that serve clients.
//!
//! Each has a runtime of its own: a call, its timers and the vendor's socket that it opens stay
//! with one core, and no other thread is woken for them. A connection is given, once and for all,
//! to the thread that serves the fewest, so that a few clients with long connections do not share
//! one core while another is free.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// See the module text. Clones are the same threads; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Workers {
    threads: Arc<[Worker]>,
    _ends: Option<Arc<DropGuard>>,
}

/// One thread, or the runtime that is there already.
struct Worker {
    runtime: Handle,
    /// Connections that it serves.
    connections: Arc<AtomicUsize>,
}

/// A connection counts for its thread as long as this lives.
pub(super) struct Served(Arc<AtomicUsize>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// No thread of their own: connections are served by the runtime that this is called in.
    ///
    /// Must be called inside a runtime.
    #[must_use]
    pub fn here() -> Self {
        Self { threads: [Worker::of(Handle::current())].into(), _ends: None }
    }

    /// So many threads.
    ///
    /// # Errors
    /// When the system gives no thread, or no means to wait for sockets.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let end = CancellationToken::new();
        let ends = Some(Arc::new(end.clone().drop_guard()));
        let threads = (0..count.get()).map(|at| Worker::start(at, end.clone()));
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, _ends: ends })
    }

    /// The runtime for one more connection.
    pub(super) fn next(&self) -> (&Handle, Served) {
        let served = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let least = self.threads.iter().min_by_key(served);
        let Worker { runtime, connections } = least.expect("there is at least one");
        connections.fetch_add(1, Ordering::Relaxed);
        (runtime, Served(connections.clone()))
    }
}

impl Worker {
    fn of(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::default() }
    }

    fn start(at: usize, end: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("worker-{at}")).spawn(move || {
            runtime.block_on(end.cancelled());
            // Work that blocks must not hold the process.
            runtime.shutdown_background();
        })?;
        Ok(Self::of(handle))
    }
}

/// The same connection, waited for by the runtime that this is called in.
pub(super) fn moved(tcp: TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(tcp.into_std()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Workers {
        Workers::start(NonZeroUsize::new(2).unwrap()).unwrap()
    }

    #[test]
    fn a_connection_goes_to_the_thread_that_serves_the_fewest() {
        let workers = two();
        let ids = |connections: &[(&Handle, Served)]| {
            connections.iter().map(|(runtime, _)| runtime.id()).collect::<Vec<_>>()
        };
        let mut connections: Vec<_> = (0..4).map(|_| workers.next()).collect();
        let [one, two, ..] = ids(&connections)[..] else { unreachable!() };
        assert_ne!(one, two);
        assert_eq!(ids(&connections), [one, two, one, two]);
        connections.remove(2);
        connections.remove(0);
        let next: Vec<_> = (0..3).map(|_| workers.next()).collect();
        assert_eq!(ids(&next), [one, one, one], "the others of {two:?} still last");
    }

    #[tokio::test]
    async fn threads_end_with_their_last_clone() {
        let workers = two();
        let runtime = workers.next().0.clone();
        drop(workers.clone());
        let (sender, dropped) = tokio::sync::oneshot::channel::<()>();
        runtime.spawn(async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(dropped.await.is_err(), "its tasks went with it");
    }
}
