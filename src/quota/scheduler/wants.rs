//! What a connection's ledger is told of it.

use super::super::app::AppBooks;
use super::super::bulk::kept_for_interactive;
use super::super::moment::Moment;
use super::super::pools::{PoolId, Pools, Price};
use super::super::queue::{FifoKey, Lane};
use super::super::replica::{AppDemand, DemandClass};
use super::Scheduler;
use super::demand::LACKED_FOR;

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

    /// What the apps want of the own pool in each lane: what they hold, what waits, and what was
    /// refused of late; and what interactive calls to come are likely to want.
    pub(crate) fn wants_of_apps(&mut self, pools: &Pools, now: Moment) -> Vec<AppDemand> {
        self.apps.iter_mut().for_each(|app| app.told.lacked.fade(LACKED_FOR, now));
        let demand = |number, lane: Lane| {
            let app: &AppBooks = &self.apps[number as usize];
            let in_lane = &app.lanes[lane.index()];
            let (lacked, class) = match lane {
                Lane::Interactive => (app.told.lacked.calls(), DemandClass::Interactive),
                Lane::Bulk => (0.0, DemandClass::Bulk),
            };
            let wants = f64::from(in_lane.held + self.waiting_slots(number, lane)) + lacked;
            AppDemand(app.settings.name.to_string(), app.settings.weight.max(1), wants, class)
        };
        let numbers = (0..).zip(&self.apps).map(|(number, _)| number);
        let each = numbers.flat_map(|number| Lane::ALL.map(|lane| demand(number, lane)));
        let kept = kept_for_interactive(&self.view(pools, now));
        let kept = AppDemand("+".to_owned(), 1, kept, DemandClass::Kept);
        each.chain([kept]).filter(|AppDemand(_, _, wants, _)| *wants > 0.0).collect()
    }

    /// Slots of the own pool that waiting calls of an app want.
    fn waiting_slots(&self, app: u32, lane: Lane) -> u32 {
        if self.apps[app as usize].lanes[lane.index()].waiting == 0 {
            return 0;
        }
        let lines = (0..self.costs.len()).map(|price| FifoKey::of(app, lane, price));
        lines.map(|key| self.queue.fifo_len(key) * self.costs[usize::from(key.price)]).sum()
    }
}
