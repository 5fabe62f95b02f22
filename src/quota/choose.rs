//! Who is next on a connection.
//!
//! 1. A bulk call whose floor is due goes first.
//! 2. Then interactive calls: of those that can be paid and whose app is allowed another slot, the
//!    one with the earliest start tag (start-time fair queueing). An app below its target is
//!    allowed; one at its target only if the others' shortfalls leave a slot over.
//! 3. Then bulk calls, as `bulk` allows.
//!
//! A call that can't be paid for want of a named pool is passed over and claims nothing of the
//! connection's own pool. Apps are looked at in the order of their tags, so that the first that may
//! go is the one: the cost is that of those before it that may not.

use std::time::Duration;

use super::bulk::bulk_may;
use super::moment::Moment;
use super::queue::{FifoKey, Lane};
use super::scheduler_view::DemandSnapshot;
use super::scheduler_view::View;

/// Slots are whole numbers; shares are not.
const EPSILON: f64 = 1e-9;

/// Any waiting call: the one that starts next where nothing is held back.
pub(crate) fn choose_any(view: &View<'_>) -> Option<FifoKey> {
    Lane::ALL.iter().find_map(|lane| first_of(view, *lane))
}

/// The call that starts next by the rules.
pub(crate) fn choose(view: &View<'_>, snapshot: &DemandSnapshot) -> Option<FifoKey> {
    if view.queue.lane_len(Lane::Bulk) > 0
        && view.paces.floor_ready(view.now).is_none()
        && let Some(key) = next_bulk(view, snapshot, true)
    {
        return Some(key);
    }
    if let Some(key) = next_interactive(view, snapshot) {
        return Some(key);
    }
    next_bulk(view, snapshot, false)
}

/// Whether the price can be paid and the operator's pace allows it.
fn payable(view: &View<'_>, price: usize, snapshot: &DemandSnapshot) -> bool {
    (snapshot.paced || view.costs[price] == 0) && view.pools.affords(&view.prices[price], view.now)
}

/// Whether an app may have `cost` slots more by the shares.
pub(crate) fn allowed(view: &View<'_>, app: u32, cost: u32, snapshot: &DemandSnapshot) -> bool {
    let Some(claim) = &view.apps[app as usize].claim else { return cost == 0 };
    let others = snapshot.shortfall - view.shares.shortfall(claim);
    cost == 0
        || claim.held < view.shares.target(claim) - EPSILON
        || f64::from(snapshot.free) - others >= f64::from(cost) - EPSILON
}

fn next_interactive(view: &View<'_>, snapshot: &DemandSnapshot) -> Option<FifoKey> {
    next_of(view, Lane::Interactive, snapshot, |app, cost| allowed(view, app, cost, snapshot))
}

/// The next bulk call; `due` by the floor, or as the bulk lane's own rules allow.
fn next_bulk(view: &View<'_>, snapshot: &DemandSnapshot, due: bool) -> Option<FifoKey> {
    let may = |app, cost| due || bulk_may(view, (app, cost), snapshot);
    next_of(view, Lane::Bulk, snapshot, may)
}

/// The next call of a lane of those that can be paid and that `may` go, by their app and cost.
fn next_of(
    view: &View<'_>,
    lane: Lane,
    snapshot: &DemandSnapshot,
    may: impl Fn(u32, u32) -> bool,
) -> Option<FifoKey> {
    if view.queue.lane_len(lane) == 0 {
        return None;
    }
    let mut best: Option<(u64, Moment, FifoKey)> = None;
    for (price, calls) in view.queue.by_price().iter().enumerate() {
        if *calls == 0 || !payable(view, price, snapshot) {
            continue;
        }
        for (tag, since, app) in &view.order[lane.index()] {
            if best.is_some_and(|best| (best.0, best.1) <= (*tag, *since)) {
                break;
            }
            let key = FifoKey::of(*app, lane, price);
            if view.queue.fifo_len(key) > 0 && may(*app, view.costs[price]) && view.app_may(*app) {
                best = earlier(view, best, key);
            }
        }
    }
    best.map(|(.., key)| key)
}

/// The earlier start tag of two; with equal ones, whoever waits longer.
fn earlier(
    view: &View<'_>,
    best: Option<(u64, Moment, FifoKey)>,
    key: FifoKey,
) -> Option<(u64, Moment, FifoKey)> {
    let since = view.queue.front(key)?.since;
    let tag = view.apps[key.app as usize].lanes[key.lane.index()].start;
    match best {
        Some(best) if (best.0, best.1) <= (tag, since) => Some(best),
        _ => Some((tag, since, key)),
    }
}

/// Any waiting call of a lane.
fn first_of(view: &View<'_>, lane: Lane) -> Option<FifoKey> {
    let apps = view.order[lane.index()].iter();
    apps.flat_map(|(.., app)| (0..view.prices.len()).map(|price| FifoKey::of(*app, lane, price)))
        .find(|key| view.queue.fifo_len(*key) > 0)
}

/// When to look again, after [`choose`] said nobody can start now.
pub(crate) fn next_wake(view: &View<'_>) -> Option<Moment> {
    let mut wake = view.queue.first_deadline()?.max(view.now) + Duration::from_nanos(1);
    let mut sooner = |at: Option<Moment>| {
        if let Some(at) = at.filter(|at| *at > view.now) {
            wake = wake.min(at);
        }
    };
    let mut payable = false;
    for (price, calls) in view.prices.iter().zip(view.queue.by_price()) {
        if *calls > 0 {
            let affords = view.pools.affords(price, view.now);
            let known = view.pools.affordable_at(price, view.now).filter(|_| !affords);
            sooner(known.or_else(|| view.pools.next_change(price, view.now)));
            payable |= affords;
        }
    }
    if payable {
        // Something else than slots holds them back: a pace, or what is kept for calls to come.
        sooner(view.paces.burst_ready(view.now));
        if view.queue.lane_len(Lane::Bulk) > 0 {
            sooner(view.paces.bulk_ready(view.now));
            sooner(view.paces.floor_ready(view.now));
            sooner(Some(view.forecast.next_look()));
        }
        let mut others: usize = view.order.iter().map(|apps| apps.len()).sum();
        for app in view.limited {
            let app = &view.apps[*app as usize];
            let lanes = app.lanes.iter().filter(|lane| lane.waiting > 0).count();
            let ready = app.pace.as_ref().and_then(|pace| pace.ready(view.now));
            if let Some(at) = ready.filter(|_| lanes > 0) {
                others -= lanes;
                sooner(Some(at));
            }
        }
        sooner(Some(view.forecast.next_look()).filter(|_| others > 0));
    }
    Some(wake)
}
