//! What changes of shape do: connections, pools and prices that come and go while calls run.
//!
//! Numbers are stable. A connection, pool or price keeps its number as long as anybody may know it;
//! the owner of the quota says when a number is vacant and gives it to another. So calls that wait,
//! calls that run and whoever knew the shape before stay where they are.

use std::collections::BTreeSet;

use super::Quota;
use super::ledgers::Ledgers;
use super::moment::Moment;
use super::pools::{PoolId, Pools, Price, SlotPool};
use super::scheduler::Scheduler;
use super::settings::{ConnectionSettings, PoolSettings};
use super::slots::RestRule;
use super::ticket::{ConnectionNo, PriceNo};

impl Quota {
    /// A quota without a connection.
    #[must_use]
    pub fn empty(now: Moment) -> Self {
        Self {
            pools: Pools::default(),
            lines: Vec::new(),
            waiting: BTreeSet::new(),
            owners: Vec::new(),
            ledgers: Ledgers::default(),
            first: 0,
            now,
        }
    }

    /// Adds a named pool, under the `vacant` number if there is one.
    ///
    /// # Panics
    /// Beyond 65,535 pools.
    pub fn add_pool(
        &mut self,
        settings: &PoolSettings,
        vacant: Option<PoolId>,
        now: Moment,
    ) -> PoolId {
        let pool = SlotPool::new(&settings.name, settings.slots(now));
        let id = match vacant {
            Some(id) => self.pools.replace(id, pool),
            None => self.pools.add(pool),
        };
        let at = usize::from(id.0);
        self.owners.resize(self.owners.len().max(at + 1), None);
        self.owners[at] = None;
        id
    }

    /// Adds a connection with a pool of its own, under the `vacant` numbers if there are some. It
    /// has no app, and every price is nothing until [`Quota::set_price`] says otherwise.
    ///
    /// # Panics
    /// Beyond 65,535 connections.
    pub fn add_connection(
        &mut self,
        settings: ConnectionSettings,
        vacant: Option<(ConnectionNo, PoolId)>,
        now: Moment,
    ) -> ConnectionNo {
        let own = self.add_pool(&settings.pool, vacant.map(|(_, pool)| pool), now);
        let at = vacant.map_or(self.lines.len(), |(number, _)| usize::from(number.0));
        let number = u16::try_from(at).expect("a quota has fewer than 65,536 connections");
        let number = ConnectionNo(number);
        let line = Scheduler::new(number, own, settings, Vec::new(), now);
        match self.lines.get_mut(at) {
            Some(place) => *place = line,
            None => self.lines.push(line),
        }
        self.owners[usize::from(own.0)] = Some(at);
        number
    }

    /// What calls of that number pay on a connection from now on; waiting ones, too. What it takes
    /// of the connection's own pool stays the same as long as a call of that number waits or runs.
    pub fn set_price(&mut self, connection: ConnectionNo, number: PriceNo, price: Price) {
        if let Some(line) = self.line_mut(connection) {
            line.set_price(usize::from(number.0), price);
        }
    }

    /// Apps that could be added to a connection now.
    #[must_use]
    pub fn spare_apps(&self, connection: ConnectionNo) -> usize {
        self.line(connection).map_or(0, Scheduler::spare_apps)
    }

    /// Another name for a pool.
    pub fn rename(&mut self, pool: PoolId, name: &str) {
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.name = name.into();
        }
    }

    /// Lets slots of a pool rest until these moments: calls that others paid, which count here from
    /// now on. More of them than its limit are like a limit that was lowered.
    pub fn carry(&mut self, pool: PoolId, until: &[Moment], now: Moment) {
        if self.is_lent(pool) {
            // The ledger knows of them.
            return;
        }
        let now = self.release_expired(now);
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.slots.carry(until, now);
        }
    }

    /// When the slots of a pool that are not free would be free again under the rule `rest`; those
    /// in use as if no answer came.
    #[must_use]
    pub fn rests(&self, pool: PoolId, rest: &RestRule) -> Vec<Moment> {
        self.pools.get(pool).map(|pool| pool.slots.rests_under(rest)).unwrap_or_default()
    }

    /// Whether nothing of a pool is in use and every rest is over.
    #[must_use]
    pub fn is_idle(&self, pool: PoolId, now: Moment) -> bool {
        self.pools.get(pool).is_none_or(|pool| pool.slots.is_idle(now))
    }
}

#[cfg(test)]
mod tests;
