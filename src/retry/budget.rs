//! How many further attempts a connection may have: a part of its calls, and a few in any case.
//! Pure: time is an argument.

use std::time::Duration;

use crate::clock::Instant;

/// What further attempts are measured over.
const WINDOW: u64 = 10;

/// Seconds that are remembered: the window, and the one that is not over.
const SECONDS: usize = 11;

/// The bounds of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BudgetTerms {
    /// Further attempts in any window for each 100 calls in it.
    pub(super) percent: u32,
    /// Further attempts in any window that need no calls.
    pub(super) floor: u32,
}

impl BudgetTerms {
    /// For calls without a key.
    pub(super) const PLAIN: Self = Self { percent: 20, floor: 3 };
    /// For calls whose key makes their repetition harmless.
    pub(super) const KEYED: Self = Self { percent: 100, floor: 10 };
}

/// Calls and further attempts of the last seconds.
#[derive(Clone, Debug)]
pub(super) struct RetryBudget {
    terms: BudgetTerms,
    epoch: Instant,
    /// By second, modulo their number: which second it is, its calls, its further attempts.
    seconds: [(u64, u32, u32); SECONDS],
}

impl RetryBudget {
    /// Nothing has happened yet.
    #[must_use]
    pub(super) fn new(terms: BudgetTerms, now: Instant) -> Self {
        Self { terms, epoch: now, seconds: [(0, 0, 0); SECONDS] }
    }

    /// Counts a call's first attempt.
    pub(super) fn call(&mut self, now: Instant) {
        let (_, calls, _) = self.second(now);
        *calls = calls.saturating_add(1);
    }

    /// Takes one further attempt, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let fits = self.left(now) > 0;
        if fits {
            let (_, _, further) = self.second(now);
            *further += 1;
        }
        fits
    }

    /// Further attempts that may be made now.
    pub(super) fn left(&mut self, now: Instant) -> u64 {
        let (present, ..) = *self.second(now);
        // The second that began more than a window ago counts for attempts and not for calls: so
        // the bound holds in every window, wherever it begins.
        let younger = |at: u64, than: u64| present - at < than;
        let of = |pick: fn(&(u64, u32, u32)) -> u32, than| -> u64 {
            let kept = self.seconds.iter().filter(|(at, ..)| younger(*at, than));
            kept.map(|second| u64::from(pick(second))).sum()
        };
        let calls = of(|(_, calls, _)| *calls, WINDOW);
        let further = of(|(_, _, further)| *further, WINDOW + 1);
        let allowed = (calls * u64::from(self.terms.percent) / 100).max(self.terms.floor.into());
        allowed.saturating_sub(further)
    }

    fn second(&mut self, now: Instant) -> &mut (u64, u32, u32) {
        let number = now.saturating_duration_since(self.epoch).as_secs();
        let place = usize::try_from(number % SECONDS as u64).unwrap_or(0);
        let second = &mut self.seconds[place];
        if second.0 != number {
            *second = (number, 0, 0);
        }
        // An older number would be a clock that ran backwards; the monotonic one doesn't.
        second
    }
}

/// The pause before a further attempt, the `nth` from 1: somewhere up to a bound that doubles
/// ("full jitter"), so that calls which failed together do not come back together. `dice` is any
/// number.
#[must_use]
pub(super) fn pause(nth: u32, dice: u64) -> Duration {
    const FIRST: u64 = 100;
    const MOST: u64 = 5_000;
    let bound = FIRST.saturating_mul(1 << (nth.clamp(1, 16) - 1)).min(MOST);
    Duration::from_millis(dice % (bound + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_few_are_always_there_and_come_back_after_the_window() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(BudgetTerms::PLAIN, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            [0, 1, 2, 3, 9, 10].map(|s| budget.take(at(s))),
            [true, true, true, false, false, false]
        );
        assert_eq!([11, 11].map(|s| budget.take(at(s))), [true, false]);
        assert!(budget.take(at(40)));
    }

    #[test]
    fn a_part_of_the_calls_may_be_repeated() {
        let now = Instant::now();
        for (terms, calls, allowed) in [
            (BudgetTerms::PLAIN, 100, 20),
            (BudgetTerms::KEYED, 100, 100),
            (BudgetTerms::KEYED, 5, 10),
        ] {
            let mut budget = RetryBudget::new(terms, now);
            (0..calls).for_each(|_| budget.call(now));
            let taken = (0..1000).filter(|_| budget.take(now)).count();
            assert_eq!(taken, allowed, "{terms:?}");
        }
    }

    #[test]
    fn the_pause_is_up_to_a_bound_that_doubles_and_stops() {
        for (nth, bound) in [(1, 100), (2, 200), (4, 800), (7, 5_000), (40, 5_000)] {
            let pauses = (0..20_000).map(|dice| pause(nth, dice));
            assert_eq!(pauses.max().unwrap(), Duration::from_millis(bound), "{nth}");
            assert_eq!(pause(nth, 0), Duration::ZERO);
        }
    }

    proptest! {
        /// In no 10 s, wherever they begin, are there more than the part or the floor.
        #[test]
        fn no_window_has_more(
            steps in proptest::collection::vec((0_u64..4_000, any::<bool>()), 1..400),
            keyed in any::<bool>(),
        ) {
            let terms = if keyed { BudgetTerms::KEYED } else { BudgetTerms::PLAIN };
            let start = Instant::now();
            let mut budget = RetryBudget::new(terms, start);
            let (mut now, mut calls, mut taken) = (start, Vec::new(), Vec::new());
            for (millis, call) in steps {
                now += Duration::from_millis(if call { millis / 40 } else { millis / 10 });
                if call {
                    budget.call(now);
                    calls.push(now);
                } else if budget.take(now) {
                    taken.push(now);
                    let begin = now.checked_sub(Duration::from_secs(10));
                    let within = |at: &&Instant| begin.is_none_or(|begin| **at > begin);
                    let calls = calls.iter().filter(within).count();
                    let further = taken.iter().filter(within).count();
                    let part = calls * usize::try_from(terms.percent).unwrap() / 100;
                    prop_assert!(further <= part.max(usize::try_from(terms.floor).unwrap()));
                }
            }
        }
    }
}
