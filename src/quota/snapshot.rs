//! What a decision stands on: the demand of the apps and their shares.

use super::moment::Moment;
use super::pools::{PoolId, Pools, Price};
use super::queue::{FifoKey, Lane};
use super::scheduler::Scheduler;
use super::shares::{Claim, divide};

/// The state of a connection's own pool and of the shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DemandSnapshot {
    /// Free slots of the own pool.
    pub(crate) free: u32,
    /// Slots that waiting interactive calls want now.
    pub(crate) wanted: f64,
    /// Slots that apps are short of their targets.
    pub(crate) shortfall: f64,
    /// The operator's pace lets a call go now.
    pub(crate) paced: bool,
}

impl Scheduler {
    /// Measures demand and divides the slots. `claims[i]` is of `listed[0][i]` afterwards.
    pub(crate) fn snapshot(&mut self, pools: &Pools, now: Moment) -> DemandSnapshot {
        for (room, price) in self.rooms.iter_mut().zip(&self.prices) {
            *room = room_beside(pools, self.main, price, now);
        }
        self.foresee(pools, now);
        self.claims.clear();
        let mut wanted = 0.0;
        let mut at = 0;
        while let Some(&app) = self.listed[0].get(at) {
            let books = &mut self.apps[app as usize];
            let missed = books.told.missed.matters();
            let lane = &mut books.lanes[0];
            if lane.waiting == 0 && lane.held == 0 && !missed {
                lane.listed = false;
                self.listed[0].swap_remove(at);
                continue;
            }
            let claim = self.claim(app, now);
            wanted += claim.waiting;
            self.claims.push(claim);
            at += 1;
        }
        let main = pools.get(self.main);
        let limit = main.map_or(0, |pool| pool.slots.limit());
        // What bulk holds comes back at its time; the shares are over the rest.
        let slots = limit.saturating_sub(self.held[Lane::Bulk.index()]);
        divide((f64::from(slots) - self.forecast.unseen).max(0.0), &mut self.claims);
        DemandSnapshot {
            free: main.map_or(0, |pool| pool.slots.free()),
            wanted,
            shortfall: self.claims.iter().map(Claim::shortfall).sum::<f64>() + self.forecast.unseen,
            paced: self.burst.as_mut().is_none_or(|b| b.ready(now).is_none()),
        }
    }

    /// What an app holds and wants of the own pool in the interactive lane.
    fn claim(&mut self, number: u32, now: Moment) -> Claim {
        let app = &mut self.apps[number as usize];
        let mut claim = Claim {
            weight: f64::from(app.settings.weight.max(1)),
            held: f64::from(app.lanes[0].held),
            expects: app.expects,
            ..Claim::default()
        };
        let held_up = app.pace.as_mut().is_some_and(|pace| pace.ready(now).is_some());
        if app.lanes[0].waiting == 0 || held_up {
            return claim;
        }
        for (price, (cost, room)) in (0..).zip(self.costs.iter().zip(&self.rooms)) {
            let key = FifoKey { app: number, lane: Lane::Interactive, price };
            claim.waiting += f64::from(self.queue.fifo_len(key).min(*room)) * f64::from(*cost);
        }
        claim
    }
}

/// How many calls of a price the pools beside the connection's own would let start now.
fn room_beside(pools: &Pools, main: PoolId, price: &Price, now: Moment) -> u32 {
    let mut room = u32::MAX;
    for (id, cost) in price.parts().filter(|(id, _)| *id != main) {
        let calls = pools
            .get(id)
            .filter(|pool| pool.opens_at(now) <= now)
            .map_or(0, |pool| pool.slots.free() / cost);
        room = room.min(calls);
    }
    room
}
