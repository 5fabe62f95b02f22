//! Reads that cost nothing and are never stale after a write.
//!
//! What clients [`accept`] is written in one way; the [`key`] says what makes two reads the same,
//! the [`variant`] for whom among them an answer was made, the [`policy`] how long it lives, the
//! [`generations`] what a write makes worthless; the [`store`] holds the copies. Where a row goes
//! by the vendor's header [`fields`], an answer's [`terms`] say what they allow, and [`validate`]
//! how a copy is confirmed. All but the store are pure. A [`Shelf`] knows, for one configuration,
//! what is kept; the layer is `cache/layer`.
//!
//! Copies are each replica's own. Where replicas share a Redis, [`replicas`] asks it for the writes
//! of others; what they mean for copies here is in [`versions`], which is pure.

pub mod accept;
pub mod fields;
pub mod generations;
pub mod key;
pub mod layer;
pub mod policy;
pub mod replicas;
mod shelf;
pub mod store;
pub mod terms;
pub mod validate;
pub mod variant;
pub mod versions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::Semaphore;

pub use shelf::{CacheRow, ConnectionPlan, Plan, RowKind, RowPlan, Shelf};

use crate::clock::{self, Instant};
use crate::ids::ConnectionId;
use crate::secret::Tokens;
use crate::shared::SharedStore;
use crate::single_flight::Crowd;
use generations::{Generations, Name, TagPlace, VersionSnapshot};
use key::CacheKey;
use replicas::Replicas;
use shelf::CacheSeat;
use store::{Copy, Store};

/// Callers that may wait for the answers of others. More fetch for themselves, and so meet the
/// bounds of the queue.
const WAITERS: usize = 8192;

/// What a flight tells those who wait for it.
#[derive(Clone)]
pub enum Landed {
    /// The answer, which may be handed round.
    Copy(Arc<Copy>),
    /// It is its caller's alone.
    Alone,
}

/// Reads under way: joined by those alone that began under the same moment.
pub type Reads = Crowd<(CacheKey, VersionSnapshot), Landed>;

/// The copies of this gateway, and what writes made of them. Clones share it.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    generations: Arc<Generations>,
    /// Who else writes, if that can be known.
    replicas: Option<Replicas>,
    /// One moment on both clocks.
    start: (Instant, SystemTime),
    reads: Reads,
    waiters: Arc<Semaphore>,
    /// std, not tokio: changed by a reload only.
    configured: Mutex<Configured>,
}

struct Configured {
    store: Arc<Store>,
    tokens: Tokens,
    seats: HashMap<ConnectionId, CacheSeat>,
    epochs: u64,
}

impl Cache {
    /// No copy yet; all of them will take at most `capacity` octets.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::shared(capacity, None)
    }

    /// The same; in `store` replicas tell each other of their writes. With one it must be called
    /// inside a tokio runtime.
    #[must_use]
    pub fn shared(capacity: usize, store: Option<&SharedStore>) -> Self {
        let start = Instant::now();
        let generations = Arc::new(Generations::new(start));
        let replicas = store.map(|store| Replicas::open(store.clone(), generations.clone()));
        Self(Arc::new(Inner {
            generations,
            replicas,
            start: (start, clock::wall()),
            reads: Reads::default(),
            waiters: Arc::new(Semaphore::new(WAITERS)),
            configured: Mutex::new(Configured {
                store: Arc::new(Store::new(capacity)),
                tokens: Tokens::new(),
                seats: HashMap::new(),
                epochs: 0,
            }),
        }))
    }

    /// What `plan` keeps. A connection whose token, place or workspace changes begins anew: what
    /// was kept for it has keys that nobody asks for any more, also not calls of an older shelf.
    #[must_use]
    pub fn shelf(&self, plan: Plan) -> Shelf {
        let mut configured = self.configured();
        if configured.store.capacity() != plan.capacity {
            configured.store = Arc::new(Store::new(plan.capacity));
        }
        let mut seats = HashMap::new();
        let mut numbered = Vec::new();
        for connection in &plan.connections {
            let token = plan.tokens.get(&connection.id);
            let before = configured.tokens.get(&connection.id);
            let same_token = matches!((before, token), (Some(a), Some(b)) if a.same_as(b));
            let known = configured.seats.get(&connection.id);
            let epoch = match known.filter(|seat| same_token && seat.is_at(connection)) {
                Some(seat) => seat.epoch,
                None => {
                    configured.epochs += 1;
                    configured.epochs
                }
            };
            let seat = CacheSeat::new(connection, epoch);
            numbered.push(seat.clone());
            seats.insert(connection.id.clone(), seat);
        }
        configured.tokens.clone_from(&plan.tokens);
        configured.seats = seats;
        if let Some(replicas) = &self.0.replicas {
            replicas.settle(plan.settle);
        }
        let seats = numbered.into_iter().collect();
        Shelf::new(self.clone(), configured.store.clone(), seats, &plan)
    }

    /// Forgets what is kept for `connection`.
    pub fn purge_connection(&self, connection: &ConnectionId) {
        self.0.generations.clear(TagPlace::of_connection(Name::of(connection.as_str())));
    }

    /// Forgets what is kept of `tag` in the workspace of `connection`. False: there is no such
    /// connection.
    pub fn purge_tag(&self, connection: &ConnectionId, tag: &str) -> bool {
        let configured = self.configured();
        let Some(seat) = configured.seats.get(connection) else { return false };
        self.0.generations.clear(TagPlace::of_tag(seat.workspace, Name::of(tag)));
        true
    }

    /// Every read of `connection` goes to the vendor until `until`, and nothing is kept of it. An
    /// earlier time ends it.
    pub fn bypass(&self, connection: &ConnectionId, until: Instant) {
        self.0.generations.hold(TagPlace::of_connection(Name::of(connection.as_str())), until);
    }

    /// What all copies take, when moka has counted all that it has put off.
    pub async fn bytes(&self) -> u64 {
        let store = self.configured().store.clone();
        store.tidy().await;
        store.bytes()
    }

    /// What all copies may take.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.configured().store.capacity()
    }

    /// Reads under way that others may join.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// One permit for each caller that may wait for another's answer.
    #[must_use]
    pub fn waiters(&self) -> &Arc<Semaphore> {
        &self.0.waiters
    }

    fn configured(&self) -> MutexGuard<'_, Configured> {
        self.0.configured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
