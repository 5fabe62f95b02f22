//! Answers of rows beyond the connector have the fields that the SDKs' models require.

use crate::common::Courier;
use serde_json::{Value, json};

const EPOCH: u64 = 1_767_323_045_000;

#[test]
fn what_was_not_sent_is_filled_in_and_what_was_made_once_stays() {
    let mut c = Courier::new();
    let made = c.expect(200, "POST", "/providers", json!({ "provider": "ses", "title": "Mail" }));
    assert_eq!((&made["created"], &made["settings"]), (&json!(EPOCH), &json!({})));
    c.later(5000);
    let path = format!("/providers/{}", made["id"].as_str().unwrap());
    let sent = json!({ "provider": "ses", "title": "Post", "settings": null });
    let put = c.expect(200, "PUT", &path, sent);
    assert_eq!((&put["created"], &put["settings"]), (&json!(EPOCH), &json!({})));
    assert_eq!((&put["title"], &put["version"]), (&json!("Post"), &json!("v2")));
    assert_eq!(c.expect(200, "GET", "/providers", Value::Null)["results"], json!([put]));
}

#[test]
fn what_nobody_wrote_looks_the_same_at_every_read() {
    let mut c = Courier::new();
    let read = |c: &mut Courier| c.expect(200, "GET", "/broadcasts/b", Value::Null);
    let first = read(&mut c);
    assert_eq!((&first["id"], &first["status"]), (&json!("b"), &json!("draft")));
    c.later(1000);
    assert_eq!(read(&mut c), first);
}

#[test]
fn a_template_of_a_journey_is_shown_without_the_wrapping_that_it_came_in() {
    let mut c = Courier::new();
    let sent = json!({ "state": "DRAFT", "notification": { "name": "One", "tags": ["x"] } });
    let made = c.expect(200, "POST", "/journeys/j/templates", sent);
    assert_eq!((&made["name"], &made["tags"]), (&json!("One"), &json!(["x"])));
    assert_eq!(made["notification"], Value::Null);
    c.expect(200, "POST", "/journeys", json!({ "name": "J" }));
    for version in ["published", "draft"] {
        let target = format!("/journeys?version={version}");
        let listed = c.expect(200, "GET", &target, Value::Null);
        assert_eq!(listed["templates"][0]["version"], version);
    }
}

#[test]
fn content_has_checksums_that_follow_it() {
    let mut c = Courier::new();
    let mut put = |text: &str| {
        let elements =
            json!([{ "type": "text", "id": "e", "content": text }, { "type": "divider" }]);
        let body = json!({ "state": "PUBLISHED", "content": { "elements": elements } });
        let answer = c.expect(200, "PUT", "/notifications/nt_1/content", body);
        assert_eq!((&answer["id"], &answer["state"]), (&json!("nt_1"), &json!("PUBLISHED")));
        let read = c.expect(200, "GET", "/notifications/nt_1/content", Value::Null);
        for at in 0..2 {
            let (told, shown) = (&answer["elements"][at], &read["elements"][at]);
            assert!(told["checksum"].is_string());
            assert_eq!((&told["id"], &told["checksum"]), (&shown["id"], &shown["checksum"]));
        }
        assert_eq!(read["elements"][0]["content"], text);
        answer["elements"].clone()
    };
    let (one, other, again) = (put("one"), put("other"), put("one"));
    assert_ne!(one[0], other[0]);
    assert_eq!((&one[1], &one), (&other[1], &again));
}

#[test]
fn preferences_of_a_user_are_told_by_topic() {
    let mut c = Courier::new();
    let out = json!({ "topic": { "status": "OPTED_OUT", "custom_routing": ["email"], "has_custom_routing": true } });
    c.expect(200, "PUT", "/users/u/preferences/t-1", out);
    let topic = c.expect(200, "GET", "/users/u/preferences/t-1", Value::Null)["topic"].clone();
    let wanted = json!({
        "topic_id": "t-1", "topic_name": "t-1", "default_status": "OPTED_IN", "status": "OPTED_OUT",
        "custom_routing": ["email"], "has_custom_routing": true,
    });
    assert_eq!(topic, wanted);
    let two = json!({ "topics": [{ "topic_id": "t-2", "status": "OPTED_OUT" }, {}] });
    let answer = c.expect(200, "POST", "/users/u/preferences", two);
    assert_eq!(
        (&answer["items"][0]["topic_id"], &answer["items"][1]),
        (&json!("t-2"), &Value::Null)
    );
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
    let listed = |c: &mut Courier| {
        let rows = c.expect(200, "GET", "/users/u/preferences", Value::Null)["items"].clone();
        rows.as_array().unwrap().iter().map(|row| row["topic_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut c), ["t-1", "t-2"]);
    let one = json!({ "topics": [{ "topic_id": "t-3", "status": "OPTED_IN" }] });
    let answer = c.expect(200, "PUT", "/users/u/preferences", one);
    assert_eq!(answer["deleted"], json!(["t-1", "t-2"]));
    assert_eq!(listed(&mut c), ["t-3"]);
}

#[test]
fn actions_answer_in_forms_of_their_own() {
    let mut c = Courier::new();
    for version in [1, 2] {
        let page = c.expect(200, "POST", "/preferences/publish", json!({}));
        assert_eq!(page["published_version"], version);
    }
    let by_token = c.expect(200, "POST", "/journeys/cancel", json!({ "cancelation_token": "x" }));
    assert_eq!(by_token, json!({ "cancelation_token": "x" }));
    let run = c.expect(200, "POST", "/journeys/j/invoke", json!({}))["runId"].clone();
    for (id, status) in [(run, "PROCESSED"), (json!("unknown"), "CANCELED")] {
        let canceled = c.expect(200, "POST", "/journeys/cancel", json!({ "run_id": id }));
        assert_eq!(canceled, json!({ "run_id": id, "status": status }));
    }
    let metrics = c.expect(200, "GET", "/notifications/n/metrics?granularity=HOUR", Value::Null);
    let wanted = json!({
        "notificationId": "n", "granularity": "HOUR", "series": [],
        "start": "2025-12-26T03:04:05.000Z", "end": "2026-01-02T03:04:05.000Z",
    });
    assert_eq!(metrics, wanted);
}

#[test]
fn a_message_always_names_an_event_and_a_template() {
    let mut c = Courier::new();
    for (ask, event, template) in [
        (json!({ "template": "t" }), "t", "t"),
        (json!({ "event": "e" }), "e", "e"),
        (json!({ "event": "e", "template": "t" }), "e", "t"),
        (json!({ "content": { "title": "a", "body": "b" } }), "", ""),
    ] {
        let mut message = ask;
        message["to"] = json!({ "user_id": "u" });
        let sent = c.expect(202, "POST", "/send", json!({ "message": message }));
        let path = format!("/messages/{}", sent["requestId"].as_str().unwrap());
        let shown = c.expect(200, "GET", &path, Value::Null);
        assert_eq!((&shown["event"], &shown["notification"]), (&json!(event), &json!(template)));
    }
    let of_template = c.expect(200, "GET", "/messages?event=t", Value::Null);
    assert_eq!(of_template["results"].as_array().unwrap().len(), 1);
}

#[test]
fn schedules_of_a_digest_get_ids_and_keep_those_that_are_sent() {
    let mut c = Courier::new();
    let sent = |schedules: Value| json!({ "name": "Weekly", "digest": { "template_id": "T", "schedules": schedules } });
    let one = sent(json!([{ "frequency": "instant" }]));
    let made = c.expect(200, "POST", "/preferences/sections/s/topics", one);
    let schedule = made["digest"]["schedules"][0]["schedule_id"].clone();
    assert!(schedule.as_str().unwrap().starts_with("sch_"));
    assert_eq!(made["digest"]["categories"], json!([]));
    let path = format!("/preferences/sections/s/topics/{}", made["id"].as_str().unwrap());
    assert_eq!(c.expect(200, "GET", &path, Value::Null), made);
    let two = json!([{ "frequency": "daily", "schedule_id": schedule }, { "frequency": "weekly" }]);
    let put = c.expect(200, "PUT", &path, sent(two));
    assert_eq!(put["digest"]["schedules"][0]["schedule_id"], schedule);
    assert_ne!(put["digest"]["schedules"][1]["schedule_id"], schedule);
    assert_eq!(c.expect(200, "GET", &path, Value::Null), put);
}
