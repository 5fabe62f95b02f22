//! The handles of series, resolved at the first use of their labels and kept.
//!
//! To look a series up by its labels costs about four times as much as to count, and ten times if
//! two threads do it. So one look-up finds all that an operation, a connection or an app has
//! touched.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};

use super::Seconds;
use super::labels::{Labels, Value};
use crate::error::Code;
use crate::ids::{AppId, ConnectionId, TenantId};

/// Status classes, by the first digit of the status.
pub(super) const CLASSES: [&str; 7] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// How many codes a call can end with: those of [`Code`], and the three ends that have no error
/// code.
pub(super) const CODES: usize = Code::ALL.len() + 3;

/// How many things the cache can do for a call.
pub(super) const OUTCOMES: usize = 7;

/// A handle that is made at its first use.
pub(super) type Slot<M> = OnceLock<M>;

/// Handles by number.
pub(super) struct HandleRow<M, const N: usize>(pub(super) [Slot<M>; N]);

/// The handles of all series that finished calls have touched.
#[derive(Default)]
pub struct Handles {
    pub(super) operations: KeptHandles<Arc<str>, OfOperation>,
    pub(super) connections: KeptHandles<ConnectionId, OfConnection>,
    pub(super) apps: ArcSwap<HashMap<(TenantId, AppId), Arc<OfApp>>>,
    pub(super) others: OfApp,
    pub(super) octets: HandleRow<Counter, 2>,
}

/// What an operation has touched.
#[derive(Default)]
pub(super) struct OfOperation {
    pub(super) requests: HandleRow<HandleRow<Counter, CODES>, { CLASSES.len() }>,
    pub(super) server: HandleRow<Seconds, { CLASSES.len() }>,
    pub(super) client: HandleRow<Seconds, { CLASSES.len() }>,
    pub(super) attempts: Slot<Counter>,
    pub(super) cache: HandleRow<Counter, OUTCOMES>,
    pub(super) saved: Slot<Counter>,
}

/// What a connection has touched.
#[derive(Default)]
pub(super) struct OfConnection {
    pub(super) waits: HandleRow<Seconds, 2>,
    pub(super) answers: HandleRow<Counter, { CLASSES.len() }>,
    /// By the code of the rule that refused.
    pub(super) refusals: HandleRow<Counter, { Code::ALL.len() }>,
    /// True if the vendor refused its token the last time.
    pub(super) token_refused: AtomicBool,
}

/// What an app with labels of its own has touched, or all the other apps together.
#[derive(Default)]
pub(super) struct OfApp {
    pub(super) named: Option<[Value; 2]>,
    pub(super) codes: HandleRow<Counter, CODES>,
}

/// What was made for each key of a closed set. It is read far more often than it grows.
pub(super) struct KeptHandles<K, V>(ArcSwap<HashMap<K, Arc<V>>>);

/// The handle in `slot`; it is resolved now if it is not there.
pub(super) fn resolved<'a, M: Clone, C: MetricConstructor<M>, const N: usize>(
    slot: &'a Slot<M>,
    family: &Family<Labels<N>, M, C>,
    labels: impl FnOnce() -> [(&'static str, Value); N],
) -> &'a M {
    slot.get_or_init(|| family.get_or_create_owned(&Labels(labels())))
}

// === impl HandleRow ===

impl<M, const N: usize> Default for HandleRow<M, N> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; N])
    }
}

// === impl KeptHandles ===

impl<K, V> Default for KeptHandles<K, V> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(HashMap::new()))
    }
}

impl<K: Hash + Eq + Clone, V: Default> KeptHandles<K, V> {
    /// What is kept for `key`, if something has touched it.
    pub(super) fn known<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.0.load().get(key).cloned()
    }

    /// All that is kept.
    pub(super) fn each(&self, mut see: impl FnMut(&K, &V)) {
        self.0.load().iter().for_each(|(key, kept)| see(key, kept));
    }

    /// What is kept for `key`. If it is not there it is made now, under the owned form of the key
    /// that `own` gives.
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q, own: impl Fn() -> K) -> Arc<V>
    where
        K: Borrow<Q>,
    {
        if let Some(kept) = self.known(key) {
            return kept;
        }
        // Made outside the swap, which may run again and must not make another.
        let made = Arc::new(V::default());
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(own()).or_insert_with(|| made.clone());
            all
        });
        self.0.load().get(key).cloned().unwrap_or(made)
    }
}

impl OfApp {
    /// `tenant` and `app`.
    pub(super) fn labels(&self) -> Labels<2> {
        let others = [Value::Word("other"), Value::Word("other")];
        let [tenant, app] = self.named.clone().unwrap_or(others);
        Labels([("tenant", tenant), ("app", app)])
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::ConnectionId;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_connection_that_no_call_has_touched_has_no_handles() {
        let (metrics, connection) = (Metrics::new(), "acme-prod".parse::<ConnectionId>().unwrap());
        metrics.token_loaded(&connection);
        metrics.show_tokens(std::iter::once(&connection));
        assert!(metrics.handles.connections.known(&connection).is_none());
    }
}
