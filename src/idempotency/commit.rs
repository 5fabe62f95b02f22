//! The last stop before a call is sent: who must know of it first is told.
//!
//! It stands below admission: a call that is refused was never here.

use tokio_util::either::Either;

use crate::call::{AdmittedCall, BoxFuture, Next, Reply, Stage, StageLayer, Staged};
use crate::error::Error;

/// Tells.
#[derive(Debug)]
pub struct Commit;

impl Commit {
    /// See the module text.
    #[must_use]
    pub fn layer() -> StageLayer<Self> {
        StageLayer::new(Self)
    }
}

impl<S: Next<AdmittedCall>> Stage<S> for Commit {
    type Call = AdmittedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture>;

    fn call(this: &Staged<Self, S>, call: AdmittedCall) -> Self::Future {
        let told = call.before_send.clone().and_then(|told| told.before_send());
        let Some(written) = told else { return Either::Left(this.pass(call)) };
        let this = this.clone();
        Either::Right(Box::pin(async move {
            written.await?;
            this.pass(call).await
        }))
    }
}
