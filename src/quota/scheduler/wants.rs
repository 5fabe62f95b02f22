//! What a connection's ledger is told of it.

use super::super::bulk::kept_for_interactive;
use super::super::moment::Moment;
use super::super::pools::{PoolId, Pools, Price};
use super::super::queue::{FifoKey, Lane};
use super::super::replica::{AppDemand, DemandClass};
use super::Scheduler;
use super::demand::LACKED_PART;

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
        let lately = self.rest.window / LACKED_PART;
        self.apps.iter_mut().for_each(|app| app.told.lacked.fade(lately, now));
        let mut wants = Vec::new();
        for (number, app) in (0..).zip(&self.apps) {
            for lane in Lane::ALL {
                let lacked = if lane == Lane::Bulk { 0.0 } else { app.told.lacked.calls() };
                let more = f64::from(self.waiting_slots(number, lane)) + lacked;
                let held = f64::from(app.lanes[lane.index()].held);
                if held + more > 0.0 {
                    wants.push((number, lane, held, more));
                }
            }
        }
        // Slots that came here while they rested are held by nobody. They came for those who wait.
        let taken = pools.get(self.main).map_or(0, |p| p.slots.in_use() + p.slots.resting());
        let strange = f64::from(taken) - wants.iter().map(|(.., held, _)| held).sum::<f64>();
        let wanting = |lane| wants.iter().filter(|w| w.1 == lane && w.3 > 0.0).count();
        let lane = if wanting(Lane::Interactive) > 0 { Lane::Interactive } else { Lane::Bulk };
        let each = strange.max(0.0) / f64::from(u32::try_from(wanting(lane).max(1)).unwrap_or(1));
        let demand = |(number, of, held, more): (u32, Lane, f64, f64)| {
            let class = match of {
                Lane::Interactive => DemandClass::Interactive,
                Lane::Bulk => DemandClass::Bulk,
            };
            let settings = &self.apps[number as usize].settings;
            let came = if of == lane && more > 0.0 { each } else { 0.0 };
            let wants = held + more + came;
            AppDemand(settings.name.to_string(), settings.weight.max(1), wants, class)
        };
        let kept = kept_for_interactive(&self.view(pools, now));
        let kept = AppDemand("+".to_owned(), 1, kept, DemandClass::Kept);
        let kept = [kept].into_iter().filter(|kept| kept.2 > 0.0);
        wants.into_iter().map(demand).chain(kept).collect()
    }

    /// Slots of the own pool in the interactive lane that are held or waited for.
    pub(crate) fn interactive_slots(&self) -> u32 {
        self.books.held(Lane::Interactive) + self.queue.lane_len(Lane::Interactive)
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
