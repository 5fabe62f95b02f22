//! Courier's SDKs of every generation: what they send, and what they do without saying so.

use crate::support::{Setup, Stack, request, with};

type Fields = [(&'static str, &'static str)];

pub(crate) const PYTHON_5: &Fields = &[("user-agent", "courier-python/5.0.0")];
pub(crate) const NODE_5: &Fields = &[("user-agent", "courier-node/5.7.0")];
pub(crate) const PYTHON_6: &Fields = &[
    ("user-agent", "python-httpx/0.28.1"),
    ("x-fern-language", "Python"),
    ("x-fern-sdk-name", "trycourier"),
    ("x-fern-sdk-version", "v6.2.1"),
];
pub(crate) const NODE_6: &Fields = &[
    ("user-agent", "@trycourier/courier/6.6.0"),
    ("x-fern-language", "JavaScript"),
    ("x-fern-sdk-name", "@trycourier/courier"),
    ("x-fern-sdk-version", "6.6.0"),
    ("x-fern-runtime", "node"),
    ("x-fern-runtime-version", "20.20.2"),
];

#[tokio::test(start_paused = true)]
async fn the_access_line_names_every_generation_and_courier_hears_of_no_runtime() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for (fields, name) in [
        (PYTHON_5, "python/5.0.0"),
        (NODE_5, "js/5.7.0"),
        (PYTHON_6, "python/6.2.1"),
        (NODE_6, "js/6.6.0"),
    ] {
        stack.call(with(request("GET", "/messages", &setup.acme, ""), fields)).await;
        assert_eq!(stack.lines.last()["sdk"], name);
        let arrived = stack.arrived().pop().unwrap();
        assert!(arrived.headers.iter().all(|(field, _)| !field.starts_with("x-fern")), "{name}");
    }
}

/// As npm 4 and 5 decide: `content-type` is compared as a text.
#[tokio::test(start_paused = true)]
async fn sdks_that_read_plain_json_only_are_told_in_it_what_is_wrong() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let (plain, problem) = ("application/json", "application/problem+json");
    let node_3 = &[("user-agent", "courier-node/3.16.0")][..];
    for (fields, form) in [
        (NODE_5, plain),
        (&[("user-agent", "courier-node/4.9.0")], plain),
        (node_3, problem),
        (NODE_6, problem),
        (PYTHON_5, problem),
        (&[], problem),
    ] {
        let refused = stack.call(with(request("GET", "/no/such", &setup.acme, ""), fields)).await;
        assert_eq!((refused.header("content-type"), refused.status.as_u16()), (form, 404));
        let told = refused.json();
        assert!(!told["message"].as_str().unwrap().is_empty());
        assert_eq!(told["message"], told["detail"]);
    }
}
