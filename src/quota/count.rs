//! How often something happened within about the last window, in a few words of memory.

use std::time::Duration;

use super::moment::Moment;

/// Of a client that tries again and again, so many refusals count in a window at the most.
const MOST_COUNTED: u32 = 30;

/// Calls of an app in about the last window, those that come close together counted as one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    calls: f64,
    faded: Moment,
    counted: Moment,
}

impl Count {
    /// A call came; no more than `most` are counted.
    pub(crate) fn note(&mut self, most: f64, window: Duration, now: Moment) {
        if now.since(self.counted) >= window / MOST_COUNTED {
            self.fade(window, now);
            self.calls = (self.calls + 1.0).min(most);
            self.counted = now;
        }
    }

    /// A call of the app was let in: it may be the one that was refused.
    pub(crate) fn served(&mut self) {
        self.calls = (self.calls - 1.0).max(0.0);
    }

    /// Forgets by and by what was long ago.
    pub(crate) fn fade(&mut self, window: Duration, now: Moment) {
        let age = now.since(self.faded).as_secs_f64() / window.as_secs_f64();
        self.calls *= (-age).exp();
        self.faded = now;
    }

    /// How many, as of the last look.
    pub(crate) const fn calls(&self) -> f64 {
        self.calls
    }

    /// Whether something is left that matters.
    pub(crate) fn matters(&self) -> bool {
        self.calls >= 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::from(Duration::from_secs(seconds))
    }

    #[test]
    fn a_client_that_tries_without_a_pause_counts_little_more_than_one_that_waits() {
        let mut missed = Count::default();
        for second in 100..160 {
            for _ in 0..40 {
                missed.note(50.0, WINDOW, at(second));
            }
        }
        assert!(missed.calls <= f64::from(MOST_COUNTED), "{missed:?}");
    }

    #[test]
    fn refusals_count_no_more_than_the_part_and_are_forgotten() {
        let mut missed = Count::default();
        for turn in 0..30 {
            missed.note(5.0, WINDOW, at(100 + 2 * turn));
            assert!(missed.calls <= 5.0, "{missed:?}");
        }
        missed.served();
        assert!(missed.calls <= 4.0 && missed.matters(), "{missed:?}");
        missed.fade(WINDOW, at(400));
        assert!(!missed.matters(), "{missed:?}");
    }
}
