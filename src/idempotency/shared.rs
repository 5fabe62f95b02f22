//! What replicas tell each other of sends, in the Redis that they share: the keys that they made,
//! and the first good answers under keys that clients gave.
//!
//! A request waits for one command here, for [`BUDGET`] at most. What became of a send is told
//! behind its back. Names in Redis are hashes. No request's body, and nothing that a client
//! authenticates itself with, gets there.

mod answers;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::made::{KeyTicket, TIME, UNCOUNTED};
use super::memory::{Id, KeptAnswer, KeyState, Purpose};
use crate::hex::Hex;
use crate::ids::RandomId;
use crate::shared::{Script, SharedStore, StoreError, StoreKey};

/// How long a request waits for Redis.
const BUDGET: Duration = Duration::from_millis(5);

/// How long an answer under a given key stays.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most equal sends of two minutes that are told apart: a script reads all of them.
const EQUAL: usize = 64;

/// What is told behind a request's back at a time; more is not told.
const BEHIND: usize = 1_000;

/// See the module text.
pub(super) struct SharedSends {
    store: SharedStore,
    take: Script,
    mark: Arc<Script>,
    /// Drops of calls may happen outside of a runtime.
    runtime: Handle,
    behind: Arc<Semaphore>,
    /// The time that a test waits, on a machine that does other things too.
    #[cfg(feature = "testing")]
    pub(super) patience: std::sync::OnceLock<Duration>,
}

/// What became of a send.
#[derive(Clone, Copy, Debug)]
pub(super) enum SendFate {
    /// Its client has its good answer.
    Accepted,
    /// Its client has none.
    Doubted,
    /// It was never sent.
    Unsent,
}

impl SendFate {
    /// Its letter in the script.
    fn letter(self) -> &'static [u8] {
        match self {
            Self::Accepted => b"a",
            Self::Doubted => b"d",
            Self::Unsent => b"x",
        }
    }
}

impl SharedSends {
    /// Must be called inside the runtime of the store.
    pub(super) fn new(store: SharedStore) -> Self {
        Self {
            store,
            take: Script::new(include_str!("shared/take.lua")),
            mark: Arc::new(Script::new(include_str!("shared/mark.lua"))),
            runtime: Handle::current(),
            behind: Arc::new(Semaphore::new(BEHIND)),
            #[cfg(feature = "testing")]
            patience: std::sync::OnceLock::new(),
        }
    }

    fn budget(&self) -> Duration {
        #[cfg(feature = "testing")]
        if let Some(patience) = self.patience.get() {
            return *patience;
        }
        BUDGET
    }

    /// Tells of a send that its replica knows the key of. If that fails it goes out all the same:
    /// no SDK is told to repeat a send whose outcome is unknown.
    pub(super) async fn tell(&self, print: &Id, key: RandomId, count: u32) {
        let _ = self.run(print, (key, None), count, b"known").await;
    }

    /// The key of the send that this one repeats for the `count`th time. If no replica told of one,
    /// it is the key `local` that this one knows, or else the `fresh` one.
    ///
    /// # Errors
    /// Redis can't say it in time.
    pub(super) async fn find(
        &self,
        print: &Id,
        (fresh, local): (RandomId, Option<RandomId>),
        count: u32,
    ) -> Result<RandomId, StoreError> {
        self.run(print, (fresh, local), count, b"asks").await
    }

    async fn run(
        &self,
        print: &Id,
        (own, local): (RandomId, Option<RandomId>),
        count: u32,
        how: &[u8],
    ) -> Result<RandomId, StoreError> {
        let (own, count, uncounted) = (own.to_string(), count.to_string(), UNCOUNTED.to_string());
        let (life, most) = (TIME.as_millis().to_string(), EQUAL.to_string());
        let local = local.map_or_else(String::new, |key| key.to_string());
        let text = [&own, &count, &uncounted, &life, &most, &local].map(String::as_bytes);
        let all = [&text[..2], &[how], &text[2..]].concat();
        let at = self.at("made", print);
        let keys = [&at];
        let asked = self.store.eval(&self.take, &keys, &all);
        let found = timeout(self.budget(), asked).await.unwrap_or(Err(StoreError::TimedOut))?;
        let text = std::str::from_utf8(&found).ok();
        text.and_then(|text| text.parse().ok()).ok_or(StoreError::Unreadable)
    }

    /// Tells what became of the call of `ticket`. Nobody waits for it.
    pub(super) fn became(&self, ticket: &KeyTicket, fate: SendFate) {
        let at = self.at("made", &ticket.print);
        let (key, count) = (ticket.key.to_string(), ticket.count.to_string());
        let (store, mark) = (self.store.clone(), self.mark.clone());
        self.behind(async move {
            let arguments = [key.as_bytes(), count.as_bytes(), fate.letter()];
            let _ = store.eval(&mark, &[&at], &arguments).await;
        });
    }

    /// What any replica knows of the given key `id`, which is used for `purpose`. Nothing if Redis
    /// can't say it in time: Courier knows the key.
    pub(super) async fn answer(&self, id: &Id, purpose: &Purpose) -> KeyState {
        let at = self.at("answer", id);
        match timeout(self.budget(), self.store.get(&at)).await {
            Ok(Ok(Some(octets))) => answers::read(octets, purpose),
            _ => KeyState::Nothing,
        }
    }

    /// Keeps the first good answer under the given key `id` for all replicas. Nobody waits for it.
    pub(super) fn keep(&self, id: &Id, purpose: &Purpose, answer: &KeptAnswer) {
        let (at, store) = (self.at("answer", id), self.store.clone());
        let octets = answers::write(purpose, answer);
        self.behind(async move {
            let _ = store.put_new(&at, &octets, Some(DAY)).await;
        });
    }

    fn behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Ok(permit) = self.behind.clone().try_acquire_owned() else { return };
        self.runtime.spawn(async move {
            work.await;
            drop(permit);
        });
    }

    /// The key of a hash. Hashes that begin alike are a group, so that keys spread over the nodes
    /// of a cluster.
    fn at(&self, what: &str, id: &Id) -> StoreKey {
        let group = Hex(&id[..2]).to_string();
        self.store.key(&group, &format!("{what}:{}", Hex(id)))
    }
}
