//! Who is next on a connection.
//!
//! 1. A bulk call whose floor is due goes first.
//! 2. Then interactive calls: of those that can be paid and whose app is allowed another slot, the
//!    one with the earliest start tag (start-time fair queueing). An app below its target is allowed;
//!    one at its target only if the others' shortfalls leave a slot over.
//! 3. Then bulk calls, as `bulk` allows.
//!
//! A call that can't be paid for want of a named pool is passed over and claims nothing of the
//! connection's own pool. Cost: linear in the apps that hold or want something, whatever the number of
//! waiting calls.

use std::time::Duration;

use super::moment::Moment;
use super::pools::Pools;
use super::queue::{FifoKey, Lane};
use super::scheduler::Scheduler;
use super::settings::Mode;
use super::snapshot::DemandSnapshot;

/// Slots are whole numbers; shares are not.
const EPSILON: f64 = 1e-9;

impl Scheduler {
    /// The call that starts next, if one can start now. The own pool and the named ones have been
    /// ripened.
    pub(crate) fn choose(&mut self, pools: &Pools, now: Moment) -> Option<FifoKey> {
        if self.queue.is_empty() {
            return None;
        }
        if self.settings.mode == Mode::Shadow {
            return Lane::ALL.iter().find_map(|lane| self.first_of(*lane));
        }
        let snapshot = self.snapshot(pools, now);
        self.choose_by(pools, &snapshot, now)
    }

    /// The call that starts next by the rules.
    pub(crate) fn choose_by(
        &mut self,
        pools: &Pools,
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> Option<FifoKey> {
        if self.queue.lane_len(Lane::Bulk) > 0
            && self.floor.ready(now).is_none()
            && let Some(key) = self.next_bulk(pools, snapshot, true, now)
        {
            return Some(key);
        }
        if let Some(key) = self.next_interactive(pools, snapshot, now) {
            return Some(key);
        }
        self.next_bulk(pools, snapshot, false, now)
    }

    /// Whether the price can be paid and the operator's pace allows it.
    fn payable(&self, pools: &Pools, price: usize, snapshot: &DemandSnapshot, now: Moment) -> bool {
        (snapshot.paced || self.costs[price] == 0) && pools.affords(&self.prices[price], now)
    }

    /// Whether an app may have `cost` slots more by the shares; `at` is its place in the list.
    pub(crate) fn allowed(&self, at: usize, cost: u32, snapshot: &DemandSnapshot) -> bool {
        let claim = &self.claims[at];
        let others = snapshot.shortfall - claim.shortfall();
        cost == 0
            || claim.held < claim.target - EPSILON
            || f64::from(snapshot.free) - others >= f64::from(cost) - EPSILON
    }

    fn next_interactive(
        &mut self,
        pools: &Pools,
        snapshot: &DemandSnapshot,
        now: Moment,
    ) -> Option<FifoKey> {
        let mut best: Option<(u64, Moment, FifoKey)> = None;
        for price in 0..self.prices.len() {
            if !self.payable(pools, price, snapshot, now) {
                continue;
            }
            for at in 0..self.listed[0].len() {
                let app = self.listed[0][at];
                let key = key(app, Lane::Interactive, price);
                if self.queue.fifo_len(key) > 0
                    && self.allowed(at, self.costs[price], snapshot)
                    && self.app_may(app, now)
                {
                    best = self.earlier(best, key);
                }
            }
        }
        best.map(|(.., key)| key)
    }

    /// The next bulk call; `due` by the floor, or as the bulk lane's own rules allow.
    fn next_bulk(
        &mut self,
        pools: &Pools,
        snapshot: &DemandSnapshot,
        due: bool,
        now: Moment,
    ) -> Option<FifoKey> {
        if self.queue.lane_len(Lane::Bulk) == 0 {
            return None;
        }
        let apps = &mut self.apps;
        self.listed[1].retain(|app| {
            let lane = &mut apps[*app as usize].lanes[1];
            lane.listed = lane.waiting > 0;
            lane.listed
        });
        let mut best: Option<(u64, Moment, FifoKey)> = None;
        for price in 0..self.prices.len() {
            if !self.payable(pools, price, snapshot, now) {
                continue;
            }
            for at in 0..self.listed[1].len() {
                let app = self.listed[1][at];
                let key = key(app, Lane::Bulk, price);
                if self.queue.fifo_len(key) > 0
                    && self.app_may(app, now)
                    && (due || self.bulk_may(pools, (app, self.costs[price]), snapshot, now))
                {
                    best = self.earlier(best, key);
                }
            }
        }
        best.map(|(.., key)| key)
    }

    pub(crate) fn app_may(&mut self, app: u32, now: Moment) -> bool {
        let pace = &mut self.apps[app as usize].pace;
        pace.as_mut().is_none_or(|pace| pace.ready(now).is_none())
    }

    /// The earlier start tag of two; with equal ones, whoever waits longer.
    fn earlier(
        &self,
        best: Option<(u64, Moment, FifoKey)>,
        key: FifoKey,
    ) -> Option<(u64, Moment, FifoKey)> {
        let since = self.queue.front(key)?.since;
        let tag = self.apps[key.app as usize].lanes[key.lane.index()].start;
        match best {
            Some(best) if (best.0, best.1) <= (tag, since) => Some(best),
            _ => Some((tag, since, key)),
        }
    }

    /// Any waiting call of a lane.
    fn first_of(&self, lane: Lane) -> Option<FifoKey> {
        let apps = self.listed[lane.index()].iter();
        apps.flat_map(|app| (0..self.prices.len()).map(|price| key(*app, lane, price)))
            .find(|key| self.queue.fifo_len(*key) > 0)
    }

    /// When to look again, after [`Scheduler::choose`] said nobody can start now.
    pub(crate) fn next_wake(&mut self, pools: &Pools, now: Moment) -> Option<Moment> {
        let mut wake = self.queue.first_deadline()?.max(now) + Duration::from_nanos(1);
        let mut sooner = |at: Option<Moment>| {
            if let Some(at) = at.filter(|at| *at > now) {
                wake = wake.min(at);
            }
        };
        let mut payable = false;
        for price in 0..self.prices.len() {
            let waits = |lane: Lane| {
                let apps = self.listed[lane.index()].iter();
                apps.into_iter().any(|app| self.queue.fifo_len(key(*app, lane, price)) > 0)
            };
            if waits(Lane::Interactive) || waits(Lane::Bulk) {
                let price = &self.prices[price];
                let affords = pools.affords(price, now);
                let known = pools.affordable_at(price, now).filter(|_| !affords);
                sooner(known.or_else(|| pools.next_change(price, now)));
                payable |= affords;
            }
        }
        if payable {
            // Something else than slots holds them back: a pace, or what is kept for calls to come.
            sooner(self.burst.as_mut().and_then(|pace| pace.ready(now)));
            let look = Some(self.next_look());
            if self.queue.lane_len(Lane::Bulk) > 0 {
                sooner(self.bulk.as_mut().and_then(|pace| pace.ready(now)));
                sooner(self.floor.ready(now));
                sooner(Some(self.next_look()));
            }
            for at in 0..self.listed.iter().map(Vec::len).sum() {
                let first = self.listed[0].len();
                let app = *(self.listed[0].get(at)).unwrap_or_else(|| &self.listed[1][at - first]);
                let app = &mut self.apps[app as usize];
                if app.lanes.iter().any(|lane| lane.waiting > 0) {
                    let paced = app.pace.as_mut().and_then(|pace| pace.ready(now));
                    sooner(paced.or(look));
                }
            }
        }
        Some(wake)
    }
}

fn key(app: u32, lane: Lane, price: usize) -> FifoKey {
    FifoKey { app, lane, price: u16::try_from(price).unwrap_or(u16::MAX) }
}
