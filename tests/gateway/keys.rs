//! Idempotency keys: kept when given, made when missing, one send each.

use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use simulator::{Effect, Fault, When, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::StreamBody;

use crate::support::{ALL, Setup, Stack, request};

fn body(text: &str) -> String {
    format!(
        "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"t\",\"body\":\"{text}\"}}}}}}"
    )
}

/// A send of `text` with these fields.
pub(crate) fn send(key: &str, text: &str, fields: &[(&'static str, &str)]) -> Request<StreamBody> {
    let mut call = request("POST", "/send", key, &body(text));
    for (name, value) in fields {
        call.headers_mut().append(*name, value.parse().unwrap());
    }
    call
}

pub(crate) fn given(setup: &Setup, text: &str, key: &str) -> Request<StreamBody> {
    send(&setup.acme, text, &[("idempotency-key", key)])
}

/// An SDK's `count`th retry.
pub(crate) fn sdk(setup: &Setup, text: &str, count: u32) -> Request<StreamBody> {
    send(&setup.acme, text, &[("x-stainless-retry-count", &count.to_string())])
}

pub(crate) fn next(stack: &Stack, times: u64, effect: Effect) {
    let when = When { times: Some(times), ..When::default() };
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        simulator.faults().add(Fault { id: None, when, effect });
    });
}

pub(crate) fn lost() -> Effect {
    Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() }
}

pub(crate) fn slow(ms: f64) -> Effect {
    Effect { latency: Some(simulator::Latency::Fixed { ms }), ..Effect::default() }
}

/// The keys that arrived, oldest first.
pub(crate) fn keys(stack: &Stack) -> Vec<String> {
    let arrived = stack.arrived();
    let key = |call: &simulator::Request| call.field("idempotency-key").unwrap_or("").to_owned();
    arrived.iter().map(key).collect()
}

pub(crate) fn committed(stack: &Stack) -> usize {
    stack.courier.with(|simulator| {
        simulator.journal().entries().filter(|entry| entry.committed.is_some()).count()
    })
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_is_given_again_for_24_hours() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let first = stack.call(given(&setup, "a", "k")).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (202, ""));
    advance(Duration::from_secs(24 * 3600 - 1)).await;
    let again = stack.call(given(&setup, "a", "k")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-length"), first.header("content-length"));
    assert_eq!((stack.arrived().len(), &stack.lines.last()["attempts"]), (1, &0.into()));
    advance(Duration::from_secs(1)).await;
    let later = stack.call(given(&setup, "a", "k")).await;
    assert_eq!((later.header("idempotency-replayed"), stack.arrived().len()), ("", 2));
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_request_of_one_app() {
    let (app, key) = {
        let (text, key) = crate::support::tenant("second", ALL);
        (text[text.find("[[tenant.app]]").unwrap()..].to_owned(), key)
    };
    let mut setup = Setup::new("");
    let at = setup.text.find("[[tenant]]\nid = \"umbrella\"").unwrap();
    setup.text.insert_str(at, &app);
    let stack = Stack::new(&setup);
    assert_eq!(stack.call(given(&setup, "a", "k")).await.status.as_u16(), 202);
    for other in [given(&setup, "b", "k"), {
        let mut call = given(&setup, "a", "k");
        *call.uri_mut() = "/send?x=1".parse().unwrap();
        call
    }] {
        let refused = stack.call(other).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "key-reused"));
    }
    let refused = stack.call(send(&key, "a", &[("idempotency-key", "k")])).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "key-in-use"));
    // Another connection, another operation, another key: nothing to do with it.
    let other = stack.call(send(&setup.umbrella, "a", &[("idempotency-key", "k")])).await;
    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (202, ""));
    let mut merge = request("POST", "/profiles/u", &setup.acme, "{\"profile\":{}}");
    merge.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    assert_eq!(stack.call(merge).await.status.as_u16(), 200);
    assert_eq!(stack.arrived().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_paths_of_one_operation_share_a_key() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let merge = |user: &str| {
        let mut call =
            request("POST", &format!("/profiles/{user}"), &setup.acme, "{\"profile\":{}}");
        call.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        call
    };
    assert_eq!(stack.call(merge("u1")).await.status.as_u16(), 200);
    assert_eq!(stack.call(merge("u2")).await.code(), "key-reused");
}

#[tokio::test(start_paused = true)]
async fn other_answers_are_not_kept_and_a_mended_request_may_use_the_key() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let bad = |text: &str| {
        let mut call = request("POST", "/send", &setup.acme, text);
        call.headers_mut().insert("idempotency-key", "k".parse().unwrap());
        call
    };
    assert_eq!(stack.call(bad("{\"wrong\":1}")).await.status.as_u16(), 400);
    assert_eq!(stack.call(given(&setup, "a", "k")).await.status.as_u16(), 202);
    let mut two = given(&setup, "a", "x");
    two.headers_mut().append("idempotency-key", "y".parse().unwrap());
    assert_eq!(stack.call(two).await.code(), "malformed-request");
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_outcome_is_unknown_stays_taken() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 100, lost());
    let unknown = stack.call(given(&setup, "a", "k")).await;
    assert_eq!((unknown.status.as_u16(), unknown.header("tollgate-outcome")), (502, "unknown"));
    next(&stack, 0, Effect::default());
    assert_eq!(stack.call(given(&setup, "b", "k")).await.code(), "key-reused");
    assert_eq!(stack.call(given(&setup, "a", "k")).await.status.as_u16(), 202);
    assert_eq!(committed(&stack), 1);
}

#[tokio::test(start_paused = true)]
async fn twins_are_one_call_and_each_waits_until_its_own_deadline() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 1, slow(10_000.0));
    let start = Instant::now();
    let calls = (0..20).map(|n| {
        let mut call = given(&setup, "a", "k");
        if n == 7 {
            call.headers_mut().insert("x-stainless-timeout", "4".parse().unwrap());
        }
        async {
            let answer = stack.call(call).await;
            (answer.status.as_u16(), start.elapsed().as_secs(), answer)
        }
    });
    let answers = join_all(calls).await;
    for (n, (status, seconds, answer)) in answers.iter().enumerate() {
        if n == 7 {
            assert_eq!((*status, *seconds), (504, 3));
            assert_eq!(answer.header("tollgate-outcome"), "unknown", "its twin was sent");
        } else {
            assert_eq!((*status, *seconds), (202, 10), "{n}");
        }
    }
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_twin_goes_on_when_the_first_client_left_before_anything_was_sent() {
    let setup = Setup::with_quota(
        "",
        "[quota]\ncalls = 1\nwindow = \"10s\"\nmax_wait = \"50s\"\ndepth = 4\napp_depth = 4\n",
    );
    let stack = Stack::new(&setup);
    stack.call(request("GET", "/brands", &setup.acme, "")).await;
    let spawn = || {
        let (pipeline, call) = (stack.pipeline.clone(), given(&setup, "a", "k"));
        tokio::spawn(async move { pipeline.answer(call).await.status().as_u16() })
    };
    let (first, second) = (spawn(), spawn());
    advance(Duration::from_secs(1)).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 202);
    assert_eq!(stack.arrived().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_post_without_a_key_gets_one_where_courier_honours_it() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    for _ in 0..2 {
        assert_eq!(stack.call(send(&setup.acme, "a", &[])).await.status.as_u16(), 202);
    }
    stack.call(request("POST", "/bulk", &setup.acme, "{\"message\":{\"event\":\"e\"}}")).await;
    stack.call(request("POST", "/messages/m/cancel", &setup.acme, "")).await;
    stack.call(request("PUT", "/lists/a", &setup.acme, "{\"name\":\"a\"}")).await;
    let keys = keys(&stack);
    assert!(keys[0].starts_with("tollgate-") && keys[0] != keys[1], "{keys:?}");
    assert_eq!(keys[2..], ["", "", ""]);
    let page = stack.state.metrics().page();
    assert!(page.contains("tollgate_idempotency_keys_total{outcome=\"made\"} 2"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn an_app_can_do_without_made_keys() {
    let mut setup = Setup::new("");
    setup.text = setup.text.replacen(ALL, &format!("{ALL}make_keys = false\n"), 1);
    let stack = Stack::new(&setup);
    next(&stack, 1, lost());
    let answer = stack.call(sdk(&setup, "a", 0)).await;
    assert_eq!((answer.status.as_u16(), answer.header("tollgate-outcome")), (502, "unknown"));
    assert_eq!(keys(&stack), [""]);
    assert_eq!(stack.call(send(&setup.umbrella, "a", &[])).await.status.as_u16(), 202);
    assert!(keys(&stack)[1].starts_with("tollgate-"));
}

#[tokio::test(start_paused = true)]
async fn an_sdks_retry_keeps_the_made_key_and_is_one_send() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 8, lost());
    let first = stack.call(sdk(&setup, "a", 0)).await;
    assert_eq!((first.status.as_u16(), first.header("tollgate-outcome")), (502, "unknown"));
    advance(Duration::from_secs(100)).await;
    let retry = stack.call(sdk(&setup, "a", 1)).await;
    assert_eq!(retry.status.as_u16(), 202);
    let all = keys(&stack);
    assert!(all.iter().all(|key| *key == all[0] && !key.is_empty()), "{all:?}");
    assert_eq!(committed(&stack), 1);
    // Its answer is known now: a further retry costs no call.
    let third = stack.call(sdk(&setup, "a", 2)).await;
    assert_eq!(third.header("idempotency-replayed"), "true");
    assert_eq!(stack.arrived().len(), all.len());
    // The same content sent anew is another send.
    assert_eq!(stack.call(sdk(&setup, "a", 0)).await.header("idempotency-replayed"), "");
    assert_eq!(committed(&stack), 2);
    for call in stack.arrived() {
        assert!(call.headers.iter().all(|(name, _)| !name.starts_with("x-stainless")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_sdks_retry_joins_the_call_that_its_client_no_longer_waits_for() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, 1, slow(5_000.0));
    let (pipeline, call) = (stack.pipeline.clone(), sdk(&setup, "a", 0));
    let client = tokio::spawn(async move { pipeline.answer(call).await });
    advance(Duration::from_secs(1)).await;
    while stack.arrived().is_empty() {
        tokio::task::yield_now().await;
    }
    client.abort();
    let start = Instant::now();
    let retry = stack.call(sdk(&setup, "a", 1)).await;
    assert_eq!((retry.status.as_u16(), retry.header("idempotency-replayed")), (202, "true"));
    assert!(start.elapsed() <= Duration::from_secs(5));
    assert_eq!((stack.arrived().len(), committed(&stack)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn two_equal_sends_at_a_time_stay_two_and_their_retries_find_their_own() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    assert_eq!(stack.call(sdk(&setup, "a", 0)).await.status.as_u16(), 202);
    next(&stack, 8, lost());
    assert_eq!(stack.call(sdk(&setup, "a", 0)).await.status.as_u16(), 502);
    let retry = stack.call(sdk(&setup, "a", 1)).await;
    assert_eq!((retry.status.as_u16(), retry.header("idempotency-replayed")), (202, ""));
    assert_eq!(committed(&stack), 2);
}

#[tokio::test(start_paused = true)]
async fn the_connectors_parameter_becomes_the_header() {
    let setup = Setup::new("");
    let mut options = simulator::Options::default();
    options.switches.unknown_query = simulator::UnknownQuery::Reject;
    let stack = Stack::with(&setup, options);
    for _ in 0..2 {
        let target = "/send?idempotency=order%2F1";
        let answer = stack.call(request("POST", target, &setup.acme, &body("a"))).await;
        assert_eq!(answer.status.as_u16(), 202);
    }
    assert_eq!(keys(&stack), ["order/1"]);
    assert_eq!(stack.arrived()[0].target, "/send");
}

#[tokio::test(start_paused = true)]
async fn the_expiration_of_a_key_passes_as_it_is() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let mut call = given(&setup, "a", "k");
    call.headers_mut().insert("x-idempotency-expiration", "2030-01-01T00:00:00Z".parse().unwrap());
    stack.call(call).await;
    assert_eq!(stack.arrived()[0].field("x-idempotency-expiration"), Some("2030-01-01T00:00:00Z"));
}
