//! The last stage before a call is sent. It tells those who must know of the send before it
//! happens.
//!
//! It is below admission, so a call that is refused never gets here.

use tokio_util::either::Either;

use crate::call::{AdmittedCall, BoxFuture, Next, Reply, Stage, StageLayer, Staged};
use crate::error::Error;

/// The stage.
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
