//! Two kinds of time, both plain numbers.
//!
//! [`Micros`] count from the start of the simulator. [`Wall`] is the time that Courier prints.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MS_PER_DAY: u64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Microseconds since the simulator began; the caller's monotonic time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// The instant at which the simulator began.
    pub const ZERO: Self = Self(0);

    /// Turns milliseconds into microseconds; saturates.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// Turns seconds into microseconds; saturates.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// The same span as a [`Duration`].
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl Add for Micros {
    type Output = Self;

    /// Saturates, so that the largest value can mean "never".
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<Duration> for Micros {
    /// Saturates after 584 000 years.
    fn from(d: Duration) -> Self {
        Self(u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z on the simulated vendor's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(pub u64);

impl Wall {
    /// `2026-01-02T03:04:05.000Z`, the form of lists, subscriptions, audiences and audit events.
    pub fn iso(self) -> String {
        let (y, m, d) = civil(self.0 / MS_PER_DAY);
        let ms = self.0 % MS_PER_DAY;
        let (h, min, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}.{ms:03}Z")
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`, the form of the `Date` field (RFC 9110, 5.6.7).
    pub fn http_date(self) -> String {
        let days = self.0 / MS_PER_DAY;
        let (y, m, d) = civil(days);
        let s = self.0 % MS_PER_DAY / 1000;
        let day = WEEKDAYS[usize::try_from(days % 7).unwrap_or(0)];
        let month = MONTHS[usize::try_from(m - 1).unwrap_or(0)];
        format!("{day}, {d:02} {month} {y:04} {:02}:{:02}:{:02} GMT", s / 3600, s / 60 % 60, s % 60)
    }

    /// Reads `YYYY-MM-DD[Thh:mm[:ss[.fff]][Z]]`; `None` for any other form or a date before 1970.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let (date, clock) = text.split_once('T').unwrap_or((text, "00:00:00"));
        let mut date = date.splitn(3, '-').map(str::parse::<u64>);
        let (y, m, d) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
        if !(1970..=9999).contains(&y) || !(1..=12).contains(&m) || !(1..=31).contains(&d) {
            return None;
        }
        let (clock, fraction) = clock
            .trim_end_matches('Z')
            .split_once('.')
            .unwrap_or((clock.trim_end_matches('Z'), "0"));
        let mut parts = clock.splitn(3, ':').map(str::parse::<u64>);
        let (h, min) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let s = parts.next().unwrap_or(Ok(0)).ok()?;
        if h > 23 || min > 59 || s > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        Some(Self(days_before(y, m, d) * MS_PER_DAY + (h * 3600 + min * 60 + s) * 1000 + ms))
    }

    /// This instant plus `ms` milliseconds.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// Year, month and day of a day number since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years begin in March here. The leap day is then the last day of its year, and one formula gives
/// all month lengths.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to the given date; the inverse of [`civil`].
fn days_before(y: u64, m: u64, d: u64) -> u64 {
    let y = if m <= 2 { y - 1 } else { y };
    let (era, year_of_era) = (y / 400, y % 400);
    let march_month = if m > 2 { m - 3 } else { m + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + d - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_text_and_milliseconds_are_inverse() {
        for text in [
            "2026-01-02T03:04:05.000Z",
            "1970-01-01T00:00:00.000Z",
            "2024-02-29T23:59:59.999Z",
            "2100-03-01T00:00:00.001Z",
        ] {
            assert_eq!(Wall::parse_iso(text).unwrap().iso(), text);
        }
        assert_eq!(Wall::parse_iso("2026-01-02T03:04:05Z").unwrap(), Wall(1_767_323_045_000));
    }

    #[test]
    fn a_broken_date_is_refused() {
        for text in
            ["", "2026", "2026-13-01", "2026-01-02T25:00", "1969-12-31", "2026-01-02T03:04:05.x"]
        {
            assert_eq!(Wall::parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn the_date_field_has_the_fixed_form() {
        assert_eq!(Wall(1_767_323_045_000).http_date(), "Fri, 02 Jan 2026 03:04:05 GMT");
    }
}
