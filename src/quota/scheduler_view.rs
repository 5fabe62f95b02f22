//! What the rules of a connection look at when they decide. Looking changes nothing.

use std::time::Duration;

use super::app::AppBooks;
use super::forecast::{Forecast, Frame};
use super::moment::Moment;
use super::paces::Paces;
use super::pools::{PoolId, Pools, Price, SlotPool};
use super::queue::{FifoKey, Queue};
use super::settings::ConnectionSettings;
use super::shares::Claim;
use super::slots::RestRule;

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
    /// Apps to look at, per lane.
    pub(crate) listed: &'a [Vec<u32>; 2],
    /// Who waits.
    pub(crate) queue: &'a Queue,
    /// What spreads calls in time.
    pub(crate) paces: &'a Paces,
    /// What is kept for calls to come.
    pub(crate) forecast: &'a Forecast,
    /// Of what a forecast is made.
    pub(crate) frame: Frame,
    /// Usual time to the first byte.
    pub(crate) answer: Duration,
    /// Claims of `listed[0]`, as of the last snapshot.
    pub(crate) claims: &'a [Claim],
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

    /// Whether an app's own limit lets a call go.
    pub(crate) fn app_may(&self, app: u32) -> bool {
        let pace = &self.apps[app as usize].pace;
        pace.as_ref().is_none_or(|pace| pace.ready(self.now).is_none())
    }
}
