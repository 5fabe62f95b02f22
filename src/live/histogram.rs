//! Times in a fixed number of buckets, for quantiles of the last minutes. A time costs one relaxed
//! addition. A quantile is the upper edge of its bucket, at most 19 % too long.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Four buckets double a time: from 1 ms over 16 doublings to 65 s, then one for all that is longer.
const FINE: f64 = 4.0;
/// How many buckets there are.
pub const BUCKETS: usize = 66;
/// Parts of the time that is looked back on; the oldest is emptied and filled again.
pub const PARTS: usize = 6;

/// Times of the last [`PARTS`] turns.
#[derive(Debug, Default)]
pub struct Histogram {
    turns: Turns,
    parts: [Part; PARTS],
}

#[derive(Debug)]
struct Part([AtomicU32; BUCKETS]);

/// Which part is filled.
#[derive(Debug, Default)]
pub struct Turns(AtomicUsize);

/// How long something took, in milliseconds; nothing if it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half of the times are no longer.
    pub p50: Option<u64>,
    /// Nine of ten are no longer.
    pub p90: Option<u64>,
    /// 99 of 100 are no longer.
    pub p99: Option<u64>,
}

impl Default for Part {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; BUCKETS])
    }
}

impl Turns {
    /// The part that is filled now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The next one, which `empty` makes empty before it is filled.
    pub fn turn(&self, empty: impl FnOnce(usize)) {
        let next = (self.now() + 1) % PARTS;
        empty(next);
        self.0.store(next, Ordering::Relaxed);
    }
}

impl Histogram {
    /// Something took `time`.
    pub fn note(&self, time: Duration) {
        self.parts[self.turns.now()].0[bucket(time)].fetch_add(1, Ordering::Relaxed);
    }

    /// A part of the time is over: the oldest is forgotten.
    pub fn turn(&self) {
        let empty = |next: usize| {
            let part: &Part = &self.parts[next];
            part.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        };
        self.turns.turn(empty);
    }

    /// The quantiles of all that is kept.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let mut counts = [0_u64; BUCKETS];
        for part in &self.parts {
            for (sum, count) in counts.iter_mut().zip(&part.0) {
                *sum += u64::from(count.load(Ordering::Relaxed));
            }
        }
        Quantiles {
            p50: quantile(&counts, 50),
            p90: quantile(&counts, 90),
            p99: quantile(&counts, 99),
        }
    }
}

/// The bucket of a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped to the buckets, and a cast of a float saturates"
)]
fn bucket(time: Duration) -> usize {
    let doublings = (time.as_secs_f64() * 1e3).max(1.0).log2();
    ((doublings * FINE).ceil() as usize).min(BUCKETS - 1)
}

/// The longest time of a bucket, in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "there are few buckets, and the last one ends at 78 s"
)]
fn edge(bucket: usize) -> u64 {
    (bucket as f64 / FINE).exp2().ceil() as u64
}

/// The edge that so many of a hundred times do not pass.
fn quantile(counts: &[u64; BUCKETS], percent: u64) -> Option<u64> {
    let all: u64 = counts.iter().sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let at = counts.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    at.map(edge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantile_is_no_shorter_than_the_time_and_at_most_a_fifth_longer(
            times in proptest::collection::vec(1_u64..60_000, 1..200),
            percent in prop_oneof![Just(50_u64), Just(90), Just(99)],
        ) {
            let histogram = Histogram::default();
            times.iter().for_each(|ms| histogram.note(Duration::from_millis(*ms)));
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1);
            let exact = sorted[usize::try_from(rank).unwrap() - 1];
            let Quantiles { p50, p90, p99 } = histogram.quantiles();
            let shown = match percent { 50 => p50, 90 => p90, _ => p99 }.unwrap();
            prop_assert!(shown >= exact, "{} < {}", shown, exact);
            prop_assert!(shown as f64 <= exact as f64 * 1.19 + 1.0, "{} for {}", shown, exact);
        }
    }

    #[test]
    fn nothing_that_happened_has_no_quantile_and_what_is_old_is_forgotten() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        histogram.note(Duration::from_secs(500));
        for _ in 1..PARTS {
            histogram.turn();
            assert!(histogram.quantiles().p50.is_some_and(|ms| ms > 65_000));
        }
        histogram.turn();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        histogram.note(Duration::ZERO);
        assert_eq!(histogram.quantiles().p99, Some(1));
    }
}
