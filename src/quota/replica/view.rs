//! What a replica may do, and what is left to its queue.

use std::time::Duration;

use super::super::moment::Moment;
use super::super::pools::{Lent, Part, PoolId};
use super::books::PoolBooks;
use super::{Life, Replica};

/// A ledger that was silent for so long is away.
const SILENCE: Duration = Duration::from_secs(1);

impl Replica {
    /// Whether slots may be taken.
    #[must_use]
    pub fn may_take(&self, now: Moment) -> bool {
        now < self.lease_end
    }

    /// How many slots of a pool each app may fill here, if it is limited at all: what the fleet's
    /// shares leave to this replica, for the weights of its queue.
    pub fn shares(&self, pool: PoolId) -> impl Iterator<Item = (&str, f64)> {
        self.pools.iter().filter(move |books| books.shared.id == pool).flat_map(PoolBooks::shares)
    }

    /// Whether slots of a pool come from the ledger, or are still to go back to it.
    #[must_use]
    pub fn is_shared(&self, pool: PoolId) -> bool {
        self.pools.iter().any(|books| books.shared.id == pool)
    }

    /// How a pool stands here.
    #[must_use]
    pub fn lent(&self, pool: PoolId, now: Moment) -> Option<Lent> {
        let books = self.pools.iter().find(|books| books.shared.id == pool)?;
        let all = books.blocks.saturating_mul(books.shared.size());
        // One that sleeps is told by its first reply.
        let told = self.heard.is_some() || self.life == Life::Gone;
        let size = books.shared.size();
        let part = |blocks: u32, wanted| match told {
            true => Part { target: blocks.saturating_mul(size), wanted },
            false => Part { target: all, wanted: 0 },
        };
        Some(Lent {
            until: self.lease_end,
            all,
            whole: part(books.target, self.told),
            interactive: part(books.interactive, self.told_interactive),
            away: self.is_away(now),
        })
    }

    /// Whether no slot may be taken, and the ledger is silent for so long that this may last. At the
    /// start of a process a moment without it is usual.
    fn is_away(&self, now: Moment) -> bool {
        let silent = |since| now.since(since) >= SILENCE;
        !self.may_take(now) && self.unanswered.is_some_and(silent)
    }

    /// Whether nothing is owned, and nobody wants anything.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        matches!(self.life, Life::Asleep | Life::Gone)
    }

    /// Whether a reply is awaited.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether it gave everything back for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.life == Life::Gone
    }
}
