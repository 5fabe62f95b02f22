//! The commands that change something: the order that each sends.

use serde_json::{Value, json};

use crate::documents::override_of;
use crate::port::Port;

const FOR: [&str; 4] = ["--for", "10m", "--because", "too much load"];

/// A command without its time and reason, and the act that it orders.
fn changes() -> Vec<(&'static str, Value)> {
    vec![
        ("limit acme-prod 50", json!({ "kind": "limit", "connection": "acme-prod", "calls": 50 })),
        (
            "limit --app billing --tenant acme 5 --window 30s",
            json!({ "kind": "app-limit", "tenant": "acme", "app": "billing", "calls": 5, "window_ms": 30_000 }),
        ),
        (
            "limit --app billing 5",
            json!({ "kind": "app-limit", "app": "billing", "calls": 5, "window_ms": 60_000 }),
        ),
        (
            "pause billing --tenant acme",
            json!({ "kind": "pause-app", "tenant": "acme", "app": "billing" }),
        ),
        (
            "pause --connection acme-prod",
            json!({ "kind": "pause-connection", "connection": "acme-prod" }),
        ),
        (
            "pause --operation profiles.get",
            json!({ "kind": "pause-operation", "operation": "profiles.get" }),
        ),
        (
            "pause --operation profiles.get --connection acme-prod",
            json!({ "kind": "pause-operation", "operation": "profiles.get", "connection": "acme-prod" }),
        ),
        ("lane billing bulk", json!({ "kind": "lane", "app": "billing", "lane": "bulk" })),
        (
            "mode acme-prod shadow",
            json!({ "kind": "mode", "connection": "acme-prod", "mode": "shadow" }),
        ),
        ("cache bypass acme-prod", json!({ "kind": "bypass", "connection": "acme-prod" })),
        (
            "breaker acme-prod open",
            json!({ "kind": "breaker", "connection": "acme-prod", "state": "open" }),
        ),
        (
            "log-level access debug",
            json!({ "kind": "log-level", "target": "access", "level": "debug" }),
        ),
    ]
}

#[test]
fn each_change_is_one_order_with_its_time_and_its_reason() {
    let port = Port::start([("POST /api/overrides", 201, override_of(json!({})))]);
    for (words, act) in changes() {
        let arguments: Vec<&str> = words.split(' ').chain(FOR).collect();
        let said = port.said(&arguments);
        assert!(said.contains("k3f9x2  acme-prod: 50 calls in 60 s in place of 100  9 min left"));
        assert!(said.contains("ops1: too much ?[2Jload  (other replicas don't know it yet)"));
        let asked = port.asked();
        let [order] = &asked[..] else { panic!("{words}: {asked:#?}") };
        let document = json!({ "act": act, "for_ms": 600_000, "because": "too much load" });
        assert_eq!((&*order.line, &order.document), ("POST /api/overrides", &document), "{words}");
        assert!(order.head.contains("content-type: application/json"), "{}", order.head);
        assert!(order.head.contains("x-api-key: tg_ops1_secret"), "{}", order.head);
    }
}

#[test]
fn a_change_without_a_time_or_a_reason_is_not_sent() {
    let port = Port::start([]);
    for (words, _) in changes() {
        for given in [&FOR[..2], &FOR[2..], &["--for", "31d", "--because", "x"]] {
            let arguments: Vec<&str> = words.split(' ').chain(given.iter().copied()).collect();
            let output = port.run(&arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        }
    }
    for words in ["reload", "cache purge acme-prod", "keys revoke k1"] {
        let arguments: Vec<&str> = words.split(' ').collect();
        assert_eq!(port.run(&arguments).status.code(), Some(2), "{words}");
    }
    assert!(port.asked().is_empty());
}

#[test]
fn a_change_is_ended_by_what_it_changed() {
    let pause = override_of(json!({ "kind": "pause-app", "tenant": "acme", "app": "billing" }));
    let mut breaker = override_of(json!({ "kind": "breaker", "connection": "c", "state": "open" }));
    breaker["id"] = "b1".into();
    let mut ended = pause.clone();
    ended["ended"] = "ended by ops1".into();
    let port = Port::start([
        ("GET /api/overrides", 200, json!({ "overrides": [pause, breaker] })),
        ("DELETE /api/overrides/", 200, ended),
    ]);
    for (words, id, because) in [
        ("resume billing --because calm", "k3f9x2", json!({ "because": "calm" })),
        ("breaker c auto", "b1", Value::Null),
        ("overrides end b1", "b1", Value::Null),
    ] {
        let arguments: Vec<&str> = words.split(' ').collect();
        assert!(port.said(&arguments).contains("ended by ops1"), "{words}");
        let last = port.asked().pop().unwrap();
        assert_eq!((last.line, last.document), (format!("DELETE /api/overrides/{id}"), because));
    }
    let output = port.run(&["resume", "--connection", "c"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is nothing to end"));
}

#[test]
fn purge_reload_and_revocation_are_orders_of_their_own() {
    let port = Port::start([
        ("POST /api/purge", 200, json!({ "purged": "2 tags" })),
        ("POST /api/reload", 200, json!({ "reloaded": true, "warnings": ["line 2: old"] })),
        ("POST /api/keys/k1/revoke", 200, json!({})),
    ]);
    for (arguments, line, document, said) in [
        (
            vec!["cache", "purge", "acme-prod", "--tag", "brands"],
            "POST /api/purge",
            json!({ "connection": "acme-prod", "tag": "brands", "because": "x" }),
            "purged: 2 tags",
        ),
        (vec!["reload"], "POST /api/reload", json!({ "because": "x" }), "reloaded\nline 2: old"),
        (
            vec!["keys", "revoke", "k1"],
            "POST /api/keys/k1/revoke",
            json!({ "because": "x" }),
            "the key 'k1' is revoked",
        ),
    ] {
        let arguments = [&arguments[..], &["--because", "x"]].concat();
        assert!(port.said(&arguments).contains(said), "{arguments:?}");
        let order = port.asked().pop().unwrap();
        assert_eq!((&*order.line, order.document), (line, document));
    }
}
