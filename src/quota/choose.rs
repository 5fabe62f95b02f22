//! Who is next on a connection.
//!
//! 1. A bulk call whose floor is due goes first.
//! 2. Then interactive calls: of those that can be paid and whose app is allowed another slot, the
//!    one with the earliest start tag (start-time fair queueing). An app below its target is
//!    allowed; one at its target only if the others' shortfalls leave a slot over.
//! 3. Then bulk calls, as `bulk` allows.
//!
//! A call that can't be paid for want of a named pool is passed over and claims nothing of the
//! connection's own pool. Cost: linear in the apps that hold or want something, whatever the number
//! of waiting calls.

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

/// Whether an app may have `cost` slots more by the shares; `at` is its place in the list.
pub(crate) fn allowed(view: &View<'_>, at: usize, cost: u32, snapshot: &DemandSnapshot) -> bool {
    let claim = &view.claims[at];
    let others = snapshot.shortfall - claim.shortfall();
    cost == 0
        || claim.held < claim.target - EPSILON
        || f64::from(snapshot.free) - others >= f64::from(cost) - EPSILON
}

fn next_interactive(view: &View<'_>, snapshot: &DemandSnapshot) -> Option<FifoKey> {
    let mut best: Option<(u64, Moment, FifoKey)> = None;
    for price in 0..view.prices.len() {
        if !payable(view, price, snapshot) {
            continue;
        }
        for at in 0..view.listed[0].len() {
            let app = view.listed[0][at];
            let key = FifoKey::of(app, Lane::Interactive, price);
            if view.queue.fifo_len(key) > 0
                && allowed(view, at, view.costs[price], snapshot)
                && view.app_may(app)
            {
                best = earlier(view, best, key);
            }
        }
    }
    best.map(|(.., key)| key)
}

/// The next bulk call; `due` by the floor, or as the bulk lane's own rules allow.
fn next_bulk(view: &View<'_>, snapshot: &DemandSnapshot, due: bool) -> Option<FifoKey> {
    if view.queue.lane_len(Lane::Bulk) == 0 {
        return None;
    }
    let mut best: Option<(u64, Moment, FifoKey)> = None;
    for price in 0..view.prices.len() {
        if !payable(view, price, snapshot) {
            continue;
        }
        for at in 0..view.listed[1].len() {
            let app = view.listed[1][at];
            let key = FifoKey::of(app, Lane::Bulk, price);
            if view.queue.fifo_len(key) > 0
                && view.app_may(app)
                && (due || bulk_may(view, (app, view.costs[price]), snapshot))
            {
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
    let apps = view.listed[lane.index()].iter();
    apps.flat_map(|app| (0..view.prices.len()).map(|price| FifoKey::of(*app, lane, price)))
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
    for price in 0..view.prices.len() {
        let waits = |lane: Lane| {
            let apps = view.listed[lane.index()].iter();
            apps.into_iter().any(|app| view.queue.fifo_len(FifoKey::of(*app, lane, price)) > 0)
        };
        if waits(Lane::Interactive) || waits(Lane::Bulk) {
            let price = &view.prices[price];
            let affords = view.pools.affords(price, view.now);
            let known = view.pools.affordable_at(price, view.now).filter(|_| !affords);
            sooner(known.or_else(|| view.pools.next_change(price, view.now)));
            payable |= affords;
        }
    }
    if payable {
        // Something else than slots holds them back: a pace, or what is kept for calls to come.
        sooner(view.paces.burst_ready(view.now));
        let look = Some(view.forecast.next_look());
        if view.queue.lane_len(Lane::Bulk) > 0 {
            sooner(view.paces.bulk_ready(view.now));
            sooner(view.paces.floor_ready(view.now));
            sooner(Some(view.forecast.next_look()));
        }
        for at in 0..view.listed.iter().map(Vec::len).sum() {
            let first = view.listed[0].len();
            let app = *(view.listed[0].get(at)).unwrap_or_else(|| &view.listed[1][at - first]);
            let app = &view.apps[app as usize];
            if app.lanes.iter().any(|lane| lane.waiting > 0) {
                let paced = app.pace.as_ref().and_then(|pace| pace.ready(view.now));
                sooner(paced.or(look));
            }
        }
    }
    Some(wake)
}
