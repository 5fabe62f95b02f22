//! What metrics say of the store.

use std::sync::Arc;
use std::time::Duration;

use super::StoreError;
use crate::telemetry::metrics::{Labels, Metrics, Value, words};

/// How a command can end.
const OUTCOMES: [&str; 6] = ["done", "refused", "timed-out", "lost", "away", "unreadable"];

/// Counts for one store.
pub(super) struct Meter {
    metrics: Arc<Metrics>,
    kind: &'static str,
}

impl Meter {
    pub(super) fn new(metrics: &Arc<Metrics>, kind: &'static str) -> Self {
        words(&metrics.store_commands, "outcome", OUTCOMES);
        // A rate of it is 0 before the first command, and not nothing.
        let done = Labels([("outcome", Value::Word("done"))]);
        let _ = metrics.store_duration.get_or_create(&done);
        let meter = Self { metrics: metrics.clone(), kind };
        meter.connected(false);
        meter
    }

    pub(super) fn connected(&self, is: bool) {
        let labels = Labels([("kind", Value::Word(self.kind))]);
        self.metrics.store_up.get_or_create(&labels).set(is.into());
    }

    /// A command took `time` to end with `result`.
    pub(super) fn ended<T>(&self, result: &Result<T, StoreError>, time: Duration) {
        let outcome = result.as_ref().err().map_or("done", StoreError::outcome);
        let labels = Labels([("outcome", Value::Word(outcome))]);
        self.metrics.store_commands.get_or_create(&labels).inc();
        let duration = self.metrics.store_duration.get_or_create(&labels);
        duration.observe(time.as_secs_f64(), None, None);
    }
}
