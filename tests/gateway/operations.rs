//! Every operation of the catalogue, once, through the whole stack.

use std::collections::BTreeSet;

use crate::support::{ALL, Setup, Stack, request, token};
use tollgate::catalog::{Catalog, MethodPattern, Operation};

/// An address for the row, with ids that hold reserved characters.
fn address(row: &Operation) -> String {
    let parts = row
        .path
        .split('/')
        .map(|part| if part.starts_with('{') { "a%2Fb;c@d:e+f%20g" } else { part });
    format!("{}?limit=1&x=a%2Cb", parts.collect::<Vec<_>>().join("/"))
}

fn method(row: &Operation) -> &str {
    match &row.method {
        MethodPattern::Only(method) => method.as_str(),
        MethodPattern::Any => panic!("{}: every row of Courier has a method", row.id),
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_the_198_operations_reaches_the_vendor_byte_for_byte_under_its_own_name() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let catalog = Catalog::courier();
    let mut names = BTreeSet::new();
    for row in catalog.operations() {
        let body = if matches!(method(row), "POST" | "PUT" | "PATCH") { "{\"a\": 1}" } else { "" };
        let address = address(row);
        let answer = stack.call(request(method(row), &address, &setup.acme, body)).await;
        assert_eq!(answer.code(), "", "{}: the gateway answered by itself", row.id);
        let arrived = stack.arrived();
        let last = arrived.last().unwrap();
        assert_eq!(arrived.len(), names.len() + 1, "{}: one call is one call", row.id);
        assert_eq!((&*last.method, &*last.target), (method(row), &*address));
        assert_eq!(last.body, body);
        let line = stack.lines.last();
        assert_eq!(line["operation"], *row.id);
        assert_eq!((&line["code"], &line["attempts"]), (&"ok".into(), &1.into()));
        names.insert(row.id.clone());
    }
    assert_eq!(names.len(), 198);
    for call in stack.arrived() {
        let carried: Vec<_> = call
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .collect();
        assert_eq!(carried, [&("authorization".to_owned(), format!("Bearer {}", token("acme")))]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_default_scopes_reach_all_but_the_thirteen_rows_that_must_be_named() {
    let mut setup = Setup::new("");
    setup.text = setup.text.replace(ALL, "");
    let stack = Stack::new(&setup);
    let catalog = Catalog::courier();
    let mut denied = Vec::new();
    for row in catalog.operations() {
        let answer = stack.call(request(method(row), &address(row), &setup.acme, "")).await;
        match answer.code().as_str() {
            "" => {}
            "scope-missing" => {
                let line = stack.lines.last();
                assert_eq!(line["operation"], *row.id, "the operator sees what the app lacks");
                denied.push(row.group.clone());
            }
            other => panic!("{}: {other}", row.id),
        }
    }
    assert_eq!(denied.len(), 13);
    denied.dedup();
    denied.sort();
    denied.dedup();
    assert_eq!(denied, ["auth", "client", "inbound", "providers"]);
    assert_eq!(stack.arrived().len(), 185, "what is refused is not sent");
}

#[tokio::test(start_paused = true)]
async fn statuses_and_bodies_pass_unchanged() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for status in [200, 201, 202, 301, 302, 304, 307, 400, 402, 404, 409, 413, 422, 500, 503, 429] {
        let fault = format!(
            r#"{{"answer":{{"kind":"status","status":{status},"body":"{{\"n\": {status} }}"}}}}"#
        );
        let mut call = request("GET", "/messages", &setup.acme, "");
        call.headers_mut().insert("x-simulator-fault", fault.parse().unwrap());
        let answer = stack.call(call).await;
        assert_eq!(answer.status.as_u16(), status);
        if status != 304 {
            assert_eq!(answer.body, format!("{{\"n\": {status} }}"));
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        }
        assert_eq!(answer.header("tollgate-outcome"), "", "the vendor answered, not the gateway");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_keeps_its_length_and_a_204_has_none() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let get = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    let head = stack.call(request("HEAD", "/messages", &setup.acme, "")).await;
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert!(head.body.is_empty());
    assert_eq!(stack.lines.last()["operation"], "messages.list");
    let put = stack.call(request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}")).await;
    assert_eq!((put.status.as_u16(), put.header("content-length")), (204, ""));
    let mut odd = request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}");
    let raw = "SFRUUC8xLjEgMjA0IE5vIENvbnRlbnQNCkNvbnRlbnQtTGVuZ3RoOiAwDQoNCg==";
    let fault = format!(r#"{{"wire":{{"kind":"raw","base64":"{raw}"}}}}"#);
    odd.headers_mut().insert("x-simulator-fault", fault.parse().unwrap());
    let odd = stack.call(odd).await;
    assert_eq!((odd.status.as_u16(), odd.header("content-length")), (204, ""));
}

#[tokio::test(start_paused = true)]
async fn a_gzipped_answer_passes_as_it_is() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let mut call = request("GET", "/messages", &setup.acme, "");
    call.headers_mut().insert("x-simulator-fault", r#"{"gzip":true}"#.parse().unwrap());
    call.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let answer = stack.call(call).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
}
