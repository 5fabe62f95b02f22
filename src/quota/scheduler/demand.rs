//! What a decision stands on: the demand of the apps and their shares.

use super::super::forecast::weights;
use super::super::moment::Moment;
use super::super::pools::{PoolId, Pools, Price};
use super::super::queue::{FifoKey, Lane};
use super::super::scheduler_view::DemandSnapshot;
use super::super::shares::{Claim, divide};
use super::Scheduler;

impl Scheduler {
    /// Measures demand and divides the slots. `claims[i]` is of `listed[0][i]` afterwards.
    pub(super) fn snapshot(&mut self, pools: &Pools, now: Moment) -> DemandSnapshot {
        for (room, price) in self.rooms.iter_mut().zip(&self.prices) {
            *room = room_beside(pools, self.main, price, now);
        }
        let frame = self.view(pools, now).frame();
        if let Some(pool) = pools.get(self.main) {
            self.forecast.look(&mut self.apps, &self.listed[0], pool, &frame, now);
        }
        self.forget_bulk();
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
        let unseen = self.forecast.unseen();
        divide((frame.slots - unseen).max(0.0), &mut self.claims);
        DemandSnapshot {
            free: pools.get(self.main).map_or(0, |pool| pool.slots.free()),
            wanted,
            shortfall: self.claims.iter().map(Claim::shortfall).sum::<f64>() + unseen,
            paced: self.paces.burst_ready(now).is_none(),
        }
    }

    /// Takes apps off the list of the bulk lane of which no bulk call waits.
    fn forget_bulk(&mut self) {
        if self.queue.lane_len(Lane::Bulk) == 0 {
            return;
        }
        let apps = &mut self.apps;
        self.listed[1].retain(|app| {
            let lane = &mut apps[*app as usize].lanes[1];
            lane.listed = lane.waiting > 0;
            lane.listed
        });
    }

    /// Whether an app has called, from now on; returns what it was.
    pub(super) fn set_called(&mut self, number: u32, called: bool) -> bool {
        let before = std::mem::replace(&mut self.apps[number as usize].told.called, called);
        if before != called {
            self.forecast.expire();
        }
        before
    }

    /// A call came.
    pub(super) fn came(&mut self, key: FifoKey, now: Moment) {
        self.set_called(key.app, true);
        if key.lane == Lane::Interactive {
            let told = &mut self.apps[key.app as usize].told;
            told.moments.note(f64::MAX, self.rest.window, now);
        }
    }

    /// Notes a refusal for want of a slot of the own pool.
    pub(super) fn miss(&mut self, pools: &Pools, number: u32, now: Moment) {
        self.list(number, Lane::Interactive);
        let unit = self.view(pools, now).frame().slots / weights(&self.apps, &self.listed[0]).max(1.0);
        let app = &mut self.apps[number as usize];
        let part = unit * f64::from(app.settings.weight.max(1));
        if f64::from(app.lanes[0].held + app.lanes[0].waiting) < part {
            app.told.missed.note(part, self.rest.window, now);
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

    /// Slots that an app could take at once if it wanted as many as there are.
    pub(crate) fn room(&mut self, pools: &Pools, app: u32, now: Moment) -> u32 {
        if self.app(app).is_none_or(|app| app.paused) {
            return 0;
        }
        self.list(app, Lane::Interactive);
        let called = self.set_called(app, true);
        // By way of trial it wants everything.
        let lane = &mut self.apps[app as usize].lanes[0];
        let held = lane.held;
        lane.held += 1;
        self.snapshot(pools, now);
        self.apps[app as usize].lanes[0].held = held;
        let unseen = self.forecast.unseen();
        self.set_called(app, called);
        let Some(at) = self.listed[0].iter().position(|other| *other == app) else {
            return 0;
        };
        let limit = self.settings.pool.calls;
        let slots = f64::from(limit.saturating_sub(self.books.held(Lane::Bulk)));
        self.claims[at].held = f64::from(held);
        self.claims[at].waiting = slots;
        divide((slots - unseen).max(0.0), &mut self.claims);
        let others = self.claims.iter().enumerate().filter(|(other, _)| *other != at);
        let kept: f64 = others.map(|(_, claim)| claim.shortfall()).sum();
        let kept = kept + unseen;
        let promises = &mut self.apps[app as usize].promises;
        promises.forget(self.rest.window, now);
        let owed = promises.others(now, self.rest.window, now);
        let free = pools.get(self.main).map_or(0, |pool| pool.slots.free());
        // Below its target it may go on, though by less than a whole slot.
        let below = (self.claims[at].shortfall() - 1e-9).ceil();
        (0..=free.saturating_sub(owed))
            .rev()
            .find(|calls| f64::from(*calls) <= (f64::from(free) - kept).max(below) + 1e-9)
            .unwrap_or(0)
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
