//! The last stop before a call is sent: who must know of it first is told.
//!
//! It stands below admission: a call that is refused was never here.

use std::task::{Context, Poll};

use futures_util::future::Either;
use tower::{Layer, Service};

use crate::call::{BoxFuture, Call, Reply, Result};
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
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let told = call.before_send.clone().and_then(|told| told.before_send());
        let Some(written) = told else { return Either::Left(self.inner.call(call)) };
        let mut inner = self.inner.clone();
        Either::Right(Box::pin(async move {
            written.await?;
            inner.call(call).await
        }))
    }
}
