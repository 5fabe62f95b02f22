//! The budgets of all connections, and the dice for pauses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::budget::{Budget, Terms, pause};
use crate::clock::Instant;
use crate::ids::ConnectionId;

/// Outlives a reload: what was spent stays spent.
pub struct Book {
    /// std, not tokio: each section is a look-up and a few sums. As many as there are connections.
    budgets: Mutex<HashMap<ConnectionId, Purses>>,
    dice: AtomicU64,
}

struct Purses {
    plain: Budget,
    keyed: Budget,
}

impl Book {
    /// Nothing spent; the same seed gives the same pauses.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { budgets: Mutex::default(), dice: AtomicU64::new(seed) }
    }

    /// Nothing spent; pauses that nobody foresees.
    #[must_use]
    pub fn new() -> Self {
        // Without random bytes pauses are only less random.
        Self::seeded(getrandom::u64().unwrap_or_default())
    }

    /// A call begins.
    pub(super) fn call(&self, connection: &ConnectionId, keyed: bool, now: Instant) {
        self.with(connection, keyed, now, |budget| budget.call(now));
    }

    /// Takes a further attempt, if there is one.
    pub(super) fn take(&self, connection: &ConnectionId, keyed: bool, now: Instant) -> bool {
        self.with(connection, keyed, now, |budget| budget.take(now))
    }

    /// Further attempts that may be made now by calls without a key and with one, by connection;
    /// those that made no call yet have no budget.
    #[must_use]
    pub fn left(&self, now: Instant) -> Vec<(ConnectionId, [u64; 2])> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |purses: &mut Purses| [purses.plain.left(now), purses.keyed.left(now)];
        budgets.iter_mut().map(|(id, purses)| (id.clone(), left(purses))).collect()
    }

    /// The pause before the `nth` further attempt.
    pub(super) fn pause(&self, nth: u32) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mut z = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        pause(nth, z ^ (z >> 31))
    }

    fn with<T>(
        &self,
        connection: &ConnectionId,
        keyed: bool,
        now: Instant,
        act: impl FnOnce(&mut Budget) -> T,
    ) -> T {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if !budgets.contains_key(connection) {
            let purses = Purses {
                plain: Budget::new(Terms::PLAIN, now),
                keyed: Budget::new(Terms::KEYED, now),
            };
            budgets.insert(connection.clone(), purses);
        }
        let purses = budgets.get_mut(connection).expect("it was put there just now");
        act(if keyed { &mut purses.keyed } else { &mut purses.plain })
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}
