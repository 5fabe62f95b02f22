//! The one clock. Everything that waits or measures uses [`Instant`], which tests can pause;
//! wall time is for what leaves the process: log lines and key expiry.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use bytes::BufMut;

use crate::digits;

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

/// `time` in milliseconds since 1970; a time before that is 0.
#[must_use]
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `time` as RFC 3339 in UTC with milliseconds: `2026-11-24T17:30:00.000Z`; a time out of range is
/// nothing.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |stamp| format!("{stamp:.3}"))
}

thread_local! {
    /// The last second that was written, and its text up to the point.
    static SECOND: Cell<(u64, [u8; 19])> = const { Cell::new((u64::MAX, [0; 19])) };
}

/// Appends the text of [`rfc3339`]. Many lines are of one second: its text is made once.
pub fn write_rfc3339(text: &mut impl BufMut, time: SystemTime) {
    let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) else {
        return text.put_slice(rfc3339(time).as_bytes());
    };
    let (mut second, mut start) = SECOND.get();
    if second != since.as_secs() {
        let whole = rfc3339(time);
        let Some(made) = whole.as_bytes().first_chunk() else { return };
        (second, start) = (since.as_secs(), *made);
        SECOND.set((second, start));
    }
    text.put_slice(&start);
    digits::places(text, since.subsec_millis().into());
    text.put_u8(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wall_time_is_written_in_utc_with_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_120);
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.120Z");
    }

    proptest! {
        #[test]
        fn a_time_is_written_the_same_in_either_way(
            seconds in -10_000_000_000_i64..300_000_000_000,
            steps in prop::collection::vec(0..3_000_000_000_u64, 1..5),
        ) {
            let (epoch, away) = (SystemTime::UNIX_EPOCH, Duration::from_secs(seconds.unsigned_abs()));
            let mut time = if seconds < 0 { epoch - away } else { epoch + away };
            for nanos in steps {
                time += Duration::from_nanos(nanos);
                let mut text = Vec::new();
                write_rfc3339(&mut text, time);
                prop_assert_eq!(String::from_utf8(text).unwrap(), rfc3339(time));
            }
        }
    }
}
