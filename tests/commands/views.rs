//! The commands that look: what they ask, and what they print.

use serde_json::{Value, json};

use crate::documents::{override_of, overview};
use crate::port::{Fixed, Port, program};

#[test]
fn status_says_in_words_who_waits_and_why() {
    let port = Port::start([("GET /api/overview", 200, overview())]);
    let said = port.said(&["status"]);
    for part in [
        "gate-1 0.1.0, up 5 min, ready, shared store away for 12 s",
        "acme-prod  bulk waits 12 s, interactive 0.3 s",
        "█▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒·····  3 in use, 80 resting, 17 free of 100 in 60 s",
        "0 interactive (a call now waits 0.3 s), 12 bulk (a call now is refused)",
        "umbrella-prod  idle: 100 of 100 slots are free",
        "k3f9x2  acme-prod: 50 calls in 60 s in place of 100  9 min left  ops1: too much ?[2Jload",
        "key 'k1' of acme/billing: 2026-12-10 13:46:40Z",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "no terminal, no colours: {said}");
}

#[test]
fn json_is_the_document_of_the_port() {
    let document = overview();
    let port = Port::start([("GET ", 200, document.clone()), ("POST ", 200, document.clone())]);
    for words in [
        "status",
        "cache",
        "overrides",
        "audit",
        "explain",
        "keys list",
        "explain --under-way",
        "whatif acme-prod --limit 60",
        "mode c shadow --for 1m --because x",
        "explain 00000000000000000000000000000001",
    ] {
        let arguments: Vec<&str> = words.split(' ').chain(["--json"]).collect();
        let said: Value = serde_json::from_str(&port.said(&arguments)).unwrap();
        assert_eq!(said, document, "{words}");
    }
}

#[test]
fn a_question_carries_what_was_chosen() {
    let port = Port::start([("GET ", 200, json!({}))]);
    for (words, line) in [
        ("explain", "GET /api/calls?sort=slowest&limit=10"),
        (
            "explain --tenant a --app b --connection c --operation profiles.get --code ok --slowest --limit 5",
            "GET /api/calls?tenant=a&app=b&connection=c&operation=profiles.get&code=ok&sort=slowest&limit=5",
        ),
        ("explain --refused --limit 3", "GET /api/calls?refused=1&limit=3"),
        ("explain --under-way", "GET /api/calls/under-way"),
        ("overrides --all", "GET /api/overrides?all=1"),
        ("audit --limit 7", "GET /api/audit?limit=7"),
        (
            "whatif c --limit 60 --window 2m",
            "GET /api/whatif?connection=c&calls=60&window_ms=120000",
        ),
        ("keys list", "GET /api/keys"),
    ] {
        let arguments: Vec<&str> = words.split(' ').chain(["--json"]).collect();
        port.said(&arguments);
        assert_eq!(port.asked()[0].line, line, "{words}");
    }
}

/// What each list answers.
fn lists() -> [Fixed; 5] {
    [
        (
            "GET /api/cache",
            200,
            json!({
                "bytes": 2048, "capacity": 65_536, "saved_calls": 83, "reads": 100, "hit_rate": 0.83,
                "operations": [{ "operation": "profiles.get", "hits": 83, "misses": 17, "stale": 0, "joined": 2, "hit_rate": 0.83 }],
            }),
        ),
        (
            "GET /api/audit",
            200,
            json!({ "acts": [
            { "at_ms": 1_795_910_400_000_u64, "outcome": "refused", "key": null, "peer": "127.0.0.1", "act": "login", "what": "", "because": null, "before": null, "after": null, "detail": "wrong key" },
            { "at_ms": 1_795_910_300_000_u64, "outcome": "done", "key": "ops1", "peer": "127.0.0.1", "act": "override", "what": "acme-prod: 50 calls", "because": "load", "before": "100", "after": "50", "detail": null },
        ] }),
        ),
        (
            "GET /api/keys",
            200,
            json!({ "keys": [
            { "id": "k1", "tenant": "acme", "app": "billing", "rights": "app", "expires_at_ms": null, "last_used_at_ms": 1_795_910_400_000_u64, "revoked": null },
            { "id": "ops1", "tenant": null, "app": null, "rights": "change", "expires_at_ms": null, "last_used_at_ms": null, "revoked": { "at_ms": 0, "by": "ops2", "because": "leaked" } },
        ] }),
        ),
        ("GET /api/overrides", 200, json!({ "overrides": [override_of(json!({}))] })),
        (
            "GET /api/whatif",
            200,
            json!({
                "connection": "c", "calls": 60, "window_ms": 60_000, "from_at_ms": 0, "to_at_ms": 3_600_000, "arrivals": 900,
                "now": figures(900, 0), "then": figures(800, 100), "words": "100 calls would be refused",
            }),
        ),
    ]
}

#[test]
fn tables_and_lists_say_what_the_documents_hold() {
    let port = Port::start(lists());
    for (words, parts) in [
        (
            "cache",
            vec![
                "83 calls saved of 100 reads (83 %), 2 of 64 KiB used",
                "profiles.get  83    17      0      2       83 %",
            ],
        ),
        (
            "audit",
            vec![
                "2026-11-28 23:58:20Z  done  ops1 from 127.0.0.1  override  acme-prod: 50 calls  (100 → 50)  load\n2026-11-29 00:00:00Z  refused  – from 127.0.0.1  login  wrong key",
            ],
        ),
        (
            "keys list",
            vec![
                "k1    acme/billing  app     2026-11-29 00:00:00Z  never",
                "revoked 1970-01-01 00:00:00Z by ops2: leaked",
            ],
        ),
        ("overrides", vec!["k3f9x2  acme-prod"]),
        (
            "whatif c --limit 60",
            vec!["100 calls would be refused", "900 calls from", "started       900", "0 refused"],
        ),
    ] {
        let arguments: Vec<&str> = words.split(' ').collect();
        let said = port.said(&arguments);
        for part in parts {
            assert!(said.contains(part), "{words}: {part}\n{said}");
        }
    }
}

fn figures(started: u32, refused: u32) -> Value {
    let lane = json!({ "wait_ms_p50": 0, "wait_ms_p99": 1_200, "refused": refused });
    json!({ "started": started, "refused": refused, "use": 0.81, "lanes": { "interactive": lane, "bulk": lane },
        "apps": [{ "tenant": "acme", "app": "billing", "started": started, "refused": refused, "wait_ms_p50": 0, "wait_ms_p99": 10 }] })
}

#[test]
fn whoever_gets_no_answer_is_told_what_to_look_at() {
    let refused = |kind: &str, detail: &str| json!({ "type": format!("urn:tollgate:{kind}"), "detail": detail });
    for (status, body, parts) in [
        (
            401,
            refused("unauthenticated", "no such key"),
            ["answers 401: no such key", "TOLLGATE_ADMIN_KEY must be a whole key"],
        ),
        (
            403,
            refused("origin-refused", "the Host is wrong"),
            ["answers 403: the Host is wrong", "write the name under hosts of [admin]"],
        ),
        (403, refused("scope-missing", "only looks"), ["answers 403: only looks", ""]),
        (404, Value::Null, ["answers 404: it is no admin port", ""]),
    ] {
        let port = Port::start([("GET ", status, body)]);
        let output = port.run(&["status"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!said.contains("tg_ops1"), "{said}");
    }
    let mut nobody = program(&["status", "--admin", "127.0.0.1:1"]);
    let output = nobody.env("TOLLGATE_ADMIN_KEY", "tg_ops1_secret").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("is its port served?"), "{said}");
    let output = program(&["status"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && said.contains("TOLLGATE_ADMIN_KEY is not set"),
        "{said}"
    );
}

#[test]
fn top_shows_one_picture_to_what_is_no_terminal_if_that_is_asked_for() {
    let port = Port::start([("GET /api/overview", 200, overview())]);
    let said = port.said(&["top", "--once"]);
    assert_eq!(said.lines().count(), 24, "{said}");
    for part in ["acme-prod", "bulk waits 12 s", "> acme/billing", "overrides", "slowest"] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(
        said.lines().all(|line| line.chars().count() <= 80) && !said.contains('\u{1b}'),
        "{said}"
    );
    let output = port.run(&["top"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("write --once"), "{told}");
}

#[test]
fn the_calls_that_were_refused_and_those_under_way_are_told_apart() {
    let call = |id: &str, event: &str| {
        json!({ "call_id": id, "at": "", "why": "It is so.", "total_ms": 1.0, "tenant": "acme", "app": "billing",
            "key_id": null, "connection": null, "operation": null, "method": "GET", "lane": null, "status": null,
            "code": "queue-full", "outcome": null, "cache": null, "key": null, "replayed": false, "bytes_in": 0,
            "bytes_out": 0, "timeline": [{ "at_ms": 0.0, "event": event }], "parts": [] })
    };
    let port = Port::start([
        (
            "GET /api/calls/under-way",
            200,
            json!({ "calls": [
                { "call_id": "c1", "started_at_ms": 1, "since_ms": 300, "state": "waiting", "tenant": "acme", "app": "billing", "connection": null, "operation": null, "caller": true },
                { "call_id": "c2", "started_at_ms": 1, "since_ms": 12_000, "state": "at-courier", "tenant": "acme", "app": "billing", "connection": "acme-prod", "operation": "messages.send", "caller": false },
            ] }),
        ),
        ("GET /api/calls", 200, json!({ "kept": "all", "calls": [call("r1", "refused")] })),
    ]);
    let said = port.said(&["explain", "--refused", "--limit", "2"]);
    assert!(said.contains("r1  "), "{said}");
    let query = &port.asked()[0].line;
    assert!(query.contains("refused=1") && query.contains("limit=2"), "{query}");
    assert_eq!(
        port.said(&["explain", "--under-way"]),
        "    12 s  c2  acme / billing through acme-prod  messages.send  at-courier, goes on without its caller\n   0.3 s  c1  acme / billing through –  –  waiting\n"
    );
}
