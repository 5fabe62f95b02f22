//! A moment on the one clock that drives the quota.
//!
//! The quota never reads a clock: its owner passes the time in, so that tests run at any speed and
//! a step of the wall clock changes nothing. The owner maps its monotonic clock to [`Moment`]s.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment, in nanoseconds since a base that the owner of the clock chose.
///
/// Arithmetic saturates: a moment past the end of time stays there, one before the base is the
/// base.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The base itself.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the base.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the base.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `by` before this one, or the base.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

/// A duration in nanoseconds, at most what a moment can hold (584 years).
#[must_use]
pub(crate) fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

impl From<Duration> for Moment {
    fn from(since_base: Duration) -> Self {
        Self(nanos(since_base))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            f.write_str("never")
        } else {
            write!(f, "{:?}", Duration::from_nanos(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let m = Moment::from(Duration::from_secs(1));
        assert_eq!(m.before(Duration::from_secs(2)), Moment::ZERO);
        assert_eq!(m + Duration::MAX, Moment::NEVER);
        assert_eq!(Moment::ZERO.since(m), Duration::ZERO);
    }
}
