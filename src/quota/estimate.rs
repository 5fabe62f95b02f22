//! When a call could start: from the rests of the slots, the calls before it, its app's share and the
//! paces.

use super::moment::Moment;
use super::pools::{PoolId, Pools};
use super::queue::{FifoKey, Lane};
use super::queue_position::LimitedBy;
use super::scheduler::Scheduler;
use super::snapshot::DemandSnapshot;

/// Rounding of targets, in slots.
const EPSILON: f64 = 1e-6;
/// Of so many slots that come back to others, an app beyond its share may count on one. With 1 it
/// would be right if nobody came any more, but at 1.3 times the load a tenth of the calls would be
/// accepted and expire; with none at all, more would be refused that could have started.
const LEFT_OVER: u32 = 6;

/// When a call could start, and the latest start that one rule of its own allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// The earliest start.
    pub(crate) at: Moment,
    /// The vendor lets its pools be used again.
    pub(crate) opens: Moment,
    /// The app's own limit lets it go.
    pub(crate) limited: Moment,
    /// The rule that keeps it longest.
    pub(crate) bound: LimitedBy,
}

/// The latest of several moments, and the rule that it is from.
struct Latest(Moment, LimitedBy);

impl Latest {
    fn or(&mut self, at: Moment, bound: LimitedBy) {
        if at > self.0 {
            *self = Self(at, bound);
        }
    }
}

impl Scheduler {
    /// The earliest start of a call with `before` calls of its own line before it, and with `promised`
    /// slots left to clients of its app that were told to come back.
    pub(crate) fn estimate(
        &mut self,
        pools: &Pools,
        key: FifoKey,
        (before, promised): (u32, u32),
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> Estimate {
        let price = self.prices[usize::from(key.price)];
        let mut opens = Moment::ZERO;
        // Whoever may go now and is not served waits for what is kept for others.
        let mut latest = Latest(now, LimitedBy::Share);
        for (id, cost) in price.parts() {
            let closed = pools.get(id).map_or(Moment::ZERO, |pool| match pool.opening(now) {
                Some(opening) => opening.estimate(self.ahead(key, before, id) / cost),
                None => pool.closed_until(),
            });
            opens = opens.max(closed);
            latest.or(closed, LimitedBy::Vendor(id));
            let (ripe, bound) = match (id == self.main, key.lane) {
                (true, Lane::Interactive) => {
                    self.by_shares(pools, key, (before, promised), snapshot, now)
                }
                (true, Lane::Bulk) => self.by_bulk_rules(pools, key, snapshot, now),
                (false, _) => {
                    let ahead = self.ahead(key, before, id);
                    (self.ripe(pools, id, ahead + cost - 1, now), LimitedBy::Slot(id))
                }
            };
            latest.or(ripe, bound);
        }
        let app = self.apps[key.app as usize].pace.as_mut();
        let limited = app.map_or(now, |pace| pace.estimate(before, now));
        let paced = match (&mut self.burst, price.of(self.main)) {
            (None, _) | (_, 0) => now,
            (Some(burst), _) => burst.ready(now).unwrap_or(now),
        };
        latest.or(limited, LimitedBy::AppLimit);
        latest.or(paced, LimitedBy::Pace);
        let Latest(at, bound) = latest;
        Estimate { at, opens, limited, bound }
    }

    /// When the own pool has slots for an interactive call: those of all, in the order of the tags,
    /// and beyond its app's share those of the app itself.
    fn by_shares(
        &self,
        pools: &Pools,
        key: FifoKey,
        (before, promised): (u32, u32),
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> (Moment, LimitedBy) {
        let cost = self.cost(key);
        let ahead = self.ahead(key, before, self.main) + promised;
        let at = self.ripe(pools, self.main, ahead + cost - 1, now);
        let slot = (at, LimitedBy::Slot(self.main));
        let place = self.listed[0].iter().position(|app| *app == key.app);
        let Some(claim) = place.and_then(|place| self.claims.get(place)) else {
            return slot;
        };
        let mine = f64::from((before + 1) * cost);
        let over = claim.held + mine - claim.target - EPSILON;
        let others = (snapshot.shortfall - claim.shortfall()).max(0.0);
        if over <= 0.0 || f64::from(snapshot.free) - others >= f64::from(ahead + cost) {
            return slot;
        }
        let rests = &self.apps[key.app as usize].rests;
        let own = rests.get((whole(over.ceil()) + promised).saturating_sub(1) as usize);
        let own = own.copied().unwrap_or_else(|| self.beyond(now, 0));
        // Or sooner, with slots of others that they don't want again.
        let mine = ((before + 1) * cost).saturating_mul(LEFT_OVER);
        let kept = whole(others.ceil()).saturating_add(mine - cost);
        let left_over = self.ripe(pools, self.main, kept.max(ahead) + cost - 1, now);
        let mut by_share = own.min(left_over);
        let lacking = f64::from(ahead + cost) - (f64::from(snapshot.free) - others);
        if snapshot.free >= ahead + cost
            && let Some(at) = self.given_out(lacking, now)
        {
            by_share = by_share.min(at);
        }
        // Below its target it gets the next slot, though the estimate counts in whole ones.
        let has_its_share = claim.held + f64::from(before * cost) >= claim.target - EPSILON;
        let bound = if by_share > at && has_its_share { LimitedBy::Share } else { slot.1 };
        (at.max(by_share), bound)
    }

    /// When the own pool and the bulk rules have room for a bulk call.
    fn by_bulk_rules(
        &mut self,
        pools: &Pools,
        key: FifoKey,
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> (Moment, LimitedBy) {
        let before = self.ahead(key, self.queue.fifo_len(key).saturating_sub(1), self.main);
        let first = before + self.cost(key) - 1;
        let wanted = whole(snapshot.wanted.ceil());
        let kept = self.kept_from_bulk(pools, key.app);
        let paced = match (&mut self.bulk, kept) {
            (Some(pace), Some(kept)) => {
                let paced = wanted.saturating_add(whole(kept.paced.ceil()));
                let at_once = snapshot.free.saturating_sub(paced);
                match before.checked_sub(at_once) {
                    Some(before) => pace.estimate(before, now),
                    None => now,
                }
            }
            _ => now,
        };
        let leaves = kept.map_or(0, |kept| whole(kept.slots.ceil()));
        let beside = self.ripe(pools, self.main, first + wanted + leaves, now);
        let slot = self.ripe(pools, self.main, first, now);
        let by_pace = if paced > beside {
            (paced, LimitedBy::Pace)
        } else if beside > slot {
            (beside, LimitedBy::Share)
        } else {
            (beside, LimitedBy::Slot(self.main))
        };
        if self.settings.bulk_floor == 0 {
            return by_pace;
        }
        let due = self.floor.estimate(before, now).max(slot);
        if due >= by_pace.0 {
            by_pace
        } else if due > slot {
            (due, LimitedBy::Pace)
        } else {
            (slot, LimitedBy::Slot(self.main))
        }
    }

    /// Slots of a pool that waiting calls would take before a call with `before` calls of its own
    /// line before it: per app, its calls with an earlier start tag.
    fn ahead(&self, key: FifoKey, before: u32, pool: PoolId) -> u32 {
        let lane = key.lane.index();
        let me = &self.apps[key.app as usize];
        let tag = me.lanes[lane].start.saturating_add(me.stretch(1) * u64::from(before));
        let mut slots = 0;
        for app in &self.listed[lane] {
            let other = &self.apps[*app as usize];
            if other.lanes[lane].waiting == 0 {
                continue;
            }
            let lead = tag.saturating_sub(other.lanes[lane].start);
            let sooner = u32::try_from(lead.div_ceil(other.stretch(1))).unwrap_or(u32::MAX);
            let most = if *app == key.app { before } else { sooner };
            let mut calls = 0;
            for (price, room) in (0..).zip(&self.rooms) {
                let line = FifoKey { app: *app, lane: key.lane, price };
                let cost = self.prices[usize::from(price)].of(pool);
                // Those held up by another pool are not before it.
                let here = if pool == self.main { *room } else { u32::MAX };
                calls += self.queue.fifo_len(line).min(here) * cost;
            }
            slots += calls.min(most);
        }
        slots
    }

    /// When the (k+1)-th slot of a pool is free.
    fn ripe(&self, pools: &Pools, id: PoolId, k: u32, now: Moment) -> Moment {
        let Some(pool) = pools.get(id) else {
            return Moment::NEVER;
        };
        pool.slots.nth_free(k as usize, now).unwrap_or_else(|| {
            let known = pool.slots.free() + pool.slots.resting();
            let rounds = k.saturating_sub(known) / pool.slots.limit().max(1);
            self.beyond(now, rounds)
        })
    }

    /// When a slot comes back whose call isn't answered yet.
    fn beyond(&self, now: Moment, rounds: u32) -> Moment {
        self.rest.after_answer(now + self.answer) + self.rest.window.saturating_mul(rounds)
    }
}

/// A number of slots that is small and not negative, as one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be within the range"
)]
fn whole(slots: f64) -> u32 {
    if (0.0..f64::from(u32::MAX)).contains(&slots) { slots as u32 } else { 0 }
}
