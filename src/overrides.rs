//! Overrides: what operators change for a time, with a reason, undone by itself.
//!
//! They stand before the configuration and outlive a reload. A state folder keeps them over a
//! restart, and replicas that share a Redis share them. What holds is found anew from the set of all
//! of them whenever it changes and whenever one is over: [`Overlay::of`].

mod act;
mod file;
mod overlay;
mod set;
mod shared;
mod view;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use crate::clock::{self, Instant};
use crate::ids::RandomId;
use crate::shared::SharedStore;

pub use act::{Act, Forced, LONGEST_WINDOW_MS};
use file::OverridesFile;
pub use overlay::{AppOverlay, ConnectionOverlay, Overlay};
pub use set::{
    CannotEnd, EarlyEnd, KEPT_MS, LONGEST_MS, MOST, Override, OverrideSet, REASON, WallMs,
};
use shared::SharedSet;
pub use view::OverrideView;

/// The overrides of this gateway. Clones share them.
#[derive(Clone)]
pub struct Overrides(Arc<Inner>);

struct Inner {
    /// std, not tokio: held for one change of the set.
    set: Mutex<OverrideSet>,
    changes: watch::Sender<u64>,
    /// tokio: held while the file is written.
    file: Option<tokio::sync::Mutex<OverridesFile>>,
    /// The last write failed.
    unwritten: AtomicBool,
    replicas: Option<SharedSet>,
}

/// Who knows of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// It outlives a restart: the state folder or the store has it.
    pub remembered: bool,
    /// All replicas have it or will within seconds; true if there is only this one.
    pub everywhere: bool,
}

/// One moment on both clocks, as this process first saw them.
static FIRST: LazyLock<(Instant, SystemTime)> = LazyLock::new(|| (Instant::now(), clock::wall()));

/// Milliseconds since 1970. A wall clock that is set while the process runs neither ends an override
/// nor brings one back: it is read once.
#[must_use]
pub fn wall_ms() -> WallMs {
    let ((first, wall), now) = (*FIRST, Instant::now());
    let wall = match now.checked_duration_since(first) {
        Some(since) => wall + since,
        None => wall - (first - now),
    };
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Overrides {
    /// Those that the state folder `dir` has; `store` is what replicas share. With one it must be
    /// called inside a tokio runtime.
    #[must_use]
    pub fn open(dir: Option<&Path>, store: Option<&SharedStore>) -> Self {
        let mut set = OverrideSet::default();
        let file = dir.map(|dir| {
            let (file, kept) = OverridesFile::open(dir);
            set.merge(kept, wall_ms());
            tokio::sync::Mutex::new(file)
        });
        let (changes, _) = watch::channel(0);
        let replicas = store.cloned().map(SharedSet::new);
        let overrides = Self(Arc::new(Inner {
            set: Mutex::new(set),
            changes,
            file,
            unwritten: AtomicBool::new(false),
            replicas,
        }));
        if overrides.0.replicas.is_some() {
            tokio::spawn(shared::keep_up(Arc::downgrade(&overrides.0)));
        }
        overrides
    }

    /// What holds now.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        Overlay::of(&self.set(), wall_ms())
    }

    /// The newest first: those that hold, or all that are kept.
    #[must_use]
    pub fn list(&self, all: bool) -> Vec<Override> {
        let now = wall_ms();
        let set = self.set();
        let wanted = |known: &&Override| match all {
            true => known.is_shown(now),
            false => known.holds(now) && !known.act.is_instant(),
        };
        set.all().filter(wanted).cloned().collect()
    }

    /// Adds one that lasts `life`. `None`: there is no room for more.
    pub fn add(&self, act: Act, life: Duration, because: &str, by: &str) -> Option<Override> {
        let from = wall_ms();
        let until = from.saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let id: Arc<str> = RandomId::new().to_string()[..8].into();
        let new = Override {
            id,
            act,
            because: because.into(),
            by: by.into(),
            from,
            until: until.min(from.saturating_add(LONGEST_MS)),
            ended: None,
        };
        self.set().add(new.clone())?;
        self.changed();
        Some(new)
    }

    /// Ends one before its time.
    ///
    /// # Errors
    /// When there is none that holds.
    pub fn end(&self, id: &str, by: &str) -> Result<Override, CannotEnd> {
        let ended = self.set().end(id, by.into(), wall_ms())?;
        self.changed();
        Ok(ended)
    }

    /// Tells the state folder and the replicas, and waits for both; see [`Spread`].
    pub async fn spread(&self) -> Spread {
        let written = self.write().await;
        let Some(replicas) = &self.0.replicas else {
            return Spread { remembered: written, everywhere: true };
        };
        let told = replicas.sync(self).await.is_ok();
        Spread { remembered: written || told, everywhere: told }
    }

    /// Is told of every change of the set.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// How long until the next one is over by itself.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        let now = wall_ms();
        let next = self.set().next_end(now)?;
        Some(Duration::from_millis(next.saturating_sub(now)))
    }

    async fn write(&self) -> bool {
        let Some(file) = &self.0.file else { return false };
        let mut file = file.lock().await;
        let set = {
            let mut set = self.set();
            set.forget(wall_ms());
            set.clone()
        };
        let written = file.write(&set).await;
        self.0.unwritten.store(!written, Ordering::Relaxed);
        written
    }

    /// Whether they can't be written now.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.0.unwritten.load(Ordering::Relaxed)
    }

    /// Writes again what could not be written.
    pub async fn write_again(&self) {
        if self.is_unwritten() {
            self.write().await;
        }
    }

    /// All that replicas have to know.
    fn kept(&self) -> Vec<Override> {
        let mut set = self.set();
        set.forget(wall_ms());
        set.all().cloned().collect()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    fn set(&self) -> MutexGuard<'_, OverrideSet> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
