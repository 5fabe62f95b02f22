//! Which header fields may pass, in both directions. Pure rules over a [`HeaderMap`].
//!
//! The order is the point: fields that belong to one hop go first, with all that `Connection`
//! names, so that nothing which is added later can be named away.

pub mod references;
mod sdk;
mod texts;

use http::header::{self, AsHeaderName, HeaderMap, HeaderName, HeaderValue};

pub use sdk::{Habits, Sdk};
pub use texts::FieldTexts;

/// What a client calls its request, and the gateway the call where the client does not.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a client may put its key.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Fields of one hop (RFC 9110 section 7.6.1), `Expect`, which the gateway answers itself, and
/// `Trailer`, since trailers are dropped in both directions.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
    )
}

/// What a client may hold against the gateway or the vendor.
fn is_credential(name: &str) -> bool {
    matches!(name, "authorization" | "x-api-key" | "cookie" | "cookie2")
}

/// Fields by which a client could claim to be a proxy, another host or another method, what SDKs
/// say of themselves, and trace context, which is the gateway's own to pass on.
fn is_override(name: &str) -> bool {
    let family = |start: &str| name.starts_with(start);
    matches!(
        name,
        "forwarded"
            | "host"
            | "baggage"
            | "true-client-ip"
            | "traceparent"
            | "tracestate"
            | "cf-connecting-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-host"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-original-host"
            | "x-original-url"
            | "x-real-ip"
            | "x-rewrite-url"
    ) || family("x-forwarded-")
        || family("x-stainless-")
        || family("x-fern-")
}

/// Answer fields that speak of the vendor's hop, or that a client would keep for the origin that it
/// asked: here the gateway's, about which the vendor has nothing to say.
fn is_for_the_vendors_origin(name: &str) -> bool {
    matches!(
        name,
        "server"
            | "set-cookie"
            | "set-cookie2"
            | "refresh"
            | "accept-ch"
            | "alt-svc"
            | "clear-site-data"
            | "expect-ct"
            | "nel"
            | "public-key-pins"
            | "public-key-pins-report-only"
            | "report-to"
            | "reporting-endpoints"
            | "strict-transport-security"
    )
}

/// True when `headers` have one of `names`. A head has few fields, so one look at each costs less
/// than a search for each that could be there.
#[must_use]
pub fn have_one(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}

/// Removes the fields whose name says that they go, in the same way.
fn strip(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    while let Some(name) = headers.keys().find(|name| goes(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// Removes what belongs to one hop, the fields named by `Connection` included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    strip_named(headers);
    strip(headers, is_hop_by_hop);
}

/// Removes what belongs to the client's hop, and every credential that the client may have sent.
pub fn strip_hop_and_credentials(headers: &mut HeaderMap) {
    strip_named(headers);
    strip(headers, |name| is_hop_by_hop(name) || is_credential(name));
}

fn strip_named(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
}

/// Removes forwarding and override fields, trace context, `X-Stainless-*` and `X-Fern-*`.
pub fn strip_overrides(headers: &mut HeaderMap) {
    strip(headers, is_override);
}

/// Prepares a vendor's answer for the client.
pub fn strip_answer(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    strip(headers, is_for_the_vendors_origin);
}

/// How this gateway stands in `Via` (RFC 9110 section 7.6.3). `instance` is the pseudonym that
/// [`came_through`] looks for.
#[must_use]
pub fn via(instance: &str) -> HeaderValue {
    HeaderValue::try_from(format!("1.1 tollgate-{instance}")).expect("hex digits are visible ASCII")
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
pub fn word(headers: &HeaderMap, name: impl AsHeaderName, max: usize) -> Option<&str> {
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
        strip_hop_and_credentials(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_gateway_finds_itself_in_via_and_nobody_else() {
        let mut headers = map(&[("via", "1.0 fred, 1.1 tollgate-0a")]);
        assert!(came_through(&headers, "0a"));
        assert!(!came_through(&headers, "0b"));
        headers.append(header::VIA, via("0b"));
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
