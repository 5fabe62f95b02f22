//! The quota: every connection under its N calls in any W, all of it used, shared fairly.
//!
//! **Purpose.** A vendor counts the calls of a connection in some window of length W, whose phase
//! and kind nobody outside knows, at some instant between our send and its answer. A [`Quota`]
//! decides when each call may be sent so that no such window ever holds more than N of them, and
//! lets calls wait for their turn when that pays.
//!
//! **Invariant.** A quota of N calls is N [`slots`]; a slot rests W and a guard after the first
//! byte of its call's final answer. Two calls of one slot are then counted at least W apart,
//! wherever in between the vendor counts, so that N slots put at most N calls into any window. This
//! holds if all traffic of the connection passes here, no call is counted after its hard limit, and
//! the clocks drift apart less than the guard allows.
//!
//! **Composition.** One [`Quota`] holds the connections that may share named pools ("lists.put"):
//! those of a workspace share them, and a call pays all its [`pools`] or none. Which connections,
//! pools and prices there are can change while calls run and wait. Per connection there is a queue
//! ([`queue`]), weighted shares ([`shares`]) and paces ([`rate_limit`], on governor).
//!
//! **How to drive it.** All of it is plain data: time is an argument, nothing sleeps, locks or
//! spawns. Its owner keeps it in a mutex and
//! 1. calls [`Quota::enter`] for each call, and [`Quota::ask`] before it reads a body;
//! 2. calls [`Quota::poll`] until it has nothing to say, after every `enter`, `settle`, `leave`,
//!    change of settings, and at the moment that [`Quota::next_wake`] then gives;
//! 3. asks the ledgers of pools whose slots are lent, when [`Quota::next_sync`] says so;
//! 4. settles every [`Grant`], whatever became of the call, and gives back the [`QueuePlace`] of a
//!    caller that left.
//!
//! **Left out.** The state file's writing and locking (its format is [`state_file`]), the bytes
//! held by waiting bodies, waking the tasks, metrics. Of slots that several
//! replicas share ([`replica`]), the ledger itself and the way to it.

mod app;
mod arrival;
mod books;
mod bulk;
mod choose;
mod count;
mod estimate;
mod exhausted;
pub mod feedback;
mod forecast;
mod judge;
mod ledgers;
mod moment;
mod opening;
mod paces;
pub mod pools;
mod position;
mod problems;
mod promises;
pub mod queue;
mod queue_position;
pub mod rate_limit;
pub mod replica;
mod rest;
mod scheduler;
mod scheduler_view;
pub mod settings;
mod shape;
pub mod shares;
pub mod slots;

pub mod state_file;
mod steer;
#[cfg(test)]
mod tests;
mod ticket;
mod view;
mod waiting_apps;

use std::collections::BTreeSet;
use std::time::Duration;

pub use app::AppSettings;
pub use ledgers::{LoanState, LoanView};
pub use moment::Moment;
pub use pools::{PoolId, Price, SlotPool};
pub use queue::Lane;
pub use queue_position::{LimitedBy, QueuePosition};
pub use settings::{ConnectionSettings, Mode, Past, PoolSettings, PriceSettings, static_share};
pub use slots::{Settlement, SlotState};
pub use ticket::{
    AdmissionRequest, AdmissionVerdict, AppNo, ConnectionNo, Grant, Headroom, PriceNo, QueueEvent,
    QueuePlace, QuotaRefusal, QuotaRule, QuotaUsage, Would,
};
pub use view::{AdmissionPreview, AppGauge, Gauge};

use arrival::ArrivalVerdict;
use choose::next_wake;
use ledgers::Ledgers;
use pools::Pools;
use problems::problems;
use scheduler::Scheduler;

/// The quotas of one workspace. See the module text.
#[derive(Debug)]
pub struct Quota {
    pools: Pools,
    lines: Vec<Scheduler>,
    /// The connections of which calls wait.
    waiting: BTreeSet<usize>,
    /// Which connection of each pool, if it is one's own.
    owners: Vec<Option<usize>>,
    /// Those whose slots are lent.
    ledgers: Ledgers,
    /// Which connection is looked at first: they take turns at the named pools.
    first: usize,
    /// The latest time that was passed in. Whoever read the clock first may come in second.
    now: Moment,
}

impl Quota {
    /// The quotas of one workspace: its named pools, what operations cost, its connections.
    ///
    /// [`PriceNo`] and [`ConnectionNo`] count from 0 in the order of the lists.
    ///
    /// # Errors
    /// Sentences for the operator, all of them: settings that make no sense, two pools of one name,
    /// a price that names an unknown pool or more of a pool than there is, or pays too many pools.
    pub fn new(
        named: &[PoolSettings],
        prices: &[PriceSettings],
        connections: &[ConnectionSettings],
        now: Moment,
    ) -> Result<Self, Vec<String>> {
        let problems = problems(named, prices, connections);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut pools = Pools::default();
        let ids: Vec<PoolId> = named
            .iter()
            .map(|pool| pools.add(SlotPool::new(&pool.name, pool.slots(now))))
            .collect();
        let mut owners = vec![None; ids.len()];
        let mut lines = Vec::new();
        for (at, settings) in connections.iter().enumerate() {
            let own = pools.add(SlotPool::new(&settings.pool.name, settings.pool.slots(now)));
            owners.push(Some(at));
            let prices = prices.iter().filter_map(|price| {
                let named = price.named.iter().map(|(at, cost)| (ids[*at], *cost));
                let parts: Vec<_> = std::iter::once((own, price.connection)).chain(named).collect();
                Price::new(&parts).ok()
            });
            let number = ConnectionNo(u16::try_from(at).unwrap_or(u16::MAX));
            let prices = prices.collect();
            lines.push(Scheduler::new(number, own, settings.clone(), prices, now));
        }
        let (waiting, ledgers) = (BTreeSet::new(), Ledgers::default());
        Ok(Self { pools, lines, waiting, owners, ledgers, first: 0, now })
    }

    /// Adds an app to a connection; `None` if there is no such connection or it has
    /// [`settings::MOST_APPS`] apps, which the configuration is to refuse before.
    pub fn add_app(
        &mut self,
        connection: ConnectionNo,
        settings: AppSettings,
        now: Moment,
    ) -> Option<AppNo> {
        self.line_mut(connection)?.add_app(settings, now)
    }

    /// Lets a call start, wait, or not.
    pub fn enter(&mut self, now: Moment, ticket: &AdmissionRequest) -> AdmissionVerdict {
        self.enter_again(now, ticket, now)
    }

    /// The same for a call that came first at `since`, was sent, and was refused by the vendor: it
    /// goes to the place in its line that it would have by then, and its longest wait counts from
    /// then.
    pub fn enter_again(
        &mut self,
        now: Moment,
        ticket: &AdmissionRequest,
        since: Moment,
    ) -> AdmissionVerdict {
        let now = self.release_expired(now);
        let since = since.min(now);
        let Some(line) = self.lines.get_mut(usize::from(ticket.connection.0)) else {
            return AdmissionVerdict::Refused(QuotaRefusal::paused(QuotaUsage::default()));
        };
        match line.arrive(&self.pools, ticket, since, now) {
            ArrivalVerdict::Refuse(refusal) => {
                self.missed(ticket, &refusal, now);
                AdmissionVerdict::Refused(refusal)
            }
            ArrivalVerdict::Wait(call, standing) => {
                line.kept_its_promise(call.key, now);
                let place = QueuePlace { connection: ticket.connection, place: line.push(call) };
                self.waiting.insert(usize::from(ticket.connection.0));
                AdmissionVerdict::Wait(place, standing)
            }
            ArrivalVerdict::Start(key, would) => match line.start(&mut self.pools, key, would, now)
            {
                Some(grant) => {
                    line.kept_its_promise(key, now);
                    AdmissionVerdict::Start(grant)
                }
                None => {
                    let usage = line.usage(&self.pools, key.app);
                    AdmissionVerdict::Refused(QuotaRefusal::new(
                        QuotaRule::QuotaExhausted,
                        line.settings().pool.window,
                        usage,
                    ))
                }
            },
        }
    }

    /// Whether a call would be refused now: to be asked before its body is read. Where it would
    /// stand if it had to wait; `None` if it could start at once.
    ///
    /// # Errors
    /// The refusal, if it would be.
    pub fn ask(
        &mut self,
        now: Moment,
        ticket: &AdmissionRequest,
    ) -> Result<Option<QueuePosition>, QuotaRefusal> {
        self.ask_again(now, ticket, now)
    }

    /// The same for a call that would go back to its line; see [`Quota::enter_again`].
    ///
    /// # Errors
    /// The refusal, if it would be.
    pub fn ask_again(
        &mut self,
        now: Moment,
        ticket: &AdmissionRequest,
        since: Moment,
    ) -> Result<Option<QueuePosition>, QuotaRefusal> {
        let now = self.release_expired(now);
        let since = since.min(now);
        let Some(line) = self.lines.get_mut(usize::from(ticket.connection.0)) else {
            return Err(QuotaRefusal::paused(QuotaUsage::default()));
        };
        match line.arrive(&self.pools, ticket, since, now) {
            ArrivalVerdict::Refuse(refusal) => {
                self.missed(ticket, &refusal, now);
                Err(refusal)
            }
            ArrivalVerdict::Start(..) => Ok(None),
            ArrivalVerdict::Wait(_, standing) => Ok(Some(standing)),
        }
    }

    /// The next waiting call whose waiting is over, if one's is. To be called until `None`.
    pub fn poll(&mut self, now: Moment) -> Option<QueueEvent> {
        let now = self.release_expired(now);
        let turns = self.waiting.range(self.first..).chain(self.waiting.range(..self.first));
        for at in turns.copied() {
            let line = &mut self.lines[at];
            let mut event = line.dismiss(&self.pools, now);
            if event.is_none() {
                let key = line.choose(&self.pools, now);
                event = key.and_then(|key| line.serve(&mut self.pools, key, now));
                self.first = if event.is_some() { at + 1 } else { self.first };
            }
            if event.is_some() {
                if line.is_empty() {
                    self.waiting.remove(&at);
                }
                return event;
            }
        }
        None
    }

    /// When to call [`Quota::poll`] again if nothing else happens; `None` if nobody waits. To be
    /// asked after `poll` said `None` for the same `now`.
    pub fn next_wake(&mut self, now: Moment) -> Option<Moment> {
        let now = self.now.max(now);
        let pools = &self.pools;
        let waiting = self.waiting.iter().map(|at| &self.lines[*at]);
        waiting.filter_map(|line| next_wake(&line.view(pools, now))).min()
    }

    /// Ends a call. Returns when the last of its slots is free again.
    pub fn settle(&mut self, grant: Grant, how: Settlement, now: Moment) -> Option<Moment> {
        let Grant { connection, key, paid, taken, refused, .. } = grant;
        let now = self.now.max(now);
        let line = self.lines.get_mut(usize::from(connection.0))?;
        line.answered(taken, how);
        let mut free_at = None;
        self.pools.settle(paid, (how, refused), now, |pool, until| {
            free_at = free_at.max(Some(until));
            if pool == line.own_pool() {
                line.settled(key, until);
            }
        });
        free_at
    }

    /// Gives a place back: its caller left. `false` if the call had been started or refused before;
    /// then its [`QueueEvent`] was returned.
    pub fn leave(&mut self, place: QueuePlace) -> bool {
        let Some(line) = self.line_mut(place.connection) else {
            return false;
        };
        let left = line.leave(place.place);
        if line.is_empty() {
            self.waiting.remove(&usize::from(place.connection.0));
        }
        left
    }

    /// The vendor answered 429 (or 503 with `Retry-After`) to the call of this grant: closes the
    /// narrowest pool that it paid. Returns which, and until when.
    ///
    /// `asked` is what [`feedback::retry_after`] read; `None` closes for a second, doubling up to
    /// the window with each refusal in a row. Its app is charged nothing for its turn: whoever is
    /// first in its line goes next.
    pub fn vendor_refused(
        &mut self,
        grant: &mut Grant,
        asked: Option<Duration>,
        now: Moment,
    ) -> Option<(PoolId, Moment)> {
        let line = self.lines.get_mut(usize::from(grant.connection.0))?;
        if !std::mem::replace(&mut grant.refused, true) {
            line.refused(grant.key);
        }
        let price = line.price(grant.key.price)?;
        let pool = self.pools.narrowest(price)?;
        let until = self.pools.close(pool, asked, grant.taken, now)?;
        Some((pool, until))
    }

    /// Frees the slots whose time is over and tells the books. Returns the time, which never goes
    /// back.
    fn release_expired(&mut self, now: Moment) -> Moment {
        self.now = self.now.max(now);
        let now = self.now;
        let (lines, owners) = (&mut self.lines, &self.owners);
        self.pools.release_expired(now, |pool, owner| {
            if let Some(line) = owners[usize::from(pool.0)] {
                lines[line].slot_released(owner, now);
            }
        });
        now
    }

    fn line(&self, connection: ConnectionNo) -> Option<&Scheduler> {
        self.lines.get(usize::from(connection.0))
    }

    fn line_mut(&mut self, connection: ConnectionNo) -> Option<&mut Scheduler> {
        self.lines.get_mut(usize::from(connection.0))
    }
}
