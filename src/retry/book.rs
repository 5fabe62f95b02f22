//! The budgets of all connections, and the dice for pauses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::budget::{BudgetTerms, RetryBudget, pause};
use crate::clock::Instant;
use crate::ids::ConnectionId;

/// The budgets of all connections. Outlives a reload: what was spent stays spent.
pub struct Budgets {
    /// std, not tokio: read when a stack is built and when somebody asks. As many as there were
    /// connections.
    connections: Mutex<BTreeMap<ConnectionId, Arc<ConnectionBudgets>>>,
    /// std, not tokio: one number a pause.
    dice: Mutex<fastrand::Rng>,
}

/// What one connection may spend.
pub struct ConnectionBudgets {
    /// std, not tokio: each section is a few sums.
    purses: Mutex<Purses>,
}

struct Purses {
    plain: RetryBudget,
    keyed: RetryBudget,
}

impl Budgets {
    /// Nothing spent; the same seed gives the same pauses.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { connections: Mutex::default(), dice: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// Nothing spent; pauses that nobody foresees.
    #[must_use]
    pub fn new() -> Self {
        // Without random bytes pauses are only less random.
        Self::seeded(getrandom::u64().unwrap_or_default())
    }

    /// The budgets of `connection`.
    #[must_use]
    pub fn of(&self, connection: &ConnectionId) -> Arc<ConnectionBudgets> {
        let mut all = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(connection.clone()).or_default().clone()
    }

    /// Further attempts that may be made now by calls without a key and with one, by connection.
    #[must_use]
    pub fn left(&self, now: Instant) -> Vec<(ConnectionId, [u64; 2])> {
        let all = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(id, budgets)| (id.clone(), budgets.left(now))).collect()
    }

    /// The pause before the `nth` further attempt.
    pub(super) fn pause(&self, nth: u32) -> Duration {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        pause(nth, dice.u64(..))
    }
}

impl ConnectionBudgets {
    /// A call begins.
    pub(super) fn call(&self, keyed: bool, now: Instant) {
        self.purses().of(keyed).call(now);
    }

    /// Takes a further attempt, if there is one.
    pub(super) fn take(&self, keyed: bool, now: Instant) -> bool {
        self.purses().of(keyed).take(now)
    }

    fn left(&self, now: Instant) -> [u64; 2] {
        let mut purses = self.purses();
        [purses.plain.left(now), purses.keyed.left(now)]
    }

    fn purses(&self) -> MutexGuard<'_, Purses> {
        self.purses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Purses {
    fn of(&mut self, keyed: bool) -> &mut RetryBudget {
        if keyed { &mut self.keyed } else { &mut self.plain }
    }
}

impl Default for ConnectionBudgets {
    fn default() -> Self {
        let now = Instant::now();
        let plain = RetryBudget::new(BudgetTerms::PLAIN, now);
        Self {
            purses: Mutex::new(Purses { plain, keyed: RetryBudget::new(BudgetTerms::KEYED, now) }),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::new()
    }
}
