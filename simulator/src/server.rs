//! A thin server: it puts the pure core on sockets, and does nothing else.

mod head;
mod http1;
mod http2;
mod incoming;
mod outgoing;
mod pending;
mod rewind;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::options::Options;
use crate::simulator::Simulator;
use crate::time::{Micros, Wall};

/// How long the accept loop pauses after an error, such as too many open files.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// A simulator on sockets. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    /// std, not tokio: each section is one call of the pure core and never awaits.
    simulator: Mutex<Simulator>,
    /// Time zero of the simulator. A paused tokio clock works too.
    start: Instant,
    sockets: AtomicU64,
    limit: usize,
    idle_close: Option<Duration>,
}

impl Server {
    /// Creates a server without data.
    ///
    /// Its time starts here, so create it inside the runtime whose clock it uses.
    pub fn new(mut options: Options) -> Self {
        if options.clock.epoch == "real" {
            options.clock.epoch = machine_time().iso();
        }
        let (limit, idle_close) =
            (options.sockets, options.idle_close_ms.map(Duration::from_millis));
        let simulator = Mutex::new(Simulator::new(options));
        Self {
            shared: Arc::new(Shared {
                simulator,
                start: Instant::now(),
                sockets: AtomicU64::new(0),
                limit,
                idle_close,
            }),
        }
    }

    /// Serves HTTP/1.1 and HTTP/2 with prior knowledge until `shutdown` is done.
    ///
    /// Then it drops open sockets.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let permits = Arc::new(Semaphore::new(self.shared.limit));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let permit = tokio::select! {
                biased;
                () = &mut shutdown => break,
                permit = permits.clone().acquire_owned() => permit,
            };
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                sleep(ACCEPT_REST).await;
                continue;
            };
            // Small answers are sent at once. If this fails, they are only sent later.
            drop(stream.set_nodelay(true));
            let server = self.clone();
            connections.spawn(async move {
                server.connection(stream, reset_on_close).await;
                drop(permit);
            });
        }
        connections.shutdown().await;
    }

    /// Serves one decrypted connection until either side ends it.
    ///
    /// A reset is a dropped stream here.
    pub async fn serve_io<I>(&self, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connection(io, |_| {}).await;
    }

    /// Reads or changes the simulator. Keep `f` short, because all sockets wait for it.
    pub fn with<R>(&self, f: impl FnOnce(&mut Simulator) -> R) -> R {
        f(&mut self.shared.simulator.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The current time of the simulator.
    pub fn now(&self) -> Micros {
        Micros::from(self.shared.start.elapsed())
    }

    async fn connection<I>(&self, io: I, reset: fn(&I))
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let socket = self.shared.sockets.fetch_add(1, Ordering::Relaxed) + 1;
        let Ok((io, preface)) = rewind::sniff(io).await else {
            return;
        };
        if preface {
            http2::serve(self, io, socket).await;
        } else {
            http1::serve(self, io, socket, reset).await;
        }
    }

    /// The instant at which something due at `at` has to happen.
    fn instant(&self, at: Micros) -> Instant {
        self.shared.start.checked_add(at.as_duration()).unwrap_or_else(Instant::now)
    }
}

/// Makes the close an RST. Bytes that are still unsent are lost.
fn reset_on_close(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the machine, for `clock.epoch = \"real\"` only"
)]
fn machine_time() -> Wall {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
