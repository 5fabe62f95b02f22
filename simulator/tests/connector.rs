//! The 36 operations of the connector, in the shapes of Courier's documents.

use serde_json::{Value, json};
use simulator::{Micros, Options, Reply, Request, Simulator};

/// A simulator with a time that the test moves.
struct Courier {
    sim: Simulator,
    now: Micros,
}

impl Courier {
    fn new() -> Self {
        Self { sim: Simulator::new(Options::seeded(7)), now: Micros::ZERO }
    }

    fn later(&mut self, ms: u64) {
        self.now = self.now + Micros::from_millis(ms);
    }

    fn call(&mut self, method: &str, target: &str, body: Value) -> Reply {
        let request = Request::new(method, target).token("acme");
        let request = if body.is_null() { request } else { request.json(&body) };
        self.sim.handle(self.now, request)
    }

    fn expect(&mut self, status: u16, method: &str, target: &str, body: Value) -> Value {
        let reply = self.call(method, target, body);
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.value());
        reply.value()
    }
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
fn brands_have_ids_of_28_characters_and_the_default_one_stays() {
    let mut c = Courier::new();
    let made = c.expect(
        200,
        "POST",
        "/brands",
        json!({ "name": "Acme", "settings": { "colors": { "primary": "#112233" } } }),
    );
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), made["created"].as_u64()), (28, Some(1_767_323_045_000)));
    assert_eq!(c.expect(200, "GET", &format!("/brands/{id}"), Value::Null), made);
    assert_eq!(
        c.expect(404, "GET", "/brands/none", Value::Null),
        json!({ "message": "Not Found", "type": "invalid_request_error" })
    );
    c.expect(409, "POST", "/brands", json!({ "id": id, "name": "Again" }));
    c.expect(400, "POST", "/brands", Value::Null);
    c.expect(409, "DELETE", "/brands/default", Value::Null);
    assert_eq!(
        c.expect(200, "GET", "/brands", Value::Null)["results"].as_array().unwrap().len(),
        2
    );
    c.expect(204, "DELETE", &format!("/brands/{id}"), Value::Null);
    c.expect(404, "GET", &format!("/brands/{id}"), Value::Null);
}

#[test]
fn a_deleted_list_comes_back_with_its_subscribers() {
    let mut c = Courier::new();
    c.expect(204, "PUT", "/lists/news.eu", json!({ "name": "EU" }));
    c.expect(400, "PUT", "/lists/news.eu", json!({}));
    c.expect(
        204,
        "POST",
        "/lists/news.eu/subscriptions",
        json!({ "recipients": [{ "recipientId": "u-7" }] }),
    );
    c.expect(204, "DELETE", "/lists/news.eu", Value::Null);
    c.expect(404, "GET", "/lists/news.eu", Value::Null);
    assert_eq!(c.expect(200, "GET", "/lists", Value::Null)["results"], json!([]));
    c.expect(204, "PUT", "/lists/news.eu/restore", Value::Null);
    assert_eq!(
        c.expect(200, "GET", "/lists?pattern=news.*", Value::Null)["results"][0]["name"],
        "EU"
    );
    assert_eq!(
        c.expect(200, "GET", "/lists/news.eu/subscriptions", Value::Null)["items"][0]["recipientId"],
        "u-7"
    );
    c.expect(204, "DELETE", "/lists/news.eu/subscriptions/u-7", Value::Null);
    c.expect(404, "DELETE", "/lists/news.eu/subscriptions/u-7", Value::Null);
}

#[test]
fn an_audience_follows_profiles_a_moment_later() {
    let mut c = Courier::new();
    let filter = json!({ "operator": "AND", "filters": [{ "operator": "EQ", "path": "title", "value": "engineer" }] });
    let put = c.expect(200, "PUT", "/audiences/devs", json!({ "name": "Devs", "filter": filter }));
    assert_eq!(put["audience"]["created_at"], "2026-01-02T03:04:05.000Z");
    c.expect(200, "POST", "/profiles/u-7", json!({ "profile": { "title": "engineer" } }));
    assert_eq!(c.expect(200, "GET", "/audiences/devs/members", Value::Null)["items"], json!([]));
    c.later(1000);
    let members = c.expect(200, "GET", "/audiences/devs/members", Value::Null);
    assert_eq!(members["items"][0]["member_id"], "u-7");
    assert_eq!(members["items"][0]["reason"], "AND(EQ('title', 'engineer')) => true");
    assert_eq!(c.expect(200, "GET", "/audiences", Value::Null)["items"][0]["id"], "devs");
    let bad = c.expect(
        400,
        "PUT",
        "/audiences/x",
        json!({ "filter": { "operator": "LIKE", "path": "a" } }),
    );
    assert!(
        bad["message"]
            .as_str()
            .unwrap()
            .starts_with("filter operator should be equal to one of the allowed values AND, EQ")
    );
    c.expect(204, "DELETE", "/audiences/devs", Value::Null);
    c.expect(404, "GET", "/audiences/devs", Value::Null);
}

#[test]
fn profiles_merge_patch_and_go() {
    let mut c = Courier::new();
    c.expect(404, "GET", "/profiles/a%2F1", Value::Null);
    assert_eq!(
        c.expect(
            200,
            "POST",
            "/profiles/a%2F1",
            json!({ "profile": { "email": "a@example.com", "x": { "y": 1 } } })
        ),
        json!({ "status": "SUCCESS" })
    );
    c.expect(200, "POST", "/profiles/a%2F1", json!({ "profile": { "x": { "z": 2 } } }));
    c.expect(
        204,
        "PATCH",
        "/profiles/a%2F1",
        json!({ "patch": [{ "op": "replace", "path": "/email", "value": "b@example.com" }] }),
    );
    c.expect(204, "PATCH", "/profiles/a%2F1", json!([{ "op": "remove", "path": "/x/y" }]));
    let read = c.expect(200, "GET", "/profiles/a%2f1", Value::Null);
    assert_eq!(read["profile"], json!({ "email": "b@example.com", "x": { "z": 2 } }));
    c.expect(
        400,
        "PATCH",
        "/profiles/a%2F1",
        json!({ "patch": [{ "op": "remove", "path": "/none" }] }),
    );
    c.expect(204, "DELETE", "/profiles/a%2F1", Value::Null);
    c.expect(404, "GET", "/profiles/a%2F1", Value::Null);
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
fn audit_events_and_templates_are_listed() {
    let mut c = Courier::new();
    c.expect(204, "PUT", "/lists/a", json!({ "name": "A" }));
    c.expect(200, "POST", "/brands", json!({ "name": "B" }));
    let events = c.expect(200, "GET", "/audit-events", Value::Null);
    assert_eq!(events["results"][0]["type"], "brand:created");
    let id = events["results"][1]["auditEventId"].as_str().unwrap();
    assert_eq!(id.len(), 21);
    assert_eq!(
        c.expect(200, "GET", &format!("/audit-events/{id}"), Value::Null)["type"],
        "list:updated"
    );
    c.expect(404, "GET", "/audit-events/none", Value::Null);
    let templates = c.expect(200, "GET", "/notifications", Value::Null);
    assert_eq!(templates["results"][0]["title"], "Password reset");
    assert!(templates["results"][1]["id"].as_str().unwrap().starts_with("nt_"));
    let tagged = c.expect(200, "GET", "/notifications?tags=auth", Value::Null);
    assert_eq!(tagged["results"].as_array().unwrap().len(), 1);
}

#[test]
fn cursors_walk_through_all_pages_and_bad_ones_are_refused() {
    let mut c = Courier::new();
    c.sim.set_limits(Vec::new());
    for n in 0..23 {
        c.expect(204, "PUT", &format!("/lists/l{n}"), json!({ "name": "n" }));
    }
    let (mut seen, mut target) = (Vec::new(), "/lists".to_owned());
    loop {
        let page = c.expect(200, "GET", &target, Value::Null);
        seen.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|l| l["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["paging"]["cursor"].as_str() else {
            break;
        };
        target = format!("/lists?cursor={}", cursor.replace('=', "%3D").replace('+', "%2B"));
    }
    assert_eq!(seen, (0..23).map(|n| format!("l{n}")).collect::<Vec<_>>());
    assert_eq!(
        c.expect(400, "GET", "/lists?cursor=nonsense", Value::Null)["message"],
        "Invalid cursor format"
    );
    assert_eq!(
        c.expect(200, "GET", "/lists?limit=100", Value::Null)["paging"],
        json!({ "more": false })
    );
}
