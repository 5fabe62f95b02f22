//! Templates. A listing mixes V1 and V2 rows (OA). The API writes V2 drafts, which can be
//! published.

use serde_json::{Value, json};

use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::ids::Ids;
use crate::model::Release;
use crate::state::State;
use crate::table::Order;
use crate::time::Wall;

/// Stores a published V1 template, a published V2 template and a draft.
pub(super) fn seed(state: &mut State, ids: &mut Ids, wall: Wall) {
    let old = ids.base32();
    let v1 = json!({
        "id": old, "title": "Password reset", "created_at": wall.0, "updated_at": wall.0, "event_ids": ["password-reset"], "topic_id": "account",
        "routing": { "method": "single", "channels": ["email"] }, "tags": { "data": [{ "id": "t1", "name": "auth" }] }, "note": "",
    });
    let new = ids.prefixed("nt");
    let v2 = json!({ "id": new, "name": "Welcome", "state": "PUBLISHED", "tags": ["onboarding"], "created": wall.0, "updated": wall.0, "creator": "u1" });
    let draft = ids.prefixed("nt");
    let unpublished = json!({ "id": draft, "name": "Digest", "state": "DRAFT", "tags": [], "created": wall.0, "updated": wall.0, "creator": "u1" });
    for (id, row, published) in [(old, v1, true), (new, v2, true), (draft, unpublished, false)] {
        if published {
            state.notifications.insert(&id, row.clone());
        }
        state.draft_notifications.insert(&id, row);
    }
}

/// GET /notifications, with `event_id`, `tags` and `notes`.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let q = call.query;
    let tags: Vec<&str> = q.all("tags").collect();
    let keep = |_: &str, t: &Value| {
        q.get("event_id").is_none_or(|wanted| {
            t["event_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == wanted))
        }) && tags.iter().all(|wanted| tag_names(t).any(|have| have == *wanted))
    };
    let page = call.state.notifications(call.release).page(
        Order::Oldest,
        call.cursor(),
        call.limit()?,
        keep,
    )?;
    let notes = q.get("notes") == Some("true");
    let (rows, cursor) = rows_of(page, |_, t| {
        let mut t = t.clone();
        if let (false, Some(map)) = (notes, t.as_object_mut()) {
            map.remove("note");
        }
        t
    });
    Ok(call.wrap(rows, cursor))
}

/// GET /notifications/{notification_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let template = call
        .state
        .notifications(call.release)
        .get(&call.param(0))
        .ok_or_else(Failure::not_found)?;
    Ok(Success::Json(template.clone()))
}

/// POST /notifications writes a V2 draft. With `"state":"PUBLISHED"` it is published at once.
pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let body = Value::Object(call.object()?);
    let sent = body.get("notification").unwrap_or(&body).clone();
    if sent["name"].as_str().is_none() {
        return Err(Failure::invalid(
            "notification.name: Required; notification.content: Required",
        ));
    }
    if !call.room(call.state.draft_notifications.len()) {
        return Err(Failure::full());
    }
    let id = call.ids.prefixed("nt");
    let published = body["state"] == "PUBLISHED";
    Ok(Success::Json(store(call, &id, sent, published)))
}

/// PUT /notifications/{notification_id}.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let (id, body) = (call.param(0), Value::Object(call.object()?));
    call.state.draft_notifications.get(&id).ok_or_else(Failure::not_found)?;
    let sent = body.get("notification").unwrap_or(&body).clone();
    let published = body["state"] == "PUBLISHED";
    Ok(Success::Json(store(call, &id, sent, published)))
}

/// POST /notifications/{notification_id}/publish.
pub(crate) fn publish(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    let mut template =
        call.state.draft_notifications.get(&id).cloned().ok_or_else(Failure::not_found)?;
    template["state"] = json!("PUBLISHED");
    store(call, &id, template, true);
    Ok(Success::Done)
}

/// DELETE /notifications/{notification_id}.
pub(crate) fn archive(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    call.state.draft_notifications.remove(&id).ok_or_else(Failure::not_found)?;
    call.state.notifications.remove(&id);
    call.audit("notification:archived", &format!("notification/{id}"));
    Ok(Success::Done)
}

/// POST /notifications/{notification_id}/duplicate (legacy).
pub(crate) fn duplicate(call: &mut Call<'_>) -> Outcome {
    let sent = call
        .state
        .draft_notifications
        .get(&call.param(0))
        .cloned()
        .ok_or_else(Failure::not_found)?;
    let id = call.ids.prefixed("nt");
    Ok(Success::Json(store(call, &id, sent, false)))
}

fn store(call: &mut Call<'_>, id: &str, sent: Value, published: bool) -> Value {
    let created =
        call.state.draft_notifications.get(id).map_or(json!(call.wall.0), |t| t["created"].clone());
    let mut template = if sent.is_object() { sent } else { json!({}) };
    let fixed = [
        ("id", json!(id)),
        ("state", json!(if published { "PUBLISHED" } else { "DRAFT" })),
        ("created", created),
        ("updated", json!(call.wall.0)),
        ("creator", json!(call.actor)),
    ];
    fixed.into_iter().for_each(|(name, value)| template[name] = value);
    call.state.draft_notifications.insert(id, template.clone());
    if published || call.release == Release::Published && call.state.notifications.get(id).is_some()
    {
        call.state.notifications.insert(id, template.clone());
    }
    call.audit("notification:updated", &format!("notification/{id}"));
    template
}

fn tag_names(template: &Value) -> impl Iterator<Item = &str> {
    let old = template
        .pointer("/tags/data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|t| t["name"].as_str());
    let new = template["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    old.chain(new)
}
