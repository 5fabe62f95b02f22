//! Hands the answer over. The caller's deadline ends here; the call itself may go on.
//!
//! The call is a flight. If its caller's time is over, its caller has gone or the gateway stops, a
//! call that was sent goes on alone until its outcome is settled.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::call::{self, Call, Next, Reply, Stage, StageLayer, Staged};
use crate::clock::Instant;
use crate::detached::{CallFuture, Flight, Flights};
use crate::error::{Code, Error};

/// When a client should come back, to the gateway that follows this one.
const NEXT: Duration = Duration::from_secs(1);

/// Hands each answer over, if there is one in time.
#[derive(Debug)]
pub struct CallerDeadline {
    flights: Flights,
}

pin_project! {
    /// Becomes the answer, or the error that there is none in time.
    pub struct InTime<F>
    where
        F: CallFuture,
    {
        flight: Option<Flight<F>>,
        // Made when there is something to wait for: an answer that is here at once needs no timer.
        #[pin]
        end: Option<End>,
        deadline: Instant,
    }
}

pin_project! {
    /// What ends a wait.
    struct End {
        #[pin]
        deadline: Sleep,
        #[pin]
        waits_ended: WaitForCancellationFutureOwned,
    }
}

impl CallerDeadline {
    /// `flights` keeps the calls that go on without a caller.
    #[must_use]
    pub fn layer(flights: Flights) -> StageLayer<Self> {
        StageLayer::new(Self { flights })
    }
}

impl<S: Next<Call>> Stage<S> for CallerDeadline
where
    S::Future: CallFuture,
{
    type Call = Call;
    type Reply = Reply;
    type Error = Error;
    type Future = InTime<S::Future>;

    fn call(this: &Staged<Self, S>, call: Call) -> Self::Future {
        let flights = &this.stage().flights;
        let deadline = call.deadline;
        let flight = Flight::of(call, flights.clone(), |call| this.pass(call));
        InTime { flight: Some(flight), end: None, deadline }
    }
}

impl<F: CallFuture> Future for InTime<F> {
    type Output = call::Result;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<call::Result> {
        let mut this = self.project();
        let flight = this.flight.as_mut().expect("an answer that was given is not polled for");
        if let Poll::Ready(answer) = Pin::new(&mut *flight).poll(cx) {
            return Poll::Ready(answer);
        }
        if this.end.is_none() {
            let waits_ended = flight.flights.waits_ended();
            let deadline = sleep_until(*this.deadline);
            this.end.set(Some(End { deadline, waits_ended }));
        }
        let end = this.end.as_pin_mut().expect("it was made above").project();
        let refused = if end.deadline.poll(cx).is_ready() {
            let detail = "the caller's time was over before Courier answered";
            Error::refused(Code::VendorTimeout, detail)
        } else if end.waits_ended.poll(cx).is_ready() {
            let detail = "the gateway stops, and its server.grace is over";
            Error::refused(Code::Stopping, detail).with_retry_after(NEXT)
        } else {
            return Poll::Pending;
        };
        let proof = flight.proof.clone();
        // A call that was not sent ends here, and is not in doubt any more.
        *this.flight = None;
        Poll::Ready(Err(refused.with_outcome(proof.outcome())))
    }
}

#[cfg(test)]
mod tests;
