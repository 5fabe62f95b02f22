//! Keys of requests that other replicas may have had.

use super::{Entry, Made, MadeKey, UNCOUNTED};
use crate::clock::Instant;
use crate::idempotency::memory::Id;
use crate::ids::RandomId;

impl Made {
    /// The key of an earlier request that this one repeats, whose good answer never reached the
    /// client. The caller must release it.
    pub(in crate::idempotency) fn waiting(
        &mut self,
        print: Id,
        count: u32,
        now: Instant,
    ) -> Option<MadeKey> {
        self.forget(now);
        if count == UNCOUNTED {
            return self.again(print);
        }
        let at = self.fits(print, count, false)?;
        self.renewed(at, count, now)
    }

    /// The key that this request would have if no other replica knew better; `None` for a fresh one.
    pub(in crate::idempotency) fn candidate(
        &mut self,
        print: Id,
        count: u32,
        now: Instant,
    ) -> Option<RandomId> {
        self.forget(now);
        let at = if count == UNCOUNTED {
            self.doubted_first(print)
        } else {
            self.fits(print, count, false).or_else(|| self.fits(print, count, true))
        };
        self.known.get(&at?).map(|entry| entry.key)
    }

    fn doubted_first(&self, print: Id) -> Option<(Id, u64)> {
        let mut all = self.known.range((print, 0)..=(print, u64::MAX));
        all.find(|(_, entry)| entry.count == UNCOUNTED && entry.doubt).map(|(at, _)| *at)
    }

    /// A call begins under a key that all replicas know. The caller must release it.
    pub(in crate::idempotency) fn adopt(
        &mut self,
        (print, count): (Id, u32),
        key: RandomId,
        now: Instant,
    ) {
        let mut all = self.known.range_mut((print, 0)..=(print, u64::MAX));
        let Some((&at, entry)) = all.find(|(_, entry)| entry.key == key) else {
            let at = (print, self.number());
            self.known.insert(at, Entry::new(key, count, now));
            return;
        };
        if count == UNCOUNTED {
            entry.doubt = false;
            entry.calls += 1;
        } else {
            self.renewed(at, count, now);
        }
    }
}
