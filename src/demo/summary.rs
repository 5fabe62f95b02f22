//! What the demo says at its end, and whether it was good.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::scenario::STEPS;
use crate::app::Drained;

/// Failures that are printed; the rest is counted.
const FAILURES_SHOWN: usize = 10;

/// The calls of one application.
#[derive(Default)]
pub(super) struct Calls {
    by_operation: BTreeMap<&'static str, u32>,
    times: Vec<Duration>,
    failures: Vec<String>,
}

/// The calls of all applications.
#[derive(Default)]
pub(super) struct Summary {
    apps: Vec<(&'static str, Calls)>,
    cut: usize,
}

impl Calls {
    pub(super) fn add(
        &mut self,
        operation: &'static str,
        time: Duration,
        result: Result<(), String>,
    ) {
        *self.by_operation.entry(operation).or_default() += 1;
        self.times.push(time);
        self.failures.extend(result.err().map(|reason| format!("{operation}: {reason}")));
    }

    /// The time that `percent` of the calls did not exceed, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

impl Summary {
    pub(super) fn add(&mut self, app: &'static str, calls: Calls) {
        self.apps.push((app, calls));
    }

    pub(super) fn drained(&mut self, left: Drained) {
        self.cut = left.connections + left.flights;
    }

    /// Every call came back right, every operation was called, and nothing was cut at the end.
    pub(super) fn is_good(&self) -> bool {
        let right = |calls: &Calls| {
            calls.failures.is_empty()
                && STEPS.iter().all(|step| calls.by_operation.contains_key(step.operation))
        };
        self.cut == 0 && self.apps.iter().all(|(_, calls)| right(calls))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (app, calls) in &self.apps {
            writeln!(
                f,
                "{app:>12}: {} calls over {} operations, {} wrong; p50 {:.1} ms, p99 {:.1} ms",
                calls.times.len(),
                calls.by_operation.len(),
                calls.failures.len(),
                calls.percentile(50),
                calls.percentile(99),
            )?;
        }
        let failures = self.apps.iter().flat_map(|(_, calls)| &calls.failures);
        for failure in failures.take(FAILURES_SHOWN) {
            writeln!(f, "  wrong: {failure}")?;
        }
        if self.cut > 0 {
            writeln!(f, "  {} connections or calls were cut at the end", self.cut)?;
        }
        f.write_str(if self.is_good() {
            "every call came back right"
        } else {
            "not every call came back right"
        })
    }
}
