//! The quota's clock beside that of the process.

use std::time::Duration;

use crate::clock::{self, Instant};
use crate::quota::Moment;

/// Where the quota's time begins: so long before this process that no moment of an earlier one is
/// before it.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// `instant` on the quota's clock, which began [`BEFORE`] the `base`.
pub(super) fn moment(base: Instant, instant: Instant) -> Moment {
    Moment::from(BEFORE + instant.saturating_duration_since(base))
}

/// `moment` on the clock of the process; `None` if that does not reach so far.
pub(super) fn instant(base: Instant, moment: Moment) -> Option<Instant> {
    base.checked_add(Duration::from_nanos(moment.as_nanos()).saturating_sub(BEFORE))
}

/// Time in which the machine was suspended: [`Instant`] stands still then, and other replicas go on.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    /// How far `CLOCK_BOOTTIME` was ahead of the time since the base at the last look.
    ahead: Option<Duration>,
}

/// The two clocks are not read at one moment.
const APART: Duration = Duration::from_millis(50);

impl Sleep {
    /// Whether the machine slept since the last look.
    pub(super) fn is_over(&mut self, base: Instant) -> bool {
        // In this order: a pause in between makes it look shorter.
        let boottime = clock::boottime();
        self.is_over_at(boottime, base.elapsed())
    }

    fn is_over_at(&mut self, boottime: Duration, elapsed: Duration) -> bool {
        let ahead = boottime.saturating_sub(elapsed);
        let before = self.ahead.get_or_insert(ahead);
        let slept = ahead > *before + APART;
        *before = if slept { ahead } else { ahead.max(*before) };
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_of_the_machine_is_noticed_once() {
        let second = Duration::from_secs;
        let mut sleep = Sleep::default();
        assert!(!sleep.is_over_at(second(100), second(1)));
        assert!(!sleep.is_over_at(second(130), second(31)), "time passed on both clocks");
        assert!(sleep.is_over_at(second(190), second(32)));
        assert!(!sleep.is_over_at(second(191), second(33)));
        assert!(!sleep.is_over_at(second(191), second(35)), "a pause between the two looks");
        assert!(!sleep.is_over_at(second(194), second(36)));
    }
}
