//! The host that a request is meant for, by its grammar (RFC 9112 section 3.2, RFC 9113 section
//! 8.3.1).
//!
//! The gateway chooses nothing by it. But a hop in front may, and a host that can be read in two
//! ways is a request that can be read in two ways.

use std::net::Ipv6Addr;

use http::header::{self, HeaderValue};
use http::uri::Scheme;
use http::{Request, Version};

/// Whether the host of `request` is there, once, and well formed.
///
/// A target with a host of its own (absolute form, as clients with a proxy setting send it) counts
/// in place of the field, which must be well formed all the same (RFC 9112 section 3.2.2).
///
/// # Errors
/// What is wrong, for the caller.
pub fn check<B>(request: &Request<B>) -> Result<(), &'static str> {
    const ONE: &str = "exactly one Host is required";
    let uri = request.uri();
    if uri.scheme().is_some_and(|scheme| *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS) {
        return Err("the request target has a scheme that is neither http nor https");
    }
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (field, None) => field.map(HeaderValue::as_bytes),
        _ => return Err(ONE),
    };
    let target = uri.authority().map(|authority| authority.as_str().as_bytes());
    if !field.is_none_or(is_host) || !target.is_none_or(is_host) {
        return Err("the Host is not a name or an address with or without a port");
    }
    match (request.version(), target, field) {
        // Both name one entity (RFC 9113 section 8.3.1).
        (Version::HTTP_2, Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => Err(ONE),
        (Version::HTTP_2, None, None) | (Version::HTTP_11, _, None) => Err(ONE),
        _ => Ok(()),
    }
}

/// `uri-host [ ":" port ]` (RFC 3986 section 3.2). An empty one is well formed. A comma is not
/// taken, though the grammar has it in names: it is how two fields are put into one.
fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => match rest.iter().position(|b| *b == b']') {
            Some(end) if is_ipv6(&rest[..end]) => (&[][..], &rest[end + 1..]),
            _ => return false,
        },
        _ => text.split_at(text.iter().position(|b| *b == b':').unwrap_or(text.len())),
    };
    let port = match port {
        [] => port,
        [b':', digits @ ..] => digits,
        _ => return false,
    };
    is_name(host) && port.iter().all(u8::is_ascii_digit)
}

fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Unreserved characters, sub-delimiters and whole percent-encodings.
fn is_name(text: &[u8]) -> bool {
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (b, _) if b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(b) => tail,
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for good in [
            "",
            "a",
            "a:80",
            "a:",
            "LOCALHOST",
            "a.",
            "a_b",
            "xn--bcher-kva.example",
            "a%2Db",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:443",
            "[2001:db8::1]:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b",
            "a, b",
            "a,b",
            "\"a\"",
            "a/b",
            "a@b",
            "a:b",
            "a:80:80",
            "[::1",
            "::1",
            "[a]",
            "[::1]x",
            "[::1%25eth0]",
            "a%2",
            "a%zz",
            "<a>",
            "a\\b",
            "{a}",
            "a|b",
            "a^b",
            "a`b",
            "a?b",
            "a#b",
            "a\u{e4}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    fn checked(version: Version, uri: &str, hosts: &[&str]) -> Result<(), &'static str> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        check(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        let (h0, h1, h2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        for (version, uri, hosts) in [
            (h0, "/", &[][..]),
            (h0, "/", &["a"]),
            (h1, "/", &["a"]),
            (h1, "/", &[""]),
            (h1, "http://a/", &["a"]),
            (h1, "https://a:1/x", &["b"]),
            (h2, "http://a/", &[]),
            (h2, "http://a/", &["A"]),
            (h2, "/", &["a"]),
        ] {
            assert_eq!(checked(version, uri, hosts), Ok(()), "{version:?} {uri} {hosts:?}");
        }
        for (version, uri, hosts) in [
            (h0, "/", &["a", "a"][..]),
            (h1, "/", &[]),
            (h1, "/", &["a", "a"]),
            (h1, "/", &["a, b"]),
            (h1, "http://a/", &[]),
            (h1, "http://a/", &["a b"]),
            (h1, "http://u@a/", &["a"]),
            (h1, "ftp://a/", &["a"]),
            (h2, "ftp://a/", &[]),
            (h2, "http://a/", &["b"]),
            (h2, "/", &[]),
        ] {
            assert!(checked(version, uri, hosts).is_err(), "{version:?} {uri} {hosts:?}");
        }
    }
}
