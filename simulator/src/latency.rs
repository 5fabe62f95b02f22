//! Distributions of the time to the first byte.

use serde::{Deserialize, Serialize};

use crate::ids::Rng;
use crate::time::Micros;

/// The longest draw: ten minutes.
const LONGEST_MS: f64 = 600_000.0;

/// A distribution, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// Always the same.
    Fixed {
        /// The time.
        ms: f64,
    },
    /// Evenly between two values.
    Uniform {
        /// The least.
        min_ms: f64,
        /// The most.
        max_ms: f64,
    },
    /// Exponential.
    Exponential {
        /// The mean.
        mean_ms: f64,
    },
    /// Lognormal, as answer times usually are.
    Lognormal {
        /// The median.
        median_ms: f64,
        /// The spread of the logarithm.
        sigma: f64,
    },
}

impl Latency {
    /// Draws once. The result lies between zero and ten minutes.
    pub fn draw(&self, dice: &mut Rng) -> Micros {
        let ms = match self {
            Self::Fixed { ms } => *ms,
            Self::Uniform { min_ms, max_ms } => (max_ms - min_ms).mul_add(dice.unit(), *min_ms),
            Self::Exponential { mean_ms } => -mean_ms * (1.0 - dice.unit()).ln(),
            Self::Lognormal { median_ms, sigma } => {
                // Box and Muller: two uniform draws make a normal one.
                let radius = (-2.0 * (1.0 - dice.unit()).ln()).sqrt();
                median_ms * (sigma * radius * (std::f64::consts::TAU * dice.unit()).cos()).exp()
            }
        };
        let bounded = if ms.is_finite() { ms.clamp(0.0, LONGEST_MS) } else { LONGEST_MS };
        Micros(micros(bounded))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value lies between 0 and 600 000 ms"
)]
const fn micros(ms: f64) -> u64 {
    (ms * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_lognormal_lies_below_its_median() {
        let mut dice = Rng::new(3);
        let latency = Latency::Lognormal { median_ms: 100.0, sigma: 1.0 };
        let below =
            (0..10_000).filter(|_| latency.draw(&mut dice) < Micros::from_millis(100)).count();
        assert!((4800..5200).contains(&below), "{below}");
    }

    #[test]
    fn an_even_one_stays_between_its_ends_and_a_memoryless_one_has_its_mean() {
        let mut dice = Rng::new(3);
        let even = Latency::Uniform { min_ms: 50.0, max_ms: 60.0 };
        let draws: Vec<u64> = (0..1000).map(|_| even.draw(&mut dice).0).collect();
        assert!(draws.iter().all(|us| (50_000..60_000).contains(us)));
        assert!(draws.iter().any(|us| *us < 51_000) && draws.iter().any(|us| *us > 59_000));
        let rare = Latency::Exponential { mean_ms: 100.0 };
        let draws: Vec<u64> = (0..10_000).map(|_| rare.draw(&mut dice).0).collect();
        let mean = draws.iter().sum::<u64>() / 10_000;
        assert!((95_000..105_000).contains(&mean), "{mean}");
        let long = draws.iter().filter(|us| **us > 300_000).count();
        assert!((400..600).contains(&long), "e^-3 of all, not {long}");
    }

    #[test]
    fn no_latency_is_longer_than_ten_minutes_whatever_its_numbers() {
        let mut dice = Rng::new(3);
        for ms in [-5.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Latency::Fixed { ms }.draw(&mut dice) <= Micros::from_secs(600));
        }
    }
}
