//! Durations and sizes as people write them: `"250ms"`, `"5s"`, `"64MiB"`.

use std::fmt;
use std::time::Duration;

use crate::words::read_as_text;

const SPAN_RULE: &str = "a whole number and ms, s, m or h, such as \"250ms\" or \"60s\"";
const SIZE_RULE: &str = "a whole number and B, KiB, MiB or GiB, such as \"64MiB\"";

/// A length of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// A number of octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(usize);

/// Splits `text` into its number and unit and multiplies.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

read_as_text!(Span, "a duration in quotes, such as \"250ms\" or \"60s\"");
read_as_text!(Size, "a size in quotes, such as \"64MiB\"");

// === impl Span ===

impl Span {
    /// `ms` milliseconds.
    #[must_use]
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// `s` seconds.
    #[must_use]
    pub const fn secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
        parse(&text, &units)
            // More than a year is a slip, and would overflow sums of instants far later.
            .filter(|ms| *ms <= 366 * 24 * 3_600_000)
            .map(Self::millis)
            .ok_or_else(|| format!("'{text}' is not a duration: write {SPAN_RULE}"))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms if ms % 1_000 != 0 || ms == 0 => write!(f, "{ms}ms"),
            ms => write!(f, "{}s", ms / 1_000),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// === impl Size ===

impl Size {
    /// `n` KiB.
    #[must_use]
    pub const fn kib(n: usize) -> Self {
        Self(n << 10)
    }

    /// `n` MiB.
    #[must_use]
    pub const fn mib(n: usize) -> Self {
        Self(n << 20)
    }

    /// Octets.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        parse(&text, &units)
            .and_then(|octets| usize::try_from(octets).ok())
            .map(Self)
            .ok_or_else(|| format!("'{text}' is not a size: write {SIZE_RULE}"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut value, mut unit) = (self.0, "B");
        for larger in ["KiB", "MiB", "GiB"] {
            if value < 1024 || !value.is_multiple_of(1024) {
                break;
            }
            (value, unit) = (value / 1024, larger);
        }
        write!(f, "{value}{unit}")
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

macro_rules! written_as_text {
    ($name:ident, $pattern:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

written_as_text!(Span, "^[0-9]+(ms|s|m|h)$");
written_as_text!(Size, "^[0-9]+(B|KiB|MiB|GiB)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_with_its_unit() {
        for (text, ms) in
            [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(Span::try_from(text.to_owned()).unwrap(), Span::millis(ms));
        }
        for bad in ["", "5", "s", "1.5s", "5 s", "-1s", "99999999999999999999s", "100000h"] {
            assert!(Span::try_from(bad.to_owned()).unwrap_err().contains("write"), "{bad}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number_with_its_binary_unit() {
        assert_eq!(Size::try_from("64MiB".to_owned()).unwrap(), Size::mib(64));
        assert_eq!(Size::try_from("0B".to_owned()).unwrap().get(), 0);
        for bad in ["64", "64MB", "MiB", "1.5MiB", "99999999999GiB"] {
            assert!(Size::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_are_written_as_they_are_read() {
        for text in ["250ms", "60s", "0ms"] {
            assert_eq!(Span::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        for text in ["64MiB", "6MiB", "1000B", "32KiB"] {
            assert_eq!(Size::try_from(text.to_owned()).unwrap().to_string(), text);
        }
    }
}
