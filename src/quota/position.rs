//! Where a call stands that can't start at once: who is before it, what it waits for, and how long
//! that should take. Computed only for such a call.
//!
//! **What "before it" means.** The calls that wait on its connection at that moment, want something
//! that it wants too, and come before it in the order of service: for an interactive call those
//! with an earlier start tag (or the same one, and longer there), for a bulk call all interactive
//! ones, too. A call that stands still for a narrow pool which this one doesn't pay is not before
//! it. It is a count at one moment, no promise: an app beyond its share lets others pass, the floor
//! lets a bulk call go earlier, and newcomers with an earlier tag go before. Calls of the
//! workspace's other connections, which may want the same named pool, are not counted.

use super::estimate::Estimate;
use super::queue::{FifoKey, Lane};
use super::queue_position::QueuePosition;
use super::scheduler_view::View;

/// Where a call stands that is the last of its line in the queue, by way of trial.
pub(crate) fn position(view: &View<'_>, key: FifoKey, estimate: &Estimate) -> QueuePosition {
    let mut position = QueuePosition {
        ahead: 0,
        own: 0,
        apps: 0,
        bound: estimate.bound,
        expected: estimate.at.since(view.now),
    };
    let mine = rivals(view, key, key.app, key.lane) - 1;
    let me = &view.apps[key.app as usize];
    let lane = key.lane.index();
    let tag = me.lanes[lane].start.saturating_add(me.stretch(1) * u64::from(mine));
    if let Some(standing) = me.standing.filter(|_| is_plain(view, key)) {
        let before = standing.before(tag, true);
        let (ahead, apps) = view.waiting_apps.before(tag, true);
        position.own = mine;
        position.ahead = ahead - before + mine;
        position.apps = apps - u32::from(before > 0) + u32::from(mine > 0);
        return position;
    }
    for app in before(view, key.lane, tag) {
        let other = &view.apps[app as usize];
        let mut before = match app == key.app {
            true => mine,
            false => {
                let lead = tag.checked_sub(other.lanes[lane].start);
                let sooner = lead.map_or(0, |lead| lead / other.stretch(1) + 1);
                let sooner = u32::try_from(sooner).unwrap_or(u32::MAX);
                rivals(view, key, app, key.lane).min(sooner)
            }
        };
        if key.lane == Lane::Bulk {
            before += rivals(view, key, app, Lane::Interactive);
        }
        position.ahead += before;
        position.apps += u32::from(before > 0);
        position.own += if app == key.app { before } else { 0 };
    }
    position
}

/// Whether a call's rivals are those who want a slot of the own pool, one each.
fn is_plain(view: &View<'_>, key: FifoKey) -> bool {
    let mut parts = view.prices[usize::from(key.price)].parts();
    key.lane == Lane::Interactive
        && parts.all(|(id, _)| id == view.main)
        && view.cost(key) == 1
        && view.costs.iter().all(|cost| *cost <= 1)
}

/// Apps that may have calls before one of `lane` with that tag; each once.
fn before<'a>(view: &View<'a>, lane: Lane, tag: u64) -> impl Iterator<Item = u32> + use<'a> {
    let apps = view.apps;
    let waits = |app: u32, lane: Lane| apps[app as usize].lanes[lane.index()].waiting > 0;
    // A bulk call is behind all interactive ones.
    let [interactive, bulk] = view.order;
    let (all, sooner) = match lane {
        Lane::Interactive => (None, interactive),
        Lane::Bulk => (Some(interactive), bulk),
    };
    let all = all.into_iter().flatten().map(|(.., app)| *app);
    let sooner = sooner.iter().take_while(move |(start, ..)| *start <= tag).map(|(.., app)| *app);
    all.chain(
        sooner.filter(move |app| lane == Lane::Interactive || !waits(*app, Lane::Interactive)),
    )
}

/// Waiting calls of an app in a lane that want something that a call of `key` wants.
fn rivals(view: &View<'_>, key: FifoKey, app: u32, lane: Lane) -> u32 {
    let price = &view.prices[usize::from(key.price)];
    let mut calls = 0;
    for (number, other) in (0..).zip(view.prices) {
        let wants = |own: bool| {
            let mut parts = other.parts().filter(|(id, _)| (*id == view.main) == own);
            parts.any(|(id, _)| price.of(id) > 0)
        };
        let most = match (wants(false), wants(true)) {
            (true, _) => u32::MAX,
            // Those held up by a pool of their own are not in its way.
            (false, true) => view.rooms[usize::from(number)],
            // A call that pays nothing waits for a pace, like others of its price.
            (false, false) if number == key.price => u32::MAX,
            (false, false) => 0,
        };
        calls += view.queue.fifo_len(FifoKey { app, lane, price: number }).min(most);
    }
    calls
}
