//! Sends, bulk jobs and automations of the connector, in the shapes of Courier's documents.

use crate::common::Courier;
use serde_json::{Value, json};

#[test]
fn the_older_form_of_a_send_is_one_message_for_one_recipient() {
    let mut c = Courier::new();
    let older = json!({ "event": "welcome", "recipient": "u-1", "profile": { "email": "a@example.com" }, "data": {} });
    let sent = c.expect(202, "POST", "/send", older);
    let id = sent["messageId"].as_str().unwrap().to_owned();
    let message = c.expect(200, "GET", &format!("/messages/{id}"), Value::Null);
    assert_eq!((&message["recipient"], &message["event"]), (&json!("u-1"), &json!("welcome")));
    let refused = c.expect(400, "POST", "/send", json!({ "event": "welcome" }));
    assert_eq!(refused["message"], "message: Required");
}

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

#[test]
fn each_filter_of_messages_finds_what_it_names_and_nothing_else() {
    let mut c = Courier::new();
    let send = |c: &mut Courier, ask: Value| {
        c.later(1000);
        c.expect(202, "POST", "/send", json!({ "message": ask }))["requestId"].clone()
    };
    let content = json!({ "title": "a", "body": "b" });
    let tagged = |tags: Value, tenant: &str| json!({ "to": { "email": "a@example.com" }, "content": content, "metadata": { "tags": tags }, "context": { "tenant_id": tenant } });
    let first = send(&mut c, tagged(json!(["x", "y"]), "t-1"));
    let second = send(&mut c, tagged(json!(["x"]), "t-2"));
    let third = send(
        &mut c,
        json!({ "to": { "phone_number": "+390110000000" }, "template": "password-reset" }),
    );
    let all = [&first, &second, &third];
    for (query, wanted) in [
        ("tag=x", [true, true, false]),
        ("tag=y,z", [true, false, false]),
        ("tags=x,y", [true, false, false]),
        ("tenant_id=t-2", [false, true, false]),
        ("provider=twilio", [false, false, true]),
        ("provider=sendgrid,twilio", [true, true, true]),
        ("notification=password-reset", [false, false, true]),
        ("recipient=a@example.com", [true, true, false]),
        ("event=none", [false, false, false]),
        ("list=none", [false, false, false]),
        ("enqueued_after=2026-01-02T03:04:06.500Z", [false, true, true]),
        ("enqueued_after=2026-01-02T03:04:07.000Z", [false, false, true]),
        ("status=SENT", [false, true, false]),
        ("status=DELIVERED,ENQUEUED", [true, false, true]),
    ] {
        let found = c.expect(200, "GET", &format!("/messages?{query}"), Value::Null);
        let ids: Vec<&Value> =
            found["results"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
        assert_eq!(all.map(|id| ids.contains(&id)), wanted, "{query}");
    }
}

#[test]
fn a_request_to_a_list_of_one_is_still_no_message() {
    let mut c = Courier::new();
    c.expect(204, "PUT", "/lists/l/subscriptions/u1", json!({}));
    let ask = json!({ "message": { "to": { "list_id": "l" }, "content": { "title": "a", "body": "b" } } });
    let id = c.expect(202, "POST", "/send", ask)["requestId"].as_str().unwrap().to_owned();
    c.expect(404, "GET", &format!("/messages/{id}"), Value::Null);
    c.expect(202, "PUT", &format!("/requests/{id}/archive"), Value::Null);
    let left = c.expect(200, "GET", "/messages", Value::Null)["results"].clone();
    assert_eq!(left, json!([]));
}

#[test]
fn what_the_call_says_about_a_user_goes_before_the_profile() {
    let mut c = Courier::new();
    c.expect(200, "POST", "/profiles/u", json!({ "profile": { "email": "old@bounce.invalid" } }));
    let to = json!({ "user_id": "u", "email": "new@example.com" });
    let ask = json!({ "message": { "to": to, "content": { "title": "a", "body": "b" } } });
    let id = c.expect(202, "POST", "/send", ask)["requestId"].as_str().unwrap().to_owned();
    c.later(2000);
    assert_eq!(
        c.expect(200, "GET", &format!("/messages/{id}"), Value::Null)["status"],
        "DELIVERED"
    );
}

#[test]
fn a_cancelation_token_takes_back_what_still_lies_ahead() {
    let mut c = Courier::new();
    let run = |steps: Value| json!({ "recipient": "u", "automation": { "cancelation_token": "t1", "steps": steps } });
    let later = json!([{ "action": "send", "template": "password-reset" }, { "action": "delay", "duration": "1 hour" }, { "action": "send", "template": "password-reset" }]);
    c.expect(200, "POST", "/automations/invoke", run(later));
    c.expect(
        200,
        "POST",
        "/automations/invoke",
        run(json!([{ "action": "cancel", "cancelation_token": "other" }])),
    );
    c.expect(
        200,
        "POST",
        "/automations/invoke",
        run(json!([{ "action": "cancel", "cancelation_token": "t1" }])),
    );
    c.later(2 * 3_600_000);
    let left = c.expect(200, "GET", "/messages", Value::Null)["results"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[test]
fn a_bulk_job_reaches_every_user_that_it_took() {
    let mut c = Courier::new();
    let job =
        c.expect(201, "POST", "/bulk", json!({ "message": { "event": "e" } }))["jobId"].clone();
    let path = format!("/bulk/{}", job.as_str().unwrap());
    let users: Vec<Value> = (0..25).map(|n| json!({ "recipient": format!("u{n}") })).collect();
    c.expect(204, "POST", &path, json!({ "users": users }));
    c.expect(202, "POST", &format!("{path}/run"), Value::Null);
    c.later(499);
    assert_eq!(c.expect(200, "GET", &path, Value::Null)["job"]["enqueued"], 0);
    c.later(1);
    let shown = c.expect(200, "GET", &path, Value::Null)["job"].clone();
    assert_eq!(
        shown,
        json!({ "definition": { "event": "e" }, "received": 25, "enqueued": 25, "failures": 0, "status": "PROCESSING" })
    );
    let sent =
        c.expect(200, "GET", &format!("/messages?limit=100&traceId={}", &path[6..]), Value::Null);
    assert_eq!(sent["results"].as_array().unwrap().len(), 25);
}
