//! The preferences of users by topic, and the page where they set them.
//!
//! Whether a topic exists is not checked.

use serde_json::{Value, json};

use super::generic::{self, JOIN};
use crate::call::{Call, Failure, Outcome, Success};
use crate::switches::Unknown;

/// PUT /users/{user_id}/preferences/{topic_id}.
pub(crate) fn put_topic(call: &mut Call<'_>) -> Outcome {
    let (user, topic) = (call.param(0), call.param(1));
    let sent = call.object()?.remove("topic").unwrap_or_default();
    keep(call, &user, &topic, &sent)?;
    Ok(Success::Json(json!({ "message": "success" })))
}

/// GET /users/{user_id}/preferences/{topic_id}: `{"topic":{…}}`.
pub(crate) fn get_topic(call: &mut Call<'_>) -> Outcome {
    let (user, topic) = (call.param(0), call.param(1));
    let found = call.state.documents.get(&key(&user, &topic)).cloned();
    let shown = match (found, call.switches.unknown_generic) {
        (None, Unknown::NotFound) => return Err(Failure::not_found()),
        (found, _) => found.unwrap_or_else(|| row(&topic, &Value::Null)),
    };
    Ok(Success::Json(json!({ "topic": shown })))
}

/// POST /users/{user_id}/preferences changes the given topics. PUT also forgets all others.
pub(crate) fn set_topics(call: &mut Call<'_>) -> Outcome {
    let (user, replace) = (call.param(0), call.row.method == "PUT");
    let body = call.object()?;
    let sent = body.get("topics").and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    for topic in &sent {
        match topic["topic_id"].as_str() {
            Some(id) => items.push(keep(call, &user, id, topic)?),
            None => errors.push(json!({ "topic_id": "", "reason": "topic_id: Required" })),
        }
    }
    if !replace {
        return Ok(Success::Json(json!({ "items": items, "errors": errors })));
    }
    let named = |id: &str| items.iter().any(|item| item["topic_id"] == id);
    let start = key(&user, "");
    let gone: Vec<String> = generic::below(call.state, &start)
        .filter_map(|(k, _)| k.strip_prefix(&start))
        .filter(|id| !named(id))
        .map(str::to_owned)
        .collect();
    gone.iter().for_each(|id| drop(call.state.documents.remove(&key(&user, id))));
    Ok(Success::Json(json!({ "items": items, "deleted": gone })))
}

/// POST /preferences/publish. A workspace has one page, and its version grows.
pub(crate) fn publish(call: &mut Call<'_>) -> Outcome {
    call.object()?;
    let page = format!("preferences{JOIN}publish{JOIN}page");
    let before = call.state.documents.get(&page).and_then(|p| p["published_version"].as_u64());
    if before.is_none() && !call.room(call.state.documents.len()) {
        return Err(Failure::full());
    }
    let published = json!({
        "page_id": "page", "published_at": call.wall.iso(), "published_by": call.actor,
        "published_version": before.unwrap_or(0).saturating_add(1),
    });
    call.state.documents.insert(page, published.clone());
    Ok(Success::Json(published))
}

fn key(user: &str, topic: &str) -> String {
    format!("users{JOIN}{user}{JOIN}preferences{JOIN}{topic}")
}

/// A topic as the API shows it. The user is opted in by default.
fn row(topic: &str, sent: &Value) -> Value {
    let status = sent["status"].as_str().unwrap_or("OPTED_IN");
    let routing =
        if sent["custom_routing"].is_array() { sent["custom_routing"].clone() } else { json!([]) };
    json!({
        "topic_id": topic, "topic_name": topic, "default_status": "OPTED_IN", "status": status,
        "custom_routing": routing, "has_custom_routing": sent["has_custom_routing"] == true,
    })
}

fn keep(call: &mut Call<'_>, user: &str, topic: &str, sent: &Value) -> Result<Value, Failure> {
    let (key, row) = (key(user, topic), row(topic, sent));
    if !call.state.documents.contains_key(&key) && !call.room(call.state.documents.len()) {
        return Err(Failure::full());
    }
    call.state.documents.insert(key, row.clone());
    Ok(row)
}
