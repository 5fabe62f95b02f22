//! Pools: the slots of several quotas, paid all together or not at all.
//!
//! A call pays a [`Price`]: some slots of the connection's own pool and, for a few operations, of
//! named pools of the workspace ("lists.put"). Nothing is taken from one pool while another is
//! short, so a call that waits for a narrow pool holds nothing of the wide one. A vendor 429 closes
//! a pool for a time; its slots go on resting meanwhile, and it opens again step by step
//! (`opening`).

mod due;
mod lent;

use std::time::Duration;

pub(crate) use due::DueTimes;
pub(crate) use lent::Wanted;
pub use lent::{Lent, Part};

use super::moment::Moment;
use super::opening::Opening;
use super::slots::{HeldSlots, NOBODY, Settlement, Slots};

/// Pools that one call can pay at most.
pub use crate::catalog::MOST_PAID as PRICE_POOLS;

/// A pool of one [`Pools`], by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolId(pub u16);

/// Slots per pool that one call of an operation takes; pools with cost 0 are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    parts: [Option<(PoolId, u32)>; PRICE_POOLS],
}

/// Why a price can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// More pools than [`PRICE_POOLS`].
    #[error("an operation pays at most {PRICE_POOLS} pools")]
    TooManyPools,
}

impl Price {
    /// The price of a call that costs nothing.
    pub const NOTHING: Self = Self { parts: [None; PRICE_POOLS] };

    /// A price of (pool, slots) parts: zero slots are dropped, a pool named twice pays the sum.
    ///
    /// # Errors
    /// More than [`PRICE_POOLS`] different pools.
    pub fn new(parts: &[(PoolId, u32)]) -> Result<Self, PriceError> {
        let mut price = Self::NOTHING;
        for &(pool, cost) in parts.iter().filter(|(_, cost)| *cost > 0) {
            let place = price
                .parts
                .iter_mut()
                .find(|part| part.is_none_or(|(p, _)| p == pool))
                .ok_or(PriceError::TooManyPools)?;
            *place = Some((pool, place.map_or(0, |(_, c)| c).saturating_add(cost)));
        }
        Ok(price)
    }

    /// Its parts: pool and slots.
    pub fn parts(&self) -> impl Iterator<Item = (PoolId, u32)> + use<> {
        self.parts.into_iter().flatten()
    }

    /// Slots of `pool`.
    #[must_use]
    pub fn of(&self, pool: PoolId) -> u32 {
        self.parts().find(|(p, _)| *p == pool).map_or(0, |(_, cost)| cost)
    }
}

/// The slots that one call holds, of all its pools.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Paid {
    parts: [Option<(PoolId, HeldSlots)>; PRICE_POOLS],
}

impl Paid {
    /// Its parts: pool and slots.
    pub fn parts(&self) -> impl Iterator<Item = (PoolId, &HeldSlots)> {
        self.parts.iter().flatten().map(|(pool, held)| (*pool, held))
    }
}

/// One quota: its slots, and whether the vendor closed it.
#[derive(Debug)]
pub struct SlotPool {
    /// Its slots.
    pub slots: Slots,
    /// The policy's name in the `RateLimit` fields.
    pub name: Box<str>,
    closed_until: Moment,
    /// Refusals in a row, without a good answer to a call that was taken after a pause.
    consecutive_429s: u32,
    opening: Option<Opening>,
    /// Its slots are lent by a ledger.
    lent: Option<Lent>,
}

impl SlotPool {
    /// An open pool.
    #[must_use]
    pub fn new(name: &str, slots: Slots) -> Self {
        Self {
            slots,
            name: name.into(),
            closed_until: Moment::ZERO,
            consecutive_429s: 0,
            opening: None,
            lent: None,
        }
    }

    /// When the vendor's last 429 lets go of it.
    #[must_use]
    pub const fn closed_until(&self) -> Moment {
        self.closed_until
    }

    /// How it opens after a pause, while that holds calls back or will.
    pub(crate) fn opening(&self, now: Moment) -> Option<&Opening> {
        let (limit, window) = (self.slots.limit(), self.slots.rest().window);
        self.opening.as_ref().filter(|opening| !opening.is_over(limit, window, now))
    }

    /// When the vendor's refusals next let a call start; in the past if they hold none back.
    #[must_use]
    pub fn opens_at(&self, now: Moment) -> Moment {
        self.opening(now).map_or(self.closed_until, |opening| opening.lets_at())
    }

    /// A call starts.
    fn starts(&mut self, now: Moment) {
        if let Some(opening) = &mut self.opening {
            opening.starts(now);
        }
    }

    /// A call that was taken at `taken` is over; `good` if it was answered and not refused.
    fn ends(&mut self, taken: Moment, good: bool, now: Moment) {
        if good && taken >= self.closed_until {
            self.consecutive_429s = 0;
        }
        if let Some(opening) = &mut self.opening {
            opening.ends(taken, good, now);
        }
        if self.opening(now).is_none() {
            self.opening = None;
        }
    }

    /// The rate of the pool in calls per second: the smaller, the narrower.
    fn rate(&self) -> f64 {
        f64::from(self.whole()) / self.slots.rest().window.as_secs_f64()
    }
}

/// The pools of one workspace. A [`PoolId`] that it did not give out pays nothing and holds
/// nothing.
#[derive(Debug, Default)]
pub struct Pools {
    list: Vec<SlotPool>,
    /// From when on each is to be looked at: not later than its next slot comes back.
    due: DueTimes,
}

impl Pools {
    /// Adds a pool; at most 65,535.
    ///
    /// # Panics
    /// Beyond that many.
    pub fn add(&mut self, pool: SlotPool) -> PoolId {
        let id = u16::try_from(self.list.len()).expect("a quota has fewer than 65,536 pools");
        self.list.push(pool);
        self.due.set(PoolId(id), Moment::ZERO);
        PoolId(id)
    }

    /// Puts a pool under the number of one that is no more.
    pub fn replace(&mut self, id: PoolId, pool: SlotPool) -> PoolId {
        if let Some(place) = self.get_mut(id) {
            *place = pool;
        }
        id
    }

    /// The pool.
    #[must_use]
    pub fn get(&self, id: PoolId) -> Option<&SlotPool> {
        self.list.get(usize::from(id.0))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (PoolId, &SlotPool)> {
        (0..).map(PoolId).zip(&self.list)
    }

    /// The pool, to be changed.
    pub fn get_mut(&mut self, id: PoolId) -> Option<&mut SlotPool> {
        let pool = self.list.get_mut(usize::from(id.0))?;
        // What it becomes is seen at the next look.
        self.due.set(id, Moment::ZERO);
        Some(pool)
    }

    /// Frees every slot whose rest is over; `freed` hears the pool and the owner of each.
    pub fn release_expired(&mut self, now: Moment, mut freed: impl FnMut(PoolId, u32)) {
        while let Some(id) = self.due.first(now) {
            let slots = &mut self.list[usize::from(id.0)].slots;
            while let Some(owner) = slots.release_expired(now) {
                if owner != NOBODY {
                    freed(id, owner);
                }
            }
            self.due.set(id, slots.next_end());
        }
    }

    /// Whether the price could be paid now.
    #[must_use]
    pub fn affords(&self, price: &Price, now: Moment) -> bool {
        price.parts().all(|(id, cost)| {
            self.get(id).is_some_and(|p| p.free(now) >= cost && p.opens_at(now) <= now)
        })
    }

    /// Takes what the price says of every pool, or nothing of any.
    pub fn pay(&mut self, price: &Price, owner: u32, now: Moment) -> Option<Paid> {
        if !self.affords(price, now) {
            return None;
        }
        let mut paid = Paid::default();
        for (part, (id, cost)) in paid.parts.iter_mut().zip(price.parts()) {
            let pool = self.get_mut(id)?;
            pool.starts(now);
            *part = pool.slots.take(cost, owner, now).map(|held| (id, held));
        }
        Some(paid)
    }

    /// Takes what the price says whether or not it is there: the mode that holds nothing back. Of
    /// slots that are lent it takes what is there.
    pub fn force(&mut self, price: &Price, owner: u32, now: Moment) -> Paid {
        let mut paid = Paid::default();
        for (part, (id, cost)) in paid.parts.iter_mut().zip(price.parts()) {
            let Some(pool) = self.get_mut(id) else { continue };
            pool.starts(now);
            let held = match pool.lent {
                None => pool.slots.force(cost, owner, now),
                Some(_) => pool.slots.take(cost.min(pool.free(now)), owner, now),
            };
            *part = held.map(|held| (id, held));
        }
        paid
    }

    /// Settles every slot of a call, which the vendor `refused` or not; `rested` hears each pool
    /// and when its slots are free again.
    pub fn settle(
        &mut self,
        paid: Paid,
        (how, refused): (Settlement, bool),
        now: Moment,
        mut rested: impl FnMut(PoolId, Moment),
    ) {
        let good = matches!(how, Settlement::FirstByteAt(_)) && !refused;
        for (id, held) in paid.parts.into_iter().flatten() {
            let Some(pool) = self.get_mut(id) else { continue };
            pool.ends(held.taken(), good, now);
            if let Some(until) = pool.slots.settle(held, how, now) {
                rested(id, until);
            }
        }
    }

    /// When the price can be paid if nobody else takes anything and nothing is settled; `None` if
    /// that needs an answer first.
    #[must_use]
    pub fn affordable_at(&self, price: &Price, now: Moment) -> Option<Moment> {
        let mut at = now;
        for (id, cost) in price.parts() {
            let pool = self.get(id).filter(|pool| pool.may_take(now))?;
            let ripe = pool.slots.nth_free(cost as usize - 1, now)?;
            at = at.max(ripe).max(pool.opens_at(now));
        }
        Some(at)
    }

    /// The next moment at which a slot of one of the price's pools comes free or opens.
    #[must_use]
    pub fn next_change(&self, price: &Price, now: Moment) -> Option<Moment> {
        price
            .parts()
            .filter_map(|(id, _)| self.get(id))
            .flat_map(|pool| {
                let opens = Some(pool.opens_at(now)).filter(|opens| *opens > now);
                [pool.slots.next_release(), opens]
            })
            .flatten()
            .min()
    }

    /// The pool of the price that allows the lowest rate.
    #[must_use]
    pub fn narrowest(&self, price: &Price) -> Option<PoolId> {
        price
            .parts()
            .filter_map(|(id, _)| Some((id, self.get(id)?.rate())))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(id, _)| id)
    }

    /// Closes a pool after a vendor 429 to a call that was taken at `taken`, for `asked` or, if the
    /// vendor gave no readable time, for 1 s, doubling up to the window. Returns until when.
    ///
    /// The 429s of calls that were under way together count as one; after a good answer to a call
    /// that was taken later, or a window without any 429, the doubling starts again. What opens
    /// then opens step by step.
    pub fn close(
        &mut self,
        id: PoolId,
        asked: Option<Duration>,
        taken: Moment,
        now: Moment,
    ) -> Option<Moment> {
        let pool = self.get_mut(id)?;
        let window = pool.slots.rest().window;
        let calm = now.since(pool.closed_until) > window;
        if calm || pool.consecutive_429s == 0 {
            pool.consecutive_429s = 1;
        } else if taken >= pool.closed_until {
            pool.consecutive_429s = pool.consecutive_429s.saturating_add(1);
        }
        let doubling = Duration::from_secs(1)
            .saturating_mul(1_u32.checked_shl(pool.consecutive_429s - 1).unwrap_or(u32::MAX));
        let length = asked.unwrap_or(doubling.min(window));
        let until = pool.closed_until.max(now + length);
        pool.opening = Some(match pool.opening(now) {
            None => Opening::first(until),
            Some(opening) if opening.owns(taken) => opening.again(until),
            Some(opening) => opening.later(until),
        });
        pool.closed_until = until;
        Some(until)
    }
}

#[cfg(test)]
impl Pools {
    /// No slot comes back before its pool is to be looked at.
    pub(crate) fn assert_due(&self) {
        for (id, pool) in self.iter() {
            assert!(self.due.of(id) <= pool.slots.next_end(), "{id:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::slots::RestRule;

    #[test]
    fn a_pool_is_looked_at_only_when_a_slot_of_it_comes_back() {
        let second = |seconds| Moment::from(Duration::from_secs(seconds));
        let rest = RestRule::of(Duration::from_secs(60), Duration::from_secs(60));
        let mut pools = Pools::default();
        let all: Vec<PoolId> =
            (0..1000).map(|_| pools.add(SlotPool::new("pool", Slots::fresh(1, rest)))).collect();
        let look = |pools: &mut Pools, at| {
            let mut freed = Vec::new();
            pools.release_expired(at, |pool, _| freed.push(pool));
            freed
        };
        assert_eq!(look(&mut pools, second(1)), []);
        let paid = pools.pay(&Price::new(&[(all[700], 1)]).unwrap(), 7, second(1)).unwrap();
        let mut back = Moment::NEVER;
        pools.settle(paid, (Settlement::FirstByteAt(second(2)), false), second(2), |_, at| {
            back = at;
        });
        assert_eq!(look(&mut pools, second(2)), []);
        assert_eq!(pools.due.first(second(50)), None);
        assert_eq!(pools.due.first(back), Some(all[700]));
        assert_eq!(look(&mut pools, back), [all[700]]);
        assert_eq!(pools.due.first(Moment::NEVER.before(Duration::from_nanos(1))), None);
    }
}
