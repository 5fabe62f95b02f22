//! How long a slot rests, and the words for what slots and calls go through.

use std::time::Duration;

use super::moment::Moment;

/// The shortest guard: timer error and clock skew of ordinary machines.
const GUARD_LEAST: Duration = Duration::from_millis(50);

/// How long slots rest: the three lengths that the invariant stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestRule {
    /// The vendor's window W.
    pub window: Duration,
    /// Added to the window for clock drift between the vendor and us.
    pub guard: Duration,
    /// No call is counted later than this after its take: `upstream` ends it by then.
    pub hard_limit: Duration,
}

impl RestRule {
    /// The rest for a window, with the usual guard: W/1000, at least 50 ms.
    ///
    /// W/1000 covers clocks that drift by 1000 ppm, five times what is usual for a bad crystal.
    #[must_use]
    pub fn of(window: Duration, hard_limit: Duration) -> Self {
        let guard = GUARD_LEAST.max(window / 1000);
        Self { window, guard, hard_limit }
    }

    /// How much longer an answered call's slot rests than under `other`.
    #[must_use]
    pub fn longer_than(&self, other: &Self) -> Duration {
        (self.window + self.guard).saturating_sub(other.window + other.guard)
    }

    /// When a slot is free again whose call was answered at `answered`.
    #[must_use]
    pub fn after_answer(&self, answered: Moment) -> Moment {
        answered + self.window + self.guard
    }

    /// When a slot is free again that was taken at `taken` and whose answer never came.
    #[must_use]
    pub fn after_no_response(&self, taken: Moment) -> Moment {
        taken + self.hard_limit + self.window + self.guard
    }
}

/// How a call ended, as far as its slots care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The first byte of the final answer head came at this moment (1xx answers don't count).
    FirstByteAt(Moment),
    /// No answer came, or the socket broke after a byte was written: the vendor may have counted
    /// the call at any time up to its hard limit.
    NoAnswer,
    /// Not one byte was written: the vendor can't have counted it.
    NothingSent,
}

/// What a slot is doing, with the moment that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// May be taken.
    Free,
    /// Taken then, not settled yet.
    InUse(Moment),
    /// Settled; free again then.
    Resting(Moment),
    /// Not owned, or never made.
    Absent,
}
