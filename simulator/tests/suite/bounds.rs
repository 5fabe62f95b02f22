//! All data is bounded, and a refused or failed call changes nothing.

use crate::common::Courier;
use serde_json::{Value, json};
use simulator::{Capacity, Micros, Options, Request, Simulator};

fn small(rows: usize) -> Courier {
    let capacity = Capacity { rows, ..Capacity::default() };
    let options = Options { capacity, limits: Vec::new(), ..Options::seeded(7) };
    Courier { sim: Simulator::new(options), now: Micros::ZERO }
}

fn rows(c: &mut Courier, target: &str, key: &str) -> usize {
    c.expect(200, "GET", target, Value::Null)[key].as_array().map_or(0, Vec::len)
}

#[test]
fn the_oldest_messages_runs_and_events_make_room() {
    let mut c = small(3);
    let ask = json!({ "message": { "to": { "email": "a@example.com" }, "content": { "title": "a", "body": "b" } } });
    let step =
        json!({ "automation": { "steps": [{ "action": "cancel", "cancelation_token": "x" }] } });
    for _ in 0..5 {
        c.expect(202, "POST", "/send", ask.clone());
        c.expect(200, "POST", "/automations/invoke", step.clone());
        c.expect(204, "PUT", "/lists/l", json!({ "name": "L" }));
    }
    assert_eq!(rows(&mut c, "/messages", "results"), 3);
    assert_eq!(rows(&mut c, "/automations/runs", "runs"), 3);
    assert_eq!(rows(&mut c, "/audit-events", "results"), 3);
}

#[test]
fn a_full_collection_takes_changes_and_nothing_new() {
    let mut c = small(2);
    for (method, target, body, ok) in [
        ("PUT", "/lists/", json!({ "name": "L" }), 204),
        ("PUT", "/profiles/", json!({ "profile": {} }), 200),
        ("PUT", "/audiences/", json!({ "name": "A" }), 200),
        ("PUT", "/tenants/", json!({ "name": "T" }), 200),
    ] {
        for id in ["a", "b"] {
            c.expect(ok, method, &format!("{target}{id}"), body.clone());
        }
        c.expect(507, method, &format!("{target}c"), body.clone());
        c.expect(ok, method, &format!("{target}b"), body);
    }
    let three = json!({ "recipients": [{ "recipientId": "1" }, { "recipientId": "2" }, { "recipientId": "3" }] });
    c.expect(507, "POST", "/lists/a/subscriptions", three);
    assert_eq!(rows(&mut c, "/lists/a/subscriptions", "items"), 0);
    for (user, status) in [("1", 204), ("2", 204), ("2", 204), ("3", 507)] {
        c.expect(status, "PUT", &format!("/lists/a/subscriptions/{user}"), json!({}));
    }
    for (user, status) in [("2", 200), ("3", 507)] {
        let lists = json!({ "lists": [{ "listId": "a" }] });
        c.expect(status, "POST", &format!("/profiles/{user}/lists"), lists);
    }
}

#[test]
fn a_call_that_fails_leaves_no_version_and_no_commit_behind() {
    let mut c = Courier::new();
    c.expect(204, "PUT", "/lists/a", json!({ "name": "A" }));
    c.expect(400, "PUT", "/lists/a", json!({}));
    c.expect(404, "DELETE", "/lists/b", Value::Null);
    assert_eq!(c.sim.versions("acme/production").unwrap()["lists"], 1);
    let commits: Vec<bool> = c.sim.journal().entries().map(|e| e.committed.is_some()).collect();
    assert_eq!(commits, [true, false, false]);
}

#[test]
fn a_put_replaces_a_document_a_patch_merges_and_a_delete_takes_what_is_below() {
    let mut c = Courier::new();
    c.expect(200, "PUT", "/providers/p", json!({ "title": "P", "settings": { "a": 1 } }));
    let merged = c.expect(200, "PATCH", "/providers/p", json!({ "settings": { "b": 2 } }));
    assert_eq!((&merged["title"], &merged["settings"]), (&json!("P"), &json!({ "a": 1, "b": 2 })));
    let put = c.expect(200, "PUT", "/providers/p", json!({ "title": "Q" }));
    assert_eq!((&put["version"], &put["settings"]), (&json!("v3"), &json!({})));
    c.expect(200, "PUT", "/tenants/t", json!({ "name": "T" }));
    c.expect(200, "PUT", "/tenants/t/templates/x", json!({ "name": "X" }));
    assert_eq!(rows(&mut c, "/tenants", "items"), 1);
    c.expect(204, "DELETE", "/tenants/t", Value::Null);
    assert_eq!(rows(&mut c, "/tenants/t/templates", "items"), 0);
    assert_eq!(rows(&mut c, "/tenants", "items"), 0);
}

#[test]
fn a_draft_template_is_published_on_request_only() {
    let mut c = Courier::new();
    let draft = json!({ "notification": { "name": "N", "content": {} } });
    let id = c.expect(200, "POST", "/notifications", draft)["id"].as_str().unwrap().to_owned();
    assert_eq!(rows(&mut c, "/notifications", "results"), 2);
    c.expect(204, "POST", &format!("/notifications/{id}/publish"), Value::Null);
    assert_eq!(rows(&mut c, "/notifications", "results"), 3);
}

#[test]
fn a_wait_is_rounded_up_so_that_who_obeys_it_is_not_too_early() {
    let mut sim = Simulator::new(Options::default());
    sim.options().switches.retry_after = simulator::RetryAfter::Millis;
    sim.set_limits(vec![simulator::LimitRule::global(1, 1500)]);
    let read = |sim: &mut Simulator, at| sim.handle(at, Request::new("GET", "/brands").token("t"));
    read(&mut sim, Micros(500));
    let refused = read(&mut sim, Micros(1001));
    assert_eq!(
        (refused.field("retry-after"), refused.field("retry-after-ms")),
        (Some("2"), Some("1500"))
    );
    assert_eq!(read(&mut sim, Micros(1001 + 1_500_000)).status, 200);
}
