//! Profiles. POST merges deeply, PUT replaces, PATCH is a JSON Patch.
//!
//! A moment after each of them, audiences look at the profile again.

use serde_json::{Map, Value, json};

use super::{audiences, patch};
use crate::call::{Call, Failure, Outcome, Success};
use crate::model::Due;
use crate::switches::Unknown;

/// GET /profiles/{user_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    let profile = match (call.state.profiles.get(&id), call.switches.unknown_profile) {
        (Some(profile), _) => profile.clone(),
        (None, Unknown::Empty) => json!({}),
        (None, Unknown::NotFound) => return Err(Failure::not_found()),
    };
    Ok(Success::Json(
        json!({ "profile": profile, "preferences": { "notifications": {}, "categories": {} } }),
    ))
}

/// POST /profiles/{user_id} merges deeply, or creates.
pub(crate) fn merge(call: &mut Call<'_>) -> Outcome {
    let (id, wanted) = (call.param(0), body(call)?);
    merge_into(call, &id, &Value::Object(wanted))
}

/// PUT /profiles/{user_id} replaces or creates.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let (id, wanted) = (call.param(0), body(call)?);
    store(call, &id, Value::Object(wanted))
}

/// PATCH /profiles/{user_id} applies all changes or none.
///
/// The body is `{"patch":[…]}`. If the switch allows it, it may be a bare array, as the connector
/// sends it.
pub(crate) fn patch(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    let operations = match call.json()? {
        Value::Array(bare) if call.switches.patch_bare_array => bare,
        Value::Object(mut body) => match body.remove("patch") {
            Some(Value::Array(operations)) => operations,
            _ => return Err(Failure::invalid("patch: Required")),
        },
        _ => return Err(Failure::invalid("request body should be object")),
    };
    let mut profile = call.state.profiles.get(&id).cloned().ok_or_else(Failure::not_found)?;
    patch::apply(&mut profile, &operations).map_err(Failure::invalid)?;
    if !profile.is_object() {
        return Err(Failure::invalid("profile should be object"));
    }
    store(call, &id, profile)
}

/// DELETE /profiles/{user_id}. An unknown user is a 404.
pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    call.state.profiles.get(&id).ok_or_else(Failure::not_found)?;
    audiences::catch_up(call);
    call.state.profiles.remove(&id);
    audiences::later(call, Due::User(id));
    Ok(Success::Done)
}

/// PUT /users/{user_id} (legacy) merges `profile`.
pub(crate) fn legacy_user(call: &mut Call<'_>) -> Outcome {
    let (id, mut sent) = (call.param(0), call.object()?);
    let wanted = sent.remove("profile").unwrap_or_else(|| json!({}));
    if !wanted.is_object() {
        return Err(Failure::invalid("profile should be object"));
    }
    merge_into(call, &id, &wanted)
}

/// Merges `extra` into `base`. Objects are merged by member, everything else is replaced.
pub(crate) fn deep_merge(base: &mut Value, extra: &Value) {
    match (base, extra) {
        (Value::Object(base), Value::Object(extra)) => {
            for (k, v) in extra {
                deep_merge(base.entry(k.clone()).or_insert(Value::Null), v);
            }
        }
        (base, extra) => *base = extra.clone(),
    }
}

fn body(call: &Call<'_>) -> Result<Map<String, Value>, Failure> {
    match call.object()?.remove("profile") {
        Some(Value::Object(profile)) => Ok(profile),
        Some(_) => Err(Failure::invalid("profile should be object")),
        None => Err(Failure::invalid("profile: Required")),
    }
}

/// Merges into a user's profile, or creates it.
pub(crate) fn merge_into(call: &mut Call<'_>, id: &str, extra: &Value) -> Outcome {
    let mut profile = call.state.profiles.get(id).cloned().unwrap_or_else(|| json!({}));
    deep_merge(&mut profile, extra);
    store(call, id, profile)
}

fn store(call: &mut Call<'_>, id: &str, profile: Value) -> Outcome {
    if call.state.profiles.get(id).is_none() && !call.room(call.state.profiles.len()) {
        return Err(Failure::full());
    }
    audiences::catch_up(call);
    call.state.profiles.insert(id, profile);
    audiences::later(call, Due::User(id.to_owned()));
    Ok(Success::Done)
}
