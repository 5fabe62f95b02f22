//! A call that was sent is never cut.
//!
//! A [`Flight`] is the future of a call. If its waiter leaves after the send and before the end,
//! the future moves itself to a task and goes on. So its outcome still settles all that the call
//! touched. If the waiter leaves before the send, the call ends.

pub mod caller_deadline;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::call::{BoxFuture, Call, Result};
use crate::catalog::Operation;
use crate::ids::RandomId;
use crate::proof::SendProof;

/// The flights that go on without their waiters. Shutdown waits for them. Clones share it.
#[derive(Clone, Debug)]
pub struct Flights(Arc<Airspace>);

#[derive(Debug)]
struct Airspace {
    tasks: TaskTracker,
    runtime: Handle,
    /// Cancelled when no waiter may wait any longer.
    last_call: CancellationToken,
    /// std, not tokio: touched only when a waiter leaves and when its call lands.
    under_way: Mutex<HashMap<RandomId, Arc<Operation>>>,
}

/// The future of a call, which can move to a task of its own.
pub trait CallFuture: Future<Output = Result> + Unpin + Send + 'static {}

impl<F: Future<Output = Result> + Unpin + Send + 'static> CallFuture for F {}

/// One call under way.
pub struct Flight<F: CallFuture = BoxFuture> {
    call: Option<F>,
    id: RandomId,
    operation: Arc<Operation>,
    proof: Arc<SendProof>,
    flights: Flights,
}

// === impl Flights ===

impl Flights {
    /// No flights yet. Must be called inside the runtime in which they will go on.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Airspace {
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            last_call: CancellationToken::new(),
            under_way: Mutex::default(),
        }))
    }

    /// How many flights go on without a waiter.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.tasks.len()
    }

    /// True if no flight goes on without a waiter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.tasks.is_empty()
    }

    /// Call id and operation of each flight that goes on.
    #[must_use]
    pub fn list(&self) -> Vec<(RandomId, String)> {
        let under_way = self.under_way();
        under_way.iter().map(|(id, operation)| (*id, operation.id.to_string())).collect()
    }

    /// Lets `call` go on in a task.
    fn take_over(&self, call: impl CallFuture, id: RandomId, operation: Arc<Operation>) {
        self.under_way().insert(id, operation);
        let landing = Landing(self.clone(), id);
        let going_on = async move {
            drop(call.await);
            drop(landing);
        };
        self.0.tasks.spawn_on(going_on, &self.0.runtime);
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<RandomId, Arc<Operation>>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway stops: from now on nobody waits for a call.
    pub fn end_waits(&self) {
        self.0.last_call.cancel();
    }

    /// Ends when nobody may wait any longer.
    pub fn waits_ended(&self) -> WaitForCancellationFutureOwned {
        self.0.last_call.clone().cancelled_owned()
    }

    /// Waits until no flight is left. Call it only when no new call can start.
    pub async fn landed(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Removes a flight from the list, also if its call panics.
struct Landing(Flights, RandomId);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.under_way().remove(&self.1);
    }
}

impl Default for Flights {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Flight ===

impl<F: CallFuture> Flight<F> {
    /// `call` as a flight; `make` makes its future.
    #[must_use]
    pub fn of<B>(call: Call<B>, flights: Flights, make: impl FnOnce(Call<B>) -> F) -> Self {
        let (id, operation, proof) =
            (call.record.call_id, call.operation.clone(), call.proof.clone());
        Self { call: Some(make(call)), id, operation, proof, flights }
    }
}

impl<F: CallFuture> Future for Flight<F> {
    type Output = Result;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result> {
        let call = self.call.as_mut().expect("a flight is not polled after it landed");
        let result = std::task::ready!(Pin::new(call).poll(cx));
        self.call = None;
        Poll::Ready(result)
    }
}

impl<F: CallFuture> Drop for Flight<F> {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        if self.proof.was_sent() {
            self.flights.take_over(call, self.id, self.operation.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Reply, testing};
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::sync::oneshot;

    /// A call that ends when the sender is used, and then sets the flag.
    fn flight(flights: &Flights) -> (Flight, Arc<SendProof>, oneshot::Sender<()>, Arc<AtomicBool>) {
        let (open, gate) = oneshot::channel();
        let done = Arc::new(AtomicBool::new(false));
        let said = done.clone();
        let call = testing::call(http::Method::GET, "/brands");
        let proof = call.proof.clone();
        let flight = Flight::of(call, flights.clone(), |_| -> BoxFuture {
            Box::pin(async move {
                let _ = gate.await;
                said.store(true, Ordering::SeqCst);
                Ok(Reply::new(crate::call::empty()))
            })
        });
        (flight, proof, open, done)
    }

    #[tokio::test]
    async fn a_sent_call_goes_on_when_its_waiter_leaves() {
        let flights = Flights::new();
        let (flight, proof, open, done) = flight(&flights);
        proof.sending();
        let id = flight.id;
        drop(flight);
        assert_eq!(flights.len(), 1);
        assert_eq!(flights.list(), [(id, "brands.list".to_owned())]);
        open.send(()).unwrap();
        flights.landed().await;
        assert!(flights.list().is_empty());
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_call_that_was_not_sent_ends_with_its_waiter() {
        let flights = Flights::new();
        let (flight, _, open, _) = flight(&flights);
        drop(flight);
        assert!(flights.is_empty());
        assert!(open.send(()).is_err(), "the call's future was dropped");
    }
}
