//! Every row of the catalogue answers, and nothing else does.

use serde_json::{Value, json};
use simulator::{CATALOGUE, Micros, Options, Request, Simulator};

/// A body that each row's checks accept.
fn body(id: &str) -> Value {
    match id {
        "brands.create" | "brands.put" | "lists.put" => json!({ "name": "N" }),
        "lists.subscriptions.add" | "lists.subscriptions.replace" => {
            json!({ "recipients": [{ "recipientId": "u" }] })
        }
        "bulk.create" => json!({ "message": { "event": "e" } }),
        "bulk.users.add" => json!({ "users": [{ "recipient": "u" }] }),
        "messages.send" => {
            json!({ "message": { "to": { "user_id": "u" }, "content": { "title": "a", "body": "b" } } })
        }
        "messages.send_list" => json!({ "list": "l", "event": "e" }),
        "automations.invoke" => json!({ "recipient": "u" }),
        "automations.invoke_adhoc" => {
            json!({ "automation": { "steps": [{ "action": "delay", "duration": "1 hour" }] } })
        }
        "profiles.merge" | "profiles.put" => json!({ "profile": {} }),
        "profiles.patch" => json!({ "patch": [] }),
        "notifications.create" => json!({ "notification": { "name": "N", "content": {} } }),
        "auth.issue_token" => json!({ "scope": "user_id:u" }),
        _ => json!({}),
    }
}

#[test]
fn each_row_beyond_the_connector_answers_alone_with_its_status() {
    for row in CATALOGUE.rows().filter(|r| r.connector.is_none()) {
        let mut sim = Simulator::new(Options::seeded(1));
        let path: Vec<&str> =
            row.path.split('/').map(|s| if s.starts_with('{') { "x%2F1" } else { s }).collect();
        let request = Request::new(&row.method, &path.join("/")).token("t");
        let request = if row.is_read() { request } else { request.json(&body(&row.id)) };
        let reply = sim.handle(Micros::ZERO, request);
        assert_eq!(reply.status, row.statuses[0], "{}: {}", row.id, reply.value());
        assert_eq!(sim.journal().entries().last().unwrap().operation.as_ref(), Some(&row.id));
    }
}

#[test]
fn each_connector_row_succeeds_or_says_not_found() {
    for row in CATALOGUE.rows().filter(|r| r.connector.is_some()) {
        let mut sim = Simulator::new(Options::seeded(1));
        let path: Vec<&str> =
            row.path.split('/').map(|s| if s.starts_with('{') { "x" } else { s }).collect();
        let reply = sim.handle(
            Micros::ZERO,
            Request::new(&row.method, &path.join("/")).token("t").json(&body(&row.id)),
        );
        assert!(
            reply.status == row.statuses[0] || reply.status == 404,
            "{}: {}",
            row.id,
            reply.status
        );
    }
}

#[test]
fn every_cleared_collection_of_a_write_gets_a_new_version_that_its_reads_show() {
    let mut sim = Simulator::new(Options::seeded(1));
    let read = |sim: &mut Simulator| {
        sim.handle(Micros::ZERO, Request::new("GET", "/tenants/t1").token("t"))
    };
    assert_eq!(read(&mut sim).field("x-simulator-versions"), Some("tenants=0"));
    let put = sim.handle(
        Micros::ZERO,
        Request::new("PUT", "/tenants/t1").token("t").json(&json!({ "name": "One" })),
    );
    assert_eq!((put.status, put.value()["version"].as_str()), (200, Some("v1")));
    let now = read(&mut sim);
    assert_eq!(
        (now.field("x-simulator-versions"), now.value()["name"].as_str()),
        (Some("tenants=1"), Some("One"))
    );
    let list = sim.handle(Micros::ZERO, Request::new("GET", "/tenants").token("t")).value();
    assert_eq!(
        (&list["items"][0]["id"], &list["has_more"], &list["type"]),
        (&json!("t1"), &json!(false), &json!("list"))
    );
}

#[test]
fn unknown_paths_and_methods_are_404_in_the_usual_shape() {
    let mut sim = Simulator::new(Options::seeded(1));
    for (method, path) in
        [("GET", "/nothing"), ("GET", "/lists/"), ("DELETE", "/brands"), ("GET", "/Brands")]
    {
        let reply = sim.handle(Micros::ZERO, Request::new(method, path).token("t"));
        assert_eq!(
            (reply.status, reply.value()),
            (404, json!({ "message": "Not Found", "type": "invalid_request_error" })),
            "{path}"
        );
    }
}
