//! The right of one call to be sent.

use std::sync::Arc;
use std::time::Duration;

use super::quotas::{AppPools, Edition, Tightest};
use crate::call::Throttled;
use crate::clock::Instant;
use crate::proof::SendProof;
use crate::quota::{Grant, Lane, Settlement, Would};

/// A grant that settles itself: whatever becomes of the call, its slots are accounted for.
pub struct Pass {
    edition: Arc<Edition>,
    grant: Option<Grant>,
    attempt: Option<Attempt>,
}

/// The attempt that a pass is for.
struct Attempt {
    proof: Arc<SendProof>,
    /// Earlier attempts of the same call that the vendor may have acted on.
    earlier: u32,
}

impl Pass {
    pub(super) fn new(edition: Arc<Edition>, grant: Grant) -> Self {
        Self { edition, grant: Some(grant), attempt: None }
    }

    /// The same pass for the attempt that `proof` will tell of from now on.
    #[must_use]
    pub fn carrying(mut self, proof: Arc<SendProof>) -> Self {
        let earlier = proof.sent();
        self.attempt = Some(Attempt { proof, earlier });
        self
    }

    /// The lane that the call went through.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.grant().lane()
    }

    /// When the slots were taken. Its caller may hear of it later.
    #[must_use]
    pub fn taken(&self) -> Instant {
        let taken = self.edition.instant_of(self.grant().taken());
        taken.expect("slots are taken at a moment that the clock has shown")
    }

    /// In shadow mode: what would have happened.
    #[must_use]
    pub fn would(&self) -> Would {
        self.grant().would()
    }

    /// The attempt is over, and the first byte of its answer is here if it is `answered`. Says what
    /// the app can do after it.
    pub(super) fn ends(mut self, answered: bool, of: &AppPools<'_>) -> Option<Tightest> {
        let how = (!answered).then(|| self.without_answer());
        match self.grant.take() {
            Some(grant) => self.edition.settle(of, grant, how),
            None => None,
        }
    }

    /// The vendor refused the call for its own quota: the narrowest pool that it paid is closed.
    #[must_use]
    pub fn vendor_refused(&mut self, asked: Option<Duration>) -> Option<Throttled> {
        let grant = self.grant.as_mut()?;
        self.edition.vendor_refused(grant, asked)
    }

    fn grant(&self) -> &Grant {
        self.grant.as_ref().expect("a pass has its grant until it is settled")
    }

    /// What was handed to a socket the vendor may count at any time up to the hard limit; what was
    /// not, it cannot count.
    fn without_answer(&self) -> Settlement {
        let sent = |attempt: &Attempt| attempt.proof.sent() > attempt.earlier;
        match self.attempt.as_ref().is_some_and(sent) {
            true => Settlement::NoAnswer,
            false => Settlement::NothingSent,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.edition.abandon(grant, self.without_answer());
        }
    }
}
