//! Where an answer is handed over: the caller's deadline ends here, the call itself does not.
//!
//! The call is a flight: when its caller's time is over or its caller has gone, a call that was
//! sent goes on without them, until its outcome is settled.

use std::task::{Context, Poll};

use tokio::time::timeout_at;
use tower::{Layer, Service};

use crate::call::{BoxFuture, Call, Reply, Result};
use crate::error::{Code, Error};
use crate::flight::{Flight, Flights};

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
        let flight = Flight::new(self.inner.call(call), record.clone(), self.flights.clone());
        Box::pin(async move {
            timeout_at(deadline, flight).await.unwrap_or_else(|_| {
                let detail = "the caller's time was over before Courier answered";
                Err(Error::refused(Code::VendorTimeout, detail).with_outcome(record.outcome()))
            })
        })
    }
}
