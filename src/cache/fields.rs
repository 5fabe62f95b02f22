//! Header fields as RFC 9111 and RFC 9110 have them read. Pure.
//!
//! Where a time cannot be read for certain the answer is taken for stale, which costs a call and is
//! never wrong (RFC 9111, section 4.2.1); an `Age` that is none is ignored (section 5.1).

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName};

/// More seconds than any answer lives (RFC 9111, section 1.2.2).
const MOST: u64 = 1 << 31;

/// The members of a list field with their values, quotes and all. A line that is no text has none.
pub fn words<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(members).map(|word| match word.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim()),
        None => (word, ""),
    })
}

/// The members of one line, without the empty ones. A comma inside quotes parts nothing.
fn members(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = line.split(move |c| {
        let literal = std::mem::take(&mut escaped);
        match c {
            '"' if !literal => quoted = !quoted,
            '\\' if quoted && !literal => escaped = true,
            _ => {}
        }
        c == ',' && !quoted
    });
    parts.map(str::trim).filter(|word| !word.is_empty())
}

/// True when the answer's `Cache-Control` has `word`, however it is written.
#[must_use]
pub fn names(headers: &HeaderMap, word: &str) -> bool {
    words(headers, &header::CACHE_CONTROL).any(|(name, _)| name.eq_ignore_ascii_case(word))
}

/// A number of seconds, quoted or not.
#[must_use]
pub fn seconds(value: &str) -> Option<u64> {
    let digits = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What is too large for a number is large.
    Some(digits.parse().map_or(MOST, |seconds: u64| seconds.min(MOST)))
}

/// A date in any of the three forms (RFC 9110, section 5.6.7), if the field is there once.
#[must_use]
pub fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(only(headers, name)?).ok()
}

/// The text of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    line.to_str().ok().map(str::trim)
}

/// The fields that select among the answers of one URL, sorted; `None`: no other request may get
/// this one (RFC 9111, section 4.1).
#[must_use]
pub fn vary(headers: &HeaderMap) -> Option<Box<[HeaderName]>> {
    let mut names = Vec::new();
    for line in headers.get_all(header::VARY) {
        for word in members(line.to_str().ok()?) {
            // `*` is also a name by the grammar of names.
            let name = (word != "*").then(|| HeaderName::from_bytes(word.as_bytes()).ok());
            names.push(name.flatten()?);
        }
    }
    names.sort_unstable_by(|one, two| one.as_str().cmp(two.as_str()));
    names.dedup();
    Some(names.into())
}

/// For how long an answer that came `now` is fresh from its making on (RFC 9111, section 4.2.1);
/// `None`: it does not say, and nobody guesses (section 4.2.2).
///
/// A shared cache goes by `s-maxage`, else by `max-age`, else by `Expires`. Of one that is there
/// twice the shorter counts.
#[must_use]
pub fn lifetime(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let time = |word: &str| {
        let own = words(headers, &header::CACHE_CONTROL)
            .filter(|(name, _)| name.eq_ignore_ascii_case(word));
        own.map(|(_, value)| Duration::from_secs(seconds(value).unwrap_or(0))).min()
    };
    let expires = || {
        headers.contains_key(header::EXPIRES).then(|| {
            // A line without a date counts as long past (section 5.3); without a `Date`, the time
            // when it came counts.
            let end = date(headers, &header::EXPIRES).unwrap_or(SystemTime::UNIX_EPOCH);
            let made = date(headers, &header::DATE).unwrap_or(now);
            end.duration_since(made).unwrap_or_default()
        })
    };
    time("s-maxage").or_else(|| time("max-age")).or_else(expires)
}

/// How old an answer is that took `delay` to come, in whole seconds: the `corrected_age_value` of
/// RFC 9111, section 4.2.3, which lets it be the initial age, so that no clocks are compared. Of
/// several ages the first counts.
#[must_use]
pub fn age(headers: &HeaderMap, delay: Duration) -> Duration {
    let line = headers.get(header::AGE).and_then(|line| line.to_str().ok());
    let text = line.and_then(|line| members(line).next()).filter(|text| !text.starts_with('"'));
    Duration::from_secs(text.and_then(seconds).unwrap_or(0) + delay.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    /// How long an answer with these fields lives, in seconds; `None`: it does not say.
    fn lives(fields: &[(&'static str, &str)]) -> Option<u64> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        lifetime(&headers(fields), now).map(|time| time.as_secs())
    }

    fn says(value: &str) -> Option<u64> {
        lives(&[("cache-control", value)])
    }

    #[test]
    fn directives_are_read_in_any_case_and_in_any_number_of_lines() {
        assert_eq!(says("MAX-age=60"), Some(60));
        assert_eq!(says("max-age=060"), Some(60));
        assert_eq!(says("max-age=\"60\""), Some(60));
        let two = headers(&[("cache-control", "PRIVATE=\"x\""), ("cache-control", "a, No-Store")]);
        assert!(names(&two, "private") && names(&two, "no-store") && !names(&two, "no-cache"));
    }

    #[test]
    fn a_shared_cache_goes_by_its_own_time_and_by_the_shorter_of_two() {
        assert_eq!(says("max-age=60, s-maxage=7"), Some(7));
        assert_eq!(says("s-maxage=90, max-age=60"), Some(90));
        assert_eq!(says("max-age=60, max-age=7"), Some(7));
        assert_eq!(says("max-age=60, proxy-revalidate, must-revalidate"), Some(60));
    }

    #[test]
    fn what_cannot_be_read_is_stale() {
        for value in ["max-age=x", "max-age=-1", "max-age=1.5", "max-age='60'", "max-age"] {
            assert_eq!(says(value), Some(0), "{value}");
        }
        assert_eq!(says("max-age=99999999999999999999"), Some(MOST));
    }

    #[test]
    fn a_comma_inside_quotes_parts_nothing() {
        assert_eq!(says("x=\"max-age=60, max-age=60\""), None);
        assert_eq!(says("x=\"a\\\", max-age=9\", max-age=60"), Some(60));
    }

    #[test]
    fn the_first_age_counts_and_one_that_is_no_number_of_seconds_is_ignored() {
        let of = |fields: &[_]| age(&headers(fields), Duration::ZERO).as_secs();
        for (text, old) in
            [("20", 20), ("20, 0", 20), ("0, 7200", 0), (" ,20", 20), ("060", 60), ("99", 99)]
        {
            assert_eq!(of(&[("age", text)]), old, "{text}");
        }
        for none in ["x", "-1", "7.0", "90;a=1", "\"90\"", "x, 90", "+90", "9 0", ""] {
            assert_eq!(of(&[("age", none)]), 0, "{none}");
        }
        assert_eq!(of(&[("age", "99999999999999999999")]), MOST);
        assert_eq!(of(&[("age", "20"), ("age", "40")]), 20);
        assert_eq!(of(&[("age", "x"), ("age", "40")]), 0);
    }

    #[test]
    fn the_time_that_an_answer_took_makes_it_older() {
        let old = age(&headers(&[("age", "5")]), Duration::from_millis(3_700));
        assert_eq!(old, Duration::from_secs(8));
    }

    #[test]
    fn dates_are_read_in_their_three_forms_and_no_other() {
        let until =
            |expires| lives(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", expires)]);
        for form in [
            "Sun, 06 Nov 1994 08:50:37 GMT",
            "Sunday, 06-Nov-94 08:50:37 GMT",
            "Sun Nov  6 08:50:37 1994",
        ] {
            assert_eq!(until(form), Some(60), "{form}");
        }
        for form in ["0", "-1", "1994-11-06", "Sun, 06 Nov 1994 08:50:37 +0000"] {
            assert_eq!(until(form), Some(0), "{form}");
        }
        assert_eq!(
            lives(&[
                ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"),
                ("cache-control", "max-age=5")
            ]),
            Some(5)
        );
    }

    #[test]
    fn vary_names_fields_in_any_order_and_a_star_fits_nothing() {
        let of = |value| vary(&headers(&[("vary", value)]));
        assert_eq!(vary(&HeaderMap::new()), Some(Box::default()));
        assert_eq!(of("B, a,, b"), of("A,b"));
        for star in ["*", "a, *", "*, *", ", *", "a b"] {
            assert_eq!(of(star), None, "{star}");
        }
    }
}
