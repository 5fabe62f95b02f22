//! Tokens in files that Courier refused, while the ones before them are used.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::ConnectionId;

/// Connections whose token is not the one in its file. Clones share it; it outlives a reload, which
/// reads all files anew.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(
    /// std, not tokio: each section is one look-up and never awaits.
    Arc<Mutex<BTreeSet<ConnectionId>>>,
);

impl GivenUp {
    /// The connections, in their order.
    #[must_use]
    pub fn all(&self) -> Vec<ConnectionId> {
        self.connections().iter().cloned().collect()
    }

    /// Whether `connection` is one of them.
    #[must_use]
    pub fn has(&self, connection: &ConnectionId) -> bool {
        self.connections().contains(connection)
    }

    /// The token of `connection` in its file was refused, and the one before is used.
    pub(super) fn add(&self, connection: &ConnectionId) {
        self.connections().insert(connection.clone());
    }

    /// What is used is what its file has, or a newer one is about to be tried.
    pub(super) fn remove(&self, connection: &ConnectionId) {
        self.connections().remove(connection);
    }

    /// All files were read anew.
    pub(super) fn clear(&self) {
        self.connections().clear();
    }

    fn connections(&self) -> MutexGuard<'_, BTreeSet<ConnectionId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
