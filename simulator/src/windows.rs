//! The ways in which a vendor may count calls in a window.
//!
//! All times are µs on one clock. A time that is smaller than the last one counts as the last one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The most calls that a sliding window remembers one by one.
const REMEMBERED: usize = 1 << 20;

/// A way of counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// The exact number of calls in the last window.
    #[default]
    Sliding,
    /// The calls since the last multiple of the window, shifted by the phase.
    Fixed,
    /// The current fixed window, plus the part of the previous one that a sliding window still
    /// covers.
    Weighted,
}

/// A count of calls in a window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    algorithm: Algorithm,
    window: u64,
    phase: u64,
    last: u64,
    times: VecDeque<u64>,
    index: u64,
    current: u64,
    previous: u64,
}

impl Window {
    /// An empty window of `window` µs (at least 1); `phase` shifts the edges of fixed ones.
    pub(crate) fn new(algorithm: Algorithm, window: u64, phase: u64) -> Self {
        Self {
            algorithm,
            window: window.max(1),
            phase,
            last: 0,
            times: VecDeque::new(),
            index: 0,
            current: 0,
            previous: 0,
        }
    }

    /// Counts one call.
    pub(crate) fn add(&mut self, at: u64) {
        self.roll(at);
        match self.algorithm {
            Algorithm::Sliding => {
                if self.times.len() == REMEMBERED {
                    self.times.pop_front();
                }
                self.times.push_back(self.last);
            }
            Algorithm::Fixed | Algorithm::Weighted => self.current += 1,
        }
    }

    /// The count at `at`.
    #[expect(clippy::cast_precision_loss, reason = "counts and windows stay far below 2^53")]
    pub(crate) fn count(&mut self, at: u64) -> f64 {
        self.roll(at);
        match self.algorithm {
            Algorithm::Sliding => self.times.len() as f64,
            Algorithm::Fixed => self.current as f64,
            Algorithm::Weighted => {
                let left = 1.0 - self.offset() as f64 / self.window as f64;
                (self.previous as f64).mul_add(left, self.current as f64)
            }
        }
    }

    /// How long after `at` (µs) one more call fits under `limit`, if none comes before.
    ///
    /// The result is exact. For weighted windows it is their next edge.
    pub(crate) fn wait(&mut self, at: u64, limit: u64) -> u64 {
        self.roll(at);
        match self.algorithm {
            Algorithm::Sliding => {
                let excess = (self.times.len() as u64 + 1).saturating_sub(limit);
                let Some(place) = excess.checked_sub(1) else {
                    return 0;
                };
                let leaves = self.times.get(usize::try_from(place).unwrap_or(usize::MAX));
                leaves.map_or(0, |t| t.saturating_add(self.window).saturating_sub(self.last))
            }
            Algorithm::Fixed | Algorithm::Weighted => self.window - self.offset(),
        }
    }

    fn offset(&self) -> u64 {
        self.last.saturating_add(self.phase) % self.window
    }

    fn roll(&mut self, at: u64) {
        self.last = self.last.max(at);
        match self.algorithm {
            // A call exactly one window ago is outside.
            Algorithm::Sliding => {
                while self.times.front().is_some_and(|t| t.saturating_add(self.window) <= self.last)
                {
                    self.times.pop_front();
                }
            }
            Algorithm::Fixed | Algorithm::Weighted => {
                let index = self.last.saturating_add(self.phase) / self.window;
                if index != self.index {
                    self.previous = if index == self.index + 1 { self.current } else { 0 };
                    (self.index, self.current) = (index, 0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sliding_window_counts_exactly_the_last_window() {
        let mut w = Window::new(Algorithm::Sliding, 60, 0);
        [0, 10, 59].into_iter().for_each(|t| w.add(t));
        assert_eq!(w.count(59), 3.0);
        assert_eq!(w.count(60), 2.0);
        assert_eq!(w.wait(60, 2), 10);
        assert_eq!(w.count(70), 1.0);
        assert_eq!(w.wait(70, 2), 0);
    }

    #[test]
    fn a_fixed_window_starts_anew_at_its_shifted_edge() {
        let mut w = Window::new(Algorithm::Fixed, 60, 15);
        [0, 44].into_iter().for_each(|t| w.add(t));
        assert_eq!(w.count(44), 2.0);
        assert_eq!(w.wait(44, 2), 1);
        assert_eq!(w.count(45), 0.0);
    }

    #[test]
    fn what_lies_two_windows_back_weighs_nothing() {
        let mut w = Window::new(Algorithm::Weighted, 60, 0);
        (0..40).for_each(|t| w.add(t));
        assert_eq!(w.count(130), 0.0);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_room() {
        for algorithm in [Algorithm::Sliding, Algorithm::Fixed, Algorithm::Weighted] {
            let mut w = Window::new(algorithm, 60, 0);
            w.add(70);
            w.add(10);
            assert_eq!((w.count(10), w.count(70)), (2.0, 2.0), "{algorithm:?}");
        }
    }

    #[test]
    fn a_weighted_window_blends_the_one_before() {
        let mut w = Window::new(Algorithm::Weighted, 60, 0);
        (0..40).for_each(|t| w.add(t));
        assert_eq!(w.count(60), 40.0);
        assert_eq!(w.count(90), 20.0);
        assert_eq!(w.count(180), 0.0);
    }
}
