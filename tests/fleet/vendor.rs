//! The simulated Courier: it never refuses, answers as late as it is told, and counts each call.

use std::net::SocketAddr;
use std::time::Duration;

use simulator::{Latency, Options, Server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The token of the fleet's connection.
pub const TOKEN: &str = "token-of-the-fleet";

pub struct Vendor {
    courier: Server,
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

/// What arrived there.
pub struct Counted {
    /// The most calls in any window, however they are counted.
    pub highest: f64,
    /// When calls came, from the start of the vendor.
    pub calls: Vec<Duration>,
}

impl Vendor {
    pub async fn start(window: Duration, latency: Latency) -> Self {
        let mut options =
            Options { limits: Vec::new(), latency: Some(latency), ..Options::default() };
        options.counters.window_ms = u64::try_from(window.as_millis()).unwrap();
        options.counters.phases = 16;
        let courier = Server::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(courier.clone().serve(listener, std::future::pending()));
        Self { courier, address, task }
    }

    /// The time of its clock.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.courier.now().0)
    }

    pub fn counted(&self) -> Counted {
        let now = self.courier.now();
        self.courier.with(|simulator| Counted {
            highest: simulator.largest(now, TOKEN, None).worst(),
            calls: simulator
                .journal()
                .entries()
                .map(|entry| Duration::from_micros(entry.arrived.0))
                .collect(),
        })
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
