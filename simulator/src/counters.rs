//! Counts how many calls each token made, in every way that a vendor may count them.
//!
//! The counters never refuse a call. They prove what a gateway sent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::{Deserialize, Serialize};

use crate::windows::{Algorithm, Window};

/// The most phases: each costs two windows for each of three moments.
const MOST_PHASES: u64 = 64;

/// What is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountersOptions {
    /// The window in ms.
    pub window_ms: u64,
    /// How many evenly shifted fixed and weighted windows run side by side, 1 to 64.
    pub phases: u64,
    /// How many tokens (and pairs of token and operation) are counted. Further ones are not, and
    /// `overflow` says how many calls that were.
    pub keys: usize,
}

impl Default for CountersOptions {
    fn default() -> Self {
        Self { window_ms: 60_000, phases: 4, keys: 4096 }
    }
}

/// When a vendor may count a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    /// When it has arrived.
    Arrival,
    /// Half-way between.
    Between,
    /// When the answer's first byte goes out.
    Answer,
}

const MOMENTS: [Moment; 3] = [Moment::Arrival, Moment::Between, Moment::Answer];

/// The largest counts of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phase {
    /// How far the windows' edges are shifted, in ms.
    pub phase_ms: u64,
    /// In any fixed window.
    pub fixed: f64,
    /// By the weighted estimate of two windows.
    pub weighted: f64,
}

/// The largest counts ever seen in any window, for one moment of counting.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Largest {
    /// In any sliding window.
    pub sliding: f64,
    /// In any fixed window of any phase.
    pub fixed: f64,
    /// By the weighted estimate of any phase.
    pub weighted: f64,
    /// All calls.
    pub total: u64,
    /// Each phase by itself; empty before the first call.
    pub phases: Vec<Phase>,
}

/// The largest counts at each of the three moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Counted at arrival.
    pub arrival: Largest,
    /// Counted half-way.
    pub between: Largest,
    /// Counted at the answer.
    pub answer: Largest,
}

impl Report {
    /// The largest exact count (sliding or fixed) at any moment.
    pub fn worst(&self) -> f64 {
        [&self.arrival, &self.between, &self.answer]
            .iter()
            .map(|l| l.sliding.max(l.fixed))
            .fold(0.0, f64::max)
    }
}

struct Meter {
    sliding: Window,
    /// A fixed and a weighted window of each phase, in the order of `largest.phases`.
    pairs: Vec<[Window; 2]>,
    largest: Largest,
}

impl Meter {
    fn new(options: &CountersOptions) -> Self {
        let window = options.window_ms.saturating_mul(1000).max(1);
        let count = options.phases.clamp(1, MOST_PHASES);
        let shifts = (0..count).map(|n| window / count * n);
        let pair =
            |shift| [Algorithm::Fixed, Algorithm::Weighted].map(|a| Window::new(a, window, shift));
        let phase = |shift| Phase { phase_ms: shift / 1000, ..Phase::default() };
        Self {
            sliding: Window::new(Algorithm::Sliding, window, 0),
            pairs: shifts.clone().map(pair).collect(),
            largest: Largest { phases: shifts.map(phase).collect(), ..Largest::default() },
        }
    }

    fn add(&mut self, at: u64) {
        let Self { sliding, pairs, largest } = self;
        let counted = |window: &mut Window| {
            window.add(at);
            window.count(at)
        };
        largest.total += 1;
        largest.sliding = largest.sliding.max(counted(sliding));
        for ([fixed, weighted], most) in pairs.iter_mut().zip(&mut largest.phases) {
            most.fixed = most.fixed.max(counted(fixed));
            most.weighted = most.weighted.max(counted(weighted));
            largest.fixed = largest.fixed.max(most.fixed);
            largest.weighted = largest.weighted.max(most.weighted);
        }
    }
}

/// The meter of all calls of a token, and one for each operation.
type ByOperation = BTreeMap<Option<String>, usize>;

/// All meters.
pub(crate) struct Counters {
    options: CountersOptions,
    index: BTreeMap<String, ByOperation>,
    meters: Vec<[Meter; 3]>,
    /// Calls to count later: time, order of arrival, meter, moment.
    ahead: BinaryHeap<Reverse<(u64, u64, usize, Moment)>>,
    order: u64,
    overflow: u64,
}

impl Counters {
    /// No calls yet.
    pub(crate) fn new(options: &CountersOptions) -> Self {
        Self {
            options: options.clone(),
            index: BTreeMap::new(),
            meters: Vec::new(),
            ahead: BinaryHeap::new(),
            order: 0,
            overflow: 0,
        }
    }

    /// Counts a call of `token` for the token and for its operation.
    ///
    /// The call arrived at `at` and is answered at `answer`, both in µs.
    pub(crate) fn record(&mut self, token: &str, operation: &str, at: u64, answer: u64) {
        self.advance(at);
        for operation in [None, Some(operation)] {
            let Some(meter) = self.meter(token, operation) else {
                continue;
            };
            if answer <= at {
                self.meters[meter].iter_mut().for_each(|m| m.add(at));
                continue;
            }
            self.meters[meter][0].add(at);
            for (moment, time) in [(Moment::Between, at.midpoint(answer)), (Moment::Answer, answer)]
            {
                self.order += 1;
                self.ahead.push(Reverse((time, self.order, meter, moment)));
            }
        }
    }

    /// The largest counts of a token so far, over all its calls or those of one operation.
    pub(crate) fn report(&mut self, token: &str, operation: Option<&str>, at: u64) -> Report {
        self.advance(at);
        self.find(token, operation).map_or_else(Report::default, |m| self.report_of(m))
    }

    /// Token, operation (absent: all calls) and the largest counts of each.
    pub(crate) fn reports(&mut self, at: u64) -> Vec<(String, Option<String>, Report)> {
        self.advance(at);
        let pairs = self
            .index
            .iter()
            .flat_map(|(token, by)| by.iter().map(move |(operation, m)| (token, operation, *m)));
        pairs
            .map(|(token, operation, m)| (token.clone(), operation.clone(), self.report_of(m)))
            .collect()
    }

    /// Calls that were not counted, because there were too many tokens.
    pub(crate) const fn overflow(&self) -> u64 {
        self.overflow
    }

    fn report_of(&self, meter: usize) -> Report {
        let [arrival, between, answer] = &self.meters[meter];
        let [arrival, between, answer] = [arrival, between, answer].map(|m| m.largest.clone());
        Report { arrival, between, answer }
    }

    fn advance(&mut self, at: u64) {
        while let Some(Reverse((time, _, meter, moment))) = self.ahead.peek().copied() {
            if time > at {
                return;
            }
            self.ahead.pop();
            self.meters[meter][moment as usize].add(time);
        }
    }

    fn find(&self, token: &str, operation: Option<&str>) -> Option<usize> {
        // Searching the token's few operations costs less than making a key for a look-up.
        let by = self.index.get(token)?;
        by.iter().find(|(known, _)| known.as_deref() == operation).map(|(_, m)| *m)
    }

    fn meter(&mut self, token: &str, operation: Option<&str>) -> Option<usize> {
        if let Some(meter) = self.find(token, operation) {
            return Some(meter);
        }
        if self.meters.len() == self.options.keys {
            self.overflow += 1;
            return None;
        }
        self.meters.push(MOMENTS.map(|_| Meter::new(&self.options)));
        let meter = self.meters.len() - 1;
        self.index.entry(token.to_owned()).or_default().insert(operation.map(str::to_owned), meter);
        Some(meter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_after_a_burst_is_seen_by_the_sliding_window_only() {
        let mut c = Counters::new(&CountersOptions { window_ms: 60_000, phases: 1, keys: 10 });
        for at in [59_000_000, 61_000_000] {
            (0..50).for_each(|i| c.record("t", "lists.put", at + i, at + i));
        }
        let r = c.report("t", None, 70_000_000);
        assert_eq!((r.arrival.sliding, r.arrival.fixed), (100.0, 50.0));
        assert!(r.arrival.weighted > 98.0);
        assert_eq!(c.report("t", Some("lists.put"), 70_000_000), r);
    }

    #[test]
    fn each_phase_of_fixed_and_weighted_windows_has_its_own_largest_count() {
        let mut c = Counters::new(&CountersOptions { window_ms: 60_000, phases: 4, keys: 10 });
        // Three calls on each side of the edge of the first phase, which the third does not have.
        for at in [59, 59, 59, 61, 61, 61] {
            c.record("t", "x", at * 1_000_000, at * 1_000_000);
        }
        let phases = c.report("t", None, 61_000_000).arrival.phases;
        let shown: Vec<_> = phases.iter().map(|p| (p.phase_ms, p.fixed)).collect();
        assert_eq!(shown, [(0, 3.0), (15_000, 6.0), (30_000, 6.0), (45_000, 6.0)]);
        assert_eq!(phases[0].weighted, 3.0f64.mul_add(59.0 / 60.0, 3.0));
        assert_eq!(phases[2].weighted, 6.0);
    }

    #[test]
    fn the_moment_of_counting_changes_the_largest_count() {
        let mut c = Counters::new(&CountersOptions { window_ms: 1000, phases: 1, keys: 10 });
        c.record("t", "x", 0, 1_500_000);
        assert_eq!(c.report("t", None, 749_999).between.total, 0);
        assert_eq!(c.report("t", None, 750_000).between.total, 1);
        c.record("t", "x", 1_200_000, 1_600_000);
        let r = c.report("t", None, 1_599_999);
        assert_eq!((r.arrival.sliding, r.answer.sliding), (1.0, 1.0));
        assert_eq!(c.report("t", None, 1_600_000).answer.sliding, 2.0);
    }

    #[test]
    fn too_many_tokens_are_told_not_kept() {
        let mut c = Counters::new(&CountersOptions { keys: 2, ..CountersOptions::default() });
        c.record("a", "x", 0, 0);
        c.record("b", "x", 0, 0);
        assert_eq!(c.overflow(), 2);
        assert_eq!(c.report("b", None, 0), Report::default());
    }
}
