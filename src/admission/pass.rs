//! The right of one call to be sent.

use std::sync::Arc;
use std::time::Duration;

use super::quotas::Edition;
use crate::call::Throttled;
use crate::clock::Instant;
use crate::quota::{Grant, Lane, Settlement, Would};
use crate::record::Record;

/// A grant that settles itself: whatever becomes of the call, its slots are accounted for.
pub struct Pass {
    edition: Arc<Edition>,
    grant: Option<Grant>,
    attempt: Option<Attempt>,
}

/// The attempt that a pass is for.
struct Attempt {
    record: Arc<Record>,
    /// Earlier attempts of the same call that the vendor may have acted on.
    earlier: u32,
}

impl Pass {
    pub(super) fn new(edition: Arc<Edition>, grant: Grant) -> Self {
        Self { edition, grant: Some(grant), attempt: None }
    }

    /// The same pass for the attempt that `record` will tell of from now on.
    #[must_use]
    pub fn carrying(mut self, record: Arc<Record>) -> Self {
        let earlier = record.maybe_done();
        self.attempt = Some(Attempt { record, earlier });
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

    /// The first byte of the answer is here.
    pub fn answered(mut self) {
        self.settle(None);
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

    fn settle(&mut self, how: Option<Settlement>) {
        if let Some(grant) = self.grant.take() {
            self.edition.settle(grant, how);
        }
    }
}

impl Drop for Pass {
    /// No answer came. What was handed to a socket the vendor may count at any time up to the hard
    /// limit; what was not, it cannot count.
    fn drop(&mut self) {
        let sent = |attempt: &Attempt| attempt.record.maybe_done() > attempt.earlier;
        let was_sent = self.attempt.as_ref().is_some_and(sent);
        let how = if was_sent { Settlement::NoAnswer } else { Settlement::NothingSent };
        self.settle(Some(how));
    }
}
