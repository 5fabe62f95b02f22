//! What a decision stands on: the demand of the apps and their shares.

use super::super::app::InLane;
use super::super::estimate::whole;
use super::super::moment::Moment;
use super::super::pools::{PoolId, Pools, Price, SlotPool};
use super::super::queue::{FifoKey, Lane};
use super::super::scheduler_view::DemandSnapshot;
use super::super::shares::Claim;
use super::super::waiting_apps::Standing;
use super::Scheduler;

/// For this part of a window a refusal is a sign that slots are wanted here that are lent to others.
pub(super) const LACKED_PART: u32 = 4;

impl Scheduler {
    /// Measures demand and divides the slots.
    pub(super) fn snapshot(&mut self, pools: &Pools, now: Moment) -> DemandSnapshot {
        let slots = self.count_claims(pools, now);
        let unseen = self.forecast.unseen();
        self.shares = self.claims.divide((slots - unseen).max(0.0));
        DemandSnapshot {
            free: pools.get(self.main).map_or(0, |pool| pool.free(now)),
            wanted: self.claims.waiting(),
            shortfall: self.shares.shortfall + unseen,
            paced: self.paces.burst_ready(now).is_none(),
        }
    }

    /// Measures demand; returns the slots that interactive calls may share. Only claims are looked
    /// at that may have changed.
    fn count_claims(&mut self, pools: &Pools, now: Moment) -> f64 {
        self.measure_rooms(pools, now);
        let frame = self.view(pools, now).frame();
        if let Some(pool) = pools.get(self.main)
            && self.forecast.look(&mut self.apps, &self.listed, pool, &frame, now)
        {
            self.touch_all();
        }
        for at in 0..self.limited.len() {
            // Whether its limit lets a waiting call go is a matter of time.
            let app = self.limited[at];
            if self.apps[app as usize].lanes[0].waiting > 0 {
                self.touch(app);
            }
        }
        while let Some(app) = self.changed.pop() {
            self.count_claim(app, now);
        }
        frame.slots
    }

    /// How many calls of each price other pools would let start.
    fn measure_rooms(&mut self, pools: &Pools, now: Moment) {
        let mut changed = false;
        for (at, price) in self.prices.iter().enumerate() {
            let room = room_beside(pools, self.main, price, now);
            let before = std::mem::replace(&mut self.rooms[at], room);
            changed |= before != room && self.queue.by_price()[at] > 0;
        }
        if changed {
            self.touch_all();
        }
    }

    /// Counts what an app holds and wants now, in place of what it did.
    fn count_claim(&mut self, app: u32, now: Moment) {
        let books = &mut self.apps[app as usize];
        books.changed = false;
        let lane = &books.lanes[0];
        if books.listed && lane.waiting == 0 && lane.held == 0 && !books.told.missed.matters() {
            self.unlist(app);
        }
        let claim = self.apps[app as usize].listed.then(|| self.claim(app, now));
        let before = std::mem::replace(&mut self.apps[app as usize].claim, claim);
        if before != claim {
            before.inspect(|claim| self.claims.remove(claim));
            claim.inspect(|claim| self.claims.add(claim));
        }
        let standing = self.standing(app);
        let before = std::mem::replace(&mut self.apps[app as usize].standing, standing);
        if before != standing {
            before.inspect(|standing| self.waiting_apps.remove(*standing));
            standing.inspect(|standing| self.waiting_apps.add(*standing));
        }
    }

    /// What of an app waits in the interactive lane.
    pub(super) fn standing(&self, number: u32) -> Option<Standing> {
        let app = &self.apps[number as usize];
        let InLane { start, waiting, .. } = app.lanes[0];
        let slots = || self.wanted_slots(number);
        (waiting > 0).then(|| Standing { start, stretch: app.stretch(1), slots: slots() })
    }

    /// Slots of the own pool that its waiting interactive calls would take if only these were short.
    fn wanted_slots(&self, app: u32) -> u32 {
        let prices = (0..).zip(self.costs.iter().zip(&self.rooms));
        let slots = prices.map(|(price, (cost, room))| {
            let key = FifoKey { app, lane: Lane::Interactive, price };
            self.queue.fifo_len(key).min(*room) * cost
        });
        slots.sum()
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
        self.list(number);
        let slots = self.view(pools, now).frame().slots;
        let app = &mut self.apps[number as usize];
        app.told.lacked.note(f64::MAX, self.rest.window / LACKED_PART, now);
        let weight = f64::from(app.settings.weight.max(1));
        let others = self.claims.weights() - app.claim.map_or(0.0, |claim| claim.weight);
        let part = slots / (others + weight) * weight;
        if f64::from(app.lanes[0].held + app.lanes[0].waiting) < part {
            app.told.missed.note(part, self.rest.window, now);
        }
    }

    /// What an app holds and wants of the own pool in the interactive lane.
    pub(super) fn claim(&self, number: u32, now: Moment) -> Claim {
        let app = &self.apps[number as usize];
        let mut claim = Claim {
            weight: f64::from(app.settings.weight.max(1)),
            held: f64::from(app.lanes[0].held),
            expects: app.expects,
            ..Claim::default()
        };
        let held_up = app.pace.as_ref().is_some_and(|pace| pace.ready(now).is_some());
        if app.lanes[0].waiting == 0 || held_up {
            return claim;
        }
        claim.waiting = f64::from(self.wanted_slots(number));
        claim
    }

    /// Slots that an app could take at once if it wanted as many as there are.
    pub(crate) fn room(&mut self, pools: &Pools, app: u32, now: Moment) -> u32 {
        if self.app(app).is_none_or(|app| app.paused) {
            return 0;
        }
        if !self.apps[app as usize].listed {
            self.list(app);
        }
        let called = self.set_called(app, true);
        self.count_claims(pools, now);
        let unseen = self.forecast.unseen();
        self.set_called(app, called);
        // By way of trial it wants everything.
        let limit = pools.get(self.main).map_or(0, SlotPool::reach);
        let slots = f64::from(limit.saturating_sub(self.books.held(Lane::Bulk)));
        let counted = self.apps[app as usize].claim;
        let claim = counted.unwrap_or_else(|| self.claim(app, now));
        let trial = Claim { waiting: slots, ..claim };
        let shares = self.claims.divide_for((slots - unseen).max(0.0), counted.as_ref(), &trial);
        let short = shares.shortfall(&trial);
        let kept = shares.shortfall - short + unseen;
        let promises = &mut self.apps[app as usize].promises;
        promises.forget(self.rest.window, now);
        let owed = promises.others(now, self.rest.window, now);
        let free = pools.get(self.main).map_or(0, |pool| pool.free(now));
        // Below its target it may go on, though by less than a whole slot.
        let below = (short - 1e-9).ceil();
        let room = (f64::from(free) - kept).max(below) + 1e-9;
        whole(room.floor()).min(free.saturating_sub(owed))
    }
}

/// How many calls of a price the pools beside the connection's own would let start now.
fn room_beside(pools: &Pools, main: PoolId, price: &Price, now: Moment) -> u32 {
    let mut room = u32::MAX;
    for (id, cost) in price.parts().filter(|(id, _)| *id != main) {
        let calls = pools
            .get(id)
            .filter(|pool| pool.opens_at(now) <= now)
            .map_or(0, |pool| pool.free(now) / cost);
        room = room.min(calls);
    }
    room
}
