//! For which of the requests for one URL an answer was made (RFC 9111, section 4.1). Pure.

use http::header::{self, HeaderMap, HeaderName};

use super::accept;
use super::key::CacheKey;

/// What tells an answer apart from others of its URL.
pub struct Variant {
    varies: Box<[HeaderName]>,
    key: CacheKey,
    /// The URL and the codings that were asked for.
    codings: CacheKey,
}

impl Variant {
    /// Of an answer to a request for `url` with the fields `request`, which says that it depends on
    /// the fields `varies`.
    #[must_use]
    pub fn of(url: &CacheKey, request: &HeaderMap, varies: Box<[HeaderName]>) -> Self {
        let codings = url.variant(request, &[header::ACCEPT_ENCODING]);
        Self { key: url.variant(request, &varies), varies, codings }
    }

    /// The fields that select among the answers of its URL.
    #[must_use]
    pub fn varies(&self) -> &[HeaderName] {
        &self.varies
    }

    /// Where it is kept: its URL and the values of those fields.
    #[must_use]
    pub fn key(&self) -> &CacheKey {
        &self.key
    }

    /// True when it was made for requests to `url` with the fields `request`, too; `answer` has its
    /// own fields.
    #[must_use]
    pub fn fits(&self, url: &CacheKey, request: &HeaderMap, answer: &HeaderMap) -> bool {
        url.variant(request, &self.varies) == self.key && self.is_read(url, request, answer)
    }

    /// True when who sent `request` reads the codings of `answer`. A vendor that says nothing of
    /// them in `Vary` may have chosen them all the same.
    #[must_use]
    pub fn is_read(&self, url: &CacheKey, request: &HeaderMap, answer: &HeaderMap) -> bool {
        let codings = header::ACCEPT_ENCODING;
        self.varies.contains(&codings)
            || accept::reads(request, answer)
            || url.variant(request, &[codings]) == self.codings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Parts;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    fn url() -> CacheKey {
        let (connection, target) = ("acme".parse().unwrap(), "/brands".parse().unwrap());
        let parts =
            Parts { connection: &connection, epoch: 0, operation: "b", reads: 0, target: &target };
        CacheKey::listed(parts, &HeaderMap::new(), &[])
    }

    /// Made for `request`, depending on `varies`.
    fn made(request: &[(&'static str, &str)], varies: &[&'static str]) -> Variant {
        let varies = varies.iter().map(|name| HeaderName::from_static(name)).collect();
        Variant::of(&url(), &headers(request), varies)
    }

    #[test]
    fn an_answer_fits_requests_with_the_same_values_of_the_fields_that_select_it() {
        let answer = HeaderMap::new();
        let variant = made(&[("x-a", "1"), ("x-b", "2")], &["x-a"]);
        let fits = |fields| variant.fits(&url(), &headers(fields), &answer);
        assert!(fits(&[("x-a", "1"), ("x-b", "3")]));
        assert!(!fits(&[("x-a", "2")]) && !fits(&[("x-a", "1"), ("x-a", "1")]) && !fits(&[]));
        assert!(!variant.fits(variant.key(), &headers(&[("x-a", "1")]), &answer), "another URL");
        let for_all = made(&[("x-a", "1")], &[]);
        assert_eq!(*for_all.key(), url());
        assert!(for_all.fits(&url(), &HeaderMap::new(), &answer));
    }

    #[test]
    fn a_coding_of_which_nothing_was_said_is_for_those_who_read_it() {
        let (coded, plain) = (headers(&[("content-encoding", "gzip")]), HeaderMap::new());
        let asks = |codings| [("accept-encoding", codings)];
        let variant = made(&asks("br, gzip"), &[]);
        let fits = |fields: &[_], answer| variant.fits(&url(), &headers(fields), answer);
        assert!(fits(&asks("br, gzip"), &coded) && fits(&asks("gzip"), &coded));
        for codings in ["identity", "br", "gzip;q=0, *"] {
            assert!(!fits(&asks(codings), &coded), "{codings}");
            assert!(fits(&asks(codings), &plain), "{codings}");
        }
        assert!(!fits(&[], &coded) && fits(&[], &plain) && !fits(&asks("*;q=0"), &plain));
        // Who got it once gets it again.
        assert!(made(&[], &[]).fits(&url(), &HeaderMap::new(), &coded));
        let said = made(&asks("identity"), &["accept-encoding"]);
        assert!(said.fits(&url(), &headers(&asks("identity")), &coded), "the vendor chose it");
        assert!(!said.fits(&url(), &headers(&asks("gzip")), &coded));
    }
}
