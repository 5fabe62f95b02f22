//! Asking whether a copy is still right, and saying that a client's is (RFC 9111, sections 4.3 and
//! 3.2). Pure.

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{fields, key};
use crate::headers::have_one;

/// The fields by which a client asks for an answer only if it has changed.
const CONDITIONS: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// What a 304 cannot say of the octets that are kept: their coding, number and digest.
const OF_THE_OCTETS: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    header::AGE,
];

/// What a 304 leaves out: the client has it (RFC 9110, section 15.4.5).
const OF_THE_CONTENT: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
];

/// True when the request asks for an answer only if it has changed.
#[must_use]
pub fn is_conditional(request: &HeaderMap) -> bool {
    have_one(request, &CONDITIONS)
}

/// The conditions of `request`.
#[must_use]
pub fn conditions(request: &HeaderMap) -> HeaderMap {
    key::only(request, &CONDITIONS)
}

/// The fields of `request` with the validators of `copy` in place of the client's own conditions;
/// `None`: the copy has none.
#[must_use]
pub fn ask(request: &HeaderMap, copy: &HeaderMap) -> Option<HeaderMap> {
    let of = |name| copy.get(name).cloned();
    let validators = [of(header::ETAG), of(header::LAST_MODIFIED)];
    validators.iter().any(Option::is_some).then(|| {
        let mut asking = request.clone();
        for (name, validator) in CONDITIONS.into_iter().zip(validators) {
            asking.remove(&name);
            if let Some(validator) = validator {
                asking.insert(name, validator);
            }
        }
        asking
    })
}

/// True when a 304 with the fields `told` speaks of the copy `kept`, whose validators it answers:
/// unless it names another version (RFC 9111, section 4.3.4).
#[must_use]
pub fn confirms(told: &HeaderMap, kept: &HeaderMap) -> bool {
    match (told.get(header::ETAG), kept.get(header::ETAG)) {
        (Some(told), Some(kept)) if is_weak(told) => opaque(told) == opaque(kept),
        (Some(told), kept) => Some(told) == kept,
        (None, Some(_)) => true,
        (None, None) => {
            let of = |headers: &HeaderMap| fields::date(headers, &header::LAST_MODIFIED);
            of(told).is_none() || of(told) == of(kept)
        }
    }
}

/// The fields of `kept` brought up to date by a 304 with `told`.
#[must_use]
pub fn freshen(kept: &HeaderMap, told: &HeaderMap) -> HeaderMap {
    let mut fresh = kept.clone();
    for name in told.keys().filter(|name| !OF_THE_OCTETS.contains(name)) {
        fresh.remove(name);
        for value in told.get_all(name) {
            fresh.append(name.clone(), value.clone());
        }
    }
    fresh
}

/// True when the client has the copy of `status` with the fields `kept` already, by its own
/// conditions (RFC 9110, section 13.2.2).
#[must_use]
pub fn has_it(request: &HeaderMap, status: StatusCode, kept: &HeaderMap) -> bool {
    if status != StatusCode::OK || !is_conditional(request) {
        return false;
    }
    if request.contains_key(header::IF_NONE_MATCH) {
        let etag = kept.get(header::ETAG).map(opaque);
        let lines = request.get_all(header::IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
        return lines.flat_map(tags).any(|tag| tag == b"*" || Some(tag) == etag);
    }
    let since = fields::date(request, &header::IF_MODIFIED_SINCE);
    let modified =
        fields::date(kept, &header::LAST_MODIFIED).or_else(|| fields::date(kept, &header::DATE));
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// Leaves what a 304 says.
pub fn not_modified(headers: &mut HeaderMap) {
    for name in &OF_THE_CONTENT {
        headers.remove(name);
    }
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"W/")
}

/// A tag without its mark of weakness: so two are compared where weakness does not matter.
fn opaque(tag: &HeaderValue) -> &[u8] {
    plain(tag.as_bytes())
}

fn plain(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a line, without marks of weakness. A tag may hold a comma.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let parts = line.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    });
    parts.map(|tag| plain(tag.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const TWO: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_copys_validators_replace_the_clients_own() {
        let request =
            headers(&[("if-none-match", "\"theirs\""), ("if-modified-since", ONE), ("a", "1")]);
        let asking = ask(&request, &headers(&[("etag", "\"ours\"")])).unwrap();
        assert_eq!(asking, headers(&[("if-none-match", "\"ours\""), ("a", "1")]));
        let asking = ask(&HeaderMap::new(), &headers(&[("last-modified", TWO)])).unwrap();
        assert_eq!(asking, headers(&[("if-modified-since", TWO)]));
        assert_eq!(ask(&request, &HeaderMap::new()), None);
    }

    #[test]
    fn a_304_speaks_of_the_copy_unless_it_names_another_version() {
        fn does(told: &[(&'static str, &str)], kept: &[(&'static str, &str)]) -> bool {
            confirms(&headers(told), &headers(kept))
        }
        assert!(does(&[("etag", "\"a\"")], &[("etag", "\"a\"")]));
        assert!(does(&[("etag", "W/\"a\"")], &[("etag", "\"a\"")]));
        assert!(!does(&[("etag", "\"a\"")], &[("etag", "W/\"a\"")]), "not for certain");
        assert!(!does(&[("etag", "\"b\"")], &[("etag", "\"a\"")]));
        assert!(!does(&[("etag", "\"b\"")], &[("last-modified", ONE)]));
        assert!(does(&[], &[("etag", "\"a\"")]));
        assert!(does(&[("last-modified", ONE)], &[("last-modified", ONE)]));
        assert!(!does(&[("last-modified", TWO)], &[("last-modified", ONE)]));
        assert!(does(&[], &[("last-modified", ONE)]));
    }

    #[test]
    fn a_304_brings_every_field_up_to_date_but_those_of_the_octets() {
        let kept = headers(&[
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("x-b", "1"),
        ]);
        let told = headers(&[
            ("content-length", "0"),
            ("content-encoding", "br"),
            ("x-a", "3"),
            ("x-a", "4"),
            ("x-c", "1"),
        ]);
        let fresh = headers(&[
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("x-a", "3"),
            ("x-a", "4"),
            ("x-b", "1"),
            ("x-c", "1"),
        ]);
        assert_eq!(freshen(&kept, &told), fresh);
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        fn has(request: &[(&'static str, &str)], kept: &[(&'static str, &str)]) -> bool {
            has_it(&headers(request), StatusCode::OK, &headers(kept))
        }
        let kept: &[_] = &[("etag", "\"a,b\""), ("last-modified", ONE)];
        for tags in ["\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "*"] {
            assert!(has(&[("if-none-match", tags)], kept), "{tags}");
        }
        assert!(has(&[("if-none-match", "\"a\"")], &[("etag", "W/\"a\"")]), "weak is enough");
        assert!(
            !has(&[("if-none-match", "\"a\""), ("if-modified-since", TWO)], kept),
            "tags first"
        );
        assert!(
            has(&[("if-modified-since", ONE)], kept) && has(&[("if-modified-since", TWO)], kept)
        );
        assert!(!has(&[("if-modified-since", ONE)], &[("last-modified", TWO)]));
        assert!(!has(&[("if-modified-since", "soon")], kept));
        assert!(has(&[("if-modified-since", TWO)], &[("date", ONE)]));
        assert!(!has(&[], kept));
        let request = headers(&[("if-none-match", "*")]);
        assert!(!has_it(&request, StatusCode::NOT_FOUND, &headers(kept)));
    }
}
