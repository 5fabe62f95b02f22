//! Days in UTC, and the periods that reports are about.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::civil::Date;

/// How many days have files that are kept.
pub const KEPT: u32 = 62;

const SECONDS: u64 = 24 * 60 * 60;

/// A day in UTC, written as `2026-11-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

/// A day or a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period(RangeInclusive<Day>);

impl Day {
    /// The day of `time`; times before 1970 belong to its first day.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs() / SECONDS).unwrap_or(u32::MAX))
    }

    /// The first moment of the day.
    #[must_use]
    pub fn start(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * SECONDS)
    }

    /// Days from `earlier` to this one; 0 if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    fn date(self) -> Option<Date> {
        let stamp = jiff::Timestamp::try_from(self.start()).ok()?;
        Some(stamp.to_zoned_datetime(jiff::tz::TimeZone::UTC).date())
    }
}

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        let midnight = date.to_zoned_datetime(jiff::tz::TimeZone::UTC).map(|time| time.timestamp());
        let time = midnight.ok().and_then(|stamp| SystemTime::try_from(stamp).ok());
        Self::of(time.unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => write!(f, "{date}"),
            None => write!(f, "day-{}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = String;

    /// Takes only the form in which [`Day`] is written.
    fn from_str(text: &str) -> Result<Self, String> {
        let day = text.parse::<Date>().ok().map(Self::from).filter(|day| day.to_string() == text);
        day.ok_or_else(|| format!("'{text}' is not a day: write it as 2026-11-24"))
    }
}

impl Period {
    /// The period of one day, such as `2026-11-24`.
    ///
    /// # Errors
    /// When `text` is none.
    pub fn day(text: &str) -> Result<Self, String> {
        text.parse().map(|day| Self(day..=day))
    }

    /// The period of one month, such as `2026-11`.
    ///
    /// # Errors
    /// When `text` is none.
    pub fn month(text: &str) -> Result<Self, String> {
        let first = format!("{text}-01").parse::<Day>().ok().and_then(Day::date);
        let first = first.ok_or_else(|| format!("'{text}' is not a month: write it as 2026-11"))?;
        Ok(Self(first.into()..=first.last_of_month().into()))
    }

    /// The month of `time`, until the day of `time`.
    #[must_use]
    pub fn this_month(time: SystemTime) -> Self {
        let today = Day::of(time);
        let first = today.date().map_or(today, |date| date.first_of_month().into());
        Self(first..=today)
    }

    /// True if `day` belongs to the period.
    #[must_use]
    pub fn contains(&self, day: Day) -> bool {
        self.0.contains(&day)
    }

    /// The first day.
    #[must_use]
    pub fn first(&self) -> Day {
        *self.0.start()
    }

    /// The last day.
    #[must_use]
    pub fn last(&self) -> Day {
        *self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let midnight = 1_795_478_400;
        assert_eq!(Day::of(at(midnight)).to_string(), "2026-11-24");
        assert_eq!(Day::of(at(midnight - 1)).to_string(), "2026-11-23");
        assert_eq!(Day::of(at(midnight)).start(), at(midnight));
        assert_eq!(Day::of(at(951_782_400)).to_string(), "2000-02-29");
    }

    #[test]
    fn a_day_is_read_in_the_form_that_it_is_written_in_and_in_no_other() {
        let day: Day = "2026-11-24".parse().unwrap();
        assert_eq!(day, Day::of(at(1_795_478_400)));
        for wrong in
            ["2026-11-31", "2026-1-24", "20261124", "2026-11-24T00:00", "../x", "", "day-1"]
        {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_month_has_all_its_days_and_no_other() {
        let month = Period::month("2028-02").unwrap();
        let days = |p: &Period| (p.first().to_string(), p.last().to_string());
        assert_eq!(days(&month), ("2028-02-01".into(), "2028-02-29".into()));
        assert!(!month.contains("2028-03-01".parse().unwrap()));
        assert_eq!(
            days(&Period::this_month(at(1_795_478_400))),
            ("2026-11-01".into(), "2026-11-24".into())
        );
        for wrong in ["2026-13", "2026", "2026-11-24", "11-2026", ""] {
            assert!(Period::month(wrong).is_err(), "{wrong}");
        }
    }
}
