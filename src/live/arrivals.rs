//! Which calls came to the quota of a connection in the last hour: counts, by second.
//!
//! A second has at most 64 kinds of calls (an app, a lane, a cost); what is more counts as the first
//! of them. So an hour takes at most 3600 · 64 · 24 octets, 5.5 MB, and one call a second of one
//! app 0.3 MB.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Instant;
use crate::ids::AppId;

/// Seconds that are kept.
const KEPT: u64 = 3600;
/// Kinds of calls in one second.
const KINDS: usize = 64;

/// Calls of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalKind {
    /// Whose.
    pub app: AppId,
    /// The operation is bulk by nature, whatever the app's lane is.
    pub bulk: bool,
    /// Slots of the connection's pool that each takes.
    pub cost: u32,
}

/// Calls that came in one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivalSecond {
    /// Seconds since the beginning.
    pub second: u64,
    /// How many of each kind.
    pub counts: Vec<(ArrivalKind, u32)>,
}

/// The last hour of a connection.
#[derive(Debug)]
pub struct Arrivals {
    base: Instant,
    /// std, not tokio: one addition for each call.
    seconds: Mutex<VecDeque<ArrivalSecond>>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { base: Instant::now(), seconds: Mutex::default() }
    }
}

impl Arrivals {
    /// A call came at `when`; it may be long over.
    pub fn note(&self, when: Instant, app: &AppId, bulk: bool, cost: u32) {
        let second = when.saturating_duration_since(self.base).as_secs();
        let mut seconds = self.seconds();
        let at = seconds.partition_point(|known| known.second < second);
        if seconds.get(at).is_none_or(|known| known.second != second) {
            seconds.insert(at, ArrivalSecond { second, counts: Vec::new() });
        }
        let counts = &mut seconds[at].counts;
        let same = |(kind, _): &&mut (ArrivalKind, u32)| {
            kind.app == *app && kind.bulk == bulk && kind.cost == cost
        };
        let full = counts.len() >= KINDS;
        match counts.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None if full => counts[0].1 += 1,
            None => counts.push((ArrivalKind { app: app.clone(), bulk, cost }, 1)),
        }
        let newest = seconds.back().map_or(0, |known| known.second);
        while seconds.front().is_some_and(|known| known.second + KEPT <= newest) {
            seconds.pop_front();
        }
    }

    /// What is kept, the oldest first, and the beginning of its seconds.
    #[must_use]
    pub fn hour(&self) -> (Vec<ArrivalSecond>, Instant) {
        let now = self.base.elapsed().as_secs();
        let seconds = self.seconds();
        let recent = seconds.iter().filter(|known| known.second + KEPT > now);
        (recent.cloned().collect(), self.base)
    }

    fn seconds(&self) -> MutexGuard<'_, VecDeque<ArrivalSecond>> {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArrivalSecond {
    /// Its calls, spread over it.
    pub fn calls(&self) -> impl Iterator<Item = (Duration, &ArrivalKind)> {
        let all: u32 = self.counts.iter().map(|(_, count)| count).sum();
        let kinds = self.counts.iter();
        let each = kinds.flat_map(|(kind, count)| std::iter::repeat_n(kind, *count as usize));
        each.enumerate().map(move |(at, kind)| {
            let within = Duration::from_secs(1) * u32::try_from(at).unwrap_or(0) / all.max(1);
            (Duration::from_secs(self.second) + within, kind)
        })
    }

    /// How many calls came.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.iter().map(|(_, count)| *count as usize).sum()
    }

    /// Whether none came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_kept_and_no_more_whatever_order_calls_end_in() {
        let arrivals = Arrivals::default();
        let base = arrivals.base;
        let at = |second| base + Duration::from_secs(second);
        let app: AppId = "billing".parse().unwrap();
        for second in [5, 3, 5, 4000] {
            arrivals.note(at(second), &app, false, 1);
        }
        tokio::time::advance(Duration::from_secs(4000)).await;
        let (hour, _) = arrivals.hour();
        assert_eq!(hour.iter().map(|known| known.second).collect::<Vec<_>>(), [4000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_of_many_kinds_counts_every_call_and_stays_small() {
        let arrivals = Arrivals::default();
        for number in 0..1000 {
            let app = format!("app{number}").parse().unwrap();
            arrivals.note(Instant::now(), &app, true, 1);
        }
        let (hour, _) = arrivals.hour();
        assert_eq!((hour[0].counts.len(), hour[0].len()), (KINDS, 1000));
        assert_eq!(hour[0].calls().count(), 1000);
        assert!(hour[0].calls().all(|(when, _)| when < Duration::from_secs(1)));
    }
}
