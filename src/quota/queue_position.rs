//! Where a call stands that can't start at once: who is before it, what it waits for, and how long
//! that should take. Computed only for such a call.
//!
//! **What "before it" means.** The calls that wait on its connection at that moment, want something
//! that it wants too, and come before it in the order of service: for an interactive call those with
//! an earlier start tag (or the same one, and longer there), for a bulk call all interactive ones,
//! too. A call that stands still for a narrow pool which this one doesn't pay is not before it. It is a
//! count at one moment, no promise: an app beyond its share lets others pass, the floor lets a bulk
//! call go earlier, and newcomers with an earlier tag go before. Calls of the workspace's other
//! connections, which may want the same named pool, are not counted.

use std::time::Duration;

use super::estimate::Estimate;
use super::moment::Moment;
use super::pools::PoolId;
use super::queue::{FifoKey, Lane};
use super::scheduler::Scheduler;

/// What keeps a call back: of all rules the one that keeps it longest, by the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// Every slot of the pool that is free in time is taken, or goes to a call before it.
    Slot(PoolId),
    /// Slots are free, or will be, but are kept: for apps below their share, or for interactive calls.
    Share,
    /// The bulk lane's pace, or the operator's `burst`.
    Pace,
    /// The vendor said 429; the pool is closed until its time.
    Vendor(PoolId),
    /// The app's own limit.
    AppLimit,
}

/// Where a call stood when it came and could not start at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// Calls before it; see the module text.
    pub ahead: u32,
    /// Those of them that are its own app's.
    pub own: u32,
    /// Apps that have calls before it, its own among them if it has.
    pub apps: u32,
    /// What it waits for.
    pub bound: LimitedBy,
    /// How long it should wait, by the estimate; for a refused call, how long it would have.
    pub expected: Duration,
}

impl LimitedBy {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slot(_) => "slot",
            Self::Share => "share",
            Self::Pace => "pace",
            Self::Vendor(_) => "vendor",
            Self::AppLimit => "app-limit",
        }
    }

    /// The pool, where it is one.
    #[must_use]
    pub const fn pool(self) -> Option<PoolId> {
        match self {
            Self::Slot(pool) | Self::Vendor(pool) => Some(pool),
            Self::Share | Self::Pace | Self::AppLimit => None,
        }
    }
}

impl Scheduler {
    /// Where a call stands that is the last of its line in the queue, by way of trial.
    pub(crate) fn standing(&self, key: FifoKey, estimate: &Estimate, now: Moment) -> QueuePosition {
        let mut standing = QueuePosition {
            ahead: 0,
            own: 0,
            apps: 0,
            bound: estimate.bound,
            expected: estimate.at.since(now),
        };
        let mine = self.rivals(key, key.app, key.lane) - 1;
        let me = &self.apps[key.app as usize];
        let lane = key.lane.index();
        let tag = me.lanes[lane].start.saturating_add(me.stretch(1) * u64::from(mine));
        for app in self.apps_listed(key.lane) {
            let other = &self.apps[app as usize];
            let mut before = match app == key.app {
                true => mine,
                false => {
                    let lead = tag.checked_sub(other.lanes[lane].start);
                    let sooner = lead.map_or(0, |lead| lead / other.stretch(1) + 1);
                    let sooner = u32::try_from(sooner).unwrap_or(u32::MAX);
                    self.rivals(key, app, key.lane).min(sooner)
                }
            };
            if key.lane == Lane::Bulk {
                before += self.rivals(key, app, Lane::Interactive);
            }
            standing.ahead += before;
            standing.apps += u32::from(before > 0);
            standing.own += if app == key.app { before } else { 0 };
        }
        standing
    }

    /// Apps that may have calls before one of `lane`; each once.
    fn apps_listed(&self, lane: Lane) -> impl Iterator<Item = u32> {
        let bulk = match lane {
            Lane::Interactive => &[][..],
            Lane::Bulk => &self.listed[1],
        };
        let interactive = &self.listed[0];
        let others = bulk.iter().filter(|app| !self.apps[**app as usize].lanes[0].listed);
        interactive.iter().chain(others).copied()
    }

    /// Waiting calls of an app in a lane that want something that a call of `key` wants.
    fn rivals(&self, key: FifoKey, app: u32, lane: Lane) -> u32 {
        let price = &self.prices[usize::from(key.price)];
        let mut calls = 0;
        for (number, other) in (0..).zip(&self.prices) {
            let wants = |own: bool| {
                let mut parts = other.parts().filter(|(id, _)| (*id == self.main) == own);
                parts.any(|(id, _)| price.of(id) > 0)
            };
            let most = match (wants(false), wants(true)) {
                (true, _) => u32::MAX,
                // Those held up by a pool of their own are not in its way.
                (false, true) => self.rooms[usize::from(number)],
                // A call that pays nothing waits for a pace, like others of its price.
                (false, false) if number == key.price => u32::MAX,
                (false, false) => 0,
            };
            calls += self.queue.fifo_len(FifoKey { app, lane, price: number }).min(most);
        }
        calls
    }
}
