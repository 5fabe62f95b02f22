//! The frame of a layer, written once: a [`Stage`] says what it does with a call, and
//! [`StageLayer`] makes a [`tower::Layer`] of it.
//!
//! A stage is always ready: it waits in its future, where it knows who is waiting. All that lies
//! below a layer is shared: calling it costs a reference count.
//!
//! Layers in their order compile:
//!
//! ```
//! use tollgate::{admission::layer::Admit, breaker::Guard, idempotency::Commit, retry::Retry};
//! use tollgate::call::{AdmittedCall, BufferedCall, Next, StageLayer};
//! use tower::{Layer, ServiceBuilder};
//!
//! fn stack(
//!     (retry, guard): (StageLayer<Retry>, StageLayer<Guard>),
//!     (admit, commit): (StageLayer<Admit>, StageLayer<Commit>),
//!     vendor: impl Next<AdmittedCall>,
//! ) -> impl Next<BufferedCall> {
//!     ServiceBuilder::new().layer(retry).layer(guard).layer(admit).layer(commit).service(vendor)
//! }
//! ```
//!
//! Admission above the retries, so that an attempt would not pay, does not:
//!
//! ```compile_fail,E0277
//! # use tollgate::{admission::layer::Admit, breaker::Guard, idempotency::Commit, retry::Retry};
//! # use tollgate::call::{AdmittedCall, BufferedCall, Next, StageLayer};
//! # use tower::{Layer, ServiceBuilder};
//! # fn stack(
//! #     (retry, guard): (StageLayer<Retry>, StageLayer<Guard>),
//! #     (admit, commit): (StageLayer<Admit>, StageLayer<Commit>),
//! #     vendor: impl Next<AdmittedCall>,
//! # ) -> impl Next<BufferedCall> {
//! ServiceBuilder::new().layer(admit).layer(retry).layer(guard).layer(commit).service(vendor)
//! # }
//! ```
//!
//! Nor does a call that is noted as sent before it was let in:
//!
//! ```compile_fail,E0277
//! # use tollgate::{admission::layer::Admit, breaker::Guard, idempotency::Commit, retry::Retry};
//! # use tollgate::call::{AdmittedCall, BufferedCall, Next, StageLayer};
//! # use tower::{Layer, ServiceBuilder};
//! # fn stack(
//! #     (retry, guard): (StageLayer<Retry>, StageLayer<Guard>),
//! #     (admit, commit): (StageLayer<Admit>, StageLayer<Commit>),
//! #     vendor: impl Next<AdmittedCall>,
//! # ) -> impl Next<BufferedCall> {
//! ServiceBuilder::new().layer(retry).layer(guard).layer(commit).layer(admit).service(vendor)
//! # }
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::Reply;
use crate::error::Error;

/// What one layer does with a call, and with its answer.
pub trait Stage<S>: Sized + Send + Sync + 'static {
    /// What it takes. Only the layer above makes it, so that a wrong order does not compile.
    type Call;
    /// What it answers with.
    type Reply;
    /// What it fails with.
    type Error;
    /// Its answer to come.
    type Future: Future<Output = Result<Self::Reply, Self::Error>> + Send;

    /// Answers `call`; `this` has the stage itself and what lies below it.
    fn call(this: &Staged<Self, S>, call: Self::Call) -> Self::Future;
}

/// What lies below a layer, if it takes a `C`.
pub trait Next<C>:
    Service<C, Response = Reply, Error = Error, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

impl<C, S> Next<C> for S where
    S: Service<C, Response = Reply, Error = Error, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A layer of the stack.
#[derive(Debug)]
pub struct StageLayer<T>(Arc<T>);

/// A stage on top of what lies below it. Clones share both.
#[derive(Debug)]
pub struct Staged<T, S>(Arc<Node<T, S>>);

#[derive(Debug)]
struct Node<T, S> {
    stage: Arc<T>,
    next: S,
}

impl<T> StageLayer<T> {
    /// A layer that does what `stage` says.
    #[must_use]
    pub fn new(stage: T) -> Self {
        Self(Arc::new(stage))
    }
}

impl<T, S> Layer<S> for StageLayer<T> {
    type Service = Staged<T, S>;

    fn layer(&self, next: S) -> Staged<T, S> {
        Staged(Arc::new(Node { stage: self.0.clone(), next }))
    }
}

impl<T, S> Staged<T, S> {
    /// The stage itself.
    #[must_use]
    pub fn stage(&self) -> &Arc<T> {
        &self.0.stage
    }

    /// What lies below it.
    #[must_use]
    pub fn next(&self) -> S
    where
        S: Clone,
    {
        self.0.next.clone()
    }

    /// Hands `call` to what lies below.
    pub fn pass<C>(&self, call: C) -> S::Future
    where
        S: Service<C> + Clone,
    {
        self.next().call(call)
    }
}

impl<T, S> Clone for Staged<T, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Stage<S>, S> Service<T::Call> for Staged<T, S> {
    type Response = T::Reply;
    type Error = T::Error;
    type Future = T::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: T::Call) -> T::Future {
        T::call(self, call)
    }
}
