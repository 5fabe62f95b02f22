//! Long runs in virtual time: nothing grows without limit, nothing is sent twice, all counts agree.

use serde_json::json;
use simulator::{Capacity, Micros, Options, Request, Rng, Simulator};

/// Runs `calls` of a mix at a hundred a second and checks the sums.
fn run(calls: u64) {
    let capacity = Capacity { rows: 1000, keys: 1000, ..Capacity::default() };
    let mut sim = Simulator::new(Options { limits: Vec::new(), capacity, ..Options::seeded(1) });
    let mut dice = Rng::new(9);
    for n in 0..calls {
        let user = dice.next() % 900;
        let request = match n % 5 {
            0 => Request::new("POST", "/send")
                .header("idempotency-key", &format!("k{n}"))
                .json(&json!({ "message": { "to": { "user_id": "u" }, "content": { "title": "t", "body": format!("b{n}") } } })),
            1 => Request::new("POST", &format!("/profiles/u{user}")).json(&json!({ "profile": { "age": user } })),
            2 => Request::new("PUT", &format!("/lists/l{}", user % 100)).json(&json!({ "name": "n" })),
            3 => Request::new("GET", "/messages?limit=1"),
            _ => Request::new("GET", "/lists"),
        };
        let reply = sim.handle(Micros::from_millis(n * 10), request.token("t"));
        assert!(reply.status < 300, "{n}: {}", reply.value());
    }
    let end = Micros::from_millis(calls * 10);
    let largest = sim.largest(end, "t", None);
    assert_eq!((largest.arrival.total, largest.answer.total), (calls, calls));
    assert_eq!(largest.worst(), 6000.0);
    assert_eq!(sim.journal().total(), calls);
    assert!(sim.journal().duplicates().is_empty());
    let sent = sim.versions("t/production").map(|v| v["messages"]);
    assert_eq!(sent, Some(calls / 5));
}

#[test]
fn twenty_thousand_calls_add_up() {
    run(20_000);
}

#[test]
#[ignore = "minutes in a debug build; run with --release -- --ignored"]
fn a_million_calls_add_up() {
    run(1_000_000);
}
