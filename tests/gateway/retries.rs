//! Further attempts: every row of the table, through the whole stack before the simulated Courier.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use simulator::{Answer as Faulty, Effect, Fault, When, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::StreamBody;

use crate::support::{Answer, Setup, Stack, request};

const SEND: &str =
    "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}";

/// The next `times` calls of any kind meet `effect`.
fn next(stack: &Stack, times: u64, effect: Effect) {
    let when = When { times: Some(times), ..When::default() };
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        simulator.faults().add(Fault { id: None, when, effect });
    });
}

fn status(status: u16, commit: bool) -> Effect {
    let answer = Faulty::Status { status, body: None, content_type: None, retry_after: None };
    Effect { answer: Some(answer), commit: Some(commit), ..Effect::default() }
}

fn cut(after: u64, commit: bool) -> Effect {
    Effect { wire: Some(Wire::Cut { after }), commit: Some(commit), ..Effect::default() }
}

/// A call of each kind: GET, PUT, DELETE, keyed POST, other POST, PATCH.
fn kinds(setup: &Setup) -> Vec<(&'static str, Request<StreamBody>)> {
    let call = |method, target, body| request(method, target, &setup.acme, body);
    let mut keyed = call("POST", "/send", SEND);
    keyed.headers_mut().insert("idempotency-key", "order-1".parse().unwrap());
    vec![
        ("read", call("GET", "/brands", "")),
        ("put", call("PUT", "/lists/a", "{\"name\":\"a\"}")),
        ("delete", call("DELETE", "/lists/a", "")),
        ("keyed", keyed),
        ("other", call("POST", "/bulk", "{\"message\":{\"event\":\"e\"}}")),
        ("patch", call("PATCH", "/profiles/u", "{\"patch\":[]}")),
    ]
}

/// Attempts that each kind makes when the first one meets `effect`.
async fn attempts(effect: &Effect) -> Vec<(&'static str, usize)> {
    let setup = Setup::new("");
    let mut all = Vec::new();
    for at in 0..6 {
        let stack = Stack::new(&setup);
        let (name, call) = kinds(&setup).swap_remove(at);
        next(&stack, 1, effect.clone());
        stack.call(call).await;
        all.push((name, stack.arrived().len()));
    }
    all
}

fn again(kinds: &[&str]) -> Vec<(&'static str, usize)> {
    ["read", "put", "delete", "keyed", "other", "patch"]
        .map(|name| (name, if kinds.contains(&name) { 2 } else { 1 }))
        .into()
}

#[tokio::test(start_paused = true)]
async fn the_vendors_word_that_a_further_attempt_is_of_no_use_ends_a_call() {
    for number in [429, 500, 503] {
        let mut effect = status(number, false);
        effect.headers.insert("x-should-retry".into(), "false".into());
        assert_eq!(attempts(&effect).await, again(&[]), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_through_the_whole_stack() {
    let harmless = ["read", "put", "delete", "keyed"];
    let all = ["read", "put", "delete", "keyed", "other", "patch"];
    for commit in [false, true] {
        assert_eq!(attempts(&cut(0, commit)).await, again(&harmless), "no answer came");
        for code in [502, 503, 504] {
            assert_eq!(attempts(&status(code, commit)).await, again(&harmless), "{code}");
        }
        assert_eq!(attempts(&status(500, commit)).await, again(&["read"]));
    }
    let throttled = Faulty::RateLimited { retry_after: Some("2".into()) };
    let throttled = Effect { answer: Some(throttled), ..Effect::default() };
    assert_eq!(attempts(&throttled).await, again(&all));
    for code in [400, 404, 409, 422, 501, 505] {
        assert_eq!(attempts(&status(code, false)).await, again(&[]), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_is_tried_again_after_its_own_time() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let answer = Faulty::RateLimited { retry_after: Some("3".into()) };
    next(&stack, 1, Effect { answer: Some(answer), ..Effect::default() });
    let start = Instant::now();
    assert_eq!(stack.call(request("GET", "/brands", &setup.acme, "")).await.status.as_u16(), 200);
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(stack.lines.last()["attempts"], 2);
}

fn keyed(setup: &Setup, key: &str) -> Request<StreamBody> {
    let mut call = request("POST", "/send", &setup.acme, SEND);
    call.headers_mut().insert("idempotency-key", key.parse().unwrap());
    call
}

async fn send(stack: &Stack, setup: &Setup, key: &str) -> Answer {
    stack.call(keyed(setup, key)).await
}

#[tokio::test(start_paused = true)]
async fn a_keyed_send_survives_a_cut_at_every_octet_and_is_one_send() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    let clean = send(&stack, &setup, "clean").await;
    assert_eq!(clean.status.as_u16(), 202);
    let mut sends = 1;
    // Without a commit the answer is a bare 500 of 186 octets, which is final when it comes whole.
    for (commit, octets) in [(true, 260), (false, 186)] {
        for after in 0..octets {
            next(&stack, 1, cut(after, commit));
            // Every call fails once: below 10 in 10 s the budget has room for that.
            advance(Duration::from_millis(1_200)).await;
            let answer = send(&stack, &setup, &format!("cut-{commit}-{after}")).await;
            assert_eq!(answer.status.as_u16(), 202, "cut after {after}, commit {commit}");
            assert!(answer.json()["requestId"].is_string());
            sends += 1;
        }
    }
    stack.courier.with(|simulator| {
        let journal = simulator.journal();
        let done = journal.entries().filter(|entry| entry.committed.is_some()).count();
        assert_eq!(done, sends, "each took effect once");
    });
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_still_runs_at_the_vendor_is_waited_for() {
    let setup = Setup::new("");
    let options = simulator::Options {
        latency: Some(simulator::Latency::Fixed { ms: 1_500.0 }),
        ..simulator::Options::default()
    };
    let stack = Stack::with(&setup, options);
    // The first attempt is answered after 1.5 s at the vendor, but its socket breaks at once.
    let raw = Wire::Raw { base64: String::new() };
    next(&stack, 1, Effect { wire: Some(raw), ..Effect::default() });
    let answer = send(&stack, &setup, "twin").await;
    assert_eq!(answer.status.as_u16(), 202);
    stack.courier.with(|simulator| {
        let entries: Vec<_> = simulator.journal().entries().collect();
        assert_eq!(entries.iter().filter(|entry| entry.committed.is_some()).count(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_attempt_may_have_done_is_not_denied_by_a_later_one() {
    let setup = Setup::with_quota("", "[quota]\ncalls = 1\nmax_wait = \"1s\"\n");
    let stack = Stack::new(&setup);
    next(&stack, 1, cut(0, true));
    // The second attempt finds no slot: the caller hears of the first.
    let answer = send(&stack, &setup, "one").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "vendor-unreachable"));
    assert_eq!(answer.header("tollgate-outcome"), "unknown");
}

#[tokio::test(start_paused = true)]
async fn further_attempts_end_before_the_callers_deadline() {
    let setup = Setup::new("[server]\ndeadline = \"4s\"\n");
    let options = simulator::Options {
        latency: Some(simulator::Latency::Fixed { ms: 1_000.0 }),
        ..simulator::Options::default()
    };
    let stack = Stack::with(&setup, options);
    next(&stack, 100, status(503, false));
    let start = Instant::now();
    let answer = stack.call(request("GET", "/brands", &setup.acme, "")).await;
    assert!(start.elapsed() <= Duration::from_secs(4) && answer.status.is_server_error());
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_fails_every_call_gets_a_fifth_more_of_them_and_no_storm() {
    let setup = Setup::new("");
    let stack = Stack::new(&setup);
    next(&stack, u64::MAX, status(503, false));
    let start = Instant::now();
    for _ in 0..200 {
        stack.call(request("GET", "/brands", &setup.acme, "")).await;
    }
    let extra = stack.arrived().len() - 200;
    let windows = start.elapsed().as_secs() / 10 + 1;
    let bound = 40 + 3 * usize::try_from(windows).unwrap();
    assert!(extra > 3 && extra <= bound, "{extra} in {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_streams_to_the_caller_is_never_asked_for_again() {
    let setup = Setup::new("[cache]\noff = [\"brands.list\"]\n");
    let stack = Stack::new(&setup);
    next(&stack, 1, cut(250, true));
    let reply = stack.pipeline.answer(request("GET", "/brands", &setup.acme, "")).await;
    assert_eq!(reply.status().as_u16(), 200);
    assert!(reply.into_body().collect().await.is_err());
    assert_eq!(stack.arrived().len(), 1);
}
