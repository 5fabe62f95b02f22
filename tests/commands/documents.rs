//! Documents as the admin port answers them.

use serde_json::{Value, json};

/// Two connections: one is in trouble.
pub fn overview() -> Value {
    json!({
        "at_ms": 1_795_910_400_000_u64, "version": "0.1.0", "instance": "gate-1",
        "started_at_ms": 1_795_910_100_000_u64, "ready": null,
        "replicas": { "store": "away", "since_ms": 1_795_910_388_000_u64 },
        "connections": [
            connection("acme-prod", 3, 80, 12, "bulk waits 12 s, interactive 0.3 s"),
            connection("umbrella-prod", 0, 0, 0, "idle: 100 of 100 slots are free"),
        ],
        "overrides": [override_of(json!({ "kind": "limit", "connection": "acme-prod", "calls": 50 }))],
        "expiring": [{ "what": "key 'k1' of acme/billing", "at_ms": 1_796_910_400_000_u64 }],
        "slowest": [{
            "id": "00000000000000000000000000000001", "at_ms": 1_795_910_300_000_u64,
            "operation": "profiles.get", "app": "billing", "connection": "acme-prod",
            "total_ms": 3_000.5, "queue_ms": 2_900.0, "code": "ok",
        }],
    })
}

fn connection(name: &str, in_use: u32, resting: u32, bulk: u32, words: &str) -> Value {
    let app = json!({
        "tenant": "acme", "app": "billing", "lane": "bulk", "weight": 1, "paused": false,
        "waiting": bulk, "held": in_use + resting, "room": 0, "wait_ms": 12_000, "ahead": 3,
        "bound": "slot", "refused": null, "retry_after_ms": null,
    });
    json!({
        "connection": name, "tenant": "acme", "workspace": "acme", "mode": "enforce",
        "slots": {
            "limit": 100, "in_use": in_use, "resting": resting, "free": 100 - in_use - resting,
            "window_ms": 60_000, "closed_ms": 0,
        },
        "waiting": { "interactive": 0, "bulk": bulk },
        "wait_ms": { "interactive": 300, "bulk": null },
        "rates": { "started": 1.6, "refused": 0.0, "saved": 2.1, "vendor_429": 0 },
        "exhausted_in_ms": null, "words": words, "breaker": "closed", "paused": false,
        "token": "ok", "shared": null, "apps": [app],
    })
}

/// A change that was made of `act`.
pub fn override_of(act: Value) -> Value {
    json!({
        "id": "k3f9x2", "act": act, "words": "acme-prod: 50 calls in 60 s in place of 100",
        "because": "too much \u{1b}[2Jload", "by": "ops1", "from_at_ms": 0, "until_at_ms": 600_000,
        "left_ms": 540_000, "ended_at_ms": null, "ended": null, "everywhere": false,
    })
}
