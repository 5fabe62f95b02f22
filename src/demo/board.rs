//! What the demo's applications met, shared by those who make calls and those who look.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The calls of one application.
#[derive(Default)]
pub(super) struct CallCounts {
    by_operation: BTreeMap<&'static str, u32>,
    times: Vec<Duration>,
    failures: Vec<String>,
    /// How many of `times` were looked at before.
    seen: usize,
}

/// One application on the board.
pub(super) struct DemoApp {
    pub(super) name: &'static str,
    /// std, not tokio: a push or a look, never awaited.
    calls: Mutex<CallCounts>,
}

impl DemoApp {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, calls: Mutex::default() }
    }

    pub(super) fn add(&self, operation: &'static str, time: Duration, result: Result<(), String>) {
        let mut calls = self.calls();
        *calls.by_operation.entry(operation).or_default() += 1;
        calls.times.push(time);
        calls.failures.extend(result.err().map(|reason| format!("{operation}: {reason}")));
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, CallCounts> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The figures since the last look.
    pub(super) fn news(&self) -> String {
        let mut calls = self.calls();
        let news = &calls.times[calls.seen..];
        let text =
            format!("{} {:>3} calls, p50 {:>5.0} ms", self.name, news.len(), percentile(news, 50));
        calls.seen = calls.times.len();
        text
    }
}

impl CallCounts {
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Calls on `operation` that came back right.
    pub(super) fn came_right(&self, operation: &str) -> usize {
        let all = self.by_operation.get(operation).copied().unwrap_or_default();
        let wrong = self.failures.iter().filter(|text| text.starts_with(operation)).count();
        usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(wrong)
    }

    pub(super) fn did(&self, operation: &str) -> bool {
        self.by_operation.contains_key(operation)
    }
}

impl fmt::Display for DemoApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls();
        write!(
            f,
            "{:>12}: {} calls over {} operations, {} wrong; p50 {:.0} ms, p99 {:.0} ms",
            self.name,
            calls.times.len(),
            calls.by_operation.len(),
            calls.failures.len(),
            percentile(&calls.times, 50),
            percentile(&calls.times, 99),
        )
    }
}

/// The time that `percent` of `times` did not exceed, in milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
