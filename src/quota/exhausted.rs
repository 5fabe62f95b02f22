//! When the last free slot will be taken. Pure.

use std::time::Duration;

/// Looks at most: at a rate that the rests hardly bear it may take many, and nobody needs to know.
const LOOKS: u32 = 256;

/// When no slot is free any more, if `rate` calls a second start from now on, `free` slots could be
/// taken now, and `back` counts the resting ones that are free by a moment. `None` if that is not so
/// within `window`: from then on those that start now come back.
#[must_use]
pub fn exhausted(
    rate: f64,
    free: u32,
    window: Duration,
    back: impl Fn(Duration) -> u32,
) -> Option<Duration> {
    if free == 0 && back(Duration::ZERO) == 0 {
        return Some(Duration::ZERO);
    }
    if rate.is_nan() || rate <= 0.0 {
        return None;
    }
    let mut at = Duration::ZERO;
    for _ in 0..LOOKS {
        let slots = f64::from(free) + f64::from(back(at));
        // All that are free by `at` last until then.
        let last = Duration::try_from_secs_f64(slots / rate).ok().filter(|last| *last < window)?;
        if last <= at {
            return Some(at);
        }
        at = last;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_comes_when_the_free_slots_and_those_that_come_back_by_then_are_taken() {
        let none = |_| 0;
        assert_eq!(exhausted(0.0, 0, WINDOW, none), Some(Duration::ZERO), "now");
        assert_eq!(exhausted(0.0, 5, WINDOW, none), None, "nobody calls");
        assert_eq!(exhausted(1.0, 42, WINDOW, none), Some(Duration::from_secs(42)));
        assert_eq!(exhausted(1.0, 60, WINDOW, none), None, "those of now come back");
        let at_30 = |at| if at >= Duration::from_secs(30) { 7 } else { 0 };
        assert_eq!(exhausted(1.0, 42, WINDOW, at_30), Some(Duration::from_secs(49)));
        assert_eq!(exhausted(2.0, 42, WINDOW, at_30), Some(Duration::from_secs(21)), "too late");
    }

    proptest! {
        /// Held against calls one by one.
        #[test]
        fn it_is_when_a_call_would_find_nothing(
            per_second in 1_u32..20,
            free in 0_u32..50,
            mut rests in proptest::collection::vec(1_u64..60_000, 0..50),
        ) {
            rests.sort_unstable();
            let back = |at: Duration| {
                let by = |rest: &&u64| u128::from(**rest) * 1_000_000 <= at.as_nanos();
                u32::try_from(rests.iter().filter(by).count()).unwrap()
            };
            let found = exhausted(per_second.into(), free, WINDOW, back);
            // Call n starts at n / rate, and needs n + 1 slots that were free by then.
            let at = |n: u32| Duration::from_secs_f64(f64::from(n) / f64::from(per_second));
            let mut calls = (0..60 * per_second).filter(|n| free + back(at(*n)) <= *n);
            prop_assert_eq!(found, calls.next().map(at));
        }

        #[test]
        fn more_calls_never_last_longer(rate in 0.1_f64..100.0, free in 1_u32..1000) {
            let last = |rate| exhausted(rate, free, WINDOW, |_| 0).unwrap_or(WINDOW);
            prop_assert!(last(rate * 2.0) <= last(rate));
        }
    }
}
