//! Behaviours in which the SDK suites once found the simulator unlike Courier.

use crate::common::Courier;
use crate::raw::{exchange, server};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn a_204_never_has_a_framing_field_and_ends_with_its_head() {
    for fault in [r#"{"chunked":true}"#, r#"{"wire":{"kind":"close_delimited"}}"#, "{}"] {
        let put = format!(
            "PUT /translations/d/it HTTP/1.1\r\nauthorization: Bearer t\r\nconnection: close\r\ncontent-length: 1\r\nx-simulator-fault: {fault}\r\n\r\n#"
        );
        let answer = exchange(&server(), put).await;
        assert!(answer.starts_with("HTTP/1.1 204 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(!answer.contains("transfer-encoding") && !answer.contains("content-length"));
    }
}

#[test]
fn json_without_a_body_is_a_trap_on_every_row() {
    let mut c = Courier::new();
    c.expect(200, "POST", "/profiles/u", json!({ "profile": {} }));
    c.sim.faults().add(
        serde_json::from_value(json!({ "effect": { "answer": { "kind": "empty_json" } } }))
            .unwrap(),
    );
    let patched = c.call("PATCH", "/profiles/u", json!({ "patch": [] }));
    assert_eq!((patched.status, patched.body.len()), (200, 0));
    assert_eq!(patched.field("content-type"), Some("application/json"));
    assert_eq!(c.call("GET", "/brands", Value::Null).status, 200);
}

#[test]
fn versions_are_texts_and_grow_by_one() {
    let mut c = Courier::new();
    assert_eq!(c.expect(200, "GET", "/journeys/j", Value::Null)["version"], "v0");
    for version in ["v1", "v2"] {
        let put = c.expect(200, "PUT", "/notifications/nt_1/content", json!({ "content": {} }));
        assert_eq!(put["version"], version);
    }
    let made = c.expect(200, "POST", "/journeys", json!({ "name": "J" }));
    assert_eq!(made["version"], "v1");
    let target = format!("/journeys/{}/publish", made["id"].as_str().unwrap());
    assert_eq!(c.expect(200, "POST", &target, Value::Null)["version"], "v2");
}

#[test]
fn an_envelope_names_the_path_that_was_asked_for() {
    let mut c = Courier::new();
    for path in ["/tenants", "/tenants/a%2Fb/users", "/users/u%201/tenants", "/tenants/t/templates"]
    {
        let listed = c.expect(200, "GET", &format!("{path}?limit=5"), Value::Null);
        assert_eq!((&listed["url"], &listed["type"]), (&json!(path), &json!("list")));
    }
}

#[test]
fn listings_of_runs_steps_versions_and_checks_have_the_names_that_the_sdks_read() {
    let mut c = Courier::new();
    for (path, name) in [
        ("/automations/runs", "runs"),
        ("/journeys/runs", "runs"),
        ("/journeys/runs/r/steps", "steps"),
        ("/notifications/nt_1/versions", "versions"),
        ("/notifications/nt_1/s/checks", "checks"),
        ("/preferences/logs", "items"),
    ] {
        assert_eq!(c.expect(200, "GET", path, Value::Null)[name], json!([]), "{path}");
    }
    let checks = json!({ "checks": [{ "id": "c-1", "status": "PENDING", "type": "custom" }] });
    c.expect(200, "PUT", "/notifications/nt_1/s/checks", checks);
    let listed = c.expect(200, "GET", "/notifications/nt_1/s/checks", Value::Null);
    let check = json!({ "id": "c-1", "status": "PENDING", "type": "custom", "updated": 1_767_323_045_000_u64 });
    assert_eq!(listed, json!({ "checks": [check] }));
    let id = c.expect(200, "POST", "/journeys/j/invoke", json!({}))["runId"].clone();
    let run =
        c.expect(200, "GET", &format!("/journeys/runs/{}", id.as_str().unwrap()), Value::Null);
    assert_eq!((&run["run"]["run_id"], &run["run"]["template_id"]), (&id, &json!("j")));
}

#[test]
fn a_users_tenants_show_from_both_sides_and_go_from_both() {
    let mut c = Courier::new();
    let two = json!({ "tenants": [{ "tenant_id": "t-1" }, { "tenant_id": "t-2", "profile": { "role": "admin" } }] });
    c.expect(204, "PUT", "/users/u-1/tenants", two);
    c.expect(204, "PUT", "/users/u-1/tenants/t-3", json!({}));
    c.expect(400, "PUT", "/users/u-1/tenants", json!({ "tenants": [{}] }));
    let ids = |c: &mut Courier, path: &str, id: &str| -> Vec<Value> {
        let items = c.expect(200, "GET", path, Value::Null)["items"].clone();
        items.as_array().unwrap().iter().map(|i| i[id].clone()).collect()
    };
    assert_eq!(ids(&mut c, "/users/u-1/tenants", "tenant_id"), ["t-1", "t-2", "t-3"]);
    let users = c.expect(200, "GET", "/tenants/t-2/users", Value::Null)["items"].clone();
    let member = json!({ "user_id": "u-1", "tenant_id": "t-2", "type": "user", "profile": { "role": "admin" } });
    assert_eq!(users, json!([member]));
    c.expect(204, "DELETE", "/users/u-1/tenants/t-2", Value::Null);
    assert_eq!(ids(&mut c, "/tenants/t-2/users", "user_id"), Vec::<Value>::new());
    assert_eq!(ids(&mut c, "/users/u-1/tenants", "tenant_id"), ["t-1", "t-3"]);
    c.expect(204, "DELETE", "/users/u-1/tenants", Value::Null);
    assert_eq!(ids(&mut c, "/users/u-1/tenants", "tenant_id"), Vec::<Value>::new());
    assert_eq!(ids(&mut c, "/tenants/t-3/users", "user_id"), Vec::<Value>::new());
}

#[test]
fn a_users_token_is_patched_and_not_overwritten_by_the_patch() {
    let mut c = Courier::new();
    let token = json!({ "provider_key": "apn", "properties": { "n": 1 } });
    c.expect(204, "PUT", "/users/u/tokens/d-1", token);
    let patch =
        json!({ "patch": [{ "op": "replace", "path": "/properties", "value": { "n": 2 } }] });
    c.expect(204, "PATCH", "/users/u/tokens/d-1", patch);
    let read = c.expect(200, "GET", "/users/u/tokens/d-1", Value::Null);
    let wanted = json!({ "token": "d-1", "provider_key": "apn", "properties": { "n": 2 }, "status": "active" });
    assert_eq!(read, wanted);
    let bad = json!({ "patch": [{ "op": "replace", "path": "/none", "value": 1 }] });
    c.expect(400, "PATCH", "/users/u/tokens/d-1", bad);
    c.expect(204, "PUT", "/users/u/tokens", json!({ "tokens": [{ "token": "d-2" }] }));
    let all = c.expect(200, "GET", "/users/u/tokens", Value::Null)["tokens"].clone();
    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &wanted));
}

#[test]
fn a_delayed_message_waits_and_can_be_canceled_until_it_goes_on() {
    let mut c = Courier::new();
    let ask = |delay: Value| json!({ "message": { "to": { "email": "a@example.com" }, "content": { "title": "a", "body": "b" }, "delay": delay } });
    let sent = |c: &mut Courier, delay: Value| {
        let id = c.expect(202, "POST", "/send", ask(delay))["requestId"].clone();
        format!("/messages/{}", id.as_str().unwrap())
    };
    let status =
        |c: &mut Courier, id: &str| c.expect(200, "GET", id, Value::Null)["status"].clone();
    let first = sent(&mut c, json!({ "duration": 60_000 }));
    let second = sent(&mut c, json!({ "until": "2026-01-02T03:05:05Z" }));
    let third = sent(&mut c, json!({ "until": "2020-01-01" }));
    c.later(59_999);
    assert_eq!(
        [&first, &second, &third].map(|id| status(&mut c, id)),
        ["DELAYED", "DELAYED", "DELIVERED"]
    );
    assert_eq!(
        c.expect(200, "POST", &format!("{first}/cancel"), Value::Null)["status"],
        "CANCELED"
    );
    c.later(1001);
    assert_eq!([&first, &second].map(|id| status(&mut c, id)), ["CANCELED", "SENT"]);
    let late = c.expect(409, "POST", &format!("{second}/cancel"), Value::Null);
    assert_eq!(late["sent"], 1_767_323_106_000_u64);
}

#[test]
fn a_run_waits_for_its_delay_and_is_processed_after_it() {
    let mut c = Courier::new();
    let steps = json!([{ "action": "delay", "duration": "1 hour" }, { "action": "send", "template": "password-reset", "recipient": "u" }]);
    let run =
        c.expect(200, "POST", "/automations/invoke", json!({ "automation": { "steps": steps } }));
    let path = format!("/automations/runs/{}", run["runId"].as_str().unwrap());
    for (ms, status, listed) in [(3_599_999, "WAITING", 0), (1, "PROCESSED", 1)] {
        c.later(ms);
        assert_eq!(c.expect(200, "GET", &path, Value::Null)["status"], status);
        let steps = c.expect(200, "GET", &format!("{path}/steps"), Value::Null)["steps"].clone();
        assert_eq!((&steps[1]["action"], &steps[1]["status"]), (&json!("send"), &json!(status)));
        let found = c.expect(200, "GET", "/automations/runs?status=PROCESSED", Value::Null);
        assert_eq!(found["runs"].as_array().unwrap().len(), listed);
    }
}

#[test]
fn a_listing_holds_its_rows_where_every_sdk_reads_them() {
    let mut c = Courier::new();
    let keys = |c: &mut Courier, target: &str| {
        let page = c.expect(200, "GET", target, Value::Null);
        page.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(&mut c, "/lists"), "items paging");
    assert_eq!(keys(&mut c, "/journeys/j/templates/t/versions"), "paging versions");
    let digests = keys(&mut c, "/digests/schedules/s/instances");
    assert_eq!(digests, "cursor has_more items type url");
    c.sim.options().switches.lists_results = true;
    assert_eq!(keys(&mut c, "/lists"), "paging results");
    assert_eq!(keys(&mut c, "/audiences"), "items paging", "one listing alone is disputed");
}
