//! When a call could start: from the rests of the slots, the calls before it, its app's share and
//! the paces.

use std::time::Duration;

use super::bulk::kept_from_bulk;
use super::moment::Moment;
use super::pools::PoolId;
use super::queue::{FifoKey, Lane};
use super::queue_position::LimitedBy;
use super::scheduler_view::DemandSnapshot;
use super::scheduler_view::View;

/// Rounding of targets, in slots.
const EPSILON: f64 = 1e-6;
/// Of so many slots that come back to others, an app beyond its share may count on one. With 1 it
/// would be right if nobody came any more, but at 1.3 times the load a tenth of the calls would be
/// accepted and expire; with none at all, more would be refused that could have started.
const LEFT_OVER: u32 = 6;
/// A ledger that doesn't answer is thought to be away for so much longer: who may wait longer does.
const AWAY_FOR: Duration = Duration::from_secs(10);

/// When a call could start, and the latest start that one rule of its own allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// The earliest start.
    pub(crate) at: Moment,
    /// The vendor lets its pools be used again.
    pub(crate) opens: Moment,
    /// The app's own limit lets it go.
    pub(crate) limited: Moment,
    /// A ledger that lends it slots does not answer.
    pub(crate) away: bool,
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

/// The earliest start of a call with `before` calls of its own line before it, and with `promised`
/// slots left to clients of its app that were told to come back.
pub(crate) fn estimate(
    view: &View<'_>,
    key: FifoKey,
    (before, promised): (u32, u32),
    snapshot: &DemandSnapshot,
) -> Estimate {
    let price = view.prices[usize::from(key.price)];
    let (mut opens, mut away) = (Moment::ZERO, false);
    // Whoever may go now and is not served waits for what is kept for others.
    let mut latest = Latest(view.now, LimitedBy::Share);
    for (id, cost) in price.parts() {
        let closed = view.pools.get(id).map_or(Moment::ZERO, |pool| match pool.opening(view.now) {
            Some(opening) => opening.estimate(ahead(view, key, before, id) / cost),
            None => pool.closed_until(),
        });
        opens = opens.max(closed);
        latest.or(closed, LimitedBy::Vendor(id));
        if view.pools.get(id).is_some_and(|pool| pool.is_away(view.now)) {
            away = true;
            latest.or(view.now + AWAY_FOR, LimitedBy::Ledger(id));
        }
        let (ripe, bound) = match (id == view.main, key.lane) {
            (true, Lane::Interactive) => by_shares(view, key, (before, promised), snapshot),
            (true, Lane::Bulk) => by_bulk_rules(view, key, snapshot),
            (false, _) => {
                let ahead = ahead(view, key, before, id);
                (ripe(view, (id, key.lane), ahead + cost - 1), LimitedBy::Slot(id))
            }
        };
        latest.or(ripe, bound);
    }
    let app = view.apps[key.app as usize].pace.as_ref();
    let limited = app.map_or(view.now, |pace| pace.estimate(before, view.now));
    let paced = match price.of(view.main) {
        0 => view.now,
        _ => view.paces.burst_ready(view.now).unwrap_or(view.now),
    };
    latest.or(limited, LimitedBy::AppLimit);
    latest.or(paced, LimitedBy::Pace);
    let Latest(at, bound) = latest;
    Estimate { at, opens, limited, away, bound }
}

/// When the own pool has slots for an interactive call: those of all, in the order of the tags,
/// and beyond its app's share those of the app itself.
fn by_shares(
    view: &View<'_>,
    key: FifoKey,
    (before, promised): (u32, u32),
    snapshot: &DemandSnapshot,
) -> (Moment, LimitedBy) {
    let cost = view.cost(key);
    let ahead = ahead(view, key, before, view.main) + promised;
    let at = ripe(view, (view.main, key.lane), ahead + cost - 1);
    let slot = (at, LimitedBy::Slot(view.main));
    let Some(claim) = view.apps[key.app as usize].claim else {
        return slot;
    };
    let mine = f64::from((before + 1) * cost);
    let target = view.shares.target(&claim);
    let over = claim.held + mine - target - EPSILON;
    let others = (snapshot.shortfall - view.shares.shortfall(&claim)).max(0.0);
    if over <= 0.0 || f64::from(snapshot.free) - others >= f64::from(ahead + cost) {
        return slot;
    }
    let rests = &view.apps[key.app as usize].rests;
    let own = rests.get((whole(over.ceil()) + promised).saturating_sub(1) as usize);
    let own = own.copied().unwrap_or_else(|| beyond(view, 0));
    // Or sooner, with slots of others that they don't want again.
    let mine = ((before + 1) * cost).saturating_mul(LEFT_OVER);
    let kept = whole(others.ceil()).saturating_add(mine - cost);
    let left_over = ripe(view, (view.main, key.lane), kept.max(ahead) + cost - 1);
    let mut by_share = own.min(left_over);
    let lacking = f64::from(ahead + cost) - (f64::from(snapshot.free) - others);
    if snapshot.free >= ahead + cost
        && let Some(at) = view.forecast.given_out(&view.frame(), lacking, view.now)
    {
        by_share = by_share.min(at);
    }
    // Below its target it gets the next slot, though the estimate counts in whole ones.
    let has_its_share = claim.held + f64::from(before * cost) >= target - EPSILON;
    let bound = if by_share > at && has_its_share { LimitedBy::Share } else { slot.1 };
    (at.max(by_share), bound)
}

/// When the own pool and the bulk rules have room for a bulk call.
fn by_bulk_rules(view: &View<'_>, key: FifoKey, snapshot: &DemandSnapshot) -> (Moment, LimitedBy) {
    let before = ahead(view, key, view.queue.fifo_len(key).saturating_sub(1), view.main);
    let first = before + view.cost(key) - 1;
    let wanted = whole(snapshot.wanted.ceil());
    let kept = kept_from_bulk(view, key.app);
    let paced = kept.and_then(|kept| {
        let paced = wanted.saturating_add(whole(kept.paced.ceil()));
        let at_once = snapshot.free.saturating_sub(paced);
        view.paces.estimate_bulk(before.checked_sub(at_once)?, view.now)
    });
    let paced = paced.unwrap_or(view.now);
    let leaves = kept.map_or(0, |kept| whole(kept.slots.ceil()));
    let beside = ripe(view, (view.main, key.lane), first + wanted + leaves);
    let slot = ripe(view, (view.main, key.lane), first);
    let by_pace = if paced > beside {
        (paced, LimitedBy::Pace)
    } else if beside > slot {
        (beside, LimitedBy::Share)
    } else {
        (beside, LimitedBy::Slot(view.main))
    };
    if view.settings.bulk_floor == 0 {
        return by_pace;
    }
    let due = view.paces.estimate_floor(before, view.now).max(slot);
    if due >= by_pace.0 {
        by_pace
    } else if due > slot {
        (due, LimitedBy::Pace)
    } else {
        (slot, LimitedBy::Slot(view.main))
    }
}

/// Slots of a pool that waiting calls would take before a call with `before` calls of its own
/// line before it: per app, its calls with an earlier start tag.
fn ahead(view: &View<'_>, key: FifoKey, before: u32, pool: PoolId) -> u32 {
    let lane = key.lane.index();
    let me = &view.apps[key.app as usize];
    let tag = me.lanes[lane].start.saturating_add(me.stretch(1) * u64::from(before));
    let mut slots = 0;
    if pool == view.main && key.lane == Lane::Interactive {
        let mine = me.standing.map_or(0, |mine| mine.before(tag, false));
        let own = me.standing.map_or(0, |mine| mine.slots.min(before));
        return view.waiting_apps.before(tag, false).0 - mine + own;
    }
    // Those with a later tag are behind it.
    let sooner = view.order[lane].iter().take_while(|(start, ..)| *start < tag);
    for (.., app) in sooner {
        let other = &view.apps[*app as usize];
        let lead = tag.saturating_sub(other.lanes[lane].start);
        let sooner = u32::try_from(lead.div_ceil(other.stretch(1))).unwrap_or(u32::MAX);
        let most = if *app == key.app { before } else { sooner };
        let mut calls = 0;
        for (price, room) in (0..).zip(view.rooms) {
            let line = FifoKey { app: *app, lane: key.lane, price };
            let cost = view.prices[usize::from(price)].of(pool);
            // Those held up by another pool are not before it.
            let here = if pool == view.main { *room } else { u32::MAX };
            calls += view.queue.fifo_len(line).min(here) * cost;
        }
        slots += calls.min(most);
    }
    slots
}

/// When the (k+1)-th slot of a pool is free.
fn ripe(view: &View<'_>, (id, lane): (PoolId, Lane), k: u32) -> Moment {
    let wanted = view.wanted(id, lane);
    let Some(pool) = view.pools.get(id) else {
        return Moment::NEVER;
    };
    pool.nth_free(k as usize, wanted, view.now).unwrap_or_else(|| {
        let known = pool.slots.free() + pool.slots.resting();
        let rounds = k.saturating_sub(known) / pool.reach().max(1);
        beyond(view, rounds)
    })
}

/// When a slot comes back whose call isn't answered yet.
fn beyond(view: &View<'_>, rounds: u32) -> Moment {
    view.rest.after_answer(view.now + view.books.usual_answer())
        + view.rest.window.saturating_mul(rounds)
}

/// A number of slots that is small and not negative, as one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be within the range"
)]
pub(crate) fn whole(slots: f64) -> u32 {
    if (0.0..f64::from(u32::MAX)).contains(&slots) { slots as u32 } else { 0 }
}
