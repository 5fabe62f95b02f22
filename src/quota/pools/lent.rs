//! Slots that a ledger lends: until when they may be taken, and how many more may come.

use std::time::Duration;

use super::SlotPool;
use crate::quota::Moment;

/// A slot that the ledger has for us is here within about this time.
const SOON: Duration = Duration::from_millis(100);

/// How a pool stands with its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lent {
    /// Until then slots may be taken without a further reply of the ledger.
    pub until: Moment,
    /// The slots of all replicas together.
    pub all: u32,
    /// All that are to be here.
    pub whole: Part,
    /// Those of them for interactive calls.
    pub interactive: Part,
    /// The lease is over, and the ledger does not answer.
    pub away: bool,
}

/// What the ledger means to be here, and what it was told when it said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// So many slots are to be here.
    pub target: u32,
    /// So many were wanted: taken, resting or waited for.
    pub wanted: u32,
}

/// Who waits for slots, beside those who have some.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Calls of any kind that wait.
    Any(u32),
    /// Interactive calls of the connection whose own pool it is, with the slots that they have.
    Interactive(u32),
}

impl SlotPool {
    /// Whether its slots may be taken.
    pub(crate) fn may_take(&self, now: Moment) -> bool {
        self.lent.is_none_or(|lent| now < lent.until)
    }

    /// How it stands with its ledger, if it has one.
    #[must_use]
    pub const fn lent(&self) -> Option<&Lent> {
        self.lent.as_ref()
    }

    /// The ledger said something else.
    pub(crate) const fn lend(&mut self, lent: Lent) {
        self.lent = Some(lent);
    }

    /// Whether nobody can say when its slots may be taken.
    pub(crate) fn is_away(&self, now: Moment) -> bool {
        self.lent.is_some_and(|lent| lent.away && now >= lent.until)
    }

    /// Calls per window of all replicas together.
    #[must_use]
    pub fn whole(&self) -> u32 {
        self.lent.map_or_else(|| self.slots.limit(), |lent| lent.all)
    }

    /// Slots that are here, or are to be.
    #[must_use]
    pub fn reach(&self) -> u32 {
        self.slots.limit().max(self.lent.map_or(0, |lent| lent.whole.target))
    }

    /// Slots that could be taken now.
    #[must_use]
    pub fn free(&self, now: Moment) -> u32 {
        if self.may_take(now) { self.slots.free() } else { 0 }
    }

    /// When the (k+1)-th slot from now is free for one who waits among these; `None` beyond those of
    /// which that is known.
    pub(crate) fn nth_free(&self, k: usize, wanted: Wanted, now: Moment) -> Option<Moment> {
        let Some(lent) = &self.lent else { return self.slots.nth_free(k, now) };
        let more = self.more(lent, wanted) as usize;
        let here = if self.may_take(now) { self.slots.free() as usize } else { 0 };
        if k < here {
            Some(now)
        } else if k < self.slots.free() as usize + more {
            Some(now + SOON)
        } else {
            self.slots.nth_free(k - more, now)
        }
    }

    /// Slots that are likely to be here in a moment for those who wait.
    pub(crate) fn coming(&self, wanted: Wanted, now: Moment) -> u32 {
        let Some(lent) = self.lent.filter(|_| !self.is_away(now)) else { return 0 };
        let here = if self.may_take(now) { 0 } else { self.slots.free() };
        here.saturating_add(self.more(&lent, wanted))
    }

    /// Slots that may come from the ledger: what is lacking to the target. If it gave all that was
    /// wanted, and more is wanted now, any other slot may come: it is about to be asked.
    fn more(&self, lent: &Lent, wanted: Wanted) -> u32 {
        let (part, wanted) = match wanted {
            Wanted::Any(waiting) => {
                (lent.whole, self.slots.in_use() + self.slots.resting() + waiting)
            }
            Wanted::Interactive(wanted) => (lent.interactive, wanted),
        };
        let is_news = part.target >= part.wanted && wanted > part.wanted;
        let most = if is_news { lent.all } else { lent.whole.target };
        most.saturating_sub(self.slots.limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::slots::{RestRule, Slots};

    fn at(millis: u64) -> Moment {
        Moment::from(Duration::from_millis(millis))
    }

    /// A pool that owns 10 of 100 slots until the moment 10 s; the ledger means it to have 12.
    fn lent() -> SlotPool {
        let rest = RestRule::of(Duration::from_secs(60), Duration::from_secs(60));
        let mut pool = SlotPool::new("pool", Slots::none(0, rest));
        pool.slots.adopt(0..10, at(0), at(1));
        pool.lend(Lent {
            until: at(10_000),
            all: 100,
            whole: Part { target: 12, wanted: 0 },
            interactive: Part { target: 12, wanted: 0 },
            away: false,
        });
        pool
    }

    #[test]
    fn what_the_ledger_owes_comes_soon_and_the_rest_when_it_rested() {
        let mut pool = lent();
        let _calls = pool.slots.take(10, 7, at(1)).unwrap();
        assert_eq!(pool.nth_free(1, Wanted::Interactive(0), at(2)), Some(at(2) + SOON));
        assert_eq!(
            pool.nth_free(2, Wanted::Interactive(0), at(2)),
            None,
            "the calls under way are not answered"
        );
        assert_eq!((pool.reach(), pool.whole()), (12, 100));
    }

    #[test]
    fn any_slot_may_come_until_the_ledger_refused_one() {
        let mut pool = lent();
        let mut tell = |target, wanted| {
            let part = Part { target, wanted };
            pool.lend(Lent { whole: part, ..*pool.lent().unwrap() });
            [wanted, wanted + 1].map(|wanted| pool.nth_free(99, Wanted::Any(wanted), at(2)))
        };
        let soon = Some(at(2) + SOON);
        assert_eq!(tell(12, 12), [None, soon], "it knows of the first");
        assert_eq!(tell(12, 90), [None, None], "it gave less than was wanted");
        let people = pool.nth_free(99, Wanted::Interactive(1), at(2));
        assert_eq!(people, soon, "they got all that they wanted");
    }

    #[test]
    fn after_the_lease_nothing_is_free_before_the_ledger_answered() {
        let mut pool = lent();
        assert_eq!((pool.free(at(9_999)), pool.free(at(10_000))), (10, 0));
        assert_eq!(pool.nth_free(0, Wanted::Any(1), at(10_000)), Some(at(10_000) + SOON));
        assert!(!pool.is_away(at(10_000)));
        pool.lend(Lent { away: true, ..*pool.lent().unwrap() });
        assert!(pool.is_away(at(10_000)) && !pool.is_away(at(9_999)));
    }
}
