//! Redis, which the replicas of a gateway share: one connection, kept by a task of its own.
//!
//! Each command has a time-out, and says what is known when it fails. It is long: who has a request
//! that waits gives up sooner. Without `[shared]` in the configuration nothing of this exists.

mod batch;
mod commands;
mod dial;
mod error;
mod keeper;
mod meter;
mod notices;
mod status;
mod url;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::secret::TokenSource;
use crate::telemetry::metrics::Metrics;
use keeper::Keeper;

pub use batch::Batch;
pub use commands::Script;
pub use error::StoreError;
pub use notices::{Notice, Subscription};
pub use status::Status;
pub use url::RedisUrl;

/// How Redis is reached, and how long a command may take.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The servers.
    pub url: RedisUrl,
    /// What they are.
    pub kind: Kind,
    /// The user; the default one without.
    pub user: Option<String>,
    /// Where the password is. It is read again for each new connection.
    pub password: Option<TokenSource>,
    /// Where the sentinels' password is.
    pub sentinel_password: Option<TokenSource>,
    /// The only roots to trust, as PEM; those of the web without.
    pub roots: Option<Arc<[u8]>>,
    /// Time for one command.
    pub timeout: Duration,
    /// What all keys and channels begin with.
    pub prefix: String,
}

/// What the servers of a URL are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One Redis.
    Single,
    /// Sentinels, which know where the primary of this name is.
    Sentinel(String),
    /// Nodes of a cluster.
    Cluster,
}

/// A key with the prefix of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreKey(String);

/// The shared store. Clones use one connection; with the last one it is closed.
#[derive(Clone)]
pub struct SharedStore {
    keeper: Arc<Keeper>,
    _task: Arc<AbortOnDropHandle<()>>,
}

// === impl Kind ===

impl Kind {
    /// Its word in metrics and log lines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel(_) => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

// === impl StoreKey ===

impl StoreKey {
    /// `name` among the keys of `group`, which all lie on one node of a cluster.
    fn of(prefix: &str, group: &str, name: &str) -> Self {
        Self(format!("{prefix}:{{{group}}}:{name}"))
    }

    /// The key as Redis knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl SharedStore ===

impl SharedStore {
    /// Begins to connect, and goes on until it is dropped. Must be called inside a tokio runtime.
    #[must_use]
    pub fn open(settings: StoreSettings, metrics: &Arc<Metrics>) -> Self {
        let keeper = Arc::new(Keeper::new(settings, metrics));
        let task = AbortOnDropHandle::new(tokio::spawn(keeper.clone().keep()));
        Self { keeper, _task: Arc::new(task) }
    }

    /// The key `name` of `group`. Keys of one group lie on one node of a cluster, so that a script
    /// or a batch may use several of them.
    #[must_use]
    pub fn key(&self, group: &str, name: &str) -> StoreKey {
        StoreKey::of(&self.keeper.settings.prefix, group, name)
    }

    /// Whether keys of different groups may lie on different servers.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.keeper.settings.kind == Kind::Cluster
    }

    /// Whether it is connected, since when, and why not.
    #[must_use]
    pub fn status(&self) -> Status {
        self.keeper.status.borrow().clone()
    }

    /// Waits until the status is one that `fits`.
    pub async fn becomes(&self, fits: impl FnMut(&Status) -> bool) -> Status {
        let mut seen = self.keeper.status.subscribe();
        // The sender lives as long as this.
        seen.wait_for(fits).await.map_or_else(|_| self.status(), |status| status.clone())
    }
}
