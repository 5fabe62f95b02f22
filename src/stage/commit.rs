//! The last stop before a call is sent: who must know of it first is told.
//!
//! It stands below admission: a call that is refused was never here.

use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::call::{Call, Reply, Result};
use crate::error::Error;

/// Tells.
#[derive(Clone, Copy, Debug)]
pub struct CommitLayer;

/// See [`CommitLayer`].
#[derive(Clone, Debug)]
pub struct Commit<S> {
    inner: S,
}

impl<S> Layer<S> for CommitLayer {
    type Service = Commit<S>;

    fn layer(&self, inner: S) -> Commit<S> {
        Commit { inner }
    }
}

impl<S> Service<Call> for Commit<S>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> S::Future {
        if let Some(before_send) = &call.before_send {
            before_send.before_send();
        }
        self.inner.call(call)
    }
}
