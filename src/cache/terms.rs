//! What an answer's own fields allow, and for how long. Pure.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header;

use super::fields;
use super::policy::Wants;
use crate::record::Unkept;

/// Statuses that no copy may have, whatever the answer says: those of a part or of no change, which
/// are complete in another sense; those that judge what one request asks or holds; and those that
/// RFC 6585 wants to be stored nowhere.
const ONCE: [StatusCode; 9] = [
    StatusCode::PARTIAL_CONTENT,
    StatusCode::NOT_MODIFIED,
    StatusCode::PRECONDITION_FAILED,
    StatusCode::RANGE_NOT_SATISFIABLE,
    StatusCode::EXPECTATION_FAILED,
    StatusCode::PRECONDITION_REQUIRED,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::NETWORK_AUTHENTICATION_REQUIRED,
];

/// Statuses that may be kept without a time (RFC 9110, section 15.1).
const LASTING: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

/// Statuses that may be kept without a time where the answer is `public`.
const PASSING: [u16; 3] = [302, 303, 307];

/// Under what terms an answer may be reused by a shared cache.
pub struct CacheTerms {
    /// From its making on.
    lifetime: Duration,
    /// How old it was when it came.
    age: Duration,
    came: SystemTime,
}

impl CacheTerms {
    /// Of a complete `answer` that came `now`, `delay` after it was asked for.
    ///
    /// # Errors
    ///
    /// Why it may not be stored, or would be of no use.
    pub fn of(
        answer: &http::Response<()>,
        delay: Duration,
        now: SystemTime,
    ) -> Result<Self, Unkept> {
        let headers = answer.headers();
        let said = fields::lifetime(headers, now);
        storable(answer, said.is_some())?;
        let no_cache = fields::names(headers, "no-cache");
        let lifetime = said.filter(|_| !no_cache).unwrap_or_default();
        let terms = Self { lifetime, age: fields::age(headers, delay), came: now };
        let validators = [header::ETAG, header::LAST_MODIFIED];
        let confirmed = !answer.status().is_server_error()
            && validators.iter().any(|name| headers.contains_key(name));
        if terms.left(now).is_zero() && !confirmed {
            return Err(if no_cache {
                Unkept::NoCache
            } else if said.is_some() {
                Unkept::Expired
            } else {
                Unkept::NoLifetime
            });
        }
        Ok(terms)
    }

    /// How old the answer is, and how long it stays fresh, if it may answer without a call to a
    /// client that `wants` this.
    #[must_use]
    pub fn allow(&self, wants: Wants, now: SystemTime) -> Option<(Duration, Duration)> {
        let (age, left) = (self.age(now), self.left(now));
        (!left.is_zero() && wants.takes(age, left)).then_some((age, left))
    }

    /// How old the answer is: the `current_age` of RFC 9111, section 4.2.3.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        self.age + now.duration_since(self.came).unwrap_or_default()
    }

    /// How long it stays fresh (RFC 9111, section 4.2).
    fn left(&self, now: SystemTime) -> Duration {
        self.lifetime.saturating_sub(self.age(now))
    }
}

/// Whether a shared cache may store an answer (RFC 9111, section 3); a `timed` one says for how
/// long it lives. What the request asks for is known already, and the key of a copy holds the
/// connection, so that `Authorization` forbids nothing.
fn storable(answer: &http::Response<()>, timed: bool) -> Result<(), Unkept> {
    let (headers, status) = (answer.headers(), answer.status().as_u16());
    let names = |word| fields::names(headers, word);
    let (lasting, passing) = (LASTING.contains(&status), PASSING.contains(&status));
    // What says for how long it lives need not be understood to be kept.
    let kept = if timed {
        lasting || passing || !names("must-understand")
    } else {
        lasting || passing && names("public")
    };
    if ONCE.contains(&answer.status()) {
        Err(Unkept::Status)
    } else if names("no-store") {
        Err(Unkept::NoStore)
    } else if names("private") {
        Err(Unkept::Private)
    } else if kept {
        Ok(())
    } else {
        Err(Unkept::Status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HeaderMap, HeaderName};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 1_000_000 * SECOND
    }

    fn of(status: u16, fields: &[(&'static str, &str)]) -> Result<CacheTerms, Unkept> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        *answer.headers_mut() = headers(fields);
        CacheTerms::of(&answer, Duration::ZERO, now())
    }

    /// Why such an answer is not kept.
    fn why(status: u16, fields: &[(&'static str, &str)]) -> Option<Unkept> {
        of(status, fields).err()
    }

    #[test]
    fn what_is_stored_can_be_reused_or_at_least_confirmed() {
        let tag = ("etag", "\"a\"");
        assert_eq!(why(200, &[]), Some(Unkept::NoLifetime), "nobody guesses");
        assert_eq!(why(200, &[tag]), None);
        assert_eq!(why(200, &[("cache-control", "no-store"), tag]), Some(Unkept::NoStore));
        assert_eq!(why(200, &[("cache-control", "private"), tag]), Some(Unkept::Private));
        assert_eq!(why(200, &[("cache-control", "no-cache")]), Some(Unkept::NoCache));
        assert_eq!(why(200, &[("cache-control", "no-cache"), tag]), None);
        assert_eq!(why(200, &[("cache-control", "max-age=0")]), Some(Unkept::Expired));
        assert_eq!(why(200, &[("expires", "0")]), Some(Unkept::Expired));
    }

    #[test]
    fn a_status_that_nobody_understands_is_kept_for_the_time_that_its_answer_names() {
        let fresh = ("cache-control", "max-age=60");
        for status in [200, 203, 204, 299, 301, 302, 400, 404, 410, 499, 500, 502, 503, 504, 599] {
            assert_eq!(why(status, &[fresh]), None, "{status}");
            let date = ("expires", "Tue, 13 Jan 1970 00:00:00 GMT");
            assert_eq!(why(status, &[date]), None, "{status}");
        }
        for status in [206, 304, 412, 416, 417, 428, 429, 431, 511] {
            assert_eq!(why(status, &[fresh]), Some(Unkept::Status), "{status}");
        }
        let understood = ("cache-control", "max-age=60, must-understand");
        assert_eq!((why(200, &[understood]), why(404, &[understood])), (None, None));
        assert_eq!(why(599, &[understood]), Some(Unkept::Status));
        for fields in [&[][..], &[("etag", "\"a\"")], &[("cache-control", "public")]] {
            assert_eq!(why(599, fields), Some(Unkept::Status), "{fields:?}");
        }
        // A failure of which the time is over says nothing that could be confirmed.
        let over = [("cache-control", "max-age=0"), ("etag", "\"a\"")];
        assert_eq!((why(200, &over), why(500, &over)), (None, Some(Unkept::Expired)));
    }

    #[test]
    fn they_allow_what_is_fresh_and_fresh_enough() {
        let terms = of(200, &[("cache-control", "max-age=60")]).unwrap();
        let (any, fussy) =
            (Wants::default(), Wants { max_age: Some(9 * SECOND), ..Wants::default() });
        let at = |seconds| now() + seconds * SECOND;
        assert_eq!(terms.allow(any, at(59)), Some((59 * SECOND, SECOND)));
        assert_eq!(terms.allow(any, at(60)), None);
        assert!(terms.allow(fussy, at(9)).is_some() && terms.allow(fussy, at(10)).is_none());
    }

    proptest! {
        #[test]
        fn an_answer_is_fresh_while_it_is_younger_than_its_lifetime(
            most in 0_u32..200, shared in prop::option::of(0_u32..200), expires in 0_u32..200,
            begun in 0_u32..100, delay in 0_u32..20, rest in 0_u32..300,
        ) {
            let date = |time| httpdate::fmt_http_date(now() + time * SECOND);
            let times = shared.map_or(String::new(), |time| format!(", s-maxage={time}"));
            let mut answer = http::Response::new(());
            *answer.headers_mut() = headers(&[
                ("age", &begun.to_string()),
                ("cache-control", &format!("max-age={most}{times}")),
                ("date", &date(0)),
                ("etag", "\"a\""),
                ("expires", &date(expires)),
            ]);
            let of = |answer: &_| CacheTerms::of(answer, delay * SECOND, now()).unwrap();
            let (later, age) = (now() + rest * SECOND, (begun + delay + rest) * SECOND);
            let fresh = |most: u32| {
                let left = (most * SECOND).checked_sub(age).filter(|left| !left.is_zero());
                left.map(|left| (age, left))
            };
            let (terms, any) = (of(&answer), Wants::default());
            prop_assert_eq!(terms.age(later), age);
            prop_assert_eq!(terms.allow(any, later), fresh(shared.unwrap_or(most)));
            answer.headers_mut().remove("cache-control");
            prop_assert_eq!(of(&answer).allow(any, later), fresh(expires));
        }
    }
}
