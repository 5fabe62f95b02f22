//! What the bulk lane may take: everything that is idle, but for what interactive calls are likely
//! to need soon.
//!
//! Where interactive calls are to be expected, bulk leaves them the slots that they are likely to
//! want before others come back. When what is free comes near that, it starts its calls one by one,
//! so that the slots come back one by one. Where no interactive calls are expected, it takes what
//! is there.
//!
//! **Expected** are as many interactive calls as the last window saw. Calls that an app makes all
//! at once and before its own bulk calls say nothing of what it will do next: of its own calls
//! those count that came at several moments. While the line is new, apps that have not called yet
//! are expected, too.

use super::forecast::need;
use super::queue::Lane;
use super::scheduler_view::DemandSnapshot;
use super::scheduler_view::View;

/// Slots that bulk leaves free for the next interactive calls; fewer in a small pool.
const LEAVES: u32 = 2;
/// More interactive calls than usual by so many deviations: two let a call wait for 7 s in the
/// first window of one start in thirty, three for 5 s in none of two hundred.
const DEVIATIONS: f64 = 3.0;
/// Bulk calls are paced while no more is free than so many times what is kept: with twice as much,
/// one cold start in ten lets an interactive call wait for over 5 s.
const NEAR: f64 = 3.0;
/// An app that called at fewer moments in the last window only made some calls at once.
const MOMENTS: f64 = 2.5;

/// Slots that bulk calls of an app leave free for interactive calls to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BulkReserve {
    /// So many always.
    pub(crate) slots: f64,
    /// While no more than so many are free, bulk calls start one by one.
    pub(crate) paced: f64,
}

/// What bulk calls of an app leave free for interactive calls to come; `None` if none are to be
/// expected.
pub(crate) fn kept_from_bulk(view: &View<'_>, number: u32) -> Option<BulkReserve> {
    let app = &view.apps[number as usize];
    let own = match app.told.moments.calls() < MOMENTS {
        true => f64::from(app.lanes[0].held) + app.told.missed.calls(),
        false => 0.0,
    };
    let calls = (view.forecast.interactive() - own).max(0.0);
    let others =
        view.forecast.apps().saturating_sub(u32::from(app.settings.lane == Lane::Interactive));
    if calls < 0.5 && others == 0 {
        return None;
    }
    let slots = slots_for(view, calls);
    // What apps want that have not called yet is not known: then all are paced.
    let all = f64::from(view.reach());
    let paced = if others == 0 { NEAR * slots } else { all };
    Some(BulkReserve { slots, paced })
}

/// Free slots that so many interactive calls a window are likely to want before others come back.
fn slots_for(view: &View<'_>, calls: f64) -> f64 {
    let back = |ahead| view.forecast.back_within(view.own_pool(), view.rest.window, ahead);
    // The one beyond the deviations may wait.
    let kept = need(calls, DEVIATIONS, back) - 1.0;
    kept.max(f64::from(bulk_leaves(view)))
}

/// Slots that bulk calls of other replicas leave to this one, for interactive calls that are to be
/// expected here.
pub(crate) fn kept_for_interactive(view: &View<'_>) -> f64 {
    let calls = view.forecast.interactive();
    if calls < 0.5 { 0.0 } else { slots_for(view, calls) }
}

/// Slots that bulk leaves free at the least where interactive calls are to be expected.
fn bulk_leaves(view: &View<'_>) -> u32 {
    LEAVES.min(view.reach() / 10)
}

/// Whether the bulk lane's own rules let a call of an app go that costs so much.
pub(crate) fn bulk_may(
    view: &View<'_>,
    (app, cost): (u32, u32),
    snapshot: &DemandSnapshot,
) -> bool {
    let left = f64::from(snapshot.free) - f64::from(cost) - snapshot.wanted;
    match kept_from_bulk(view, app) {
        _ if cost == 0 => true,
        None => left >= 0.0,
        Some(kept) if left >= kept.paced => true,
        Some(kept) => left >= kept.slots && view.paces.bulk_ready(view.now).is_none(),
    }
}
