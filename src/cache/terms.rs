//! What an answer's own fields allow: for how long, and for which requests. Pure.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};
use http_cache_semantics::CachePolicy;

use super::fields;
use super::key::Key;
use super::policy::{OPTIONS, Wants};

/// Under what terms an answer may be reused by a shared cache.
pub struct Terms {
    policy: CachePolicy,
    varies: Box<[HeaderName]>,
    key: Key,
}

impl Terms {
    /// Of a complete `answer` that came `now`, `delay` after a request for `url` with the fields
    /// `request`; `None`: it may not be stored, or would be of no use.
    #[must_use]
    pub fn of(
        url: &Key,
        request: &HeaderMap,
        answer: &http::Response<()>,
        delay: Duration,
        now: SystemTime,
    ) -> Option<Self> {
        // They are complete in another sense.
        if [StatusCode::NOT_MODIFIED, StatusCode::PARTIAL_CONTENT].contains(&answer.status()) {
            return None;
        }
        let varies = fields::vary(answer.headers())?;
        // What the request asks for is known already; the key holds the rest of it.
        let asked = http::Request::new(());
        let policy = CachePolicy::new_options(&asked, &fields::plain(answer, delay), now, OPTIONS);
        let validators = [header::ETAG, header::LAST_MODIFIED];
        let useful = !policy.is_stale(now)
            || validators.iter().any(|name| answer.headers().contains_key(name));
        (policy.is_storable() && useful).then(|| {
            let key = url.variant(request, &varies);
            Self { policy, varies, key }
        })
    }

    /// The fields that select among the answers of its URL.
    #[must_use]
    pub fn varies(&self) -> &[HeaderName] {
        &self.varies
    }

    /// Where it is kept: its URL and the values of those fields.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// True when it was made for requests to `url` with the fields `request`.
    #[must_use]
    pub fn fit(&self, url: &Key, request: &HeaderMap) -> bool {
        url.variant(request, &self.varies) == self.key
    }

    /// How old the answer is, and how long it stays fresh, if it may answer without a call to a
    /// client that `wants` this.
    #[must_use]
    pub fn allow(&self, wants: Wants, now: SystemTime) -> Option<(Duration, Duration)> {
        let (age, left) = (self.age(now), self.policy.time_to_live(now));
        (!self.policy.is_stale(now) && wants.takes(age, left)).then_some((age, left))
    }

    /// How old the answer is.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        self.policy.age(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Parts;

    const SECOND: Duration = Duration::from_secs(1);

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    fn url() -> Key {
        let (connection, target) = ("acme".parse().unwrap(), "/brands".parse().unwrap());
        let parts = Parts { connection: &connection, epoch: 0, operation: "b", target: &target };
        Key::listed(parts, &HeaderMap::new(), &[])
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 1_000_000 * SECOND
    }

    fn of(status: u16, fields: &[(&'static str, &str)], request: &HeaderMap) -> Option<Terms> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        *answer.headers_mut() = headers(fields);
        Terms::of(&url(), request, &answer, Duration::ZERO, now())
    }

    #[test]
    fn what_is_stored_can_be_reused_or_at_least_confirmed() {
        let none = HeaderMap::new();
        let fresh = ("cache-control", "max-age=60");
        for status in [200, 203, 204, 301, 302, 404, 410] {
            assert!(of(status, &[fresh], &none).is_some(), "{status}");
        }
        for status in [206, 304, 429, 500, 503, 599] {
            assert!(of(status, &[fresh], &none).is_none(), "{status}");
        }
        assert!(of(200, &[], &none).is_none(), "nobody guesses");
        assert!(of(200, &[("etag", "\"a\"")], &none).is_some());
        assert!(of(200, &[fresh, ("vary", "*")], &none).is_none());
        assert!(of(200, &[("cache-control", "no-store"), ("etag", "\"a\"")], &none).is_none());
    }

    #[test]
    fn they_fit_requests_with_the_same_values_of_the_nominated_fields() {
        let request = headers(&[("x-a", "1"), ("x-b", "2")]);
        let terms = of(200, &[("cache-control", "max-age=60"), ("vary", "X-A")], &request).unwrap();
        assert!(terms.fit(&url(), &headers(&[("x-a", "1"), ("x-b", "3")])));
        assert!(!terms.fit(&url(), &headers(&[("x-a", "2")])));
        assert!(!terms.fit(&url(), &headers(&[("x-a", "1"), ("x-a", "1")])));
        assert!(!terms.fit(&url(), &HeaderMap::new()));
        assert!(!terms.fit(&terms.key, &request));
    }

    #[test]
    fn they_allow_what_is_fresh_and_fresh_enough() {
        let terms = of(200, &[("cache-control", "max-age=60")], &HeaderMap::new()).unwrap();
        let (any, fussy) =
            (Wants::default(), Wants { max_age: Some(9 * SECOND), ..Wants::default() });
        let at = |seconds| now() + seconds * SECOND;
        assert_eq!(terms.allow(any, at(59)), Some((59 * SECOND, SECOND)));
        assert_eq!(terms.allow(any, at(60)), None);
        assert!(terms.allow(fussy, at(9)).is_some() && terms.allow(fussy, at(10)).is_none());
    }
}
