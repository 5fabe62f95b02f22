//! Many sends under faults of every kind: none is made twice, none is called not sent that was, and
//! those under a key end accepted. The simulator's journal is the judge.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use http::Request;
use http_body_util::BodyExt;
use simulator::{Answer as Faulty, Effect, Fault, Latency, When, Wire};
use tokio::time::{Instant, advance};
use tollgate::call::StreamBody;

use crate::support::{ALL, Setup, Stack, request};

/// A send that is like no other.
fn send(setup: &Setup, n: usize, key: Option<&str>) -> Request<StreamBody> {
    let body = format!(
        "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"{n}\",\"body\":\"b\"}}}}}}"
    );
    let mut call = request("POST", "/send", &setup.acme, &body);
    if let Some(key) = key {
        call.headers_mut().insert("idempotency-key", key.parse().unwrap());
    }
    call
}

/// What may happen to an attempt: nothing in 10 of 16 cases.
fn fate(dice: &mut Rng) -> Effect {
    let commit = Some(dice.u64(..2) == 0);
    let offset = dice.u64(..280);
    let wire = |wire| Effect { wire: Some(wire), commit, ..Effect::default() };
    match dice.u64(..16) {
        // Without a commit the simulator has a bare 500 of 186 octets: it must not come whole.
        0 | 1 => wire(Wire::Cut { after: offset % 186 }),
        2 => wire(Wire::Reset { after: offset % 186 }),
        3 => Effect { wire: Some(Wire::Cut { after: offset }), ..Effect::default() },
        4 => Effect {
            latency: Some(Latency::Fixed { ms: 1.0 + dice.u64(..4_000) as f64 }),
            ..Effect::default()
        },
        5 => {
            let answer = Faulty::RateLimited { retry_after: Some("1".into()) };
            Effect { answer: Some(answer), ..Effect::default() }
        }
        _ => Effect::default(),
    }
}

/// A fate for each of the next attempts.
fn script(stack: &Stack, dice: &mut Rng) {
    stack.courier.with(|simulator| {
        simulator.faults().clear();
        for _ in 0..12 {
            let when = When { times: Some(1), ..When::default() };
            let fault = Fault { id: None, when, effect: fate(dice) };
            simulator.faults().add(fault);
        }
    });
}

#[derive(Debug, Default)]
struct Count {
    accepted: usize,
    cut: usize,
    unknown: usize,
    throttled: usize,
    not_sent: usize,
    others: usize,
}

/// Adds the sends that took effect since the journal's entry `seen`: none may be there already.
fn look(stack: &Stack, seen: &mut u64, committed: &mut BTreeSet<usize>) {
    stack.courier.with(|simulator| {
        let last = *seen;
        for entry in simulator.journal().entries().filter(|entry| entry.seq > last) {
            *seen = entry.seq;
            if entry.committed.is_some() {
                let body: serde_json::Value = serde_json::from_slice(&entry.request.body).unwrap();
                let title = body["message"]["content"]["title"].as_str().unwrap();
                let number: usize = title.parse().unwrap();
                assert!(committed.insert(number), "send {number} was made twice");
            }
        }
    });
}

/// Makes `sends` sends, and counts what their callers were told.
async fn play(setup: &Setup, seed: u64, sends: usize, keyed: bool) -> Count {
    let options = simulator::Options { seed, ..simulator::Options::default() };
    let stack = Stack::with(setup, options);
    let mut dice = Rng::with_seed(seed);
    let mut count = Count::default();
    let (mut told_not_sent, mut committed, mut seen) = (BTreeSet::new(), BTreeSet::new(), 0);
    for n in 0..sends {
        script(&stack, &mut dice);
        let key = format!("order-{n}");
        let given = (keyed && n % 2 == 0).then_some(key.as_str());
        // Below 10 in 10 s the budget has room for every further attempt.
        advance(Duration::from_millis(2_500)).await;
        let (head, body) = stack.pipeline.answer(send(setup, n, given)).await.into_parts();
        let whole = body.collect().await.is_ok();
        let outcome =
            head.headers.get("tollgate-outcome").map_or("", |value| value.to_str().unwrap());
        match (head.status.as_u16(), outcome) {
            // The caller sees that it is not whole.
            (_, "") if !whole => count.cut += 1,
            (202, _) => count.accepted += 1,
            // Courier's own word that it did nothing, more often than the budget repeats.
            (429, "") => count.throttled += 1,
            (_, "unknown") => count.unknown += 1,
            (_, "not-sent") => {
                count.not_sent += 1;
                told_not_sent.insert(n);
            }
            _ => count.others += 1,
        }
        if n % 500 == 499 || n + 1 == sends {
            look(&stack, &mut seen, &mut committed);
        }
    }
    assert!(told_not_sent.is_disjoint(&committed), "said not to be sent, and was");
    assert!(committed.len() >= count.accepted && committed.len() <= sends);
    count
}

fn without_keys() -> Setup {
    let mut setup = Setup::new("");
    setup.text = setup.text.replacen(ALL, &format!("{ALL}make_keys = false\n"), 1);
    setup
}

#[tokio::test(start_paused = true)]
async fn sends_under_a_key_survive() {
    let count = play(&Setup::new(""), 1, 1_000, true).await;
    assert!(count.accepted >= 999, "{count:?}");
}

#[tokio::test(start_paused = true)]
async fn sends_without_keys_are_made_at_most_once_and_honestly_unknown() {
    let count = play(&without_keys(), 2, 1_000, false).await;
    assert!(count.accepted > 600 && count.unknown > 100, "{count:?}");
    assert_eq!(count.others, 0, "{count:?}");
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes: cargo test --release --test gateway -- --ignored survival"]
async fn a_hundred_thousand_sends() {
    let keyed = play(&Setup::new(""), 3, 50_000, true).await;
    println!("under a key: {keyed:?}");
    assert!(keyed.accepted >= 49_950, "{keyed:?}");
    let bare = play(&without_keys(), 4, 50_000, false).await;
    println!("keys off: {bare:?}");
    assert_eq!(bare.others, 0, "{bare:?}");
}

/// Clients that hang up at any moment, sockets that the vendor closes as they are taken, and resets.
async fn hang_ups(seed: u64, sends: usize) {
    let setup = without_keys();
    let options = simulator::Options {
        seed,
        idle_close_ms: Some(40),
        latency: Some(Latency::Uniform { min_ms: 1.0, max_ms: 60.0 }),
        ..simulator::Options::default()
    };
    let stack = Stack::with(&setup, options);
    for (after, commit) in [(0, true), (0, false), (150, true)] {
        let when = When { probability: Some(0.1), ..When::default() };
        let effect =
            Effect { wire: Some(Wire::Reset { after }), commit: Some(commit), ..Effect::default() };
        stack.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
    }
    let mut dice = Rng::with_seed(seed);
    let (mut committed, mut seen, mut accepted) = (BTreeSet::new(), 0, 0);
    for n in 0..sends {
        let (pipeline, call) = (stack.pipeline.clone(), send(&setup, n, None));
        let client = tokio::spawn(async move { pipeline.answer(call).await.status().as_u16() });
        match dice.u64(..3) {
            0 => {
                tokio::time::sleep(Duration::from_millis(dice.u64(..70))).await;
                client.abort();
            }
            _ => accepted += usize::from(client.await.unwrap() == 202),
        }
        tokio::time::sleep(Duration::from_millis(dice.u64(..80))).await;
        if n % 500 == 499 {
            look(&stack, &mut seen, &mut committed);
        }
    }
    stack.state.flights().landed().await;
    look(&stack, &mut seen, &mut committed);
    assert!(committed.len() >= accepted && accepted > sends / 3, "{accepted} of {sends}");
}

#[tokio::test(start_paused = true)]
async fn clients_that_hang_up_and_sockets_that_close_make_no_send_twice() {
    let start = Instant::now();
    hang_ups(5, 1_000).await;
    assert!(start.elapsed() > Duration::from_secs(10));
}
