//! What passes, in both directions: no field of one hop, no credential, no claim to be a proxy; all
//! others as they came. No answer leads to the vendor's host past the gateway.
#![no_main]

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use libfuzzer_sys::fuzz_target;
use tollgate::headers::references::{self, Base};
use tollgate::headers::{strip_answer, strip_hop_and_credentials, strip_overrides};

/// RFC 9110, section 7.6.1, and what the gateway answers itself.
const ONE_HOP: [&str; 10] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "cookie2", "x-api-key"];
const CLAIMS: [&str; 6] =
    ["forwarded", "host", "x-http-method-override", "x-original-url", "x-real-ip", "x-rewrite-url"];
const OF_THE_VENDOR: [&str; 4] = ["alt-svc", "server", "set-cookie", "strict-transport-security"];

fuzz_target!(|octets: &[u8]| {
    let headers = fields(octets);
    request(&headers);
    for prefix in ["", "/v1"] {
        for named in [false, true] {
            answer(&headers, prefix, named);
        }
    }
});

/// One field a line.
fn fields(octets: &[u8]) -> HeaderMap {
    let lines = octets.split(|b| *b == b'\n').filter_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((HeaderName::from_bytes(&line[..colon]).ok()?, value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(100) {
        headers.append(name, value);
    }
    headers
}

/// What `Connection` names, read anew.
fn named(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("connection").into_iter();
    let texts = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).to_lowercase());
    texts
        .flat_map(|text| text.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

fn request(headers: &HeaderMap) {
    let mut passed = headers.clone();
    strip_hop_and_credentials(&mut passed);
    strip_overrides(&mut passed);
    let named = named(headers);
    for name in passed.keys().map(HeaderName::as_str) {
        assert!(
            !ONE_HOP.contains(&name) && !named.iter().any(|other| other == name),
            "{name}: one hop"
        );
        assert!(!CREDENTIALS.contains(&name), "{name}: a credential");
        assert!(!CLAIMS.contains(&name) && !name.starts_with("x-forwarded-"), "{name}: a claim");
        assert!(headers.get_all(name).iter().eq(passed.get_all(name)), "{name} is another one");
    }
    for name in ["accept", "content-type", "idempotency-key", "user-agent"] {
        let meant = named.iter().any(|other| other == name);
        assert!(meant || passed.contains_key(name) == headers.contains_key(name), "{name} is lost");
    }
    let once = passed.clone();
    strip_overrides(&mut passed);
    assert_eq!(once, passed, "what passed once passes again");
}

fn answer(headers: &HeaderMap, prefix: &str, named: bool) {
    let (scheme, authority) = (Scheme::HTTPS, Authority::from_static("api.courier.test"));
    let mut passed = headers.clone();
    strip_answer(&mut passed);
    let target = "/brands/b1?a=b";
    references::neutral(
        &mut passed,
        Base { scheme: &scheme, authority: &authority, prefix, target },
    );
    references::outward(&mut passed, "acme", named);
    for name in passed.keys().map(HeaderName::as_str) {
        assert!(!ONE_HOP.contains(&name) && !OF_THE_VENDOR.contains(&name), "{name} passed");
    }
    for name in ["location", "content-location"] {
        assert!(passed.get_all(name).iter().count() < 2, "{name} says two things");
        if let Some(value) = passed.get(name) {
            leads_to_no_vendor(value.to_str().expect("what was changed is text"), prefix, named);
        }
    }
}

fn leads_to_no_vendor(reference: &str, prefix: &str, named: bool) {
    if let Some(path) = reference.strip_prefix('/') {
        assert!(!path.starts_with(['/', '\\']), "{reference:?} is a host");
        assert!(!named || reference.starts_with("/c/acme/"), "{reference:?} left its connection");
        let path =
            path.split(['?', '#']).next().unwrap_or_default().to_lowercase().replace("%2e", ".");
        assert!(!path.split('/').any(|name| name == "." || name == ".."), "{reference:?} climbs");
        return;
    }
    let lower = reference.to_lowercase();
    let Some((scheme, rest)) = lower.split_once(':') else { panic!("{reference:?} leads nowhere") };
    if scheme == "http" || scheme == "https" {
        let rest = rest.strip_prefix("//").expect("a whole URI");
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // Hosts know no case, and paths do.
        let path = &reference[reference.len() - path.len()..];
        let default = if scheme == "http" { ":80" } else { ":443" };
        let host = host.strip_suffix(default).unwrap_or(host);
        // One dot ends a whole name; a name with two is nobody's (RFC 1034 section 3.1).
        let host = host.strip_suffix('.').unwrap_or(host);
        // What stands beside the base is not the gateway's to lead to, and two slashes would be a host.
        let below = path.strip_prefix(prefix).filter(|rest| !rest.starts_with("//"));
        let below = below.is_some_and(|rest| rest.starts_with('/'));
        assert!(host != "api.courier.test" || !below, "{reference:?} is the vendor's");
    }
}
