//! The memory of idempotency keys.

use serde_json::json;
use simulator::{Micros, Options, Request, Simulator};

const NOW: Micros = Micros::ZERO;

fn sim() -> Simulator {
    Simulator::new(Options::seeded(3))
}

fn send(to: &str) -> Request {
    let message = json!({ "message": { "to": { "email": format!("{to}@example.com") }, "content": { "title": "a", "body": "b" } } });
    Request::new("POST", "/send").token("t").json(&message)
}

/// How many messages GET /messages lists.
fn messages(sim: &mut Simulator, now: Micros) -> usize {
    let listed = sim.handle(now, Request::new("GET", "/messages?limit=100").token("t")).value();
    listed["results"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_key_replays_the_first_answer_for_a_day_and_sends_once() {
    let mut sim = sim();
    let first = sim.handle(NOW, send("a").header("Idempotency-Key", "k"));
    let again = sim.handle(Micros::from_secs(3600), send("b").header("idempotency-key", "k"));
    assert_eq!((first.status, first.value()), (again.status, again.value()));
    assert_eq!(messages(&mut sim, Micros::from_secs(3600)), 1);
    assert!(sim.journal().entries().nth(1).unwrap().replayed);
    let next_day =
        sim.handle(Micros::from_secs(24 * 3600), send("a").header("idempotency-key", "k"));
    assert_ne!(first.value(), next_day.value());
}

#[test]
fn a_key_belongs_to_its_endpoint_and_environment_and_to_post() {
    let mut sim = sim();
    let first = sim.handle(NOW, send("a").header("idempotency-key", "k")).value();
    let other = Request { headers: Vec::new(), ..send("a") };
    assert_ne!(first, sim.handle(NOW, other.token("u").header("idempotency-key", "k")).value());
    let bulk = Request::new("POST", "/bulk")
        .token("t")
        .header("idempotency-key", "k")
        .json(&json!({ "message": { "event": "e" } }));
    assert_eq!(sim.handle(NOW, bulk).status, 201);
    for _ in 0..2 {
        let put = Request::new("PUT", "/lists/a")
            .token("t")
            .header("idempotency-key", "k")
            .json(&json!({ "name": "A" }));
        sim.handle(NOW, put);
    }
    assert!(sim.journal().entries().all(|e| !e.replayed));
}

#[test]
fn a_stored_500_is_replayed_but_a_validation_failure_is_not() {
    let mut sim = sim();
    let fault = r#"{"answer":{"kind":"status","status":500}}"#;
    assert_eq!(
        sim.handle(
            NOW,
            send("a").header("idempotency-key", "k").header("x-simulator-fault", fault)
        )
        .status,
        500
    );
    assert_eq!(sim.handle(NOW, send("a").header("idempotency-key", "k")).status, 500);
    assert_eq!(messages(&mut sim, NOW), 0);
    let empty =
        Request::new("POST", "/send").token("t").header("idempotency-key", "v").json(&json!({}));
    assert_eq!(sim.handle(NOW, empty).status, 400);
    assert_eq!(sim.handle(NOW, send("a").header("idempotency-key", "v")).status, 202);
}

#[test]
fn a_twin_of_a_running_call_is_a_conflict_until_the_answer_is_out() {
    let mut sim = sim();
    let slow = send("a").header("idempotency-key", "k").header("x-simulator-latency-ms", "500");
    let first = sim.handle(NOW, slow);
    assert_eq!(first.delivery.first_byte, Micros::from_millis(500));
    assert_eq!(
        sim.handle(Micros::from_millis(499), send("a").header("idempotency-key", "k")).status,
        409
    );
    let late = sim.handle(Micros::from_millis(500), send("a").header("idempotency-key", "k"));
    assert_eq!((late.status, late.value()), (202, first.value()));
}

#[test]
fn an_answer_lost_after_the_commit_is_replayed_and_before_it_is_not() {
    for (fault, sent_before_retry) in [
        (r#"{"wire":{"kind":"cut","after":0}}"#, 1),
        (r#"{"wire":{"kind":"cut","after":0},"commit":false}"#, 0),
    ] {
        let mut sim = sim();
        sim.handle(
            NOW,
            send("a").header("idempotency-key", "k").header("x-simulator-fault", fault),
        );
        assert_eq!(messages(&mut sim, NOW), sent_before_retry);
        assert_eq!(sim.handle(NOW, send("a").header("idempotency-key", "k")).status, 202);
        assert_eq!(messages(&mut sim, NOW), 1);
    }
}

#[test]
fn a_key_lives_as_long_as_its_expiration_says() {
    let mut sim = sim();
    let hours = |n: u64| Micros::from_secs(n * 3600);
    let first = send("a").header("idempotency-key", "k");
    let first =
        sim.handle(NOW, first.header("x-idempotency-expiration", "2026-01-05T03:04:05Z")).value();
    for (hour, same) in [(25, true), (71, true), (72, false)] {
        let again = sim.handle(hours(hour), send("a").header("idempotency-key", "k")).value();
        assert_eq!(again == first, same, "{hour}");
    }
}

#[test]
fn the_empty_replay_is_a_switch() {
    let mut sim = sim();
    sim.options().switches.idempotency_empty_replay = true;
    sim.handle(NOW, send("a").header("idempotency-key", "k"));
    let again = sim.handle(NOW, send("a").header("idempotency-key", "k"));
    assert_eq!((again.status, again.body.len()), (202, 0));
}
