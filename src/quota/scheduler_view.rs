//! What the rules of a connection look at when they decide. Looking changes nothing.

use std::collections::BTreeSet;

use super::app::AppBooks;
use super::books::Books;
use super::forecast::{Forecast, Frame};
use super::moment::Moment;
use super::paces::Paces;
use super::pools::{PoolId, Pools, Price, SlotPool, Wanted};
use super::queue::{FifoKey, Lane, Queue};
use super::settings::ConnectionSettings;
use super::shares::Division;
use super::slots::RestRule;
use super::waiting_apps::WaitingApps;

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

/// One connection and the pools of its tenant at one moment, to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The pools.
    pub(crate) pools: &'a Pools,
    /// The connection's own pool.
    pub(crate) main: PoolId,
    /// What the operator set.
    pub(crate) settings: &'a ConnectionSettings,
    /// How long slots rest.
    pub(crate) rest: &'a RestRule,
    /// Prices by number, and what each takes of the own pool.
    pub(crate) prices: &'a [Price],
    /// See `prices`.
    pub(crate) costs: &'a [u32],
    /// The apps by number.
    pub(crate) apps: &'a [AppBooks],
    /// Apps of which calls wait, per lane: by their tag, then by the call that waits longest.
    pub(crate) order: &'a [BTreeSet<(u64, Moment, u32)>; 2],
    /// Apps that have a limit of their own.
    pub(crate) limited: &'a [u32],
    /// Who waits.
    pub(crate) queue: &'a Queue,
    /// What spreads calls in time.
    pub(crate) paces: &'a Paces,
    /// What is kept for calls to come.
    pub(crate) forecast: &'a Forecast,
    /// What the connection as a whole holds.
    pub(crate) books: &'a Books,
    /// When the connection began to see calls.
    pub(crate) began: Moment,
    /// Who waits in the interactive lane, as of the last snapshot.
    pub(crate) waiting_apps: &'a WaitingApps,
    /// How the slots are divided, as of the last snapshot.
    pub(crate) shares: &'a Division,
    /// Calls of each price that the other pools would let start, as of the last snapshot.
    pub(crate) rooms: &'a [u32],
    /// The moment.
    pub(crate) now: Moment,
}

impl<'a> View<'a> {
    /// What a call takes of the own pool.
    pub(crate) fn cost(&self, key: FifoKey) -> u32 {
        self.costs[usize::from(key.price)]
    }

    /// The connection's own pool.
    pub(crate) fn own_pool(&self) -> Option<&'a SlotPool> {
        self.pools.get(self.main)
    }

    /// Slots of the own pool that are here, or are to be.
    pub(crate) fn reach(&self) -> u32 {
        self.own_pool().map_or(0, SlotPool::reach)
    }

    /// Who waits for a pool, for a call of `lane`.
    pub(crate) fn wanted(&self, pool: PoolId, lane: Lane) -> Wanted {
        let waits = |lane| self.queue.lane_len(lane);
        match lane {
            Lane::Interactive if pool == self.main => {
                Wanted::Interactive(self.books.held(lane) + waits(lane))
            }
            _ => Wanted::Any(Lane::ALL.into_iter().map(waits).sum()),
        }
    }

    /// What a forecast is made of.
    pub(crate) fn frame(&self) -> Frame {
        let limit = self.reach();
        Frame {
            window: self.rest.window,
            began: self.began,
            calls: limit,
            // What bulk holds comes back at its time; the shares are over the others.
            slots: f64::from(limit.saturating_sub(self.books.held(Lane::Bulk))),
        }
    }

    /// Whether an app's own limit lets a call go.
    pub(crate) fn app_may(&self, app: u32) -> bool {
        let pace = &self.apps[app as usize].pace;
        pace.as_ref().is_none_or(|pace| pace.ready(self.now).is_none())
    }
}
