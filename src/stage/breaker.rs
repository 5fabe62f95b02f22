//! A vendor host that is dead is not queued for: its calls are refused at once, over all
//! connections, until one probe finds it back.

mod circuit;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use circuit::{Circuit, Entry, Verdict};

use crate::call::{BoxFuture, Call, Reply, Result};
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};
use crate::ids::ConnectionId;

/// The breaker of one host. It outlives a reload.
#[derive(Debug, Default)]
pub struct Breaker {
    /// std, not tokio: each section is a few assignments and never awaits.
    circuit: Mutex<Circuit>,
}

/// Refuses calls to dead hosts.
#[derive(Clone)]
pub struct BreakerLayer {
    hosts: Arc<HashMap<ConnectionId, Arc<Breaker>>>,
}

/// See [`BreakerLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    hosts: Arc<HashMap<ConnectionId, Arc<Breaker>>>,
    inner: S,
}

/// A call that was let through; it says how its host did, at the latest when it is dropped.
struct Visit {
    breaker: Arc<Breaker>,
    entry: Entry,
    verdict: Verdict,
}

// === impl Breaker ===

impl Breaker {
    /// True while its host is taken for dead.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.circuit().is_open()
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>) -> Result<Visit> {
        let entry = self.circuit().enter(Instant::now()).map_err(refused)?;
        Ok(Visit { breaker: self.clone(), entry, verdict: Verdict::Unclear })
    }
}

fn refused(wait: Duration) -> Error {
    Error::refused(
        Code::VendorDown,
        "Courier did not answer the last calls; one asks whether it is back",
    )
    .with_retry_after(wait.max(Duration::from_secs(1)))
}

// === impl Visit ===

impl Visit {
    fn note(mut self, result: &Result) {
        self.verdict = match result {
            Ok(_) => Verdict::Alive,
            Err(Error { code: Code::VendorMalformed, .. }) => Verdict::Alive,
            Err(Error { code: Code::VendorTimeout, .. }) => Verdict::Dead,
            Err(Error { code: Code::VendorUnreachable, outcome: Outcome::NotSent, .. }) => {
                Verdict::Dead
            }
            Err(_) => Verdict::Unclear,
        };
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut circuit = self.breaker.circuit();
        let before = circuit.is_open();
        circuit.leave(self.entry, self.verdict, Instant::now());
        let after = circuit.is_open();
        drop(circuit);
        match (before, after) {
            (false, true) => tracing::error!("Courier does not answer: its calls are refused"),
            (true, false) => tracing::info!("Courier answers again"),
            _ => {}
        }
    }
}

// === impl BreakerLayer ===

impl BreakerLayer {
    /// `hosts` has the breaker of every connection's host.
    #[must_use]
    pub fn new(hosts: HashMap<ConnectionId, Arc<Breaker>>) -> Self {
        Self { hosts: Arc::new(hosts) }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { hosts: self.hosts.clone(), inner }
    }
}

// === impl Guarded ===

impl<S> Service<Call> for Guarded<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> BoxFuture {
        let breaker = self.hosts.get(&call.caller.connection).cloned();
        let breaker = breaker.expect("every connection of the configuration has a host");
        let mut inner = self.inner.clone();
        Box::pin(async move {
            let visit = breaker.enter()?;
            let result = inner.call(call).await;
            visit.note(&result);
            result
        })
    }
}
