//! The sends under way whose retries are recognised because they are equal. An equal send first
//! asks whether a client of theirs has left, since the server may not have been told yet. If one
//! has, the equal send is a retry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::Id;
use crate::proof::SendProof;

/// Proofs of calls under way, by request. Bounded by the number of calls.
#[derive(Default)]
pub(super) struct EqualSends(
    /// std, not tokio: each section is one map operation and never awaits.
    Mutex<HashMap<Id, Vec<Arc<SendProof>>>>,
);

impl EqualSends {
    pub(super) fn enter(&self, print: Id, proof: Arc<SendProof>) {
        self.all().entry(print).or_default().push(proof);
    }

    pub(super) fn leave(&self, print: &Id, proof: &Arc<SendProof>) {
        let mut all = self.all();
        if let Some(equal) = all.get_mut(print) {
            equal.retain(|one| !Arc::ptr_eq(one, proof));
            if equal.is_empty() {
                all.remove(print);
            }
        }
    }

    /// Makes sure that every client that has left by now is known to have left.
    pub(super) fn look(&self, print: &Id) {
        // Not under the lock, because this tells their keys.
        let equal = self.all().get(print).cloned().unwrap_or_default();
        equal.iter().for_each(|proof| proof.look());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Id, Vec<Arc<SendProof>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
