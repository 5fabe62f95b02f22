//! The description of the port and its routes are one and the same.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use super::routes::{OPENAPI, ROUTES, find, named};
use crate::error::Code;

/// Method and path of each operation of the description; `awaited` are those that are not served
/// yet.
fn described(awaited: bool) -> BTreeSet<(String, String)> {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if (operation["x-not-yet"] == true) == awaited {
                operations.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
    }
    operations
}

#[test]
fn every_path_is_described_and_every_path_that_is_described_is_served() {
    let served = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned()));
    assert_eq!(served.collect::<BTreeSet<_>>(), described(false));
    for (method, path) in described(true) {
        let found = ROUTES.iter().any(|route| route.method == method && route.path == path);
        assert!(!found, "{method} {path} is served: take its x-not-yet out");
    }
}

#[test]
fn the_description_names_no_part_that_is_not_in_it_and_this_version() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in OPENAPI.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn a_path_is_found_by_its_parts_and_other_methods_of_it_are_named() {
    let found = |method: Method, path: &'static str| {
        find(&method, path).map(|(route, part)| (route.path, part)).map_err(|error| error.code)
    };
    assert_eq!(found(Method::GET, "/api/calls"), Ok(("/api/calls", "")));
    assert_eq!(found(Method::HEAD, "/api/calls/1a"), Ok(("/api/calls/{id}", "1a")));
    for path in ["/api/calls/", "/api/calls/1/2", "/api/call", "/api", "/", "", "/api/calls/{id}/x"]
    {
        assert_eq!(found(Method::GET, path), Err(Code::UnknownOperation), "{path}");
        assert_eq!(found(Method::POST, path), Err(Code::UnknownOperation), "{path}");
    }
    assert_eq!(found(Method::POST, "/api/calls/1"), Err(Code::MethodNotAllowed));
    let allow = |path| find(&Method::PUT, path).err().unwrap().headers[0].1.clone();
    assert_eq!(allow("/api/login"), "POST");
    assert_eq!(allow("/api/version"), "GET, HEAD");
}

#[test]
fn the_audit_names_what_was_asked_for_without_what_was_sent() {
    for (method, path, word, what) in [
        (Method::POST, "/api/login", "login", "POST /api/login"),
        (Method::GET, "/api/calls/tg_ops_secret", "ask", "GET /api/calls/{id}"),
        (Method::DELETE, "/api/calls/tg_ops_secret", "ask", "another method of /api/calls/{id}"),
        (Method::GET, "/api/tg_ops_secret", "ask", "a path that is not there"),
    ] {
        assert_eq!(named(&method, path), (word, what.to_owned()));
    }
}
