//! Sends, bulk jobs and automations of the connector, in the shapes of Courier's documents.

use crate::common::Courier;
use serde_json::{Value, json};

#[test]
fn a_send_lives_through_its_steps_and_is_hidden_once_archived() {
    let mut c = Courier::new();
    let message = json!({ "message": { "to": { "email": "a@example.com" }, "content": { "title": "Hi", "body": "There" } } });
    let sent = c.expect(202, "POST", "/send", message);
    let id = sent["requestId"].as_str().unwrap().to_owned();
    assert_eq!(c.expect(200, "GET", &format!("/messages/{id}"), Value::Null)["status"], "ENQUEUED");
    c.later(1000);
    assert_eq!(
        c.expect(200, "GET", &format!("/messages/{id}"), Value::Null)["providers"][0]["provider"],
        "sendgrid"
    );
    c.later(1000);
    let history =
        c.expect(200, "GET", &format!("/messages/{id}/history?type=DELIVERED"), Value::Null);
    assert_eq!(history["results"][0]["ts"], 1_767_323_047_000_u64);
    let output = c.expect(200, "GET", &format!("/messages/{id}/output"), Value::Null);
    assert_eq!(output["results"][0]["content"]["subject"], "Hi");
    let listed = c.expect(200, "GET", "/messages?status=SENT%2CDELIVERED", Value::Null);
    assert_eq!(listed["results"][0]["id"], json!(id));
    let archived = c.call("PUT", &format!("/requests/{id}/archive"), Value::Null);
    assert_eq!(
        (archived.status, archived.body.len(), archived.field("content-type")),
        (202, 0, None)
    );
    assert_eq!(c.expect(200, "GET", "/messages", Value::Null)["results"], json!([]));
    assert_eq!(
        c.expect(200, "GET", "/messages?archived=true", Value::Null)["results"][0]["id"],
        json!(id)
    );
    assert_eq!(
        c.expect(404, "GET", "/messages/1-0-0", Value::Null)["message"],
        "Message Not Found"
    );
}

#[test]
fn a_message_without_a_contact_is_unroutable_and_one_without_a_template_unmapped() {
    let mut c = Courier::new();
    for (ask, status) in [
        (
            json!({ "to": { "user_id": "nobody" }, "content": { "title": "a", "body": "b" } }),
            "UNROUTABLE",
        ),
        (json!({ "to": { "email": "a@example.com" }, "template": "unheard-of" }), "UNMAPPED"),
        (json!({ "to": { "email": "a@example.com" }, "template": "password-reset" }), "DELIVERED"),
        (
            json!({ "to": { "email": "a@bounce.invalid" }, "content": { "title": "a", "body": "b" } }),
            "UNDELIVERABLE",
        ),
    ] {
        let id = c.expect(202, "POST", "/send", json!({ "message": ask }))["requestId"]
            .as_str()
            .unwrap()
            .to_owned();
        c.later(3000);
        assert_eq!(c.expect(200, "GET", &format!("/messages/{id}"), Value::Null)["status"], status);
    }
}

#[test]
fn a_send_to_a_list_fans_out_and_its_request_id_is_no_message() {
    let mut c = Courier::new();
    let recipients = json!({ "recipients": [{ "recipientId": "u1" }, { "recipientId": "u2" }] });
    c.expect(204, "POST", "/lists/news.eu/subscriptions", recipients);
    let ask = json!({ "message": { "to": { "list_id": "news.eu" }, "content": { "title": "a", "body": "b" } } });
    let id = c.expect(202, "POST", "/send", ask)["requestId"].as_str().unwrap().to_owned();
    c.expect(404, "GET", &format!("/messages/{id}"), Value::Null);
    let found = c.expect(200, "GET", &format!("/messages?traceId={id}"), Value::Null);
    assert_eq!(found["results"].as_array().unwrap().len(), 2);
    assert_eq!(found["results"][0]["listId"], "news.eu");
}

#[test]
fn a_bulk_job_runs_once_and_reports_duplicates() {
    let mut c = Courier::new();
    let id = c.expect(
        201,
        "POST",
        "/bulk",
        json!({ "message": { "event": "password-reset" } }),
    )["jobId"]
        .as_str()
        .unwrap()
        .to_owned();
    c.sim.options().switches.statuses.insert("bulk.users.add".into(), 200);
    let users = json!({ "users": [{ "profile": { "email": "a@example.com" } }, { "profile": { "email": "a@example.com" } }] });
    let taken = c.expect(200, "POST", &format!("/bulk/{id}"), users.clone());
    assert_eq!(
        (&taken["total"], &taken["errors"][0]["error"]),
        (&json!(1), &json!("Duplicate user"))
    );
    assert_eq!(
        c.expect(200, "GET", &format!("/bulk/{id}"), Value::Null)["job"]["status"],
        "CREATED"
    );
    assert_eq!(c.call("POST", &format!("/bulk/{id}/run"), Value::Null).status, 202);
    c.expect(400, "POST", &format!("/bulk/{id}/run"), Value::Null);
    c.expect(400, "POST", &format!("/bulk/{id}"), users);
    assert_eq!(
        c.expect(200, "GET", &format!("/bulk/{id}"), Value::Null)["job"]["status"],
        "PROCESSING"
    );
    c.later(2000);
    let job = c.expect(200, "GET", &format!("/bulk/{id}"), Value::Null);
    assert_eq!((&job["job"]["status"], &job["job"]["enqueued"]), (&json!("COMPLETED"), &json!(1)));
    let user = &c.expect(200, "GET", &format!("/bulk/{id}/users"), Value::Null)["items"][0];
    let message = user["messageId"].as_str().unwrap();
    assert_eq!(
        c.expect(200, "GET", &format!("/messages/{message}"), Value::Null)["recipient"],
        "a@example.com"
    );
}

#[test]
fn automations_run_and_a_delay_holds_what_follows() {
    let mut c = Courier::new();
    c.expect(400, "POST", "/automations/T1/invoke", json!({}));
    let run = c.expect(
        200,
        "POST",
        "/automations/T1/invoke",
        json!({ "recipient": "u-7", "data": { "n": 1 } }),
    );
    assert!(run["runId"].as_str().unwrap().starts_with("1-"));
    c.expect(200, "POST", "/profiles/u-7", json!({ "profile": { "email": "a@example.com" } }));
    let steps = json!([{ "action": "delay", "duration": "2 hours" }, { "action": "send", "template": "password-reset" }]);
    c.expect(
        200,
        "POST",
        "/automations/invoke",
        json!({ "recipient": "u-7", "automation": { "cancelation_token": "t1", "steps": steps } }),
    );
    assert_eq!(c.expect(200, "GET", "/messages", Value::Null)["results"], json!([]));
    c.later(2 * 3_600_000 + 3000);
    assert_eq!(c.expect(200, "GET", "/messages", Value::Null)["results"][0]["status"], "DELIVERED");
    c.expect(
        400,
        "POST",
        "/automations/invoke",
        json!({ "automation": { "steps": [{ "action": "fly" }] } }),
    );
}
