//! Courier's SDKs of every generation: what they send, and what they do without saying so.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use simulator::{Answer as Faulty, Effect, Fault, When, Wire};
use tokio::time::{Instant, advance};

use crate::keys::{committed, keys, lost, next, slow};
use crate::support::{ALL, Answer, Setup, Stack, request, with};

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

const SEND: &str =
    "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";

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

#[tokio::test(start_paused = true)]
async fn a_generation_that_says_no_time_out_is_answered_before_its_own_is_over() {
    let long =
        "[server]\ndeadline = \"100s\"\n[vendor]\nfirst_byte = \"200s\"\nhard_limit = \"200s\"\n";
    let setup = Setup::new(long);
    let stack = Stack::new(&setup);
    let effect = Effect { wire: Some(Wire::BlackHole), ..Effect::default() };
    let fault = Fault { id: None, when: When::default(), effect };
    stack.courier.with(|simulator| simulator.faults().add(fault));
    let longer = &[PYTHON_5[0], ("x-stainless-timeout", "30")][..];
    for (fields, seconds) in [
        (PYTHON_5, 4),
        (longer, 29),
        (NODE_5, 100),
        (PYTHON_6, 59),
        (NODE_6, 59),
        (&[("x-stainless-lang", "js")], 59),
        (&[("x-stainless-lang", "python"), ("x-stainless-read-timeout", "20")], 19),
        (&[], 100),
    ] {
        let start = Instant::now();
        let answer = stack.call(with(request("GET", "/messages", &setup.acme, ""), fields)).await;
        assert_eq!((answer.status.as_u16(), start.elapsed().as_secs()), (504, seconds));
    }
}

/// Its client would have left after 5 s, while the message goes out at 4.5 s.
#[tokio::test(start_paused = true)]
async fn a_send_that_would_outlast_an_old_clients_time_out_is_refused_at_once() {
    let quota = "[quota]\ncalls = 1\nwindow = \"4500ms\"\n";
    let setup = Setup::with_quota("", quota);
    let stack = Stack::new(&setup);
    next(&stack, 2, slow(600.0));
    let send = || with(request("POST", "/send", &setup.acme, SEND), PYTHON_5);
    assert_eq!(stack.call(send()).await.status.as_u16(), 202);
    let start = Instant::now();
    let refused = stack.call(send()).await;
    assert_eq!((refused.code().as_str(), start.elapsed().as_secs()), ("deadline-too-near", 0));
    assert_eq!(committed(&stack), 1);
}

async fn send(stack: &Stack, setup: &Setup, fields: &Fields) -> Answer {
    stack.call(with(request("POST", "/send", &setup.acme, SEND), fields)).await
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_answer_was_lost_stays_one_though_its_sdk_counts_no_retries() {
    for fields in [NODE_6, PYTHON_6, NODE_5, PYTHON_5] {
        let setup = Setup::new("");
        let stack = Stack::new(&setup);
        // As the SDK hears of it: at once, and after it was tried again by the gateway.
        next(&stack, 8, Effect { commit: Some(true), ..lost() });
        let first = send(&stack, &setup, fields).await;
        assert_eq!((first.status.as_u16() / 100, first.header("tollgate-outcome")), (5, "unknown"));
        advance(Duration::from_secs(100)).await;
        let retry = send(&stack, &setup, fields).await;
        assert_eq!(retry.status.as_u16(), 202);
        let all = keys(&stack);
        assert!(all.iter().all(|key| *key == all[0] && !key.is_empty()), "{all:?}");
        assert_eq!(committed(&stack), 1);
        // It was accepted: the same content anew is another send.
        assert_eq!(send(&stack, &setup, fields).await.header("idempotency-replayed"), "");
        assert_ne!(keys(&stack).last(), all.last());
        assert_eq!(committed(&stack), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_couriers_is_repeated_under_its_key_and_is_one_send() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let answer =
        Some(Faulty::Status { status: 500, body: None, content_type: None, retry_after: None });
    next(&stack, 1, Effect { answer, commit: Some(true), ..Effect::default() });
    for _ in 0..3 {
        // What Courier remembers under the key, if anything; never a further send.
        send(&stack, &setup, NODE_6).await;
        advance(Duration::from_secs(1)).await;
    }
    let all = keys(&stack);
    assert!(all.len() > 1 && all.iter().all(|key| *key == all[0]), "{all:?}");
    assert_eq!(committed(&stack), 1);
}

#[tokio::test(start_paused = true)]
async fn equal_sends_at_a_time_stay_two_and_each_retry_finds_its_own() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let both = || async { join(send(&stack, &setup, NODE_6), send(&stack, &setup, NODE_6)).await };
    next(&stack, 100, Effect { commit: Some(true), ..lost() });
    let (one, two) = both().await;
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (502, 502));
    next(&stack, 0, Effect::default());
    let (one, two) = both().await;
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (202, 202));
    let all: BTreeSet<String> = keys(&stack).into_iter().collect();
    assert_eq!((committed(&stack), all.len()), (2, 2), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_joins_the_send_whose_client_no_longer_waits() {
    let setup = Setup::new("");
    for leaves in [true, false] {
        let stack = Stack::new(&setup);
        next(&stack, 1, slow(6_000.0));
        if leaves {
            let call = with(request("POST", "/send", &setup.acme, SEND), NODE_5);
            let pipeline = stack.pipeline.clone();
            let client = tokio::spawn(async move { pipeline.answer(call).await });
            advance(Duration::from_secs(1)).await;
            while stack.arrived().is_empty() {
                tokio::task::yield_now().await;
            }
            client.abort();
            assert!(client.await.is_err());
            assert_eq!(send(&stack, &setup, NODE_5).await.status.as_u16(), 202);
        } else {
            // Its own time-out is 5 s.
            assert_eq!(send(&stack, &setup, PYTHON_5).await.status.as_u16(), 504);
            assert_eq!(send(&stack, &setup, PYTHON_5).await.status.as_u16(), 202);
        }
        assert_eq!((stack.arrived().len(), committed(&stack)), (1, 1), "{leaves}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_two_sends_after_a_failure_says_so() {
    let mut setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 8, Effect { commit: Some(true), ..lost() });
    // Another key, another app, and a client that is none of Courier's SDKs: each is its own send.
    let own = [NODE_6[0], NODE_6[2], ("idempotency-key", "second")];
    assert_eq!(send(&stack, &setup, NODE_6).await.status.as_u16(), 502);
    send(&stack, &setup, &own).await;
    send(&stack, &setup, &[]).await;
    stack.call(with(request("POST", "/send", &setup.umbrella, SEND), NODE_6)).await;
    assert_eq!(committed(&stack), 4);
    // None of them was taken for the retry, which comes now.
    assert_eq!(send(&stack, &setup, NODE_6).await.status.as_u16(), 202);
    assert_eq!(committed(&stack), 4);
    setup.text = setup.text.replacen(ALL, &format!("{ALL}make_keys = false\n"), 1);
    let stack = Stack::new(&setup);
    next(&stack, 1, Effect { commit: Some(true), ..lost() });
    for _ in 0..2 {
        send(&stack, &setup, NODE_6).await;
    }
    assert_eq!((committed(&stack), keys(&stack)), (2, vec![String::new(), String::new()]));
}
