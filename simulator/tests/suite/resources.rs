//! Brands, lists, audiences, profiles, events and templates have the shapes of Courier's documents.

use crate::common::Courier;
use serde_json::{Value, json};

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
    assert_eq!(c.expect(200, "GET", "/lists", Value::Null)["items"], json!([]));
    c.expect(204, "PUT", "/lists/news.eu/restore", Value::Null);
    assert_eq!(
        c.expect(200, "GET", "/lists?pattern=news.*", Value::Null)["items"][0]["name"],
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
fn subscribing_again_changes_the_preferences_and_not_when_it_began() {
    let mut c = Courier::new();
    for (ms, preferences) in [(0, json!({ "n": 1 })), (5000, json!({ "n": 2 }))] {
        c.later(ms);
        let one = json!({ "recipients": [{ "recipientId": "u", "preferences": preferences }] });
        c.expect(204, "POST", "/lists/l/subscriptions", one);
        let items = c.expect(200, "GET", "/lists/l/subscriptions", Value::Null)["items"].clone();
        let wanted = json!({ "recipientId": "u", "created": "2026-01-02T03:04:05.000Z", "preferences": preferences });
        assert_eq!(items, json!([wanted]));
    }
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
fn a_profile_write_long_after_the_audience_waits_for_its_moment_too() {
    let mut c = Courier::new();
    let filter = json!({ "operator": "GT", "path": "age", "value": 17 });
    c.expect(200, "PUT", "/audiences/adults", json!({ "filter": filter }));
    let members = |c: &mut Courier| {
        let items = c.expect(200, "GET", "/audiences/adults/members", Value::Null)["items"].clone();
        items.as_array().unwrap().len()
    };
    // Nobody has read since the audience was put. Its computation must not see what is written now.
    c.later(5000);
    c.expect(200, "POST", "/profiles/u", json!({ "profile": { "age": 30 } }));
    assert_eq!(members(&mut c), 0);
    c.later(999);
    assert_eq!(members(&mut c), 0);
    c.later(1);
    assert_eq!(members(&mut c), 1);
    c.expect(204, "DELETE", "/profiles/u", Value::Null);
    assert_eq!(members(&mut c), 1);
    c.later(1000);
    assert_eq!(members(&mut c), 0);
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
    for root in [json!(5), json!([]), Value::Null] {
        let patch = json!([{ "op": "add", "path": "/n", "value": 1 }, { "op": "replace", "path": "", "value": root }]);
        c.expect(400, "PATCH", "/profiles/a%2F1", patch);
    }
    c.expect(400, "PUT", "/users/a%2F1", json!({ "profile": 5 }));
    assert_eq!(c.expect(200, "GET", "/profiles/a%2F1", Value::Null), read);
    c.expect(204, "DELETE", "/profiles/a%2F1", Value::Null);
    c.expect(404, "GET", "/profiles/a%2F1", Value::Null);
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
            page["items"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap().to_owned()),
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
