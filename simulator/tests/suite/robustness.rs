//! Any input gets a sensible answer, and nothing panics.

use crate::raw::{MESSAGE, connect, read_all, server};
use proptest::prelude::*;
use serde_json::{Value, json};
use simulator::{CATALOGUE, Micros, Options, Request, Simulator};
use tokio::io::AsyncWriteExt;

/// Any JSON of modest size, with the names that operations look for.
fn any_json() -> impl Strategy<Value = Value> {
    let names = [
        "message",
        "to",
        "content",
        "users",
        "recipients",
        "recipientId",
        "profile",
        "patch",
        "op",
        "path",
        "value",
        "filter",
        "filters",
        "operator",
        "name",
        "id",
        "automation",
        "steps",
        "action",
        "duration",
        "list_id",
        "user_id",
        "email",
        "recipient",
        "lists",
        "listId",
        "preferences",
    ];
    let texts = prop_oneof![
        Just("EQ".to_owned()),
        Just("send".to_owned()),
        Just("delay".to_owned()),
        Just("99999999999999999999 weeks".to_owned()),
        Just("18446744073709551615 weeks".to_owned()),
        Just("/a/0".to_owned()),
        Just("add".to_owned()),
        Just("2026-01-02".to_owned()),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        texts.prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let name = proptest::sample::select(names.to_vec());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// A row, ids for its parameters, a query and a body.
fn any_call() -> impl Strategy<Value = (usize, String, String, Value)> {
    let id = prop_oneof![
        Just("a".to_owned()),
        Just("default".to_owned()),
        "[a-c]",
        "(%[0-9a-fA-F]{2}|[ -~&&[^/?]]){1,6}"
    ];
    let query = prop_oneof![
        Just(String::new()),
        "(cursor|limit|status|pattern|tags|archived|type)=[-%a-zA-Z0-9=,*.]{0,12}",
        Just("cursor=MSxsaXN0cw==&limit=18446744073709551615".to_owned()),
    ];
    (0..198_usize, id, query, any_json())
}

#[test]
fn rows_that_were_put_as_a_text_alone_are_listed() {
    let rows: Vec<_> = CATALOGUE.rows().collect();
    let mut sim = Simulator::new(Options { limits: Vec::new(), ..Options::seeded(1) });
    for pass in 0..2 {
        for (n, row) in rows.iter().enumerate() {
            let reads = row.method == "GET";
            if reads != (pass == 1) || row.method == "DELETE" {
                continue;
            }
            let path: Vec<&str> =
                row.path.split('/').map(|s| if s.starts_with('{') { "a" } else { s }).collect();
            let request = Request::new(&row.method, &path.join("/")).token("t").json(&json!("EQ"));
            let reply = sim.handle(Micros::from_secs((pass * rows.len() + n) as u64), request);
            assert!(matches!(reply.status, 200..=204 | 400 | 404 | 409), "{}", row.id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_on_any_row_gets_an_answer_in_the_usual_shape(calls in proptest::collection::vec(any_call(), 1..40)) {
        let rows: Vec<_> = CATALOGUE.rows().collect();
        let mut sim = Simulator::new(Options { limits: Vec::new(), ..Options::seeded(1) });
        for (n, (row, id, query, body)) in calls.iter().enumerate() {
            let row = rows[*row];
            let path: Vec<&str> = row.path.split('/').map(|s| if s.starts_with('{') { id } else { s }).collect();
            let request = Request::new(&row.method, &format!("{}?{query}", path.join("/"))).token("t").json(body);
            let reply = sim.handle(Micros::from_secs(n as u64), request);
            prop_assert!(matches!(reply.status, 200..=204 | 400 | 404 | 409), "{}: {}", row.id, reply.status);
            if reply.status >= 400 && row.id != "messages.cancel" {
                prop_assert!(reply.value()["message"].is_string(), "{}", row.id);
                prop_assert!(reply.value()["type"].is_string() || row.id == "automations.list", "{}", row.id);
            }
        }
    }

    #[test]
    fn any_fault_and_any_admin_body_is_taken_or_refused(body in any_json(), text in ".{0,40}") {
        let mut sim = Simulator::new(Options::seeded(1));
        for call in ["faults", "clock", "limits", "switches", "reset"] {
            for method in ["POST", "PUT", "PATCH"] {
                let reply = sim.handle(Micros::ZERO, Request::new(method, &format!("/__admin/{call}")).json(&body));
                prop_assert!(matches!(reply.status, 200 | 204 | 400 | 404));
            }
        }
        for fault in [body.to_string(), text] {
            let reply = sim.handle(Micros::ZERO, Request::new("GET", "/brands").token("t").header("x-simulator-fault", &fault));
            prop_assert!(matches!(reply.status, 200 | 400));
        }
    }

    #[test]
    fn any_bytes_on_a_socket_are_answered_or_the_socket_is_closed(at in 0..200_usize, bytes in proptest::collection::vec(any::<u8>(), 0..6)) {
        let request = format!("POST /send HTTP/1.1\r\nauthorization: Bearer t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{MESSAGE}", MESSAGE.len());
        let mut request = request.into_bytes();
        let at = at.min(request.len());
        request.splice(at..(at + bytes.len()).min(request.len()), bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let answer = runtime.block_on(async {
            let mut client = connect(&server());
            client.write_all(&request).await.unwrap_or_default();
            client.shutdown().await.unwrap();
            read_all(client).await
        });
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{answer}");
    }
}

#[test]
fn extreme_options_do_not_overflow() {
    let script = json!({
        "clock": { "drift_ppm": i64::MAX, "skew_ms": i64::MIN, "step_ms": u64::MAX },
        "limits": [{ "calls": 1, "window_ms": u64::MAX, "phase_ms": u64::MAX }, { "calls": 1, "window_ms": 0, "algorithm": "weighted", "phase_ms": u64::MAX }],
        "counters": { "window_ms": u64::MAX, "phases": u64::MAX, "keys": 3 },
        "latency": { "kind": "fixed", "ms": 1e300 },
        "switches": { "max_limit": u64::MAX, "audience_lag_ms": u64::MAX, "idempotency_hours": u64::MAX },
        "capacity": { "rows": 1, "environments": 1, "keys": 0 },
        "journal": { "entries": 0, "body": 0, "bytes": 0 },
    });
    let mut sim = Simulator::new(Options::from_json(&script.to_string()).unwrap());
    for n in 0..4 {
        let now = Micros(u64::MAX / 4 * n);
        for (method, target) in [
            ("GET", "/lists?limit=99999999999"),
            ("POST", "/brands"),
            ("PUT", "/audiences/a"),
            ("POST", "/profiles/a"),
        ] {
            let body = json!({ "name": "n", "profile": { "a": 1 }, "filter": { "operator": "EQ", "path": "a", "value": 1 } });
            let reply = sim.handle(
                now,
                Request::new(method, target)
                    .token(&format!("t{n}"))
                    .header("idempotency-key", "k")
                    .json(&body),
            );
            assert!(matches!(reply.status, 200 | 429 | 507), "{}", reply.status);
        }
        sim.clock().step(i64::MAX);
    }
}
