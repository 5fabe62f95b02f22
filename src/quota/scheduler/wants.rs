//! What a connection's ledger is told of it.

use super::super::pools::{PoolId, Price};
use super::super::queue::{FifoKey, Lane};
use super::super::replica::AppDemand;
use super::Scheduler;

impl Scheduler {
    /// The prices of calls that wait.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = &Price> {
        let calls = self.queue.by_price().iter();
        self.prices.iter().zip(calls).filter(|(_, calls)| **calls > 0).map(|(price, _)| price)
    }

    /// Calls that wait.
    pub(crate) fn queued_calls(&self) -> usize {
        Lane::ALL.iter().map(|lane| self.queue.lane_len(*lane) as usize).sum()
    }

    /// Slots of a pool that waiting calls want.
    pub(crate) fn wanted_of(&self, pool: PoolId) -> u32 {
        let each = self.prices.iter().zip(self.queue.by_price());
        each.map(|(price, calls)| price.of(pool).saturating_mul(*calls)).sum()
    }

    /// What each app wants of the own pool: what it holds, what waits, and what was refused of late.
    pub(crate) fn wants_of_apps(&self) -> Vec<AppDemand> {
        let each = (0..).zip(&self.apps).map(|(number, app)| {
            let held: u32 = app.lanes.iter().map(|lane| lane.held).sum();
            let missed = app.told.missed.calls();
            let wants = f64::from(held + self.waiting_slots(number)) + missed;
            AppDemand(app.settings.name.to_string(), app.settings.weight.max(1), wants)
        });
        each.filter(|AppDemand(_, _, wants)| *wants > 0.0).collect()
    }

    /// Slots of the own pool that waiting calls of an app want.
    fn waiting_slots(&self, app: u32) -> u32 {
        if self.apps[app as usize].lanes.iter().all(|lane| lane.waiting == 0) {
            return 0;
        }
        let lines = Lane::ALL.iter().flat_map(|lane| {
            (0..self.costs.len()).map(move |price| FifoKey::of(app, *lane, price))
        });
        lines.map(|key| self.queue.fifo_len(key) * self.costs[usize::from(key.price)]).sum()
    }
}
