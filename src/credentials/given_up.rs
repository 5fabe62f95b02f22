//! What is to be said of tokens in files: Courier refused one and the one before is used, one can't
//! be read, and when another one was taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::clock;
use crate::ids::ConnectionId;

/// See the module text. Clones share it; it outlives a reload, which reads all files anew.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(
    /// std, not tokio: each section is one look-up and never awaits.
    Arc<Mutex<Said>>,
);

#[derive(Debug, Default)]
struct Said {
    given_up: BTreeSet<ConnectionId>,
    /// Their file is not there.
    absent: BTreeSet<ConnectionId>,
    /// Their file is there, and holds nothing that could be used.
    useless: BTreeSet<ConnectionId>,
    changed: BTreeMap<ConnectionId, SystemTime>,
}

impl GivenUp {
    /// The connections whose token is not the one in its file, in their order.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectionId> {
        self.said().given_up.iter().cloned().collect()
    }

    /// Whether `connection` is one of them.
    #[must_use]
    pub fn has(&self, connection: &ConnectionId) -> bool {
        self.said().given_up.contains(connection)
    }

    /// Whether the file of the connection's token can't be read now.
    #[must_use]
    pub fn is_unreadable(&self, connection: &ConnectionId) -> bool {
        let said = self.said();
        said.absent.contains(connection) || said.useless.contains(connection)
    }

    /// When another token of `connection` was taken over, if that was since the start.
    #[must_use]
    pub fn changed_at(&self, connection: &ConnectionId) -> Option<SystemTime> {
        self.said().changed.get(connection).copied()
    }

    /// The token of `connection` in its file was refused, and the one before is used.
    pub(super) fn add(&self, connection: &ConnectionId) {
        self.said().given_up.insert(connection.clone());
    }

    /// What is used is what its file has, or a newer one is about to be tried.
    pub(super) fn remove(&self, connection: &ConnectionId) {
        let mut said = self.said();
        said.given_up.remove(connection);
        said.useless.remove(connection);
    }

    /// Another token is used from now on.
    pub(super) fn changed(&self, connection: &ConnectionId) {
        self.remove(connection);
        self.said().changed.insert(connection.clone(), clock::wall());
    }

    /// The file was read, and holds nothing that could be used.
    pub(super) fn useless(&self, connection: &ConnectionId) {
        self.said().useless.insert(connection.clone());
    }

    /// Whether the file is there.
    pub(super) fn is_there(&self, connection: &ConnectionId, there: bool) {
        let mut said = self.said();
        if there {
            said.absent.remove(connection);
        } else if !said.absent.contains(connection) {
            said.absent.insert(connection.clone());
        }
    }

    /// All files were read anew.
    pub(super) fn clear(&self) {
        let mut said = self.said();
        said.given_up.clear();
        said.absent.clear();
        said.useless.clear();
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
