//! Who has no valid key is told what it may know; operators are told why.

use tollgate::telemetry::exposition::ExpositionFormat;

use crate::support::{Setup, Stack, request};

#[tokio::test(start_paused = true)]
async fn the_line_and_the_metric_of_a_401_say_why_and_name_no_secret() {
    let mut setup = Setup::new("");
    setup.text = setup.text.replacen("\" }]", "\", expires = \"2020-01-02T03:04:05Z\" }]", 1);
    let stack = Stack::new(&setup);
    let (expired, secret) = (setup.acme.as_str(), "A".repeat(43));
    let send = "send a gateway key as 'x-api-key: tg_…' or 'Authorization: Bearer tg_…'";
    let ended = "the key expired on 2020-01-02; ask the operator for a new one";
    let courier = format!("that is a Courier token; {send}");
    let cases = [
        (String::new(), "none", "", send),
        ("sk-another-product".to_owned(), "foreign", "", send),
        ("pk_prod_SECRET".to_owned(), "foreign", "", courier.as_str()),
        (format!("tg_nobody_{secret}"), "unknown", "nobody", send),
        (expired.to_owned(), "expired", "acme", ended),
        // Expired too, and not its holder who asks.
        (format!("tg_acme_{secret}"), "wrong", "acme", send),
        (format!("tg_umbrella_{secret}"), "wrong", "umbrella", send),
        ("tg_umbrella_cut".to_owned(), "wrong", "umbrella", send),
    ];
    for (key, why, id, detail) in &cases {
        let answer = stack.call(request("GET", "/brands", key, "")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["detail"].as_str()),
            (401, Some(*detail))
        );
        let line = stack.lines.last();
        assert_eq!(
            (&line["key_detail"], line["key_id"].as_str().unwrap_or("")),
            (&(*why).into(), *id)
        );
        assert!(line["app"].is_null(), "a key that is none is no app's");
        for hidden in [secret.as_str(), expired, "SECRET", "cut"] {
            assert!(!line.to_string().contains(hidden), "{line}");
        }
    }
    let page = stack.state.metrics_page(ExpositionFormat::Classic).await;
    for (why, times) in [("none", 1), ("foreign", 2), ("unknown", 1), ("expired", 1), ("wrong", 3)]
    {
        let sample = format!("tollgate_keys_refused_total{{reason=\"{why}\"}} {times}\n");
        assert!(page.contains(&sample), "{sample}{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_has_no_reason() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/brands", &setup.acme, "")).await;
    assert!(stack.lines.last()["key_detail"].is_null());
}
