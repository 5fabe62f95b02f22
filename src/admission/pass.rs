//! The right of one call to be sent.

use std::sync::Arc;
use std::time::Duration;

use super::quotas::Edition;
use crate::quota::{Grant, Lane, Settlement, Would};

/// A grant that settles itself: whatever becomes of the call, its slots are accounted for.
pub struct Pass {
    edition: Arc<Edition>,
    grant: Option<Grant>,
}

/// What a vendor's 429 did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The pool that is closed.
    pub pool: String,
    /// For how long.
    pub pause: Duration,
}

impl Pass {
    pub(super) fn new(edition: Arc<Edition>, grant: Grant) -> Self {
        Self { edition, grant: Some(grant) }
    }

    /// The lane that the call went through.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.grant().lane()
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

    /// Not one byte was written.
    pub fn unsent(mut self) {
        self.settle(Some(Settlement::NothingSent));
    }

    /// The vendor refused the call for its own quota: the narrowest pool that it paid is closed.
    #[must_use]
    pub fn vendor_refused(&self, asked: Option<Duration>) -> Option<Throttled> {
        let (pool, pause) = self.edition.vendor_refused(self.grant(), asked)?;
        Some(Throttled { pool, pause })
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
    /// Nobody said how the call ended: the vendor may count it at any time up to the hard limit.
    fn drop(&mut self) {
        self.settle(Some(Settlement::NoAnswer));
    }
}
