//! The one clock. Everything that waits or measures uses [`Instant`], which tests can pause;
//! wall time is for what leaves the process: log lines and key expiry.

use std::time::{Duration, SystemTime};

pub use tokio::time::Instant;

/// The wall time now. It moves with [`Instant`] where a test has paused that.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that reads the wall clock")]
pub fn wall() -> SystemTime {
    let (ahead, behind) = paused();
    SystemTime::now() + ahead - behind
}

/// `CLOCK_BOOTTIME`: time since the boot, suspension included. It moves with [`Instant`] where a
/// test has paused that.
#[must_use]
pub fn boottime() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let boottime = Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default());
    let (ahead, behind) = paused();
    (boottime + ahead).saturating_sub(behind)
}

/// The kernel's boot id: two moments of [`boottime`] can be compared under one. Zeros where there
/// is none, so that every start is another boot.
#[must_use]
pub fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}

/// Only tests pause [`Instant`].
#[cfg(not(feature = "testing"))]
const fn paused() -> (Duration, Duration) {
    (Duration::ZERO, Duration::ZERO)
}

/// How far a test has moved [`Instant`] ahead of the real one, or held it back.
#[cfg(feature = "testing")]
#[expect(clippy::disallowed_types, reason = "compared with the one clock, which stands for it")]
fn paused() -> (Duration, Duration) {
    let (ours, real) = (Instant::now().into_std(), std::time::Instant::now());
    (ours.saturating_duration_since(real), real.saturating_duration_since(ours))
}

/// `time` as RFC 3339 in UTC with milliseconds: `2026-11-24T17:30:00.000Z`.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    Rfc3339(time).to_string()
}

/// The same, written where it is shown; a time out of range is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(pub SystemTime);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        jiff::Timestamp::try_from(self.0).map_or(Ok(()), |stamp| write!(f, "{stamp:.3}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_written_in_utc_with_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_120);
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.120Z");
    }
}
