//! Header fields as RFC 9111 and RFC 9110 have them read. Pure.
//!
//! `http-cache-semantics` computes ages and lifetimes well, but reads directives in lower case only,
//! splits them inside quoted strings, knows two of three date forms not, and takes
//! `proxy-revalidate` for `max-age=0`. So it is given [`plain`]: the same answer, written so that
//! nothing of it can be read in two ways. Where a time cannot be read for certain the answer is
//! taken for stale, which costs a call and is never wrong (RFC 9111, section 4.2.1); an `Age` that
//! is none is ignored (section 5.1).

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// More seconds than any answer lives (RFC 9111, section 1.2.2).
const MOST: u64 = 1 << 31;

/// The directives that say for how long an answer lives.
const TIMES: [&str; 2] = ["max-age", "s-maxage"];

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

/// What `http-cache-semantics` has to know of an answer that took `delay` to come.
#[must_use]
pub fn plain(answer: &http::Response<()>, delay: Duration) -> http::Response<()> {
    let headers = answer.headers();
    let mut plain = http::Response::new(());
    // What says for how long it lives need not be understood to be kept (RFC 9111, section 3).
    let understood = names_time(headers) && !names(headers, "must-understand");
    *plain.status_mut() = if understood { StatusCode::OK } else { answer.status() };
    let fields = plain.headers_mut();
    if let Some(text) = directives(headers) {
        fields.insert(header::CACHE_CONTROL, text);
    }
    // A line without a date counts as long past (RFC 9111, section 5.3).
    if headers.contains_key(header::EXPIRES) {
        let expires = date(headers, &header::EXPIRES).unwrap_or(SystemTime::UNIX_EPOCH);
        fields.insert(header::EXPIRES, text(httpdate::fmt_http_date(expires)));
    }
    // Without one, the time when it came counts.
    if let Some(date) = date(headers, &header::DATE) {
        fields.insert(header::DATE, text(httpdate::fmt_http_date(date)));
    }
    let age = age(headers).unwrap_or(0) + delay.as_secs();
    fields.insert(header::AGE, HeaderValue::from(age));
    plain
}

/// True when an answer says for how long it lives.
#[must_use]
pub fn names_time(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPIRES) || TIMES.iter().any(|word| names(headers, word))
}

/// How old an answer says it is: the first member counts. `None`: that is no number of seconds.
fn age(headers: &HeaderMap) -> Option<u64> {
    let line = headers.get(header::AGE)?.to_str().ok()?;
    members(line).next().filter(|text| !text.starts_with('"')).and_then(seconds)
}

/// The directives of an answer that matter to a shared cache. Of two times the shorter counts.
fn directives(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut flags: Vec<&str> = Vec::new();
    let mut times = TIMES.map(|name| (name, None::<u64>));
    for (name, value) in words(headers, &header::CACHE_CONTROL) {
        let name = name.to_ascii_lowercase();
        if let Some((_, time)) = times.iter_mut().find(|(known, _)| *known == name) {
            let seconds = seconds(value).unwrap_or(0);
            *time = Some(time.map_or(seconds, |other| other.min(seconds)));
        }
        // With or without names of fields: they are not told apart, which is allowed.
        flags.extend(["no-store", "private", "no-cache", "public"].iter().filter(|f| **f == name));
    }
    let times = times.iter().filter_map(|(name, time)| Some(format!("{name}={}", (*time)?)));
    let words: Vec<String> = flags.into_iter().map(str::to_owned).chain(times).collect();
    (!words.is_empty()).then(|| text(words.join(", ")))
}

fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("it was put together from tokens, digits and dates")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_cache_semantics::CachePolicy;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    /// How long an answer with these fields lives, in seconds; `None`: it may not be stored.
    fn lives(fields: &[(&'static str, &str)]) -> Option<u64> {
        let mut answer = http::Response::new(());
        *answer.headers_mut() = headers(fields);
        let now = NOW + Duration::from_secs(784_111_777);
        let request = http::Request::new(());
        let plain = plain(&answer, Duration::ZERO);
        let policy = CachePolicy::new_options(&request, &plain, now, crate::cache::policy::OPTIONS);
        policy.is_storable().then(|| policy.time_to_live(now).as_secs())
    }

    fn says(value: &str) -> Option<u64> {
        lives(&[("cache-control", value)])
    }

    #[test]
    fn directives_are_read_in_any_case_and_in_any_number_of_lines() {
        assert_eq!(says("MAX-age=60"), Some(60));
        assert_eq!(says("max-age=060"), Some(60));
        assert_eq!(says("max-age=\"60\""), Some(60));
        for forbidden in ["No-Store", "max-age=60, PRIVATE", "private=\"x\", max-age=60"] {
            assert_eq!(says(forbidden), None, "{forbidden}");
        }
        assert_eq!(says("max-age=60, No-Cache"), Some(0));
        assert_eq!(lives(&[("cache-control", "max-age=60"), ("cache-control", "no-store")]), None);
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
        assert_eq!(says("x=\"max-age=60, max-age=60\""), Some(0));
        assert_eq!(says("x=\"a\\\", max-age=9\", max-age=60"), Some(60));
    }

    #[test]
    fn the_first_age_counts_and_one_that_is_no_number_of_seconds_is_ignored() {
        let aged = |age| lives(&[("cache-control", "max-age=60"), ("age", age)]);
        for (age, left) in
            [("20", 40), ("20, 0", 40), ("0, 7200", 60), (" ,20", 40), ("060", 0), ("99", 0)]
        {
            assert_eq!(aged(age), Some(left), "{age}");
        }
        for none in ["x", "-1", "7.0", "90;a=1", "\"90\"", "x, 90", "+90", "9 0", ""] {
            assert_eq!(aged(none), Some(60), "{none}");
        }
        assert_eq!(aged("99999999999999999999"), Some(0));
        let twice =
            |one, two| lives(&[("cache-control", "max-age=60"), ("age", one), ("age", two)]);
        assert_eq!((twice("20", "40"), twice("x", "40")), (Some(40), Some(60)));
    }

    #[test]
    fn the_time_that_an_answer_took_makes_it_older() {
        let mut answer = http::Response::new(());
        answer.headers_mut().insert(header::AGE, HeaderValue::from(5));
        let plain = plain(&answer, Duration::from_millis(3_700));
        assert_eq!(plain.headers()[header::AGE], "8");
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
