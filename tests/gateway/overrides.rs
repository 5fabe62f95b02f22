//! What operators change for a time: it holds at once, to the second, over reloads and restarts, and
//! nobody else notices.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};
use tollgate::overrides::{Act, Override};
use tollgate::pipeline::Pipeline;

use crate::restart::folder;
use crate::support::{Answer, Setup, Stack, request};

/// Does `act` on the gateway for ten minutes.
pub(crate) fn acts(stack: &Stack, act: Value) -> Override {
    lasts(stack, act, Duration::from_secs(600))
}

fn lasts(stack: &Stack, act: Value, life: Duration) -> Override {
    let act: Act = serde_json::from_value(act).unwrap();
    let act = stack.state.checked(act).unwrap();
    let made = stack.state.overrides().add(act, life, "a test", "ops").unwrap();
    stack.state.steer();
    made
}

fn ends(stack: &Stack, made: &Override) {
    stack.state.overrides().end(&made.id, "ops").unwrap();
    stack.state.steer();
}

fn quota(text: &str) -> Setup {
    Setup::with_quota("", &format!("[quota]\nwindow = \"10s\"\nmax_wait = \"1s\"\n{text}\n"))
}

async fn reads(stack: &Stack, key: &str) -> Answer {
    stack.call(request("GET", "/messages", key, "")).await
}

/// Statuses of so many calls at once.
async fn burst(stack: &Stack, key: &str, calls: usize) -> Vec<u16> {
    let call = |_| async { reads(stack, key).await.status.as_u16() };
    join_all((0..calls).map(call)).await
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_holds_at_once_and_is_gone_to_the_second() {
    let setup = quota("calls = 10");
    let stack = Stack::new(&setup);
    lasts(
        &stack,
        json!({"kind": "limit", "connection": "acme-prod", "calls": 4}),
        Duration::from_secs(60),
    );
    assert_eq!(passed(&burst(&stack, &setup.acme, 10).await), 4);
    let policy = reads(&stack, &setup.acme).await;
    assert_eq!(policy.header("ratelimit-policy"), "\"connection\";q=4;w=10");
    assert_eq!(passed(&burst(&stack, &setup.umbrella, 10).await), 10, "another connection");
    advance(Duration::from_secs(45)).await;
    assert_eq!(passed(&burst(&stack, &setup.acme, 10).await), 4, "still");
    // 4 calls of before may be in a window; the others are there as soon as it is over.
    sleep(Duration::from_millis(14_000)).await;
    assert_eq!(stack.state.overrides().list(false).len(), 1);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stack.state.overrides().list(false).len(), 0);
    assert_eq!(passed(&burst(&stack, &setup.acme, 10).await), 10);
}

#[tokio::test(start_paused = true)]
async fn from_a_lowering_on_no_window_holds_more_than_the_new_number() {
    for calls in [1, 3, 7] {
        let setup = quota("calls = 10\ndepth = 1000\napp_depth = 1000");
        let stack = Stack::new(&setup);
        burst(&stack, &setup.acme, 6).await;
        sleep(Duration::from_secs(3)).await;
        burst(&stack, &setup.acme, 4).await;
        acts(&stack, json!({"kind": "limit", "connection": "acme-prod", "calls": calls}));
        // The calls of before are counted; windows begin anew from here.
        stack.courier.with(|simulator| simulator.set_limits(Vec::new()));
        let lowered = stack.courier.now();
        for _ in 0..40 {
            burst(&stack, &setup.acme, 5).await;
            sleep(Duration::from_millis(997)).await;
        }
        let times: Vec<u64> = stack.courier.with(|simulator| {
            let entries = simulator.journal().entries();
            entries.filter(|entry| entry.arrived > lowered).map(|entry| entry.arrived.0).collect()
        });
        assert!(times.len() >= 3 * calls as usize, "it goes on: {}", times.len());
        for (at, first) in times.iter().enumerate() {
            let window = times[at..].iter().filter(|time| *time - first < 10_000_000).count();
            assert!(window <= calls as usize, "{window} calls of {calls} from {first}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_raised_limit_gives_its_slots_at_once() {
    let setup = quota("calls = 2");
    let stack = Stack::new(&setup);
    assert_eq!(passed(&burst(&stack, &setup.acme, 12).await), 2);
    let made = acts(&stack, json!({"kind": "limit", "connection": "acme-prod", "calls": 8}));
    assert_eq!(passed(&burst(&stack, &setup.acme, 12).await), 6);
    ends(&stack, &made);
    assert_eq!(passed(&burst(&stack, &setup.acme, 12).await), 0);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(passed(&burst(&stack, &setup.acme, 12).await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_paused_app_is_refused_with_a_true_time_until_it_may_go_on_and_nobody_else_is() {
    let setup = quota("calls = 100");
    let stack = Stack::new(&setup);
    let made = lasts(&stack, json!({"kind": "pause-app", "app": "acme"}), Duration::from_secs(42));
    let refused = reads(&stack, &setup.acme).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "app-paused".into()));
    assert_eq!(refused.header("retry-after"), "42");
    assert_eq!(reads(&stack, &setup.umbrella).await.status.as_u16(), 200);
    ends(&stack, &made);
    assert_eq!(reads(&stack, &setup.acme).await.status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_paused_connection_and_a_paused_operation_are_refused_as_what_ends() {
    let setup = quota("calls = 100");
    let stack = Stack::new(&setup);
    let made = acts(&stack, json!({"kind": "pause-connection", "connection": "acme-prod"}));
    let refused = reads(&stack, &setup.acme).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "paused".into()));
    assert_eq!(refused.header("tollgate-outcome"), "not-sent");
    assert_eq!(refused.json()["detail"], "an operator has paused this connection");
    assert_eq!(reads(&stack, &setup.umbrella).await.status.as_u16(), 200);
    ends(&stack, &made);
    assert_eq!(reads(&stack, &setup.acme).await.status.as_u16(), 200);

    acts(
        &stack,
        json!({"kind": "pause-operation", "operation": "messages.list", "connection": "acme-prod"}),
    );
    assert_eq!(reads(&stack, &setup.acme).await.code(), "paused");
    assert_eq!(reads(&stack, &setup.umbrella).await.status.as_u16(), 200);
    let brands = stack.call(request("GET", "/brands", &setup.acme, "")).await;
    assert_eq!(brands.status.as_u16(), 200, "another operation");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_refused_when_it_is_paused() {
    for act in [
        json!({"kind": "pause-app", "app": "acme"}),
        json!({"kind": "pause-connection", "connection": "acme-prod"}),
        json!({"kind": "pause-operation", "operation": "messages.list"}),
    ] {
        let setup =
            Setup::with_quota("", "[quota]\ncalls = 1\nwindow = \"10s\"\nmax_wait = \"30s\"\n");
        let stack = Stack::new(&setup);
        reads(&stack, &setup.acme).await;
        let waiting = reads(&stack, &setup.acme);
        let pausing = async {
            sleep(Duration::from_secs(2)).await;
            acts(&stack, act.clone());
        };
        let (refused, ()) = tokio::join!(waiting, pausing);
        assert!(["paused", "app-paused"].contains(&refused.code().as_str()), "{act}");
        assert_eq!(stack.arrived().len(), 1, "{act}");
        // Its slot was not used up by the call that was stopped.
        let made = stack.state.overrides().list(false)[0].clone();
        ends(&stack, &made);
        advance(Duration::from_secs(11)).await;
        assert_eq!(reads(&stack, &setup.acme).await.status.as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_app_gets_no_copy_either() {
    let setup = quota("calls = 100");
    let stack = Stack::new(&setup);
    let brands = || stack.call(request("GET", "/brands", &setup.acme, ""));
    brands().await;
    brands().await;
    assert_eq!(stack.arrived().len(), 1, "there is a copy");
    acts(&stack, json!({"kind": "pause-app", "tenant": "acme", "app": "acme"}));
    assert_eq!(brands().await.code(), "app-paused");
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_done_once_and_a_bypass_lasts() {
    let setup = quota("calls = 1000");
    let stack = Stack::new(&setup);
    let brands = || stack.call(request("GET", "/brands", &setup.acme, ""));
    let asked = async |calls: usize| {
        let before = stack.arrived().len();
        for _ in 0..calls {
            brands().await;
        }
        stack.arrived().len() - before
    };
    assert_eq!(asked(3).await, 1);
    for purge in [
        json!({"kind": "purge", "connection": "acme-prod"}),
        json!({"kind": "purge", "connection": "acme-prod", "tag": "brands"}),
        json!({"kind": "purge", "connection": "acme-prod", "operation": "brands.list"}),
    ] {
        acts(&stack, purge.clone());
        assert_eq!(asked(3).await, 1, "{purge}");
    }
    acts(&stack, json!({"kind": "purge", "connection": "acme-prod", "tag": "messages"}));
    assert_eq!(asked(1).await, 0, "what is not built from it stays");
    let made = acts(&stack, json!({"kind": "bypass", "connection": "acme-prod"}));
    assert_eq!(asked(3).await, 3);
    ends(&stack, &made);
    assert_eq!(asked(3).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_stays_as_it_was_put() {
    let setup = quota("calls = 100");
    let stack = Stack::new(&setup);
    let made = acts(&stack, json!({"kind": "breaker", "connection": "acme-prod", "state": "open"}));
    let refused = reads(&stack, &setup.acme).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "vendor-down".into()));
    assert_eq!(reads(&stack, &setup.umbrella).await.status.as_u16(), 200);
    ends(&stack, &made);
    assert_eq!(reads(&stack, &setup.acme).await.status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_was_opened_stays_open_over_a_restart_and_at_another_host() {
    let dir = folder();
    let setup = Setup::new(&format!("[state]\ndir = '{}'\n", dir.display()));
    let stack = Stack::new(&setup);
    acts(&stack, json!({"kind": "breaker", "connection": "acme-prod", "state": "open"}));
    assert!(stack.state.overrides().spread().await.remembered);
    drop(stack);
    let mut stack = Stack::new(&setup);
    assert_eq!(reads(&stack, &setup.acme).await.code(), "vendor-down");
    let head = "[vendor]\nbase_url = \"http://127.0.0.1:1\"\n";
    stack.reload(&format!("{head}{}", setup.text)).unwrap();
    assert_eq!(reads(&stack, &setup.acme).await.code(), "vendor-down");
    assert_eq!(stack.arrived().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_not_sent_once_the_breaker_was_opened() {
    let setup = Setup::with_quota("", "[quota]\ncalls = 1\nwindow = \"10s\"\nmax_wait = \"30s\"\n");
    let stack = Stack::new(&setup);
    reads(&stack, &setup.acme).await;
    let opening = async {
        sleep(Duration::from_secs(2)).await;
        acts(&stack, json!({"kind": "breaker", "connection": "acme-prod", "state": "open"}));
    };
    let (refused, ()) = tokio::join!(reads(&stack, &setup.acme), opening);
    assert_eq!((refused.code(), stack.arrived().len()), ("vendor-down".to_owned(), 1));
}

#[tokio::test]
async fn what_could_not_be_written_is_said_and_written_as_soon_as_it_can_be() {
    let dir = folder();
    let setup = Setup::new(&format!("[state]\ndir = '{}'\n", dir.display()));
    let stack = Stack::new(&setup);
    // A folder stands where the new file would be written.
    std::fs::create_dir(dir.join("overrides.new")).unwrap();
    acts(&stack, json!({"kind": "pause-app", "app": "acme"}));
    assert!(!stack.state.overrides().spread().await.remembered);
    assert!(stack.state.readiness().contains("overrides"), "{}", stack.state.readiness());
    std::fs::remove_dir(dir.join("overrides.new")).unwrap();
    while stack.state.overrides().is_unwritten() {
        tokio::task::yield_now().await;
    }
    assert!(std::fs::read_to_string(dir.join("overrides.json")).unwrap().contains("pause-app"));
}

#[tokio::test(start_paused = true)]
async fn a_file_with_what_nobody_could_have_made_is_set_aside() {
    let dir = folder();
    let setup = Setup::new(&format!("[state]\ndir = '{}'\n", dir.display()));
    let stack = Stack::new(&setup);
    acts(&stack, json!({"kind": "limit", "connection": "acme-prod", "calls": 50}));
    stack.state.overrides().spread().await;
    drop(stack);
    let file = dir.join("overrides.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("50", "4294967295")).unwrap();
    let stack = Stack::new(&setup);
    assert_eq!(stack.state.overrides().list(true).len(), 0);
    assert!(dir.join("overrides.broken-1").exists());
}

#[tokio::test(start_paused = true)]
async fn a_lane_a_mode_and_an_apps_own_limit_change_and_change_back() {
    let setup = quota("calls = 100");
    let stack = Stack::new(&setup);
    let made = acts(&stack, json!({"kind": "lane", "app": "acme", "lane": "bulk"}));
    reads(&stack, &setup.acme).await;
    assert_eq!(stack.lines.last()["lane"], "bulk");
    ends(&stack, &made);
    reads(&stack, &setup.acme).await;
    assert_eq!(stack.lines.last()["lane"], "interactive");

    let made =
        acts(&stack, json!({"kind": "app-limit", "app": "acme", "calls": 2, "window_ms": 10_000}));
    let statuses = burst(&stack, &setup.acme, 6).await;
    assert_eq!(passed(&statuses), 2);
    ends(&stack, &made);
    assert_eq!(passed(&burst(&stack, &setup.acme, 6).await), 6);

    acts(&stack, json!({"kind": "limit", "connection": "acme-prod", "calls": 1}));
    acts(&stack, json!({"kind": "mode", "connection": "acme-prod", "mode": "shadow"}));
    assert_eq!(passed(&burst(&stack, &setup.acme, 20).await), 20, "only watched");
}

#[tokio::test(start_paused = true)]
async fn a_reload_and_a_restart_change_nothing_of_it() {
    let dir = folder();
    let head = format!("[state]\ndir = '{}'\n", dir.display());
    let setup =
        Setup::with_quota(&head, "[quota]\ncalls = 10\nwindow = \"10s\"\nmax_wait = \"1s\"\n");
    let mut stack = Stack::new(&setup);
    acts(&stack, json!({"kind": "limit", "connection": "acme-prod", "calls": 3}));
    acts(&stack, json!({"kind": "pause-app", "app": "umbrella"}));
    assert!(stack.state.overrides().spread().await.remembered);
    assert_eq!(passed(&burst(&stack, &setup.acme, 8).await), 3);
    stack.reload(&setup.text).unwrap();
    assert_eq!(passed(&burst(&stack, &setup.acme, 8).await), 0);
    assert_eq!(reads(&stack, &setup.umbrella).await.code(), "app-paused");
    drop(stack);
    let stack = Stack::new(&setup);
    assert_eq!(stack.state.overrides().list(false).len(), 2);
    assert_eq!(passed(&burst(&stack, &setup.acme, 8).await), 0, "the slots still rest");
    assert_eq!(reads(&stack, &setup.umbrella).await.code(), "app-paused");
    sleep(Duration::from_secs(11)).await;
    assert_eq!(passed(&burst(&stack, &setup.acme, 8).await), 3);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(passed(&burst(&stack, &setup.acme, 12).await), 10);
    assert_eq!(reads(&stack, &setup.umbrella).await.status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_can_not_be_read_is_set_aside() {
    let dir = folder();
    let setup = Setup::new(&format!("[state]\ndir = '{}'\n", dir.display()));
    drop(Stack::new(&setup));
    std::fs::write(dir.join("overrides.json"), "half a file").unwrap();
    let stack = Stack::new(&setup);
    assert_eq!(stack.state.overrides().list(true).len(), 0);
    assert_eq!(std::fs::read_to_string(dir.join("overrides.broken-1")).unwrap(), "half a file");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_can_not_be_changed() {
    let setup = quota("calls = 10");
    let stack = Stack::new(&setup);
    for (act, wrong) in [
        (
            json!({"kind": "limit", "connection": "acme", "calls": 1}),
            "there is no connection 'acme'",
        ),
        (
            json!({"kind": "limit", "connection": "acme-prod", "calls": 0}),
            "write a number from 1 to",
        ),
        (json!({"kind": "pause-app", "app": "nobody"}), "there is no app 'nobody'"),
        (
            json!({"kind": "pause-app", "tenant": "umbrella", "app": "acme"}),
            "there is no app 'acme'",
        ),
        (json!({"kind": "pause-operation", "operation": "x.y"}), "there is no operation 'x.y'"),
        (
            json!({"kind": "purge", "connection": "acme-prod", "tag": "x"}),
            "no copy is built from 'x'",
        ),
        (json!({"kind": "app-limit", "app": "acme", "calls": 1, "window_ms": 0}), "window_ms = 0"),
    ] {
        let act: Act = serde_json::from_value(act).unwrap();
        let refused = stack.state.checked(act).unwrap_err();
        assert!(refused.contains(wrong), "{refused}");
    }
}

/// An act of a random kind, and whether it may refuse a call.
fn random_act(random: &mut fastrand::Rng) -> Value {
    let connection = if random.bool() { "acme-prod" } else { "umbrella-prod" };
    let app = if random.bool() { "acme" } else { "umbrella" };
    match random.u8(..9) {
        0 | 1 => json!({"kind": "limit", "connection": connection, "calls": random.u32(5..=40)}),
        2 => {
            json!({"kind": "app-limit", "app": app, "calls": random.u32(1..50), "window_ms": 10_000})
        }
        3 => json!({"kind": "pause-app", "app": app}),
        4 => json!({"kind": "pause-connection", "connection": connection}),
        5 => json!({"kind": "pause-operation", "operation": "messages.list"}),
        6 => json!({"kind": "lane", "app": app, "lane": "bulk"}),
        7 => json!({"kind": "bypass", "connection": connection}),
        _ => json!({"kind": "purge", "connection": connection}),
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_random_acts_under_load_fail_no_call_beyond_those_meant() {
    let setup = quota("calls = 40\ndepth = 4000\napp_depth = 4000");
    let mut options = simulator::Options { limits: Vec::new(), ..Default::default() };
    options.counters.window_ms = 10_000;
    let mut stack = Stack::with(&setup, options);
    let mut random = fastrand::Rng::with_seed(18);
    let mut calls = Vec::new();
    let begun = Instant::now();
    for number in 0..1000 {
        let act: Act = serde_json::from_value(random_act(&mut random)).unwrap();
        let act = stack.state.checked(act).unwrap();
        let life = Duration::from_millis(random.u64(1000..5000));
        stack.state.overrides().add(act, life, "chance", "ops").unwrap();
        stack.state.steer();
        let held = stack.state.overrides().list(false);
        if random.u8(..3) == 0 && !held.is_empty() {
            ends(&stack, &held[random.usize(..held.len())]);
        }
        if number % 100 == 99 {
            stack.reload(&setup.text).unwrap();
        }
        for key in [&setup.acme, &setup.umbrella] {
            let target = if random.bool() { "/messages" } else { "/brands" };
            let (call, pipeline) = (request("GET", target, key, ""), stack.pipeline.clone());
            calls.push(tokio::spawn(async move { status(&pipeline, call).await }));
        }
        sleep(Duration::from_millis(random.u64(..200))).await;
    }
    let meant = ["app-paused", "paused", "quota-exhausted", "queue-full", "app-limited"];
    let mut good = 0;
    for call in calls {
        match call.await.unwrap() {
            (200, _) => good += 1,
            (status, code) => assert!(meant.contains(&&*code), "{status} {code}"),
        }
    }
    assert!(good > 200, "{good} of 2000 in {:?}", begun.elapsed());
    for token in ["token-of-acme", "token-of-umbrella"] {
        let now = stack.courier.now();
        let most = stack.courier.with(|simulator| simulator.largest(now, token, None)).worst();
        assert!(most <= 40.0, "{most} calls of {token} in a window");
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!(passed(&burst(&stack, &setup.acme, 60).await), 40, "all is as configured");
}

async fn status(pipeline: &Pipeline, call: tollgate::call::Request) -> (u16, String) {
    let answer = pipeline.answer(call).await;
    let status = answer.status().as_u16();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, json["code"].as_str().unwrap_or_default().to_owned())
}
