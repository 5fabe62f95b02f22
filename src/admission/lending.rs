//! The way from the pools of this gateway to the ledgers that lend their slots (`[shared]`).
//!
//! Each pool has a ledger of its own, which is one value in the store. A task of its own asks it
//! when that is due; no call waits for it. What a call takes, it takes from what was lent before.

mod error;
mod names;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep_until;

pub(super) use error::LedgerError;
pub(super) use names::{LedgerNames, LedgerPlace};

use super::timebase::moment;
use crate::clock::Instant;
use crate::ids::RandomId;
use crate::quota::Moment;
use crate::quota::replica::{LEDGER, LookReply, LookRequest, Sighting, SyncReply, SyncRequest};
use crate::shared::{Script, SharedStore, StoreKey};

/// Between two looks at which store it is.
const LOOK: Duration = Duration::from_secs(5);
/// Over so many groups of keys ledgers are spread in a cluster.
const GROUPS: usize = 16;

/// See the module text.
pub(super) struct Lending {
    store: SharedStore,
    ledger: Script,
    pub(super) names: LedgerNames,
    /// This process among the replicas.
    name: String,
    lease: Duration,
    base: Instant,
    /// The store of each group, as this process sees it. std, not tokio: a look, and a copy.
    sightings: Mutex<Vec<Sighting>>,
    /// A store that was not seen before counts as old: nobody called before.
    fresh: bool,
    /// Calls were made without the ledgers before this process.
    renews: bool,
}

/// What lends the slots of this gateway.
pub struct LendingTerms {
    /// Where the ledgers are.
    pub store: SharedStore,
    /// For how long slots may be taken without a further reply.
    pub lease: Duration,
    /// Nobody called before the first replica: a new ledger lends at once.
    pub fresh: bool,
    /// Calls were made without the ledgers until now.
    pub renews: bool,
}

impl Lending {
    /// Must be called inside the runtime.
    pub(super) fn start(terms: LendingTerms, base: Instant) -> Arc<Self> {
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
            renews: terms.renews,
        });
        tokio::spawn(watch(Arc::downgrade(&lending)));
        lending
    }

    /// This process among the replicas, for how long it may take slots after a reply, and whether
    /// calls were made without the ledgers before it.
    pub(super) fn terms(&self) -> (&str, Duration, bool) {
        (&self.name, self.lease, self.renews)
    }

    fn now(&self) -> Moment {
        moment(self.base, Instant::now())
    }

    /// The group of a ledger's keys.
    pub(super) fn group(&self, ledger: &str) -> usize {
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
    pub(super) async fn sighting(&self, group: usize) -> Result<Sighting, LedgerError> {
        let known = |lending: &Self| lending.sightings()[group].clone();
        if known(self).incarnation().is_empty() {
            self.look(group).await?;
        }
        Ok(known(self))
    }

    /// Tells `ledger`, and says what it says.
    pub(super) async fn sync(
        &self,
        ledger: &str,
        request: &SyncRequest,
    ) -> Result<SyncReply, LedgerError> {
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
