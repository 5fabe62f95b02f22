//! What a decision stands on: the demand of the apps, their shares, and what bulk leaves free.

use super::line::Line;
use super::moment::Moment;
use super::pools::{PoolId, Pools, Price};
use super::queue::{Lane, LineKey};
use super::shares::{Claim, divide};

/// A call that waited for this part of the window makes its app hungry …
const HUNGRY_AFTER: u32 = 60;
/// … for this part of the window.
pub(crate) const HUNGRY_FOR: u32 = 12;
/// Bulk is ready for so many deviations more interactive calls than usual: two let a call wait for
/// 7 s in the first window of one start in thirty, three for 5 s in none of two hundred.
const DEVIATIONS: f64 = 3.0;
/// A rate counted over less of a window than this part says little.
const LEAST_COUNTED: f64 = 0.25;

/// The state of a connection's own pool and of the shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// Free slots of the own pool.
    pub(crate) free: u32,
    /// Slots that waiting interactive calls want now.
    pub(crate) wanted: f64,
    /// Slots that apps are short of their targets.
    pub(crate) shortfall: f64,
    /// When the next slot is free; now if none is taken.
    pub(crate) next: Moment,
    /// Seconds until then.
    apart: f64,
    /// Slots that interactive calls of the last window hold.
    held: f64,
    /// The operator's pace lets a call go now.
    pub(crate) paced: bool,
}

impl Outlook {
    /// Free slots that bulk leaves to interactive calls until the next one comes back: for the mean
    /// and some deviations (of a Poisson process), less the one that may wait. Next to nothing while
    /// bulk keeps slots coming back one by one; from a cold start it would use up the first window's
    /// slots before any comes back.
    pub(crate) fn ready_for(&self, window: f64) -> f64 {
        let apart = self.apart.min(window);
        // The oldest slot was taken a window before the next is free: that long have calls counted.
        let mean = self.held * apart / (window - apart).max(window * LEAST_COUNTED);
        mean + DEVIATIONS * mean.sqrt() - 1.0
    }

    /// How near the next slot must be (in seconds) for `left` slots to be enough.
    pub(crate) fn apart_for(&self, left: f64, window: f64) -> f64 {
        let root = (DEVIATIONS * DEVIATIONS + 4.0 * (1.0 + left)).sqrt();
        let mean = ((root - DEVIATIONS) / 2.0).powi(2);
        let apart = mean * window / (self.held + mean);
        if window - apart >= window * LEAST_COUNTED {
            apart
        } else {
            mean * window * LEAST_COUNTED / self.held.max(1.0)
        }
    }
}

impl Line {
    /// Measures demand and divides the slots. `claims[i]` is of `listed[0][i]` afterwards.
    pub(crate) fn outlook(&mut self, pools: &Pools, now: Moment) -> Outlook {
        for (at, price) in self.prices.iter().enumerate() {
            let room = room_beside(pools, self.main, price, now);
            if (room == 0) != (self.rooms[at] == 0) {
                self.opened[at] = now;
            }
            self.rooms[at] = room;
        }
        self.claims.clear();
        let mut wanted = 0.0;
        let mut at = 0;
        while let Some(&app) = self.listed[0].get(at) {
            let lane = &mut self.apps[app as usize].lanes[0];
            if lane.waiting == 0 && lane.held == 0 {
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
        divide(f64::from(slots), &mut self.claims);
        let next = main.and_then(|pool| pool.slots.next_ripe()).unwrap_or(now);
        Outlook {
            next,
            apart: next.since(now).as_secs_f64(),
            held: f64::from(self.held[0]),
            free: main.map_or(0, |pool| pool.slots.free()),
            wanted,
            shortfall: self.claims.iter().map(Claim::shortfall).sum(),
            paced: self.burst.as_mut().is_none_or(|b| b.ready(now).is_none()),
        }
    }

    /// What an app holds and wants of the own pool in the interactive lane.
    fn claim(&mut self, number: u32, now: Moment) -> Claim {
        let app = &mut self.apps[number as usize];
        let mut claim = Claim {
            weight: f64::from(app.settings.weight.max(1)),
            held: f64::from(app.lanes[0].held),
            ..Claim::default()
        };
        if app.pace.as_mut().is_some_and(|pace| pace.ready(now).is_some()) {
            app.limited_at = now;
        } else if app.lanes[0].waiting > 0 {
            let old = now.before(self.rest.window / HUNGRY_AFTER);
            for price in 0..self.prices.len() {
                let cost = self.costs[price];
                let key = LineKey {
                    app: number,
                    lane: Lane::Interactive,
                    price: u16::try_from(price).unwrap_or(u16::MAX),
                };
                let len = self.queue.line_len(key).min(self.rooms[price]);
                if len == 0 || cost == 0 {
                    continue;
                }
                claim.waiting += f64::from(len) * f64::from(cost);
                // What another pool or its own limit held up makes nobody hungry.
                let free_since = self.opened[price].max(app.limited_at);
                let front = self.queue.front(key).map(|call| call.since.max(free_since));
                if front.is_some_and(|since| since <= old) {
                    app.hungry_until = now + self.rest.window / HUNGRY_FOR;
                    self.hungry_until = app.hungry_until;
                }
            }
        }
        claim.hungry = app.hungry_until > now;
        claim
    }
}

/// How many calls of a price the pools beside the connection's own would let start now.
fn room_beside(pools: &Pools, main: PoolId, price: &Price, now: Moment) -> u32 {
    let mut room = u32::MAX;
    for (id, cost) in price.parts().filter(|(id, _)| *id != main) {
        let calls = pools
            .get(id)
            .filter(|pool| pool.closed_until() <= now)
            .map_or(0, |pool| pool.slots.free() / cost);
        room = room.min(calls);
    }
    room
}
