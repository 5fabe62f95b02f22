//! Pages in browsers: only those of named origins, and they can read their refusals too.

use crate::support::{Setup, Stack, request, with};

const PAGE: &str = "https://app.example";

fn setup(origins: &str) -> Setup {
    Setup::new(&format!("[server.cors]\norigins = {origins}\n"))
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", PAGE),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "content-type,x-api-key"),
];

#[tokio::test(start_paused = true)]
async fn no_page_may_call_unless_its_origin_is_named_and_the_answer_says_so() {
    for setup in [Setup::new(""), setup("[\"https://other.example\"]")] {
        let stack = Stack::new(&setup);
        let asked = stack.call(with(request("OPTIONS", "/send", "", ""), &PREFLIGHT)).await;
        assert_eq!((asked.status.as_u16(), asked.code()), (403, "origin-refused".into()));
        let text = String::from_utf8_lossy(&asked.body);
        assert!(text.contains("[server.cors] origins"), "{text}");
        let called = with(request("GET", "/brands", &setup.acme, ""), &[("origin", PAGE)]);
        let called = stack.call(called).await;
        assert_eq!(called.status.as_u16(), 200, "a program may name an origin");
        assert_eq!(called.header("access-control-allow-origin"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_named_origin_may_call_and_reads_answers_and_errors() {
    let setup = setup(&format!("[\"{PAGE}\"]"));
    let stack = Stack::new(&setup);
    let asked = stack.call(with(request("OPTIONS", "/send", "", ""), &PREFLIGHT)).await;
    assert_eq!(asked.status.as_u16(), 204);
    for (field, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("access-control-allow-headers", "content-type,x-api-key"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", ""),
        ("vary", "origin"),
    ] {
        assert_eq!(asked.header(field), value, "{field}");
    }
    for (key, status) in [(setup.acme.as_str(), 200), ("", 401)] {
        let call = with(request("GET", "/brands", key, ""), &[("origin", PAGE)]);
        let answer = stack.call(call).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        assert_eq!(answer.header("access-control-expose-headers"), "*");
        assert_eq!(answer.header("vary"), "origin");
    }
    let other = [("origin", "https://other.example")];
    let answer = stack.call(with(request("GET", "/brands", &setup.acme, ""), &other)).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(stack.arrived().len(), 1, "preflights and origins cost nothing");
}

#[tokio::test(start_paused = true)]
async fn an_options_request_that_is_no_preflight_is_answered_as_ever() {
    let setup = setup("[\"*\"]");
    let stack = Stack::new(&setup);
    let asked = stack.call(request("OPTIONS", "/brands", &setup.acme, "")).await;
    assert_eq!((asked.status.as_u16(), asked.code()), (405, "method-not-allowed".into()));
    let asked = stack.call(with(request("OPTIONS", "/send", "", ""), &PREFLIGHT)).await;
    assert_eq!(asked.header("access-control-allow-origin"), "*");
}
