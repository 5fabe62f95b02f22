//! Equal options and equal calls give equal bytes, whatever the time and the reads between them.

use serde_json::{Value, json};
use simulator::{Body, ClockOptions, Micros, Mode, Options, Reply, Request, Simulator};

fn calls() -> Vec<Request> {
    let call = |method: &str, target: &str, body: Value| {
        let request = Request::new(method, target);
        if body.is_null() { request } else { request.json(&body) }
    };
    let content = json!({ "title": "a", "body": "b" });
    vec![
        call("POST", "/brands", json!({ "name": "B" })),
        call("GET", "/brands", Value::Null),
        call("PUT", "/lists/l", json!({ "name": "L" })),
        call(
            "POST",
            "/lists/l/subscriptions",
            json!({ "recipients": [{ "recipientId": "u1" }, { "recipientId": "u2" }] }),
        ),
        call("POST", "/profiles/u1", json!({ "profile": { "email": "u@example.com", "age": 30 } })),
        call(
            "PUT",
            "/audiences/a",
            json!({ "filter": { "operator": "GT", "path": "age", "value": 20 } }),
        ),
        call(
            "POST",
            "/send",
            json!({ "message": { "to": { "list_id": "l" }, "content": content } }),
        ),
        call(
            "POST",
            "/send",
            json!({ "message": { "to": { "user_id": "u1" }, "content": content } }),
        ),
        call("GET", "/messages", Value::Null),
        call("GET", "/audiences/a/members", Value::Null),
        call(
            "POST",
            "/automations/invoke",
            json!({ "automation": { "steps": [{ "action": "delay", "duration": "1 day" }] } }),
        ),
        call("POST", "/tenants/t/users", Value::Null),
        call("PUT", "/tenants/t", json!({ "name": "T" })),
        call("POST", "/notifications", json!({ "notification": { "name": "N", "content": {} } })),
        call("GET", "/audit-events", Value::Null),
        call("GET", "/lists/l/subscriptions", Value::Null),
    ]
}

/// Status, headers and body as text.
fn bytes(reply: &Reply) -> String {
    let body = match &reply.body {
        Body::Bytes(b) => String::from_utf8_lossy(b).into_owned(),
        Body::Empty | Body::Filler(_) => String::new(),
    };
    format!("{} {:?} {body}", reply.status, reply.headers)
}

fn run(options: Options, token: &str, spacing: u64, extra_reads: bool) -> Vec<String> {
    let mut sim = Simulator::new(options);
    let mut answers = Vec::new();
    for (n, request) in calls().into_iter().enumerate() {
        let now = Micros(n as u64 * spacing);
        if extra_reads {
            for target in ["/brands", "/messages", "/profiles/u1", "/nothing"] {
                sim.handle(now, Request::new("GET", target).token(token));
            }
        }
        answers.push(bytes(&sim.handle(now, request.token(token))));
    }
    answers
}

fn stepping(seed: u64) -> Options {
    Options {
        clock: ClockOptions { mode: Mode::Step, ..ClockOptions::default() },
        ..Options::seeded(seed)
    }
}

#[test]
fn the_same_seed_times_and_calls_give_the_same_bytes() {
    let first = run(Options::seeded(5), "t", 777_777, false);
    assert_eq!(first, run(Options::seeded(5), "t", 777_777, false));
    assert_ne!(first, run(Options::seeded(6), "t", 777_777, false));
}

#[test]
fn in_step_mode_neither_time_nor_reads_nor_the_token_change_an_answer() {
    let first = run(stepping(5), "one", 10, false);
    assert_eq!(first, run(stepping(5), "another", 123_456_789, true));
}

#[test]
fn with_a_running_clock_reads_still_never_change_an_id() {
    assert_eq!(run(Options::seeded(5), "t", 1000, false), run(Options::seeded(5), "t", 1000, true));
}

#[test]
fn in_step_mode_a_write_moves_the_clock_by_one_step_and_an_admin_call_by_any() {
    let mut sim = Simulator::new(stepping(1));
    let wall = |sim: &Simulator| sim.wall(Micros::from_secs(1000)).iso();
    assert_eq!(wall(&sim), "2026-01-02T03:04:05.000Z");
    sim.handle(
        Micros::ZERO,
        Request::new("PUT", "/lists/a").token("t").json(&json!({ "name": "A" })),
    );
    sim.handle(Micros::ZERO, Request::new("GET", "/lists/a").token("t"));
    assert_eq!(wall(&sim), "2026-01-02T03:04:06.000Z");
    sim.handle(
        Micros::ZERO,
        Request::new("POST", "/__admin/clock").json(&json!({ "step_ms": -6000 })),
    );
    assert_eq!(wall(&sim), "2026-01-02T03:04:00.000Z");
}

#[test]
fn a_script_of_faults_strikes_the_same_calls_with_one_seed_and_others_with_another() {
    let script = include_str!("../../scripts/rough-day.json");
    let struck = |seed: u64| {
        let options = Options { seed, ..Options::from_json(script).unwrap() };
        let mut sim = Simulator::new(options);
        let mut told = Vec::new();
        for n in 0..2000_u64 {
            let request = calls().swap_remove(usize::try_from(n % 16).unwrap());
            let reply = sim.handle(Micros::from_millis(n * 100), request.token("t"));
            told.push(format!("{} {:?}", bytes(&reply), reply.delivery));
        }
        told
    };
    let first = struck(7);
    assert_eq!(first, struck(7));
    assert_ne!(first, struck(8));
    // Bursts follow from time alone: 3 seconds of every minute after the first 20.
    let limited = first.iter().filter(|told| told.starts_with("429")).count();
    assert!(limited >= 3 * 30, "{limited}");
}
