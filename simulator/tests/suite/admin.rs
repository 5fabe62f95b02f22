//! The calls under `/__admin/`.

use serde_json::{Value, json};
use simulator::{Micros, Options, Request, Simulator};

const NOW: Micros = Micros::ZERO;

fn admin(sim: &mut Simulator, method: &str, call: &str, body: &Value) -> (u16, Value) {
    let request = Request::new(method, &format!("/__admin/{call}"));
    let reply = sim.handle(NOW, if body.is_null() { request } else { request.json(body) });
    (reply.status, reply.value())
}

fn read(sim: &mut Simulator, token: &str, target: &str) -> u16 {
    sim.handle(NOW, Request::new("GET", target).token(token)).status
}

#[test]
fn the_journal_is_searched_by_token_path_operation_method_and_number() {
    let mut sim = Simulator::new(Options::default());
    for (token, target) in
        [("a", "/brands"), ("b", "/brands?cursor="), ("a", "/lists/x"), ("a", "/lists")]
    {
        read(&mut sim, token, target);
    }
    for (search, seqs) in [
        ("", json!([1, 2, 3, 4])),
        ("?token=a", json!([1, 3, 4])),
        ("?path=/brands", json!([1, 2])),
        ("?path=/lists*", json!([3, 4])),
        ("?operation=lists.list", json!([4])),
        ("?method=POST", json!([])),
        ("?after=2&limit=1", json!([3])),
    ] {
        let (status, found) = admin(&mut sim, "GET", &format!("requests{search}"), &Value::Null);
        let found: Vec<Value> =
            found["requests"].as_array().unwrap().iter().map(|r| r["seq"].clone()).collect();
        assert_eq!((status, json!(found)), (200, seqs), "{search}");
    }
    assert_eq!(admin(&mut sim, "DELETE", "requests", &Value::Null).0, 204);
    let (_, empty) = admin(&mut sim, "GET", "requests", &Value::Null);
    assert_eq!((&empty["requests"], &empty["total"]), (&json!([]), &json!(4)));
}

#[test]
fn faults_are_added_listed_and_ended() {
    let mut sim = Simulator::new(Options::default());
    let fault = json!({ "when": { "operation": "brands.list", "times": 1 }, "effect": { "answer": { "kind": "rate_limited" } } });
    assert_eq!(admin(&mut sim, "POST", "faults", &fault).0, 204);
    assert_eq!(
        admin(
            &mut sim,
            "POST",
            "faults",
            &json!([{ "when": { "token": "b" }, "effect": { "answer": { "kind": "forbidden" } } }])
        )
        .0,
        204
    );
    assert_eq!(["a", "a", "b"].map(|t| read(&mut sim, t, "/brands")), [429, 200, 403]);
    let (_, listed) = admin(&mut sim, "GET", "faults", &Value::Null);
    assert_eq!(
        (&listed["faults"][0]["hits"], &listed["faults"][1]["seen"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(admin(&mut sim, "DELETE", "faults", &Value::Null).0, 204);
    assert_eq!(read(&mut sim, "b", "/brands"), 200);
    assert_eq!(admin(&mut sim, "POST", "faults", &json!({ "wen": {} })).0, 400);
}

#[test]
fn the_clock_and_the_switches_can_be_asked_and_changed() {
    let mut sim = Simulator::new(Options::default());
    let (_, clock) =
        admin(&mut sim, "POST", "clock", &json!({ "step_ms": 60_000, "drift_ppm": 50 }));
    assert_eq!(
        (&clock["wall"], &clock["drift_ppm"]),
        (&json!("2026-01-02T03:05:05.000Z"), &json!(50))
    );
    let (_, switches) = admin(&mut sim, "PATCH", "switches", &json!({ "auth_status": 401 }));
    assert_eq!((&switches["auth_status"], &switches["page_size"]), (&json!(401), &json!(10)));
    assert_eq!(admin(&mut sim, "PATCH", "switches", &json!({ "no_such": 1 })).0, 400);
}

#[test]
fn limits_counters_and_versions_can_be_asked_and_changed() {
    let mut sim = Simulator::new(Options::default());
    assert_eq!(
        admin(&mut sim, "PUT", "limits", &json!([{ "calls": 1, "window_ms": 1000 }])).0,
        204
    );
    assert_eq!([1, 2].map(|_| read(&mut sim, "a", "/brands")), [200, 429]);
    let (_, counters) = admin(&mut sim, "GET", "counters?token=a", &Value::Null);
    assert_eq!(counters["counters"][0]["largest"]["arrival"]["sliding"], 2.0);
    sim.set_limits(Vec::new());
    sim.handle(NOW, Request::new("PUT", "/lists/x").token("a").json(&json!({ "name": "X" })));
    let (_, versions) = admin(&mut sim, "GET", "versions?environment=a/production", &Value::Null);
    assert_eq!(versions["versions"], json!({ "lists": 1, "list_subscriptions": 1 }));
    assert_eq!(admin(&mut sim, "GET", "versions?environment=z", &Value::Null).0, 404);
}

#[test]
fn a_reset_forgets_everything_and_may_bring_other_options() {
    let mut sim = Simulator::new(Options::seeded(1));
    sim.handle(NOW, Request::new("PUT", "/lists/x").token("a").json(&json!({ "name": "X" })));
    assert_eq!(admin(&mut sim, "POST", "reset", &json!({ "rejected_tokens": ["a"] })).0, 204);
    assert_eq!([read(&mut sim, "a", "/lists/x"), read(&mut sim, "b", "/lists/x")], [403, 404]);
    assert_eq!(admin(&mut sim, "POST", "reset", &json!({ "sed": 1 })).0, 400);
    assert_eq!(admin(&mut sim, "GET", "nothing", &Value::Null).0, 404);
}
