//! Where an answer is handed over: the caller's deadline ends here, the call itself does not.
//!
//! The call is a flight: when its caller's time is over, its caller has gone or the gateway stops, a
//! call that was sent goes on without them, until its outcome is settled.

use std::time::Duration;

use tokio::time::sleep_until;

use crate::call::{BoxFuture, Call, Next, Reply, Stage, StageLayer, Staged};
use crate::detached::{Flight, Flights};
use crate::error::{Code, Error};

/// When to ask the gateway that comes after this one.
const NEXT: Duration = Duration::from_secs(1);

/// Hands each answer over in time, if there is one by then.
#[derive(Debug)]
pub struct CallerDeadline {
    flights: Flights,
}

impl CallerDeadline {
    /// `flights` keeps those that go on without a caller.
    #[must_use]
    pub fn layer(flights: Flights) -> StageLayer<Self> {
        StageLayer::new(Self { flights })
    }
}

impl<S: Next<Call>> Stage<S> for CallerDeadline {
    type Call = Call;
    type Reply = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn call(this: &Staged<Self, S>, call: Call) -> BoxFuture {
        let (deadline, proof) = (call.deadline, call.proof.clone());
        let flights = this.stage().flights.clone();
        let flight = Flight::of(call, flights.clone(), |call| Box::pin(this.pass(call)));
        Box::pin(async move {
            let refused = tokio::select! {
                biased;
                answer = flight => return answer,
                () = sleep_until(deadline) => {
                    let detail = "the caller's time was over before Courier answered";
                    Error::refused(Code::VendorTimeout, detail)
                }
                () = flights.waits_ended() => {
                    let detail = "the gateway stops, and its server.grace is over";
                    Error::refused(Code::Stopping, detail).with_retry_after(NEXT)
                }
            };
            Err(refused.with_outcome(proof.outcome()))
        })
    }
}

#[cfg(test)]
mod tests;
