//! Revoked keys: kept over a restart, and known to all replicas.
//!
//! A revocation counts in this process at once. A task writes the file behind it, and another one
//! tells the shared store and asks it, once a second. No request waits for either.

mod file;
mod replicas;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::identity::{Revocation, RevokedKeys};
use crate::shared::SharedStore;
use crate::targets;
use file::File;

/// The most that are remembered; each is of a key that was once in the configuration.
pub const MOST: usize = 10_000;

/// Between two tries to write a file that can't be written.
const AGAIN: Duration = Duration::from_secs(10);

/// The revoked keys, and where they are kept. Clones share them.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    keys: RevokedKeys,
    file: Option<Arc<File>>,
    /// True if the last write failed.
    unwritten: AtomicBool,
    /// Who keeps them hears of each change.
    changed: watch::Sender<()>,
}

impl Revocations {
    /// Those of the state folder `dir`, which must be this process's own, and of `store`. Must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// The file can't be read. A gateway that started without it would take revoked keys.
    pub fn open(dir: Option<&Path>, store: Option<&SharedStore>) -> Result<Self, String> {
        let (file, known) = match dir.map(File::open).transpose()? {
            Some((file, known)) => (Some(Arc::new(file)), known),
            None => (None, Vec::new()),
        };
        let keys = RevokedKeys::default();
        keys.add(&known);
        let revocations = Self(Arc::new(Inner {
            keys,
            file,
            unwritten: AtomicBool::new(false),
            changed: watch::Sender::new(()),
        }));
        if revocations.0.file.is_some() {
            revocations.write_changes();
        }
        if let Some(store) = store {
            replicas::keep(&revocations, store.clone());
        }
        Ok(revocations)
    }

    /// What doors and layers look at.
    #[must_use]
    pub fn keys(&self) -> &RevokedKeys {
        &self.0.keys
    }

    /// From now on the keys of `new` are refused; false if they were before.
    pub fn add(&self, new: &[Revocation]) -> bool {
        let changed = self.0.keys.add(new);
        if changed {
            for Revocation { key, by, because, .. } in new {
                tracing::warn!(target: targets::KEYS, key = key.as_str(), by, because, "the key is revoked");
            }
            self.0.changed.send_replace(());
        }
        changed
    }

    /// Whether they are remembered over a restart.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.0.file.is_some()
    }

    /// True if the last write failed.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.0.unwritten.load(Ordering::Relaxed)
    }

    /// Writes what is not in the file yet, on a thread that may block. False if that fails.
    pub async fn write(&self) -> bool {
        let Some(file) = self.0.file.clone() else { return true };
        let keys = self.0.keys.clone();
        let written = tokio::task::spawn_blocking(move || file.write(&keys)).await;
        let result = written.unwrap_or_else(|error| Err(error.to_string()));
        let failed = result.is_err();
        if let Err(cause) = result
            && !self.is_unwritten()
        {
            tracing::error!(target: targets::KEYS, cause, "revoked keys can't be written: a restart would take them again");
        }
        self.0.unwritten.store(failed, Ordering::Relaxed);
        !failed
    }

    /// Writes after each change, until nobody else holds this.
    fn write_changes(&self) {
        let (inner, mut changed) = (Arc::downgrade(&self.0), self.0.changed.subscribe());
        tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                loop {
                    let Some(revocations) = inner.upgrade().map(Self) else { return };
                    if revocations.write().await {
                        break;
                    }
                    drop(revocations);
                    sleep(AGAIN).await;
                }
            }
        });
    }
}
