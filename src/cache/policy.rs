//! How long an answer may be reused, and what a client asks for. Pure: the time is an argument.
//!
//! The row's seconds are spread by ten percent, so that copies of one moment do not end together.
//! What the vendor says can shorten or forbid, never lengthen; it is read by `http-cache-semantics`
//! without the `Authorization` field, since the key holds the connection.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};
use http_cache_semantics::{CacheOptions, CachePolicy};

use super::fields::{self, seconds, words};

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

/// How `http-cache-semantics` is asked: a shared cache that guesses nothing.
pub const OPTIONS: CacheOptions = CacheOptions {
    shared: true,
    cache_heuristic: 0.0,
    immutable_min_time_to_live: Duration::ZERO,
    ignore_cargo_cult: false,
};

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

/// How long a complete answer to `request` may be reused; `None`: it may not be kept.
#[must_use]
pub fn life(
    rule: Rule,
    request: &HeaderMap,
    answer: &http::Response<()>,
    now: SystemTime,
) -> Option<Life> {
    let headers = answer.headers();
    if answer.status() != StatusCode::OK || !vary_is_keyed(headers, request) {
        return None;
    }
    // What the client asks for is known already.
    let asked = http::Request::new(());
    let plain = fields::plain(answer, Duration::ZERO);
    let policy = CachePolicy::new_options(&asked, &plain, now, OPTIONS);
    let said = directives(headers);
    if !policy.is_storable() || said.forbids {
        return None;
    }
    let age = policy.age(now);
    let row = spread(rule.seconds, rule.dice).saturating_sub(age);
    let fresh = if said.explicit { row.min(policy.time_to_live(now)) } else { row };
    let stale = if said.must_revalidate { Duration::ZERO } else { rule.stale };
    (!fresh.is_zero()).then_some(Life { fresh, stale, age })
}

/// `seconds` less or more by up to ten percent.
#[must_use]
pub fn spread(seconds: Duration, dice: u8) -> Duration {
    seconds.mul_f64(0.9 + 0.2 * f64::from(dice) / 255.0)
}

/// What the vendor's own fields say, as far as the row's seconds need to know.
#[derive(Default)]
struct Said {
    /// It names a time.
    explicit: bool,
    /// It asks for validation before each use, which rows with seconds do not do.
    forbids: bool,
    must_revalidate: bool,
}

fn directives(headers: &HeaderMap) -> Said {
    let mut said = Said { explicit: headers.contains_key(header::EXPIRES), ..Said::default() };
    for (name, _) in words(headers, &header::CACHE_CONTROL) {
        said.explicit |= ["max-age", "s-maxage"].iter().any(|word| name.eq_ignore_ascii_case(word));
        said.forbids |=
            ["no-cache", "no-store", "private"].iter().any(|word| name.eq_ignore_ascii_case(word));
        said.must_revalidate |= ["must-revalidate", "proxy-revalidate"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
    }
    said.forbids |= words(headers, &header::PRAGMA).any(|(name, _)| {
        name.eq_ignore_ascii_case("no-cache") && !headers.contains_key(header::CACHE_CONTROL)
    });
    said
}

/// True when `Vary` names only fields that are in the key. A request that has none of the field
/// varies on nothing only if the field is listed.
fn vary_is_keyed(answer: &HeaderMap, request: &HeaderMap) -> bool {
    words(answer, &header::VARY).all(|(name, _)| {
        request.contains_key(name)
            || LISTED.iter().any(|listed| name.eq_ignore_ascii_case(listed.as_str()))
    })
}

/// What the client asks for.
#[must_use]
pub fn wants(headers: &HeaderMap) -> Wants {
    let mut wants = Wants::default();
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

    fn of(status: u16, fields: &[(&'static str, &str)]) -> Option<Life> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        *answer.headers_mut() = headers(fields);
        let rule = Rule { seconds: MINUTE, dice: EVEN, stale: 10 * MINUTE };
        life(rule, &HeaderMap::new(), &answer, SystemTime::UNIX_EPOCH + 1000 * MINUTE)
    }

    #[test]
    fn only_a_200_is_kept() {
        assert!(of(200, &[]).is_some());
        for status in [201, 203, 204, 206, 301, 304, 400, 401, 403, 404, 410, 429, 500, 503] {
            assert_eq!(of(status, &[]), None, "{status}");
            assert_eq!(of(status, &[("cache-control", "max-age=60")]), None, "{status}");
        }
    }

    #[test]
    fn the_vendor_can_forbid() {
        for said in
            ["no-store", "private", "no-cache", "max-age=0", "s-maxage=0", "No-Store", "max-age=x"]
        {
            assert_eq!(of(200, &[("cache-control", said)]), None, "{said}");
        }
        assert_eq!(
            of(200, &[("cache-control", "max-age=60"), ("cache-control", "no-store")]),
            None
        );
        assert_eq!(of(200, &[("pragma", "no-cache")]), None);
        assert_eq!(of(200, &[("expires", "0")]), None);
        assert_eq!(of(200, &[("vary", "*")]), None);
        assert_eq!(of(200, &[("vary", "accept, x-user")]), None);
        assert!(of(200, &[("vary", "Accept-Encoding")]).is_some());
    }

    #[test]
    fn the_vendor_can_shorten_and_not_lengthen() {
        let fresh = |said| of(200, &[("cache-control", said)]).unwrap().fresh.as_secs();
        assert_eq!(fresh("max-age=7"), 7);
        assert_eq!(fresh("max-age=100, s-maxage=7"), 7);
        assert_eq!(fresh("public, max-age=9999"), 59);
        assert_eq!(of(200, &[("age", "20")]).unwrap().fresh.as_secs(), 39);
        assert_eq!(of(200, &[("age", "80")]), None);
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
            let life = life(rule, &HeaderMap::new(), &answer, now);
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
