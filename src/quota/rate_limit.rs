//! Paces: governor cells on our own clock.
//!
//! A pace spreads calls in time where slots alone would let them out in clumps: the bulk lane (one
//! cell each W/N), the operator's `burst` over all calls of a connection, and an app's own `limit`.
//! Slots are taken first and cells last, since a cell can't be given back. So that a cell is not
//! lost when another rule still says no, [`RateLimiter::ready`] keeps the cell it got until
//! [`RateLimiter::spend`].

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::Quota;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};

use super::moment::Moment;

/// The clock that governor reads: it shows what it was last set to.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<AtomicU64>);

impl Clock for Shown {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// A rate with a burst: one more call each `period`, at most `burst` at once.
#[derive(Debug)]
pub struct RateLimiter {
    limiter: governor::RateLimiter<NotKeyed, InMemoryState, Shown, NoOpMiddleware<Nanos>>,
    clock: Shown,
    period: Duration,
    /// A cell was taken from governor and not spent yet. In a `Cell`: to ask changes no answer.
    cell: Cell<bool>,
    /// Before this governor says no; kept so that asking again costs nothing.
    not_before: Cell<Moment>,
}

impl RateLimiter {
    /// A pace of `calls` per `window` with `burst` at once; `None` if that is no rate (a zero, or
    /// more than one call per nanosecond).
    #[must_use]
    pub fn new(calls: u32, window: Duration, burst: u32, now: Moment) -> Option<Self> {
        let period = window.checked_div(calls)?;
        let quota = Quota::with_period(period)?.allow_burst(NonZeroU32::new(burst)?);
        let clock = Shown::default();
        clock.0.store(now.as_nanos(), Ordering::Relaxed);
        Some(Self {
            limiter: governor::RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            period,
            cell: Cell::new(false),
            not_before: Cell::new(Moment::ZERO),
        })
    }

    /// Time between two calls in the long run.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// `None`: a call may go now; else when to ask again.
    pub fn ready(&self, now: Moment) -> Option<Moment> {
        if self.cell.get() {
            return None;
        }
        if now < self.not_before.get() {
            return Some(self.not_before.get());
        }
        self.clock.0.store(now.as_nanos(), Ordering::Relaxed);
        match self.limiter.check() {
            Ok(()) => {
                self.cell.set(true);
                None
            }
            Err(no) => {
                self.not_before.set(Moment::from_nanos(no.earliest_possible().as_u64()));
                Some(self.not_before.get())
            }
        }
    }

    /// A call went; to be used right after [`RateLimiter::ready`] said so.
    pub fn spend(&mut self) {
        self.cell.set(false);
    }

    /// When the call after `before` others may go at the earliest.
    pub fn estimate(&self, before: u32, now: Moment) -> Moment {
        let first = self.ready(now).unwrap_or(now);
        first + self.period.saturating_mul(before)
    }
}

/// What a lane gets at least: `calls` per window, saved up to one window's worth.
///
/// Not a governor cell: every call of the lane counts against it, those that went by the pace too,
/// and it never goes below zero for them. So it does nothing for a lane that is served anyway.
#[derive(Debug, Default)]
pub struct MinimumRate {
    calls: f64,
    window: Duration,
    saved: f64,
    at: Moment,
}

impl MinimumRate {
    /// A floor of `calls` per `window`; one call is due at once.
    #[must_use]
    pub fn new(calls: u32, window: Duration, now: Moment) -> Self {
        let calls = f64::from(calls);
        Self { calls, window, saved: calls.min(1.0), at: now }
    }

    /// `None`: a call is due; else when one will be.
    pub fn ready(&self, now: Moment) -> Option<Moment> {
        let missing = 1.0 - self.saved_at(now);
        if missing <= 1e-9 {
            return None;
        }
        Some(now + self.time_for(missing))
    }

    /// A call of the lane went.
    pub fn spend(&mut self, now: Moment) {
        self.saved = (self.saved_at(now) - 1.0).max(0.0);
        self.at = self.at.max(now);
    }

    /// When the call after `before` others is due.
    pub fn estimate(&self, before: u32, now: Moment) -> Moment {
        now + self.time_for((f64::from(before) + 1.0 - self.saved_at(now)).max(0.0))
    }

    fn saved_at(&self, now: Moment) -> f64 {
        let gained = now.since(self.at).as_secs_f64() / self.window.as_secs_f64().max(1e-9);
        (self.saved + gained * self.calls).min(self.calls)
    }

    /// Rounded up to the microsecond, so that whoever wakes then finds it done.
    fn time_for(&self, calls: f64) -> Duration {
        let seconds = calls / self.calls * self.window.as_secs_f64();
        Duration::try_from_secs_f64(seconds + 1e-6).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_pace_lets_one_call_go_each_period_to_the_nanosecond() {
        let mut pace = RateLimiter::new(100, Duration::from_secs(60), 1, at(5)).unwrap();
        assert_eq!(pace.ready(at(5)), None);
        pace.spend();
        assert_eq!(pace.ready(at(6)), Some(at(605)));
        assert_eq!(pace.ready(at(604)), Some(at(605)));
        assert_eq!(pace.ready(at(605)), None);
    }

    #[test]
    fn a_cell_that_was_not_spent_is_kept_and_counts_once() {
        let mut pace = RateLimiter::new(100, Duration::from_secs(60), 1, at(0)).unwrap();
        assert_eq!(pace.ready(at(0)), None);
        assert_eq!(pace.ready(at(100)), None);
        pace.spend();
        assert_eq!(pace.ready(at(200)), Some(at(600)));
    }

    #[test]
    fn a_floor_is_saved_up_to_one_window_and_not_owed() {
        let mut floor = MinimumRate::new(5, Duration::from_secs(60), at(0));
        for _ in 0..50 {
            floor.spend(at(10));
        }
        assert_eq!(floor.ready(at(10)), Some(at(12_010) + Duration::from_micros(1)));
        assert_eq!(floor.ready(at(12_011)), None);
        let mut due = 0;
        while floor.ready(at(3_600_000)).is_none() {
            floor.spend(at(3_600_000));
            due += 1;
        }
        assert_eq!(due, 5);
        assert_eq!(
            MinimumRate::new(0, Duration::from_secs(60), at(0)).ready(at(1)),
            Some(Moment::NEVER)
        );
    }

    #[test]
    fn no_rate_is_no_pace() {
        assert!(RateLimiter::new(0, Duration::from_secs(60), 1, at(0)).is_none());
        assert!(RateLimiter::new(100, Duration::ZERO, 1, at(0)).is_none());
        assert!(RateLimiter::new(100, Duration::from_secs(60), 0, at(0)).is_none());
    }
}
