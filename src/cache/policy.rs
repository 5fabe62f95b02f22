//! How long an answer may be reused, and what a client asks for. Pure: the time is an argument.
//!
//! The row's seconds are spread by ten percent, so that copies of one moment do not end together.
//! What the vendor says can shorten or forbid, never lengthen.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};

use super::fields::{self, seconds, words};
use crate::headers::have_one;
use crate::record::Unkept;

/// How long a copy lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// It answers.
    pub fresh: Duration,
    /// It answers when the vendor does not, beyond that.
    pub stale: Duration,
    /// How old it was when it came.
    pub age: Duration,
}

/// What a client's `Cache-Control` and `Pragma` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The answer must come from the vendor.
    pub no_cache: bool,
    /// The answer must not be kept.
    pub no_store: bool,
    /// No vendor call shall be made.
    pub only_if_cached: bool,
    /// No older copy will do.
    pub max_age: Option<Duration>,
    /// It must stay fresh for so long.
    pub min_fresh: Option<Duration>,
}

impl Wants {
    /// It takes no copy, or not every fresh one.
    #[must_use]
    pub fn demands(self) -> bool {
        self.no_cache || self.max_age.is_some() || self.min_fresh.is_some()
    }

    /// It takes a copy of this age, which stays fresh for `left`.
    #[must_use]
    pub fn takes(self, age: Duration, left: Duration) -> bool {
        !self.no_cache
            && self.max_age.is_none_or(|max| age <= max)
            && self.min_fresh.is_none_or(|min| left >= min)
    }
}

/// The fields of a request that reach the vendor on every cacheable read.
pub const LISTED: [HeaderName; 3] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];

/// What row and configuration say of a read.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// How long its answers live.
    pub seconds: Duration,
    /// Spreads them.
    pub dice: u8,
    /// How long a copy may stand in for the vendor beyond that.
    pub stale: Duration,
}

/// How long a complete answer may be reused.
///
/// # Errors
///
/// Why it may not be kept.
pub fn life(rule: Rule, answer: &http::Response<()>, now: SystemTime) -> Result<Life, Unkept> {
    let headers = answer.headers();
    if answer.status() != StatusCode::OK {
        return Err(Unkept::Status);
    }
    if let Some(reason) = forbidden(headers) {
        return Err(reason);
    }
    let age = fields::age(headers, Duration::ZERO);
    let row = spread(rule.seconds, rule.dice);
    let said = fields::lifetime(headers, now).unwrap_or(Duration::MAX);
    let fresh = row.min(said).saturating_sub(age);
    let strict =
        ["must-revalidate", "proxy-revalidate"].iter().any(|word| fields::names(headers, word));
    let stale = if strict { Duration::ZERO } else { rule.stale };
    if fresh.is_zero() {
        return Err(Unkept::Expired);
    }
    Ok(Life { fresh, stale, age })
}

/// By which of the fields in [`LISTED`] copies of an answer are told apart, on a row that sends no
/// others. What is never sent is the same for all (RFC 9111, section 4.1); what a row sends of its
/// own is in the key of its URLs.
///
/// # Errors
///
/// It depends on what cannot be compared.
pub fn varies(answer: &HeaderMap) -> Result<Box<[HeaderName]>, Unkept> {
    let named = fields::vary(answer).ok_or(Unkept::Vary)?;
    Ok(named.iter().filter(|name| LISTED.contains(name)).cloned().collect())
}

/// `seconds` less or more by up to ten percent.
#[must_use]
pub fn spread(seconds: Duration, dice: u8) -> Duration {
    seconds.mul_f64(0.9 + 0.2 * f64::from(dice) / 255.0)
}

/// Why the vendor does not let an answer be kept on a row with seconds, which asks for no
/// validation.
fn forbidden(headers: &HeaderMap) -> Option<Unkept> {
    let pragma = words(headers, &header::PRAGMA).any(|(name, _)| {
        name.eq_ignore_ascii_case("no-cache") && !headers.contains_key(header::CACHE_CONTROL)
    });
    if fields::names(headers, "no-store") {
        Some(Unkept::NoStore)
    } else if fields::names(headers, "private") {
        Some(Unkept::Private)
    } else if fields::names(headers, "no-cache") || pragma {
        Some(Unkept::NoCache)
    } else {
        None
    }
}

/// What the client asks for.
#[must_use]
pub fn wants(headers: &HeaderMap) -> Wants {
    let mut wants = Wants::default();
    if !have_one(headers, &[header::CACHE_CONTROL, header::PRAGMA]) {
        return wants;
    }
    for (name, value) in words(headers, &header::CACHE_CONTROL) {
        if name.eq_ignore_ascii_case("no-cache") {
            wants.no_cache = true;
        } else if name.eq_ignore_ascii_case("no-store") {
            wants.no_store = true;
        } else if name.eq_ignore_ascii_case("only-if-cached") {
            wants.only_if_cached = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            // What cannot be read asks for the freshest (RFC 9111, section 4.2.1).
            let age = Duration::from_secs(seconds(value).unwrap_or(0));
            wants.max_age = Some(wants.max_age.map_or(age, |other| other.min(age)));
        } else if name.eq_ignore_ascii_case("min-fresh") {
            let left = seconds(value).map_or(Duration::MAX, Duration::from_secs);
            wants.min_fresh = wants.min_fresh.max(Some(left));
        }
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        let mut pragma = words(headers, &header::PRAGMA);
        wants.no_cache = pragma.any(|(name, _)| name.eq_ignore_ascii_case("no-cache"));
    }
    wants
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);
    /// The middle: neither more nor less.
    const EVEN: u8 = 127;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut map = HeaderMap::new();
        fields.iter().map(field).for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn of(status: u16, fields: &[(&'static str, &str)]) -> Result<Life, Unkept> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        *answer.headers_mut() = headers(fields);
        let rule = Rule { seconds: MINUTE, dice: EVEN, stale: 10 * MINUTE };
        life(rule, &answer, SystemTime::UNIX_EPOCH + 1000 * MINUTE)
    }

    #[test]
    fn only_a_200_is_kept() {
        assert!(of(200, &[]).is_ok());
        for status in [201, 203, 204, 206, 301, 304, 400, 401, 403, 404, 410, 429, 500, 503] {
            for fields in [&[][..], &[("cache-control", "max-age=60")]] {
                assert_eq!(of(status, fields), Err(Unkept::Status), "{status}");
            }
        }
    }

    #[test]
    fn the_vendor_can_forbid() {
        for (said, why) in [
            ("no-store", Unkept::NoStore),
            ("No-Store, private", Unkept::NoStore),
            ("private=\"x\"", Unkept::Private),
            ("no-cache", Unkept::NoCache),
            ("max-age=0", Unkept::Expired),
            ("s-maxage=0", Unkept::Expired),
            ("max-age=x", Unkept::Expired),
        ] {
            assert_eq!(of(200, &[("cache-control", said)]), Err(why), "{said}");
        }
        assert_eq!(
            of(200, &[("cache-control", "max-age=60"), ("cache-control", "no-store")]),
            Err(Unkept::NoStore)
        );
        assert_eq!(of(200, &[("pragma", "no-cache")]), Err(Unkept::NoCache));
        assert!(of(200, &[("pragma", "no-cache"), ("cache-control", "public")]).is_ok());
        assert_eq!(of(200, &[("expires", "0")]), Err(Unkept::Expired));
    }

    #[test]
    fn what_is_never_sent_tells_no_copies_apart() {
        let of = |value| varies(&headers(&[("vary", value)]));
        for none in ["Origin", "origin, X-User", "cookie, user-agent", ""] {
            assert_eq!(of(none), Ok(Box::default()), "{none}");
        }
        let both: Box<[_]> = [header::ACCEPT, header::ACCEPT_LANGUAGE].into();
        assert_eq!(of("Accept-Language,Origin, ACCEPT"), Ok(both));
        for unclear in ["*", "Origin, *", "a b"] {
            assert_eq!(of(unclear), Err(Unkept::Vary), "{unclear}");
        }
    }

    #[test]
    fn the_vendor_can_shorten_and_not_lengthen() {
        let fresh = |said| of(200, &[("cache-control", said)]).unwrap().fresh.as_secs();
        assert_eq!(fresh("max-age=7"), 7);
        assert_eq!(fresh("max-age=100, s-maxage=7"), 7);
        assert_eq!(fresh("public, max-age=9999"), 59);
        assert_eq!(of(200, &[("age", "20")]).unwrap().fresh.as_secs(), 39);
        assert_eq!(of(200, &[("age", "80")]), Err(Unkept::Expired));
    }

    #[test]
    fn what_must_be_revalidated_is_not_served_stale() {
        assert_eq!(of(200, &[]).unwrap().stale, 10 * MINUTE);
        let strict = of(200, &[("cache-control", "max-age=30, must-revalidate")]).unwrap();
        assert_eq!(strict.stale, Duration::ZERO);
    }

    #[test]
    fn a_client_is_understood() {
        let asked = |text: &str| wants(&headers(&[("cache-control", text)]));
        assert!(asked("no-cache").no_cache && asked("max-age=5, NO-STORE").no_store);
        assert!(asked("only-if-cached").only_if_cached);
        assert_eq!(asked("max-age=5").max_age, Some(Duration::from_secs(5)));
        assert_eq!(asked("max-age=soon").max_age, Some(Duration::ZERO));
        let (age, left) = (Duration::from_secs(5), Duration::from_secs(60));
        assert!(asked("min-fresh=60").takes(age, left) && !asked("min-fresh=61").takes(age, left));
        assert!(!asked("min-fresh=long").takes(age, left) && !asked("max-age=4").takes(age, left));
        assert!(wants(&headers(&[("pragma", "no-cache")])).no_cache);
        assert_eq!(
            wants(&headers(&[("cache-control", "x"), ("pragma", "no-cache")])),
            Wants::default()
        );
    }

    proptest! {
        #[test]
        fn a_life_never_exceeds_what_row_and_vendor_say(
            seconds in 1_u64..1000, dice: u8, said in prop::option::of(0_u64..2000), age in 0_u64..100,
        ) {
            let mut fields = vec![("age".to_owned(), age.to_string())];
            if let Some(said) = said {
                fields.push(("cache-control".into(), format!("max-age={said}")));
            }
            let mut answer = http::Response::new(());
            for (name, value) in &fields {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            let row = Duration::from_secs(seconds);
            let now = SystemTime::UNIX_EPOCH + 1000 * MINUTE;
            let rule = Rule { seconds: row, dice, stale: MINUTE };
            let life = life(rule, &answer, now);
            let fresh = life.map_or(Duration::ZERO, |life| life.fresh);
            let age = Duration::from_secs(age);
            prop_assert!(fresh + age <= row.mul_f64(1.1).max(age) + Duration::from_millis(1));
            if let Some(said) = said {
                prop_assert!(fresh <= Duration::from_secs(said).saturating_sub(age));
            }
        }

        #[test]
        fn no_field_makes_the_reader_fall_over(text in "[ -~]{0,40}") {
            let value = HeaderValue::from_str(&text).unwrap();
            let map = HeaderMap::from_iter([(header::CACHE_CONTROL, value)]);
            let _ = wants(&map);
        }
    }
}
