//! No copy lives longer than an answer's own fields say, and none is made of what forbids it.
//! The fields are read here a second time, in the most generous way that RFC 9111 could mean.
#![no_main]

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use libfuzzer_sys::fuzz_target;
use tollgate::cache::fields;
use tollgate::cache::policy::{Rule, Wants, life, varies, wants};
use tollgate::cache::terms::CacheTerms;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const ROW: Duration = Duration::from_secs(60);

fn now() -> SystemTime {
    NOW + Duration::from_secs(1_800_000_000)
}

fuzz_target!(|octets: &[u8]| {
    let [status, delay, text @ ..] = octets else { return };
    let headers = fields_of(text);
    let mut answer = Response::new(());
    *answer.status_mut() = [200, 200, 200, 203, 206, 304, 404, 500, 599][usize::from(status % 9)]
        .try_into()
        .unwrap_or(StatusCode::OK);
    *answer.headers_mut() = headers;
    let delay = Duration::from_secs(u64::from(*delay % 64));
    by_row(&answer);
    by_headers(&answer, delay);
    let wanted = wants(answer.headers());
    assert!(wanted.demands() || wanted.takes(ROW, Duration::ZERO), "{wanted:?}");
    if let Ok(names) = varies(answer.headers()) {
        assert!(
            !lines(answer.headers(), "vary").any(|line| line.split(',').any(|w| w.trim() == "*"))
        );
        assert!(names.len() <= 3, "{names:?}");
    }
});

/// One field a line.
fn fields_of(octets: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in octets.split(|b| *b == b'\n').take(40) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// A row with seconds: its time is the longest, and the fields can only shorten it.
fn by_row(answer: &Response<()>) {
    let rule = Rule { seconds: ROW, dice: 127, stale: ROW };
    let Ok(life) = life(rule, answer, now()) else { return };
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(life.fresh <= ROW && !life.fresh.is_zero(), "{life:?}");
    assert!(!forbids(answer.headers()), "kept: {:?}", answer.headers());
    if names_time(answer.headers()) {
        let most = longest(answer.headers());
        assert!(most.is_some_and(|most| life.fresh <= most), "{life:?} of {most:?}");
    }
}

/// A row by its fields: there is no time but theirs.
fn by_headers(answer: &Response<()>, delay: Duration) {
    let Ok(terms) = CacheTerms::of(answer, delay, now()) else { return };
    assert!(!matches!(answer.status().as_u16(), 206 | 304), "a part, or no change");
    assert!(terms.age(now()) >= delay, "the time on its way is part of its age");
    let any = Wants::default();
    let Some((_, left)) = terms.allow(any, now()) else { return };
    assert!(!forbids(answer.headers()), "kept: {:?}", answer.headers());
    let most = longest(answer.headers()).expect("nobody guesses");
    assert!(left + delay <= most, "{left:?} and {delay:?} of {most:?}");
    assert!(terms.allow(any, now() + left).is_none(), "it is over after {left:?}");
    assert!(terms.allow(any, now() + left / 2).is_some() || left < Duration::from_secs(2));
    assert!(terms.allow(Wants { no_cache: true, ..any }, now()).is_none());
}

fn lines<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name.to_owned()).into_iter().filter_map(|line| line.to_str().ok())
}

/// A directive that forbids.
fn forbids(headers: &HeaderMap) -> bool {
    ["no-store", "private", "no-cache"].iter().any(|word| says(headers, word))
}

fn names_time(headers: &HeaderMap) -> bool {
    let expires = lines(headers, "expires").next().is_some();
    expires || ["max-age", "s-maxage"].iter().any(|word| says(headers, word))
}

/// Whether `word` stands where nothing is quoted, and so nothing else can be meant.
fn says(headers: &HeaderMap, word: &str) -> bool {
    lines(headers, "cache-control").filter(|line| !line.contains('"')).any(|line| {
        let mut names =
            line.split(',').map(|word| word.split('=').next().unwrap_or_default().trim());
        names.any(|name| name.eq_ignore_ascii_case(word))
    })
}

/// The longest time that any field could mean; `None` where none is named.
fn longest(headers: &HeaderMap) -> Option<Duration> {
    let mut most: Option<u64> = None;
    for line in lines(headers, "cache-control") {
        let line = line.to_lowercase();
        for (at, _) in line.match_indices("max").chain(line.match_indices("s-max")) {
            let digits = line[at..].trim_start_matches(|c: char| !c.is_ascii_digit() && c != ',');
            let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
            let time = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
            most = most.max(Some(time));
        }
    }
    let date = fields::date(headers, &http::header::DATE).unwrap_or_else(now);
    for line in lines(headers, "expires") {
        let until = httpdate::parse_http_date(line.trim()).unwrap_or(NOW);
        most = most.max(Some(until.duration_since(date).map_or(0, |time| time.as_secs())));
    }
    most.map(Duration::from_secs)
}
