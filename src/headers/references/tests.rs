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
    ] {
        assert_eq!(linked(link).as_deref(), Some(to), "{link}");
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

proptest! {
    /// Whatever the vendor says: what goes out is a path of the gateway's or names another host, and a
    /// path, followed through the gateway, asks the vendor for what its own reference leads to.
    #[test]
    fn a_path_that_goes_out_comes_back_as_what_the_vendor_meant(
        location in "(https?:)?(//)?(api\\.courier\\.com|example\\.com)?(:443|:80)?[/a-c.?#:]{0,12}",
        prefix in prop_oneof![Just(""), Just("/v1")],
    ) {
        match at("https://api.courier.com", prefix, &location) {
            None => {}
            Some(path) if path.starts_with('/') => {
                prop_assert!(!path.starts_with("//"), "{location} {path}");
                let again = at("https://api.courier.com", prefix, &format!("{prefix}{path}"));
                prop_assert_eq!(again, Some(path));
            }
            Some(uri) => {
                let uri = uri.split('#').next().unwrap();
                let read: Option<http::Uri> = uri.parse().ok();
                let host = read.as_ref().and_then(http::Uri::host).unwrap_or_default();
                let here = host == "api.courier.com"
                    && read.as_ref().unwrap().path().starts_with(&format!("{prefix}/"))
                    && !read.as_ref().unwrap().path().starts_with(&format!("{prefix}//"))
                    && [None, Some(443)].contains(&read.as_ref().unwrap().port_u16());
                prop_assert!(!here, "{location} {uri}");
            }
        }
    }
}
