//! What an answer's own fields allow, and for how long. Pure.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header;
use http_cache_semantics::CachePolicy;

use super::fields;
use super::policy::{OPTIONS, Wants};
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

/// Under what terms an answer may be reused by a shared cache.
pub struct CacheTerms(CachePolicy);

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
        if ONCE.contains(&answer.status()) {
            return Err(Unkept::Status);
        }
        // What the request asks for is known already.
        let asked = http::Request::new(());
        let policy = CachePolicy::new_options(&asked, &fields::plain(answer, delay), now, OPTIONS);
        if !policy.is_storable() {
            return Err(if fields::names(headers, "no-store") {
                Unkept::NoStore
            } else if fields::names(headers, "private") {
                Unkept::Private
            } else {
                Unkept::Status
            });
        }
        let validators = [header::ETAG, header::LAST_MODIFIED];
        let confirmed = !answer.status().is_server_error()
            && validators.iter().any(|name| headers.contains_key(name));
        if policy.is_stale(now) && !confirmed {
            return Err(if fields::names(headers, "no-cache") {
                Unkept::NoCache
            } else if fields::names_time(headers) {
                Unkept::Expired
            } else {
                Unkept::NoLifetime
            });
        }
        Ok(Self(policy))
    }

    /// How old the answer is, and how long it stays fresh, if it may answer without a call to a
    /// client that `wants` this.
    #[must_use]
    pub fn allow(&self, wants: Wants, now: SystemTime) -> Option<(Duration, Duration)> {
        let (age, left) = (self.age(now), self.0.time_to_live(now));
        (!self.0.is_stale(now) && wants.takes(age, left)).then_some((age, left))
    }

    /// How old the answer is.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        self.0.age(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{HeaderMap, HeaderName};

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
}
