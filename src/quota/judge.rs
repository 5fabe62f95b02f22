//! Whether a call starts without a closer look, and whether the queue is full.

use super::pools::{PoolId, Price, SlotPool};
use super::queue::{FifoKey, Lane};
use super::scheduler_view::View;

/// The usual case, without a look at the shares: nobody waits, and more slots are free than are
/// kept and than all headroom together could keep.
#[inline]
pub(crate) fn starts_easily(view: &View<'_>, key: FifoKey) -> bool {
    let price = usize::from(key.price);
    if !view.queue.is_empty()
        || key.lane == Lane::Bulk
        || !view.apps[key.app as usize].promises.is_empty()
        || !view.pools.affords(&view.prices[price], view.now)
    {
        return false;
    }
    let Some(kept) = view.forecast.kept(view.now) else { return false };
    let kept = kept + f64::from(view.reach() / 20);
    let cost = view.costs[price];
    let free = view.own_pool().map_or(0, |pool| pool.free(view.now));
    let paced = cost == 0 || view.paces.burst_ready(view.now).is_none();
    paced && (cost == 0 || f64::from(free) >= f64::from(cost) + kept) && view.app_may(key.app)
}

/// Whether the queue (with this call in it by way of trial) is longer than it may be.
///
/// Calls for a named pool may not fill the places of all: as many may wait as one window of that
/// pool drains, and the depth counts the others.
pub(crate) fn is_full(view: &View<'_>, key: FifoKey) -> bool {
    let app = &view.apps[key.app as usize];
    // Those that only wait for the ledger's word are no queue.
    let coming = |id| {
        let wanted = view.wanted(id, key.lane);
        view.pools.get(id).map_or(0, |pool| pool.coming(wanted, view.now))
    };
    let own = coming(view.main);
    if app.lanes.iter().map(|l| l.waiting).sum::<u32>()
        > view.settings.app_depth.saturating_add(own)
    {
        return true;
    }
    let waiting = |counts: &dyn Fn(&Price) -> u32| -> u32 {
        let each = view.prices.iter().zip(view.queue.by_price());
        each.map(|(price, calls)| counts(price).saturating_mul(*calls)).sum()
    };
    let is_named = |(id, _): &(PoolId, u32)| *id != view.main;
    let price = &view.prices[usize::from(key.price)];
    let mut named = price.parts().filter(is_named).peekable();
    if named.peek().is_none() {
        let plain = |price: &Price| u32::from(!price.parts().any(|part| is_named(&part)));
        return waiting(&plain) > view.settings.depth.saturating_add(own);
    }
    named.any(|(id, _)| {
        let limit = view.pools.get(id).map_or(0, SlotPool::whole);
        waiting(&|price: &Price| price.of(id)) > limit.saturating_add(coming(id))
    })
}
