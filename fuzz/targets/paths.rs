//! A path that passes leads where it seems to: no server behind that decodes it, cuts parameters off,
//! folds its case or resolves its dots reaches another row of the catalogue.
#![no_main]

use std::sync::{Arc, LazyLock};

use http::Method;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode;
use tollgate::catalog::{Catalog, Match};
use tollgate::paths;

static COURIER: LazyLock<Arc<Catalog>> = LazyLock::new(Catalog::courier);

/// Two servers in a row decode a path.
const DECODINGS: usize = 2;

fuzz_target!(|path: &str| {
    if paths::check(path).is_err() {
        return;
    }
    assert!(path.starts_with('/'), "{path:?} is no path");
    assert!(!path.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '\\'), "{path:?}");
    for reading in readings(path) {
        assert_eq!(resolved(&reading), reading, "{path:?} climbs");
    }
    routes(path);
});

/// What is looked at after the path was checked, and only without an empty segment.
fn routes(path: &str) {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path == "/" || path.split('/').skip(1).any(str::is_empty) {
        return;
    }
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        match COURIER.find(&method, path) {
            Match::Operation(row) => assert!(fits(&row.path, path), "{path:?} is no {}", row.path),
            Match::WrongMethod(_) => {}
            Match::Unknown if COURIER.is_reserved(path) => {}
            Match::Unknown => {
                for reading in readings(path) {
                    let lenient = lenient(&reading);
                    for row in COURIER.operations() {
                        assert!(
                            !fits(&row.path.to_lowercase(), &lenient),
                            "{path:?} passes as unknown, and is read as {} ({lenient:?})",
                            row.id
                        );
                    }
                }
            }
        }
    }
}

/// The path as it came, decoded once, and so on.
fn readings(path: &str) -> Vec<String> {
    let mut readings = vec![path.to_owned()];
    for at in 0..DECODINGS {
        let next: Vec<u8> = percent_decode(readings[at].as_bytes()).collect();
        readings.push(String::from_utf8_lossy(&next).into_owned());
    }
    readings
}

/// RFC 3986, section 5.2.4, for a server to which both slashes are one, and parameters nothing.
fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split_inclusive(['/', '\\']) {
        let name = segment.trim_end_matches(['/', '\\']);
        match name.split(';').next() {
            Some(".") => {}
            Some("..") => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    kept.concat()
}

/// What a server sees that cuts off queries and parameters, and knows no case and no empty segments.
fn lenient(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let names =
        path.split(['/', '\\']).map(|segment| segment.split(';').next().unwrap_or_default());
    names.filter(|name| !name.is_empty()).map(|name| format!("/{}", name.to_lowercase())).collect()
}

/// Whether `path` is one of a row's.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut there) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some(rest), Some(first)) if rest.starts_with("{*") => return !first.is_empty(),
            (Some(name), Some(value)) if name.starts_with('{') && name.ends_with('}') => {
                if value.is_empty() {
                    return false;
                }
            }
            (Some(name), Some(value)) if name == value => {}
            _ => return false,
        }
    }
}
