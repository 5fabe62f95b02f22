//! What operators change while calls run: limits, windows, modes, pauses.

use std::time::Duration;

use super::Quota;
use super::app::AppSettings;
use super::moment::Moment;
use super::pools::PoolId;
use super::scheduler::Scheduler;
use super::settings::{ConnectionSettings, Mode};
use super::ticket::{AppNo, ConnectionNo};

impl Quota {
    /// Changes the calls per window of a pool, from now on.
    ///
    /// Lowered: the next call starts when no more than the new number are in the window, itself
    /// included. Raised: new slots are made beside those in use or resting. Settings are to be
    /// checked before; 0 lets nothing start.
    pub fn set_limit(&mut self, pool: PoolId, calls: u32, now: Moment) {
        let now = self.release_expired(now);
        if self.is_lent(pool) {
            self.limit_loan(pool, calls, now);
        } else if let Some(pool) = self.pools.get_mut(pool) {
            pool.slots.set_limit(calls, now);
        }
        if let Some(line) = self.line_of(pool) {
            line.set_calls(calls, now);
        }
    }

    /// Changes the window and the hard limit of a pool, from now on.
    ///
    /// A longer window holds for the calls that are in flight, for those that rest, and for the
    /// last ones before them, whose slots rest again. The hard limit only grows while calls may be
    /// running under the old one: a shorter one counts from the next start of the process.
    pub fn set_window(
        &mut self,
        pool: PoolId,
        window: Duration,
        hard_limit: Duration,
        now: Moment,
    ) {
        let now = self.release_expired(now);
        let Some(slots) = self.pools.get_mut(pool).map(|pool| &mut pool.slots) else {
            return;
        };
        let longer = slots.set_window(window, hard_limit, now);
        let rest = *slots.rest();
        if let Some(line) = self.line_of(pool) {
            line.set_rest(rest, longer, now);
        }
    }

    /// The connection whose own pool this is.
    fn line_of(&mut self, pool: PoolId) -> Option<&mut Scheduler> {
        let at = (*self.owners.get(usize::from(pool.0))?)?;
        self.lines.get_mut(at)
    }

    /// Holds calls back from now on, or only watches. Waiting calls start when it only watches.
    ///
    /// From watching to holding back is like a lowered limit.
    pub fn set_mode(&mut self, connection: ConnectionNo, mode: Mode, now: Moment) {
        let Some(line) = self.line_mut(connection) else {
            return;
        };
        if line.set_mode(mode) == mode {
            return;
        }
        let (own, calls) = (line.own_pool(), line.settings().pool.calls);
        let paid = line.paid_pools();
        if mode == Mode::Enforce {
            self.set_limit(own, calls, now);
            for named in paid.into_iter().filter(|pool| *pool != own) {
                let limit = self.pools.get(named).map(super::SlotPool::whole);
                self.set_limit(named, limit.unwrap_or_default(), now);
            }
        }
    }

    /// Changes how long calls may wait, how many, the burst and the bulk floor. The pool's calls,
    /// window and hard limit stay as they are ([`Quota::set_limit`], [`Quota::set_window`]), so
    /// does the mode.
    pub fn configure(
        &mut self,
        connection: ConnectionNo,
        settings: &ConnectionSettings,
        now: Moment,
    ) {
        if let Some(line) = self.line_mut(connection) {
            line.configure(settings, now);
        }
    }

    /// Changes an app's lane, weight and limit; its calls that wait keep their lane.
    pub fn configure_app(
        &mut self,
        connection: ConnectionNo,
        app: AppNo,
        settings: AppSettings,
        now: Moment,
    ) {
        if let Some(line) = self.line_mut(connection) {
            line.configure_app(app, settings, now);
        }
    }

    /// Pauses an app or lets it go on. Its waiting calls are refused at the next poll; calls that
    /// were sent are not touched.
    pub fn pause(&mut self, connection: ConnectionNo, app: AppNo, paused: bool) {
        if let Some(line) = self.line_mut(connection) {
            line.pause(app, paused);
        }
    }

    /// Removes an app: paused for good, and its number given to another once it holds nothing.
    pub fn remove_app(&mut self, connection: ConnectionNo, app: AppNo) {
        if let Some(line) = self.line_mut(connection) {
            line.remove_app(app);
        }
    }
}
