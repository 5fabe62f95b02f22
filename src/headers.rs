//! Which header fields may pass, in both directions. Pure rules over a [`HeaderMap`].
//!
//! The order is the point: fields that belong to one hop go first, with all that `Connection`
//! names, so that nothing which is added later can be named away.

pub mod references;
mod sdk;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub use sdk::{Habits, Sdk};

/// Fields of one hop (RFC 9110 section 7.6.1), `Expect`, which the gateway answers itself, and
/// `Trailer`, since trailers are dropped in both directions.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// What a client may hold against the gateway or the vendor.
const CREDENTIALS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    header::COOKIE,
    HeaderName::from_static("cookie2"),
];

/// Fields by which a client could claim to be a proxy, another host or another method, and trace
/// context, which is the gateway's own to pass on.
const OVERRIDES: [HeaderName; 17] = [
    header::FORWARDED,
    header::HOST,
    HeaderName::from_static("baggage"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("cf-connecting-ip"),
];

/// Families of fields that stop at the gateway.
const OVERRIDE_PREFIXES: [&str; 3] = ["x-forwarded-", "x-stainless-", "x-fern-"];

/// Answer fields that speak of the vendor's hop, or that a client would keep for the origin that it asked:
/// here the gateway's, about which the vendor has nothing to say.
const ANSWER_ONLY: [HeaderName; 14] = [
    header::SERVER,
    header::SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    header::REFRESH,
    HeaderName::from_static("accept-ch"),
    header::ALT_SVC,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("expect-ct"),
    HeaderName::from_static("nel"),
    header::PUBLIC_KEY_PINS,
    header::PUBLIC_KEY_PINS_REPORT_ONLY,
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    header::STRICT_TRANSPORT_SECURITY,
];

/// Removes what belongs to one hop, the fields named by `Connection` included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Removes every credential that a client may have sent.
pub fn strip_credentials(headers: &mut HeaderMap) {
    for name in &CREDENTIALS {
        headers.remove(name);
    }
}

/// Removes forwarding and override fields, trace context, `X-Stainless-*` and `X-Fern-*`.
pub fn strip_overrides(headers: &mut HeaderMap) {
    for name in &OVERRIDES {
        headers.remove(name);
    }
    let family: Vec<HeaderName> = headers
        .keys()
        .filter(|name| OVERRIDE_PREFIXES.iter().any(|p| name.as_str().starts_with(p)))
        .cloned()
        .collect();
    for name in &family {
        headers.remove(name);
    }
}

/// Prepares a vendor's answer for the client.
pub fn strip_answer(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in &ANSWER_ONLY {
        headers.remove(name);
    }
}

/// Appends this gateway to `Via` (RFC 9110 section 7.6.3). `instance` is the pseudonym that
/// [`came_through`] looks for.
pub fn add_via(headers: &mut HeaderMap, version: http::Version, instance: &str) {
    let protocol = if version == http::Version::HTTP_2 { "2.0" } else { "1.1" };
    if let Ok(value) = HeaderValue::from_str(&format!("{protocol} tollgate-{instance}")) {
        headers.append(header::VIA, value);
    }
}

/// True when the request has passed the gateway `instance` before: a base URL points back at it.
#[must_use]
pub fn came_through(headers: &HeaderMap, instance: &str) -> bool {
    headers.get_all(header::VIA).iter().any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split([',', ' ']).any(|word| word.strip_prefix("tollgate-") == Some(instance))
        })
    })
}

/// A field that was sent once and is short, visible ASCII: nothing else may enter a log line.
#[must_use]
pub fn word<'a>(headers: &'a HeaderMap, name: &str, max: usize) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok().filter(|text| is_word(text, max))
}

fn is_word(text: &str, max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    !text.is_empty() && text.len() <= max && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_named_by_connection_go_with_it() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("connection", "authorization"),
            ("x-secret", "1"),
            ("authorization", "x"),
            ("te", "trailers"),
            ("accept", "*/*"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["accept"]);
    }

    #[test]
    fn a_client_cannot_claim_to_be_a_proxy_or_another_method() {
        let mut headers = map(&[
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-anything", "1"),
            ("x-http-method-override", "DELETE"),
            ("x-stainless-lang", "python"),
            ("x-fern-runtime-version", "20.20.2"),
            ("x-original-url", "/admin"),
            ("host", "gateway"),
            ("idempotency-key", "k"),
        ]);
        strip_overrides(&mut headers);
        assert_eq!(names(&headers), ["idempotency-key"]);
    }

    #[test]
    fn every_credential_is_removed_however_often_it_was_sent() {
        let mut headers = map(&[
            ("authorization", "a"),
            ("authorization", "b"),
            ("x-api-key", "c"),
            ("cookie", "d"),
        ]);
        strip_credentials(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_gateway_finds_itself_in_via_and_nobody_else() {
        let mut headers = map(&[("via", "1.0 fred, 1.1 tollgate-0a")]);
        assert!(came_through(&headers, "0a"));
        assert!(!came_through(&headers, "0b"));
        add_via(&mut headers, http::Version::HTTP_11, "0b");
        assert!(came_through(&headers, "0b"));
    }

    #[test]
    fn an_answer_loses_what_belongs_to_the_vendors_hop_or_acts_for_its_origin() {
        let mut headers = map(&[
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("alt-svc", "h3=\":443\""),
            ("clear-site-data", "\"*\""),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"https://b\""),
            ("accept-ch", "ect"),
            ("expect-ct", "max-age=1"),
            ("public-key-pins", "x"),
            ("server", "s"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x-sum"),
            ("alt-svc", "h3=\":443\""),
            ("strict-transport-security", "max-age=1"),
            ("clear-site-data", "*"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("refresh", "0; url=https://vendor.example/"),
            ("content-type", "application/json"),
            ("etag", "\"1\""),
        ]);
        strip_answer(&mut headers);
        assert_eq!(names(&headers), ["content-type", "etag"]);
    }
}
