//! What a vendor's 429 or 503 says about when to come back.
//!
//! The field can hold seconds, a date of three formats, or anything; the vendor's clock may be
//! wrong. Whatever it says is held within bounds, so that a bad value can neither let the next call
//! run into the same refusal at once nor close a connection for a day.

use std::time::{Duration, UNIX_EPOCH};

/// The shortest pause after a vendor 429.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause after a vendor 429.
pub const LONGEST: Duration = Duration::from_secs(300);

/// How long the vendor asks us to wait, between [`SHORTEST`] and [`LONGEST`].
///
/// Reads `Retry-After` (delta-seconds or HTTP-date, RFC 9110 section 10.2.3); a decimal fraction of
/// seconds is accepted and rounded up. `sent` is when the answer was made, as time since 1970 on
/// the clock that made it ([`date`] of its field `Date`, else ours); only a date is counted from
/// it. A past date is the shortest pause. `None`: absent or unreadable (negative numbers are).
#[must_use]
pub fn retry_after(value: Option<&[u8]>, sent: Duration) -> Option<Duration> {
    let asked = seconds(text(value)?).or_else(|| Some(date(value)?.saturating_sub(sent)))?;
    Some(asked.clamp(SHORTEST, LONGEST))
}

/// An HTTP-date (RFC 9110 section 5.6.7) as time since 1970; one before that is 1970.
#[must_use]
pub fn date(value: Option<&[u8]>) -> Option<Duration> {
    let date = httpdate::parse_http_date(text(value)?).ok()?;
    Some(date.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    Some(std::str::from_utf8(value?).ok()?.trim_matches([' ', '\t']))
}

/// Digits, with a fraction if there is a dot; as many digits as they like.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // More digits than u64 holds are a very long time all the same.
    let whole = whole.parse::<u64>().unwrap_or(u64::MAX);
    let more = u64::from(fraction.bytes().any(|b| b != b'0'));
    Some(Duration::from_secs(whole.saturating_add(more)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const WALL: Duration = Duration::from_secs(784_111_777);

    fn read(value: &str) -> Option<u64> {
        retry_after(Some(value.as_bytes()), WALL).map(|d| d.as_secs())
    }

    #[test]
    fn seconds_are_read_and_held_within_bounds() {
        assert_eq!(read("7"), Some(7));
        assert_eq!(read(" 7\t"), Some(7));
        assert_eq!(read("0"), Some(1));
        assert_eq!(read("1000000000"), Some(300));
        assert_eq!(read("99999999999999999999999999"), Some(300));
        assert_eq!(read("2.01"), Some(3));
        assert_eq!(read("18446744073709551615.5"), Some(300));
    }

    #[test]
    fn dates_of_all_three_formats_are_read() {
        assert_eq!(read("Sun, 06 Nov 1994 08:49:57 GMT"), Some(20));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:57 GMT"), Some(20));
        assert_eq!(read("Sun Nov  6 08:49:57 1994"), Some(20));
        assert_eq!(read("Sun, 06 Nov 1994 07:00:00 GMT"), Some(1));
        assert_eq!(read("Sat, 06 Nov 2094 07:00:00 GMT"), Some(300));
    }

    #[test]
    fn a_date_counts_from_the_answers_own() {
        let asked = Some(&b"Sun, 06 Nov 1994 08:49:40 GMT"[..]);
        let sent = date(Some(b"Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(sent, Some(WALL));
        assert_eq!(retry_after(asked, sent.unwrap()), Some(Duration::from_secs(3)));
        assert_eq!(date(Some(b"yesterday")), None);
    }

    #[test]
    fn garbage_and_negative_numbers_say_nothing() {
        for bad in ["", "-1", "+1", "soon", "1e9", "1.", ".5", "1.2.3", "0x10", "٣", "1 2"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(retry_after(None, WALL), None);
        assert_eq!(retry_after(Some(&[0xff, 0x31]), WALL), None);
    }

    proptest! {
        #[test]
        fn no_value_panics_or_leaves_the_bounds(value: Vec<u8>, text in "[0-9.:A-Za-z, -]{0,40}", wall: u64) {
            let wall = Duration::from_secs(wall);
            for bytes in [&value[..], text.as_bytes()] {
                if let Some(pause) = retry_after(Some(bytes), wall) {
                    prop_assert!((SHORTEST..=LONGEST).contains(&pause));
                }
            }
        }
    }
}
