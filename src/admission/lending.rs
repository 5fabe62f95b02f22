//! The way from the pools of this gateway to the ledgers that lend their slots (`[shared]`).
//!
//! Each pool has a ledger of its own, which is one value in the store. A task of its own asks it
//! when that is due; no call waits for it. What a call takes, it takes from what was lent before.

mod names;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep_until;

pub(super) use names::{LedgerNames, Place};

use super::quotas::{Core, Quotas};
use super::timebase::moment;
use crate::clock::Instant;
use crate::ids::RandomId;
use crate::quota::replica::{LEDGER, LookReply, LookRequest, Sighting, SyncReply, SyncRequest};
use crate::quota::{LoanState, Moment, PoolId};
use crate::shared::{Script, SharedStore, StoreError, StoreKey};

/// Between two looks at which store it is.
const LOOK: Duration = Duration::from_secs(5);
/// Over so many groups of keys ledgers are spread in a cluster.
const GROUPS: usize = 16;

/// See the module text.
pub(super) struct Lending {
    store: SharedStore,
    ledger: Script,
    names: LedgerNames,
    /// This process among the replicas.
    name: String,
    lease: Duration,
    base: Instant,
    /// The store of each group, as this process sees it. std, not tokio: a look, and a copy.
    sightings: Mutex<Vec<Sighting>>,
    /// A store that was not seen before counts as old: nobody called before.
    fresh: bool,
}

/// What lends the slots of this gateway.
pub struct Terms {
    /// Where the ledgers are.
    pub store: SharedStore,
    /// For how long slots may be taken without a further reply.
    pub lease: Duration,
    /// Nobody called before the first replica: a new ledger lends at once.
    pub fresh: bool,
}

/// Why a ledger was not asked, or what it said instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the ledger's answer can't be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("there is another value under the name of a ledger")]
    Strange,
}

impl Lending {
    /// Must be called inside the runtime.
    pub(super) fn start(terms: Terms, base: Instant) -> Arc<Self> {
        let groups = if terms.store.is_cluster() { GROUPS } else { 1 };
        let lending = Arc::new(Self {
            names: LedgerNames::new(terms.store.clone()),
            store: terms.store,
            ledger: Script::new(LEDGER),
            name: RandomId::new().to_string(),
            lease: terms.lease,
            base,
            sightings: Mutex::new(vec![Sighting::default(); groups]),
            fresh: terms.fresh,
        });
        tokio::spawn(watch(Arc::downgrade(&lending)));
        lending
    }

    /// This process among the replicas, and for how long it may take slots after a reply.
    pub(super) fn terms(&self) -> (&str, Duration) {
        (&self.name, self.lease)
    }

    fn now(&self) -> Moment {
        moment(self.base, Instant::now())
    }

    /// The group of a ledger's keys.
    fn group(&self, ledger: &str) -> usize {
        let groups = self.sightings().len();
        let number = ledger.bytes().fold(0_usize, |sum, octet| sum * 31 % 65_521 + octet as usize);
        number % groups.max(1)
    }

    fn watch_key(&self, group: usize) -> StoreKey {
        self.store.key(&format!("slots{group}"), "watch")
    }

    /// Asks which store it is.
    async fn look(&self, group: usize) -> Result<(), LedgerError> {
        let asked = self.now();
        let request = serde_json::to_vec(&LookRequest { nonce: RandomId::new().to_string() })?;
        let watch = self.watch_key(group);
        // A look reads the second key only.
        let reply = self.store.eval(&self.ledger, &[&watch, &watch], &[&request]).await?;
        let reply: LookReply = serde_json::from_slice(&reply)?;
        let (now, mut sightings) = (self.now(), self.sightings());
        if let Some(sighting) = sightings.get_mut(group) {
            let first = sighting.incarnation().is_empty() && self.fresh;
            sighting.sees(&reply.incarnation, asked, now);
            if first {
                sighting.is_old();
            }
        }
        Ok(())
    }

    /// What is known of the store of a group; asked for if it was never seen.
    async fn sighting(&self, group: usize) -> Result<Sighting, LedgerError> {
        let known = |lending: &Self| lending.sightings()[group].clone();
        if known(self).incarnation().is_empty() {
            self.look(group).await?;
        }
        Ok(known(self))
    }

    async fn sync(&self, ledger: &str, request: &SyncRequest) -> Result<SyncReply, LedgerError> {
        let group = self.group(ledger);
        let state = self.store.key(&format!("slots{group}"), ledger);
        let request = serde_json::to_vec(request)?;
        let keys = [&state, &self.watch_key(group)];
        let reply = self.store.eval(&self.ledger, &keys, &[&request]).await?;
        Ok(serde_json::from_slice(&reply)?)
    }

    fn sightings(&self) -> std::sync::MutexGuard<'_, Vec<Sighting>> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the store for as long as anybody lends from it.
async fn watch(lending: Weak<Lending>) {
    let mut next = Instant::now();
    while let Some(lending) = lending.upgrade() {
        let groups = lending.sightings().len();
        for group in 0..groups {
            // What can't be asked is younger than was thought; the store says by itself that it is
            // away.
            let _ = lending.look(group).await;
        }
        drop(lending);
        next = (next + LOOK).max(Instant::now());
        sleep_until(next).await;
    }
}

/// Asks the ledgers of one tenant's pools when that is due, as long as the quotas are there.
pub(super) async fn keep_lent(quotas: Weak<Quotas>, lending: Arc<Lending>, news: Arc<Notify>) {
    while let Some(next) = quotas.upgrade().map(|quotas| quotas.next_sync()) {
        tokio::select! {
            () = sleep_until(next) => {}
            () = news.notified() => {}
        }
        let Some(strong) = quotas.upgrade() else { return };
        while let Some(pool) = strong.with(|core, now| core.quota.due_sync(now)) {
            tokio::spawn(ask(quotas.clone(), lending.clone(), pool));
        }
    }
}

/// Asks the ledger of one pool, once.
async fn ask(quotas: Weak<Quotas>, lending: Arc<Lending>, pool: PoolId) {
    let reply = exchange(&quotas, &lending, pool).await;
    if let Err(error) = &reply {
        tracing::debug!(%error, "a ledger was not asked");
    }
    let Some(quotas) = quotas.upgrade() else { return };
    let reply = reply.ok().flatten();
    quotas.with(|core, now| {
        let before = core.quota.loan(pool);
        core.quota.end_sync(pool, reply.as_ref(), fastrand::f64(), now);
        core.say_loan(pool, before);
    });
}

async fn exchange(
    quotas: &Weak<Quotas>,
    lending: &Lending,
    pool: PoolId,
) -> Result<Option<SyncReply>, LedgerError> {
    let look = |quotas: Arc<Quotas>| quotas.with(|core, _| core.ledgers.get(&pool).cloned());
    let Some(mut place) = quotas.upgrade().and_then(look) else { return Ok(None) };
    let name = lending.names.find(&mut place, lending).await?;
    let sighting = lending.sighting(lending.group(&name.text)).await?;
    let begin = |core: &mut Core, now| {
        core.quota.set_block(pool, name.block);
        if let Some(known) = core.ledgers.get_mut(&pool) {
            known.learns(&place);
        }
        core.quota.begin_sync(pool, &sighting, RandomId::new().to_string(), now)
    };
    let Some(request) = quotas.upgrade().and_then(|quotas| quotas.with(begin)) else {
        return Ok(None);
    };
    Ok(Some(lending.sync(&name.text, &request).await?))
}

impl Core {
    /// Says when a pool can't be used any more, and when it can again.
    fn say_loan(&self, pool: PoolId, before: Option<LoanState>) {
        let after = self.quota.loan(pool);
        let away = |state| state == Some(LoanState::Away);
        if away(before) == away(after) {
            return;
        }
        let owner = self.members.list.iter().find(|member| member.own == pool);
        let connection = owner.map(|member| member.id.as_str());
        let pool = self.quota.pools().get(pool).map_or("", |pool| &pool.name);
        if away(after) {
            tracing::warn!(
                connection,
                pool,
                "the shared store does not answer: slots of this quota can't be used"
            );
        } else {
            tracing::info!(connection, pool, "slots of this quota can be used again");
        }
    }
}

impl Quotas {
    /// Gives everything back; true when all is back.
    pub(super) fn leave(&self) -> bool {
        self.with(|core, now| core.quota.leave_ledgers(now))
    }
}
