//! When somebody is told that a key or a certificate ends: 14, 7 and 1 days before, and at its end.
//! Pure: the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long before an end somebody is told of it, the longest first.
const BEFORE: [Duration; 4] =
    [Duration::from_secs(14 * 24 * 3600), Duration::from_secs(7 * 24 * 3600), DAY, Duration::ZERO];

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(3600);

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ComingEnd {
    /// What, such as `key 'k1' of acme/billing`.
    pub(super) what: String,
    /// When.
    pub(super) at: SystemTime,
}

/// What somebody was told.
#[derive(Debug, Default)]
pub(super) struct Reminders {
    /// The step of [`BEFORE`] that was said last.
    said: HashMap<ComingEnd, usize>,
}

impl ComingEnd {
    /// The days until it; 0 on its last day and after it.
    pub(super) fn days_left(&self, now: SystemTime) -> u64 {
        self.at.duration_since(now).unwrap_or_default().as_secs() / DAY.as_secs()
    }

    /// The last step of [`BEFORE`] that has come.
    fn step(&self, now: SystemTime) -> Option<usize> {
        BEFORE.iter().rposition(|before| now + *before >= self.at)
    }
}

impl Reminders {
    /// Those of `ends` of which somebody is to be told now. Each step of each end is said once. What
    /// is not among `ends` any more is forgotten.
    pub(super) fn due(&mut self, now: SystemTime, ends: &[ComingEnd]) -> Vec<ComingEnd> {
        let mut said = HashMap::new();
        let mut due = Vec::new();
        for end in ends {
            let Some(step) = end.step(now) else { continue };
            let before = self.said.get(end).copied();
            if before.is_none_or(|before| before < step) {
                due.push(end.clone());
            }
            // A clock that was put back says nothing twice.
            said.insert(end.clone(), before.map_or(step, |before| before.max(step)));
        }
        self.said = said;
        due
    }
}

/// How long nobody has to be told anything, at most an hour.
pub(super) fn rest(now: SystemTime, ends: &[ComingEnd]) -> Duration {
    let moments = ends.iter().flat_map(|end| BEFORE.iter().map(|before| end.at - *before));
    let next = moments.filter_map(|moment| moment.duration_since(now).ok());
    // A moment that has just come is not ahead any more.
    next.filter(|rest| !rest.is_zero()).min().unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(hours: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 * 24 * 3600 + hours * 3600)
    }

    fn end(what: &str, hours: u64) -> ComingEnd {
        ComingEnd { what: what.into(), at: at(hours) }
    }

    #[test]
    fn an_end_is_told_14_7_and_1_days_before_and_when_it_has_come() {
        let (mut reminders, ends) = (Reminders::default(), [end("k1", 30 * 24)]);
        let told: Vec<u64> =
            (0..40 * 24).filter(|hour| !reminders.due(at(*hour), &ends).is_empty()).collect();
        assert_eq!(told, [16 * 24, 23 * 24, 29 * 24, 30 * 24]);
        assert_eq!(ends[0].days_left(at(23 * 24)), 7);
        assert_eq!(ends[0].days_left(at(31 * 24)), 0);
    }

    #[test]
    fn a_key_with_another_end_is_another_one() {
        let mut reminders = Reminders::default();
        assert_eq!(reminders.due(at(0), &[end("k1", 24)]).len(), 1);
        assert_eq!(reminders.due(at(0), &[end("k1", 25)]).len(), 1);
        assert_eq!(reminders.due(at(0), &[end("k1", 25)]).len(), 0);
        assert_eq!(reminders.due(at(0), &[]).len(), 0);
        assert!(reminders.said.is_empty());
    }

    proptest! {
        #[test]
        fn whoever_looks_when_a_rest_is_over_says_each_step_in_time_and_once(
            ends in prop::collection::hash_set((0..3_u8, 0..1_000_u64), 0..6),
        ) {
            let ends: Vec<_> = ends.iter().map(|(what, hours)| end(&what.to_string(), *hours)).collect();
            let (mut reminders, mut now, mut told) = (Reminders::default(), at(0), 0);
            while now < at(1_001) {
                for due in reminders.due(now, &ends) {
                    let exact = BEFORE.iter().any(|before| due.at - *before == now);
                    prop_assert!(exact || now == at(0), "{due:?} at {now:?}");
                    told += 1;
                }
                let rest = rest(now, &ends);
                prop_assert!(!rest.is_zero() && rest <= LONGEST);
                now += rest;
            }
            let steps = |end: &ComingEnd| BEFORE.iter().filter(|before| end.at - **before > at(0)).count();
            let late = ends.iter().filter(|end| end.step(at(0)).is_some()).count();
            prop_assert_eq!(told, ends.iter().map(steps).sum::<usize>() + late);
        }
    }
}
