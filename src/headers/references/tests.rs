use proptest::prelude::*;

use super::*;

/// What becomes of a `Location`, asked of `/v1/profiles/a?x=1` at `base`.
fn at(base: &str, prefix: &str, location: &str) -> Option<String> {
    let uri: http::Uri = base.parse().unwrap();
    let (scheme, authority) = (uri.scheme().unwrap(), uri.authority().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
    neutral(&mut headers, Base { scheme, authority, prefix, target: "/profiles/a?x=1" });
    headers.get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned())
}

fn courier(location: &str) -> Option<String> {
    at("https://api.courier.com", "", location)
}

#[test]
fn what_leads_to_the_vendors_base_becomes_a_path() {
    for (location, path) in [
        ("https://api.courier.com/profiles/b", "/profiles/b"),
        ("HTTPS://API.Courier.COM:443/profiles/b?y=2#f", "/profiles/b?y=2#f"),
        ("http://api.courier.com/profiles/b", "/profiles/b"),
        ("http://api.courier.com:80/profiles/b", "/profiles/b"),
        ("https://api.courier.com./profiles/b", "/profiles/b"),
        ("//API.COURIER.COM.:443/profiles/b", "/profiles/b"),
        ("https://api.courier.com:/profiles/b", "/profiles/b"),
        ("//api.courier.com/profiles/b", "/profiles/b"),
        ("https://api.courier.com", "/"),
        ("https://api.courier.com?y=2", "/?y=2"),
        ("/profiles/b", "/profiles/b"),
        ("b", "/profiles/b"),
        ("./b/../c/.", "/profiles/c/"),
        ("../../../lists", "/lists"),
        ("?y=2", "/profiles/a?y=2"),
        ("#f", "/profiles/a?x=1#f"),
        ("", "/profiles/a?x=1"),
        ("/profiles/a:b", "/profiles/a:b"),
    ] {
        assert_eq!(courier(location).as_deref(), Some(path), "{location}");
    }
}

#[test]
fn what_leads_elsewhere_is_a_whole_uri() {
    for (location, uri) in [
        ("https://example.com/b", "https://example.com/b"),
        ("//example.com/b", "https://example.com/b"),
        ("https://api.courier.com.example.com/b", "https://api.courier.com.example.com/b"),
        ("https://api.courier.com:8443/b", "https://api.courier.com:8443/b"),
        ("https://a@api.courier.com/b", "https://a@api.courier.com/b"),
        ("https://api.courier.com@example.com/b", "https://api.courier.com@example.com/b"),
        ("https://api.courier.com//example.com/b", "https://api.courier.com//example.com/b"),
        ("https://api.courier.com../b", "https://api.courier.com../b"),
        ("https://api.courier.com:80/b", "https://api.courier.com:80/b"),
        ("https://api.courier.com:443a/b", "https://api.courier.com:443a/b"),
        ("https://api.courier.com:+443/b", "https://api.courier.com:+443/b"),
        ("https://api.courier.com:65979/b", "https://api.courier.com:65979/b"),
        ("urn:x:y", "urn:x:y"),
    ] {
        assert_eq!(courier(location).as_deref(), Some(uri), "{location}");
    }
}

#[test]
fn what_clients_read_in_different_ways_is_dropped() {
    for location in [
        "https:/example.com",
        "https:example.com",
        "/\\example.com",
        "\\\\example.com",
        "https://api.courier.com\\@example.com/",
        "/a b",
        "/\u{fc}",
        "https:///b",
        "/%2e%2e/other/lists",
        "/a/%2E./%2e%2e/.tollgate/me",
        "https://api.courier.com/..%2f..%2fother",
    ] {
        assert_eq!(courier(location), None, "{location}");
    }
}

#[test]
fn several_locations_are_none() {
    let uri: http::Uri = "https://api.courier.com".parse().unwrap();
    let (scheme, authority) = (uri.scheme().unwrap(), uri.authority().unwrap());
    let mut headers = HeaderMap::new();
    for location in ["/a", "https://example.com/"] {
        headers.append(header::LOCATION, HeaderValue::from_static(location));
    }
    neutral(&mut headers, Base { scheme, authority, prefix: "", target: "/lists" });
    assert!(headers.is_empty(), "one of them would not be judged");
}

#[test]
fn a_base_below_a_path_is_left_by_what_is_not_below_it() {
    let there = |location| at("http://127.0.0.1:4010", "/v1", location);
    for (location, to) in [
        ("http://127.0.0.1:4010/v1/profiles/b", "/profiles/b"),
        ("/v1/profiles/b", "/profiles/b"),
        ("/v1", "/"),
        ("b", "/profiles/b"),
        ("../../v1/lists", "/lists"),
        ("/v11/b", "http://127.0.0.1:4010/v11/b"),
        ("../../b", "http://127.0.0.1:4010/b"),
        ("http://127.0.0.1/v1/b", "http://127.0.0.1/v1/b"),
    ] {
        assert_eq!(there(location).as_deref(), Some(to), "{location}");
    }
}

fn linked(link: &str) -> Option<String> {
    let uri: http::Uri = "https://api.courier.com".parse().unwrap();
    let (scheme, authority) = (uri.scheme().unwrap(), uri.authority().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert(header::LINK, HeaderValue::from_str(link).unwrap());
    neutral(&mut headers, Base { scheme, authority, prefix: "", target: "/lists" });
    outward(&mut headers, "eu", true);
    headers.get(header::LINK).map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn links_lead_as_locations_do_and_keep_their_parameters() {
    for (link, to) in [
        (
            "<https://api.courier.com/lists?cursor=a,b>; rel=next",
            "</c/eu/lists?cursor=a,b>; rel=next",
        ),
        (
            "</a>; title=\"x, <y>; \\\"z\" , <?b>;rel=prev,,",
            "</c/eu/a>; title=\"x, <y>; \\\"z\", </c/eu/lists?b>;rel=prev",
        ),
        ("<https://example.com/>; rel=help", "<https://example.com/>; rel=help"),
        ("<>", "</c/eu/lists>"),
        (
            "</a>; anchor=\"https://api.courier.com/b;c,d\" ;rel=up",
            "</c/eu/a>; anchor=\"/c/eu/b;c,d\";rel=up",
        ),
        ("</a>;Anchor = \"\\#f\"", "</c/eu/a>;Anchor =\"/c/eu/lists#f\""),
        ("</a>; anchor=//Api.Courier.com./b; rel=up", "</c/eu/a>; anchor=\"/c/eu/b\"; rel=up"),
        ("</a>; anchor=\"//example.com\"", "</c/eu/a>; anchor=\"https://example.com\""),
        ("</a>; title=\"; anchor=/b\"; anchors=/b", "</c/eu/a>; title=\"; anchor=/b\"; anchors=/b"),
        ("</a>; anchor", "</c/eu/a>; anchor"),
    ] {
        assert_eq!(linked(link).as_deref(), Some(to), "{link}");
    }
    for link in ["</a>; anchor=\"/\\\\b\"", "</a>; anchor=\"/%2e%2e/b\"", "</a>; anchor=\"/b\"c"] {
        assert_eq!(linked(link), None, "{link}");
    }
    for link in ["https://api.courier.com/lists", "</a", "</a>; title=\"x", "</a>, b", "</\\a>"] {
        assert_eq!(linked(link), None, "{link}");
    }
}

#[test]
fn the_way_out_is_below_the_connection_where_the_caller_asked_there_or_has_to() {
    let out = |location: &'static str, there| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LOCATION, HeaderValue::from_static(location));
        outward(&mut headers, "eu", there);
        headers[header::CONTENT_LOCATION].to_str().unwrap().to_owned()
    };
    assert_eq!(out("/lists", true), "/c/eu/lists");
    assert_eq!(out("/lists", false), "/lists");
    assert_eq!(out("/c/lists", false), "/c/eu/c/lists");
    assert_eq!(out("/.tollgate/me", false), "/c/eu/.tollgate/me");
    assert_eq!(out("https://example.com/", true), "https://example.com/");
}

/// A reference apart: scheme, authority, path, query, fragment (RFC 3986 section 3 and appendix B).
type Parts = (Option<String>, Option<String>, String, Option<String>, Option<String>);

fn parts(text: &str) -> Parts {
    let own = |text: &str| Some(text.to_owned());
    let (text, fragment) = text.split_once('#').map_or((text, None), |(a, b)| (a, own(b)));
    let (text, query) = text.split_once('?').map_or((text, None), |(a, b)| (a, own(b)));
    let (scheme, text) = match text.find([':', '/']) {
        Some(at) if text.as_bytes()[at] == b':' && text.starts_with(char::is_alphabetic) => {
            (own(&text[..at].to_lowercase()), &text[at + 1..])
        }
        _ => (None, text),
    };
    let Some(rest) = text.strip_prefix("//") else {
        return (scheme, None, text.to_owned(), query, fragment);
    };
    let end = rest.find('/').unwrap_or(rest.len());
    (scheme, own(&rest[..end]), rest[end..].to_owned(), query, fragment)
}

/// RFC 3986 section 5.2.4, step by step.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("../").or(input.strip_prefix("./")) {
            input = rest.to_owned();
        } else if input.starts_with("/./") || input == "/." {
            input = format!("/{}", input.get(3..).unwrap_or_default());
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else if input == "." || input == ".." {
            input.clear();
        } else {
            let end = input[1..].find('/').map_or(input.len(), |end| end + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

/// Where `reference` leads from `base` (RFC 3986 section 5.2.2), and the vendor's host in one
/// spelling.
fn leads(base: &str, reference: &str) -> Parts {
    let (base, (scheme, authority, path, query, fragment)) = (parts(base), parts(reference));
    let folder = &base.2[..=base.2.rfind('/').unwrap()];
    let (scheme, authority, path, query) = if scheme.is_some() || authority.is_some() {
        (scheme.or(base.0), authority, remove_dot_segments(&path), query)
    } else if path.is_empty() {
        (base.0, base.1, base.2.clone(), query.or(base.3))
    } else if path.starts_with('/') {
        (base.0, base.1, remove_dot_segments(&path), query)
    } else {
        (base.0, base.1, remove_dot_segments(&format!("{folder}{path}")), query)
    };
    let here = match authority.as_deref().map(|text| text.split_once(':').unwrap_or((text, ""))) {
        Some((host, port)) if ["api.courier.com", "api.courier.com."].contains(&host) => {
            let own = if scheme.as_deref() == Some("http") { "80" } else { "443" };
            ["", own, "443"].contains(&port)
        }
        _ => false,
    };
    let path = if here && path.is_empty() { "/".to_owned() } else { path };
    let vendor = || (Some("https".to_owned()), Some("api.courier.com".to_owned()));
    let (scheme, authority) = if here { vendor() } else { (scheme, authority) };
    (scheme, authority, path, query, fragment)
}

#[test]
fn the_resolver_of_these_tests_is_the_rfcs() {
    // Of RFC 3986 section 5.4.
    for (reference, target) in [
        ("g", "http://a/b/c/g"),
        ("./g/", "http://a/b/c/g/"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("", "http://a/b/c/d;p?q"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("../..", "http://a/"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("g..", "http://a/b/c/g.."),
        ("./../g", "http://a/b/g"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
    ] {
        assert_eq!(leads("http://a/b/c/d;p?q", reference), parts(target), "{reference}");
    }
}

proptest! {
    /// Whatever the vendor says: what goes out is a path of the gateway's or names another host,
    /// and a path, followed through the gateway, asks the vendor for what its own reference leads
    /// to.
    #[test]
    fn a_path_that_goes_out_comes_back_as_what_the_vendor_meant(
        location in "(https?:)?(//)?(api\\.courier\\.com\\.?|example\\.com)?(:443|:80)?[/a-c.?#:]{0,12}",
        prefix in prop_oneof![Just(""), Just("/v1")],
    ) {
        let base = format!("https://api.courier.com{prefix}/profiles/a?x=1");
        let meant = leads(&base, &location);
        match at("https://api.courier.com", prefix, &location) {
            None => {}
            Some(path) if path.starts_with('/') => {
                prop_assert!(!path.starts_with("//"), "{location} {path}");
                let asked = format!("https://api.courier.com{prefix}{path}");
                let there = leads(&base, &asked);
                // The base itself, without its last slash, is the gateway's root.
                let root = there.2 == format!("{prefix}/") && meant.2 == prefix;
                let meant = if root { (meant.0, meant.1, there.2.clone(), meant.3, meant.4) } else { meant };
                prop_assert_eq!(there, meant);
            }
            Some(uri) => {
                let here = meant.1.as_deref() == Some("api.courier.com")
                    && meant.2.strip_prefix(prefix).is_some_and(|below| {
                        below.is_empty() || (below.starts_with('/') && !below.starts_with("//"))
                    });
                prop_assert!(!here, "{location} {uri}");
                prop_assert_eq!(leads(&base, &uri), meant);
            }
        }
    }
}
