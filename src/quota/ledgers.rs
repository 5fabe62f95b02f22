//! Pools whose slots a ledger lends: what their replicas ask, and what follows from the replies.
//!
//! Each such pool is a replica's part of one quota ([`super::replica`]). Whoever drives the quota
//! asks [`Quota::next_sync`] when somebody is due, lets [`Quota::begin_sync`] make the request,
//! sends it, and hands the reply to [`Quota::end_sync`]. One request of a pool is under way at a
//! time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Quota;
use super::moment::Moment;
use super::pools::{DueTimes, PoolId, Price};
use super::queue::Lane;
use super::replica::{
    AppDemand, DemandClass, Replica, Report, SharedPool, Sighting, SyncReply, SyncRequest,
};
use super::scheduler::Scheduler;
use super::slots::NOBODY;
use super::ticket::{AdmissionRequest, QuotaRefusal, QuotaRule};

/// How a pool of a ledger is called in it: there is one in each.
const POOL: &str = "slots";

/// See the module text.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    loans: BTreeMap<PoolId, Loan>,
    due: DueTimes,
}

/// A pool that is lent.
#[derive(Debug)]
struct Loan {
    replica: Replica,
    /// Its owner is about to ask the ledger, or has asked.
    busy: bool,
}

/// The state of a pool with its ledger, for metrics and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoanState {
    /// Nothing is lent, and nobody wants anything.
    Asleep,
    /// Slots may be taken.
    Lent,
    /// The ledger was asked for the first slots.
    Asking,
    /// The ledger doesn't answer, and nothing may be taken.
    Away,
}

impl LoanState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Asleep, Self::Lent, Self::Asking, Self::Away];

    /// The word in metrics and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Lent => "lent",
            Self::Asking => "asking",
            Self::Away => "away",
        }
    }
}

/// A pool beside its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoanView {
    /// How it stands.
    pub state: LoanState,
    /// Calls per window of all replicas.
    pub calls: u32,
    /// For how long slots may be taken without a further reply.
    pub lease: Duration,
}

impl Quota {
    /// From now on the slots of `pool`, which has none, are lent to the replica `name` by a ledger:
    /// of `calls` in all, for `lease` at a time, `block` together. `renews` if calls were made
    /// without the ledger before.
    pub fn lend(
        &mut self,
        pool: PoolId,
        (name, lease, renews): (&str, Duration, bool),
        (calls, block): (u32, u32),
        now: Moment,
    ) {
        let shared = SharedPool { id: pool, name: POOL.into(), calls, block, version: 0 };
        let replica = Replica::new(name.to_owned(), lease, vec![shared]).renewing(renews);
        self.ledgers.loans.insert(pool, Loan { replica, busy: false });
        self.look_at_loan(pool, now);
    }

    /// Whether the slots of a pool are lent.
    #[must_use]
    pub fn is_lent(&self, pool: PoolId) -> bool {
        self.ledgers.loans.contains_key(&pool)
    }

    /// How a pool stands with its ledger, if it has one.
    #[must_use]
    pub fn loan(&self, pool: PoolId) -> Option<LoanState> {
        let loan = self.ledgers.loans.get(&pool)?;
        let pool = self.pools.get(pool)?;
        Some(if loan.replica.is_asleep() {
            LoanState::Asleep
        } else if pool.may_take(self.now) {
            LoanState::Lent
        } else if pool.is_away(self.now) {
            LoanState::Away
        } else {
            LoanState::Asking
        })
    }

    /// A pool beside its ledger, if it has one.
    #[must_use]
    pub fn loan_view(&self, pool: PoolId, now: Moment) -> Option<LoanView> {
        let state = self.loan(pool)?;
        let lent = self.pools.get(pool)?.lent()?;
        Some(LoanView { state, calls: lent.all, lease: lent.until.since(now) })
    }

    /// Pools whose ledger does not answer, and of which nothing may be taken.
    #[must_use]
    pub fn cut_off(&self) -> usize {
        let loans = self.ledgers.loans.keys();
        loans.filter(|pool| self.loan(**pool) == Some(LoanState::Away)).count()
    }

    /// When [`Quota::begin_sync`] next has something to do.
    #[must_use]
    pub fn next_sync(&self) -> Moment {
        self.ledgers.due.next()
    }

    /// A pool whose ledger is to be asked now, once: [`Quota::end_sync`] is to follow.
    pub fn due_sync(&mut self, now: Moment) -> Option<PoolId> {
        let pool = self.ledgers.due.first(now)?;
        self.ledgers.due.set(pool, Moment::NEVER);
        self.ledgers.loans.get_mut(&pool)?.busy = true;
        Some(pool)
    }

    /// What to tell the ledger of a pool. `nonce` is random; `sighting` is what is known of the
    /// store.
    pub fn begin_sync(
        &mut self,
        pool: PoolId,
        sighting: &Sighting,
        nonce: String,
        now: Moment,
    ) -> Option<SyncRequest> {
        let now = self.release_expired(now);
        let waiting = self.waiting_for(pool);
        let (demand, hurries) = (self.demand(pool, now), self.bulk_waits_for(pool));
        let interactive = self.interactive_slots(pool);
        let Self { pools, ledgers, lines, owners, .. } = self;
        let loan = ledgers.loans.get_mut(&pool)?;
        let demand = BTreeMap::from([(pool, demand)]);
        let report = Report { demand, waiting, interactive, hurries, sighting, nonce };
        let mut gone = Vec::new();
        let request = loan.replica.request(pools, report, now, |_, owner| gone.push(owner));
        tell(lines, owners[usize::from(pool.0)], gone, now);
        self.look_at_loan(pool, now);
        Some(request)
    }

    /// The ledger said this, or nothing. `dice` is random, from 0 to 1. `false` if the reply was of
    /// no use.
    pub fn end_sync(
        &mut self,
        pool: PoolId,
        reply: Option<&SyncReply>,
        dice: f64,
        now: Moment,
    ) -> bool {
        let now = self.release_expired(now);
        let Self { pools, ledgers, lines, owners, .. } = self;
        let Some(loan) = ledgers.loans.get_mut(&pool) else { return false };
        loan.busy = false;
        let mut gone = Vec::new();
        let accepted = reply.is_some_and(|reply| {
            loan.replica.accept(pools, reply, now, |_, owner| gone.push(owner))
        });
        if !accepted {
            loan.replica.give_up(dice, now);
        }
        tell(lines, owners[usize::from(pool.0)], gone, now);
        self.look_at_loan(pool, now);
        accepted
    }

    /// Asks the ledgers of pools for which calls wait in vain. To be called when all that could
    /// start did.
    pub fn want(&mut self, now: Moment) {
        if self.ledgers.loans.is_empty() || self.waiting.is_empty() {
            return;
        }
        for pool in self.short_pools(now) {
            let waiting = self.waiting_for(pool);
            if let Some(loan) = self.ledgers.loans.get_mut(&pool) {
                loan.replica.wants(waiting, now);
                self.look_at_loan(pool, now);
            }
        }
    }

    /// A call was refused. If that was for want of slots that are lent, their ledger is asked for
    /// more.
    pub(crate) fn missed(
        &mut self,
        ticket: &AdmissionRequest,
        refusal: &QuotaRefusal,
        now: Moment,
    ) {
        let lacks = [QuotaRule::QuotaExhausted, QuotaRule::DeadlineTooNear, QuotaRule::QueueFull];
        if self.ledgers.loans.is_empty() || !lacks.contains(&refusal.rule) {
            return;
        }
        let line = self.lines.get(usize::from(ticket.connection.0));
        let Some(price) = line.and_then(|line| line.price(ticket.price.0)) else { return };
        for (pool, cost) in price.parts() {
            let short = self.pools.get(pool).is_some_and(|pool| pool.free(now) < cost);
            if let Some(loan) = self.ledgers.loans.get_mut(&pool).filter(|_| short) {
                loan.replica.misses(now);
                self.look_at_loan(pool, now);
            }
        }
    }

    /// The machine slept: nobody knows how long ago the ledgers were last heard.
    pub fn slept(&mut self, now: Moment) {
        let pools: Vec<PoolId> = self.ledgers.loans.keys().copied().collect();
        for pool in pools {
            if let Some(loan) = self.ledgers.loans.get_mut(&pool) {
                loan.replica.slept(now);
            }
            self.look_at_loan(pool, now);
        }
    }

    /// The process ends: everything goes back. True when all of it has gone.
    pub fn leave_ledgers(&mut self, now: Moment) -> bool {
        let pools: Vec<PoolId> = self.ledgers.loans.keys().copied().collect();
        pools.into_iter().filter(|pool| !self.leave_ledger(*pool, now)).count() == 0
    }

    /// The same for one pool, which nobody pays any more.
    pub fn leave_ledger(&mut self, pool: PoolId, now: Moment) -> bool {
        let Some(loan) = self.ledgers.loans.get_mut(&pool) else { return true };
        loan.replica.leave(now);
        if loan.replica.is_gone() {
            self.ledgers.due.set(pool, Moment::NEVER);
            return true;
        }
        self.look_at_loan(pool, now);
        false
    }

    /// Forgets the ledger of a pool that went.
    pub fn forget_ledger(&mut self, pool: PoolId) {
        self.ledgers.loans.remove(&pool);
    }

    /// Blocks of another size, before the ledger was ever asked: it knows the pool in those.
    pub fn set_block(&mut self, pool: PoolId, block: u32) {
        if let Some(loan) = self.ledgers.loans.get_mut(&pool) {
            loan.replica.set_block(pool, block);
        }
    }

    /// Other calls per window, which are to hold on all replicas.
    pub(crate) fn limit_loan(&mut self, pool: PoolId, calls: u32, now: Moment) {
        if let Some(loan) = self.ledgers.loans.get_mut(&pool) {
            loan.replica.relimit(pool, calls, now);
            self.look_at_loan(pool, now);
        }
    }

    /// The pool becomes what its replica says, and is looked at when that is due.
    fn look_at_loan(&mut self, id: PoolId, now: Moment) {
        let Some(Loan { replica, busy }) = self.ledgers.loans.get(&id) else { return };
        let due = if *busy { Moment::NEVER } else { replica.due() };
        if let Some(lent) = replica.lent(id, now)
            && let Some(pool) = self.pools.get_mut(id)
        {
            pool.lend(lent);
        }
        self.ledgers.due.set(id, due);
    }

    /// Lent pools that can't pay for calls that wait.
    fn short_pools(&self, now: Moment) -> Vec<PoolId> {
        let mut short = Vec::new();
        for line in self.waiting.iter().map(|at| &self.lines[*at]) {
            for (pool, cost) in line.awaited().flat_map(Price::parts) {
                let pays = self.pools.get(pool).is_none_or(|p| p.free(now) >= cost);
                if !pays && !short.contains(&pool) {
                    short.push(pool);
                }
            }
        }
        short
    }

    /// Calls that wait on connections that pay this pool.
    fn waiting_for(&self, pool: PoolId) -> usize {
        let lines = self.waiting.iter().map(|at| &self.lines[*at]);
        let wants = |line: &&Scheduler| line.awaited().any(|price| price.of(pool) > 0);
        lines.filter(wants).map(Scheduler::queued_calls).sum()
    }

    /// Slots that interactive calls have or wait for; of a named pool, those of all calls.
    fn interactive_slots(&self, pool: PoolId) -> u32 {
        match self.owners.get(usize::from(pool.0)).copied().flatten() {
            Some(line) => self.lines[line].interactive_slots(),
            None => 0,
        }
    }

    /// Whether bulk calls wait that take a slot of this pool as soon as it comes back: others may
    /// need it sooner.
    fn bulk_waits_for(&self, pool: PoolId) -> bool {
        let line = self.owners.get(usize::from(pool.0)).copied().flatten();
        line.is_some_and(|at| self.lines[at].waiting(Lane::Bulk) > 0)
    }

    /// What the apps want of a pool: by name of the connection's own, all together of a named one.
    fn demand(&mut self, pool: PoolId, now: Moment) -> Vec<AppDemand> {
        let Some(slots) = self.pools.get(pool).map(|pool| &pool.slots) else { return Vec::new() };
        if let Some(line) = self.owners.get(usize::from(pool.0)).copied().flatten() {
            return self.lines[line].wants_of_apps(&self.pools, now);
        }
        let waiting: u32 = self.waiting.iter().map(|at| self.lines[*at].wanted_of(pool)).sum();
        let all = f64::from(slots.in_use() + slots.resting() + waiting);
        vec![AppDemand("*".into(), 1, all, DemandClass::Interactive)]
    }
}

/// Slots of these owners went: their line books them as free.
fn tell(lines: &mut [Scheduler], line: Option<usize>, gone: Vec<u32>, now: Moment) {
    let Some(line) = line.and_then(|at| lines.get_mut(at)) else { return };
    for owner in gone.into_iter().filter(|owner| *owner != NOBODY) {
        line.slot_released(owner, now);
    }
}
