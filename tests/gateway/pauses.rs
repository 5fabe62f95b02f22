//! Calls that the vendor refused, for its quota or for our token, go back to their line.

use std::time::Duration;

use futures_util::future::join_all;
use simulator::{Answer as Faulty, Effect, Fault, Latency, LimitRule, Options, When};
use tokio::time::Instant;

use crate::support::{Answer, Setup, Stack, request, token};

fn setup(quota: &str) -> Setup {
    Setup::with_quota("", &format!("[quota]\n{quota}\n"))
}

/// Makes so many different reads at once; each with the time that it took.
async fn at_once(stack: &Stack, setup: &Setup, calls: u32) -> Vec<(Answer, Duration)> {
    let start = Instant::now();
    let calls = (0..calls).map(|n| async move {
        let call = request("GET", &format!("/messages?recipient=u{n}"), &setup.acme, "");
        (stack.call(call).await, start.elapsed())
    });
    join_all(calls).await
}

fn statuses(answers: &[(Answer, Duration)]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|(answer, _)| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

#[tokio::test(start_paused = true)]
async fn thirty_callers_behind_a_pause_are_all_answered_with_at_most_five_more_429s() {
    let cases = [Some("2"), None].map(|told| [1.0, 20.0, 150.0].map(|latency| (told, latency)));
    for (told, latency) in cases.concat() {
        let setup = setup("max_wait = \"20s\"");
        let room = LimitRule::global(3, 1000);
        let latency = Some(Latency::Fixed { ms: latency });
        let stack =
            Stack::with(&setup, Options { limits: vec![room], latency, ..Options::default() });
        let pause = Faulty::RateLimited { retry_after: told.map(Into::into) };
        let when = When { times: Some(1), ..When::default() };
        let effect = Effect { answer: Some(pause), ..Effect::default() };
        stack.courier.with(|courier| courier.faults().add(Fault { id: None, when, effect }));
        let first = stack.call(request("GET", "/messages?recipient=first", &setup.acme, ""));
        let others = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            at_once(&stack, &setup, 29).await
        };
        let (first, answers) = tokio::join!(first, others);
        assert_eq!((first.status.as_u16(), statuses(&answers)), (200, vec![200]));
        let last = answers.iter().map(|(_, took)| *took).max().unwrap();
        assert!(last <= Duration::from_secs(20), "{last:?}");
        // The first was refused once.
        let further = stack.arrived().len() - 31;
        assert!(further <= 5, "{further}");
    }
}

/// Nothing was known of its room, and its refusals name no time.
#[tokio::test(start_paused = true)]
async fn thirty_callers_at_once_are_all_answered_by_a_vendor_with_room_for_three_a_second() {
    for latency in [1.0, 20.0, 150.0] {
        let setup = setup("max_wait = \"20s\"");
        let limits = vec![LimitRule::global(3, 1000)];
        let latency = Some(Latency::Fixed { ms: latency });
        let stack = Stack::with(&setup, Options { limits, latency, ..Options::default() });
        let answers = at_once(&stack, &setup, 30).await;
        let last = answers.iter().map(|(_, took)| *took).max().unwrap();
        let arrived = stack.arrived().len();
        println!("{latency:?}: {last:?}, {arrived}");
        assert_eq!(statuses(&answers), [200]);
        assert!(last <= Duration::from_secs(20), "{last:?}");
        assert!(arrived <= 62, "27 of the first thirty, and five: {arrived}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_no_time_for_the_pause_gets_the_429_at_once() {
    let setup = setup("max_wait = \"5s\"");
    let stack = Stack::new(&setup);
    let pause = Faulty::RateLimited { retry_after: Some("7".into()) };
    let effect = Effect { answer: Some(pause), ..Effect::default() };
    stack.courier.with(|courier| {
        courier.faults().add(Fault { id: None, when: When::default(), effect });
    });
    let start = Instant::now();
    let refused = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "7"));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(stack.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_for_ever_is_asked_once_a_pause_and_the_caller_is_told_in_time() {
    let setup = setup("max_wait = \"12s\"");
    let stack = Stack::new(&setup);
    let pause = Faulty::RateLimited { retry_after: Some("1".into()) };
    let effect = Effect { answer: Some(pause), ..Effect::default() };
    stack.courier.with(|courier| {
        courier.faults().add(Fault { id: None, when: When::default(), effect });
    });
    let start = Instant::now();
    let refused = stack.call(request("GET", "/messages", &setup.acme, "")).await;
    assert_eq!(refused.status.as_u16(), 429);
    assert!(start.elapsed() <= Duration::from_secs(13), "{:?}", start.elapsed());
    assert!(stack.arrived().len() <= 13, "{}", stack.arrived().len());
}

/// A gateway whose token is refused, and whose source has another one.
fn replaced(setup: &Setup) -> Stack {
    let file = setup.text.split('\'').nth(1).unwrap();
    let rejected_tokens = [token("acme")].into();
    let stack = Stack::with(setup, Options { rejected_tokens, ..Options::default() });
    std::fs::write(file, "the-next-token").unwrap();
    stack
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_replaced_under_a_burst_loses_no_call() {
    let setup =
        setup("calls = 100\nwindow = \"10s\"\nmax_wait = \"40s\"\ndepth = 200\napp_depth = 200");
    let stack = replaced(&setup);
    let answers = at_once(&stack, &setup, 160).await;
    assert_eq!(statuses(&answers), [200]);
    let arrived = stack.arrived();
    let refused = arrived.iter().filter(|call| {
        call.field("authorization").is_some_and(|field| field.ends_with(&token("acme")))
    });
    assert!((1..=100).contains(&refused.count()));
    let page = stack.state.metrics().page();
    let series = "tollgate_vendor_token_replaced_total{connection=\"acme-prod\"} 1\n";
    assert!(page.contains(series), "{page}");
    let none = "tollgate_vendor_credential_rejected_total{connection=\"acme-prod\"} 0\n";
    assert!(page.contains(none), "{page}");
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_slot_for_the_new_token_is_told_of_the_quota_and_not_of_the_token() {
    let setup =
        setup("calls = 10\nwindow = \"60s\"\nmax_wait = \"5s\"\ndepth = 50\napp_depth = 50");
    let stack = replaced(&setup);
    let answers = at_once(&stack, &setup, 16).await;
    for (answer, _) in &answers {
        let code = answer.code();
        assert!(answer.status.as_u16() == 200 || code == "quota-exhausted", "{code}");
        assert_ne!(answer.header("x-should-retry"), "false");
    }
}

#[tokio::test(start_paused = true)]
async fn copies_that_were_made_with_a_refused_token_are_not_served_with_the_next() {
    let setup = Setup::new("");
    let file = setup.text.split('\'').nth(1).unwrap();
    let stack = Stack::new(&setup);
    let brands = || stack.call(request("GET", "/brands", &setup.acme, ""));
    brands().await;
    assert!(brands().await.header("cache-status").contains("hit"));
    let when = When { times: Some(1), ..When::default() };
    let effect = Effect { answer: Some(Faulty::Credential { status: 401 }), ..Effect::default() };
    stack.courier.with(|courier| courier.faults().add(Fault { id: None, when, effect }));
    std::fs::write(file, "the-next-token").unwrap();
    assert_eq!(stack.call(request("GET", "/messages", &setup.acme, "")).await.status, 200);
    assert!(!brands().await.header("cache-status").contains("hit"));
}
