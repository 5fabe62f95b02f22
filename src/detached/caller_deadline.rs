//! Where an answer is handed over: the caller's deadline ends here, the call itself does not.
//!
//! The call is a flight: when its caller's time is over, its caller has gone or the gateway stops, a
//! call that was sent goes on without them, until its outcome is settled.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep_until;
use tower::{Layer, Service};

use crate::call::{BoxFuture, Call, Reply, Result};
use crate::detached::{Flight, Flights};
use crate::error::{Code, Error};

/// When to ask the gateway that comes after this one.
const NEXT: Duration = Duration::from_secs(1);

/// Makes flights of calls.
#[derive(Clone)]
pub struct HandoverLayer {
    flights: Flights,
}

/// See [`HandoverLayer`].
#[derive(Clone)]
pub struct Handover<S> {
    flights: Flights,
    inner: S,
}

// === impl HandoverLayer ===

impl HandoverLayer {
    /// `flights` keeps those that go on without a caller.
    #[must_use]
    pub fn new(flights: Flights) -> Self {
        Self { flights }
    }
}

impl<S> Layer<S> for HandoverLayer {
    type Service = Handover<S>;

    fn layer(&self, inner: S) -> Handover<S> {
        Handover { flights: self.flights.clone(), inner }
    }
}

// === impl Handover ===

impl<S> Service<Call> for Handover<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture>,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> BoxFuture {
        let (deadline, record) = (call.deadline, call.record.clone());
        let flights = self.flights.clone();
        let flight = Flight::new(self.inner.call(call), record.clone(), flights.clone());
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
            Err(refused.with_outcome(record.outcome()))
        })
    }
}
