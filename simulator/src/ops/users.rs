//! Tenants and device tokens of users, which the generic store alone would get wrong.
//!
//! Both live in that store. An association is stored twice, below the user and below the tenant, so
//! that each listing reads one prefix.

use serde_json::{Value, json};

use super::generic::{self, JOIN};
use super::patch;
use crate::call::{Call, Failure, Outcome, Success};

/// PUT /users/{user_id}/tenants/{tenant_id}, with a `profile` for that tenant.
pub(crate) fn join_tenant(call: &mut Call<'_>) -> Outcome {
    let (user, tenant, body) = (call.param(0), call.param(1), call.object()?);
    associate(call, &user, &tenant, body.get("profile"))?;
    Ok(Success::Done)
}

/// PUT /users/{user_id}/tenants adds those that `tenants` names.
pub(crate) fn join_tenants(call: &mut Call<'_>) -> Outcome {
    let (user, body) = (call.param(0), Value::Object(call.object()?));
    for one in named(&body, "tenants")? {
        let tenant = one["tenant_id"].as_str().ok_or_else(|| required("tenant_id"))?;
        associate(call, &user, tenant, one.get("profile"))?;
    }
    Ok(Success::Done)
}

/// DELETE /users/{user_id}/tenants/{tenant_id}.
pub(crate) fn leave_tenant(call: &mut Call<'_>) -> Outcome {
    let (user, tenant) = (call.param(0), call.param(1));
    call.state.documents.remove(&of_tenant(&tenant, &user));
    match call.state.documents.remove(&of_user(&user, &tenant)) {
        Some(_) => Ok(Success::Done),
        None => Err(Failure::not_found()),
    }
}

/// DELETE /users/{user_id}/tenants removes all of them.
pub(crate) fn leave_tenants(call: &mut Call<'_>) -> Outcome {
    let user = call.param(0);
    let start = of_user(&user, "");
    let keys: Vec<String> = generic::below(call.state, &start).map(|(k, _)| k.clone()).collect();
    for key in keys {
        call.state.documents.remove(&key);
        call.state.documents.remove(&of_tenant(&key[start.len()..], &user));
    }
    Ok(Success::Done)
}

/// PUT /users/{user_id}/tokens/{token}.
pub(crate) fn put_token(call: &mut Call<'_>) -> Outcome {
    let (user, token, body) = (call.param(0), call.param(1), Value::Object(call.object()?));
    keep(call, device(&user, &token), with_token(body, &token))?;
    Ok(Success::Done)
}

/// PUT /users/{user_id}/tokens writes those that `tokens` names. (The SDK sends no body.)
pub(crate) fn put_tokens(call: &mut Call<'_>) -> Outcome {
    let (user, body) = (call.param(0), Value::Object(call.object()?));
    for one in named(&body, "tokens")? {
        let token = one["token"].as_str().ok_or_else(|| required("token"))?;
        keep(call, device(&user, token), with_token(one.clone(), token))?;
    }
    Ok(Success::Done)
}

/// PATCH /users/{user_id}/tokens/{token} applies the JSON Patch in `patch`, all of it or nothing.
pub(crate) fn patch_token(call: &mut Call<'_>) -> Outcome {
    let (key, body) = (device(&call.param(0), &call.param(1)), Value::Object(call.object()?));
    let operations = named(&body, "patch")?;
    let mut found = call.state.documents.get(&key).cloned().ok_or_else(Failure::not_found)?;
    patch::apply(&mut found, operations).map_err(Failure::invalid)?;
    keep(call, key, found)?;
    Ok(Success::Done)
}

fn associate(
    call: &mut Call<'_>,
    user: &str,
    tenant: &str,
    profile: Option<&Value>,
) -> Result<(), Failure> {
    let mut record = json!({ "user_id": user, "tenant_id": tenant, "type": "user" });
    if let Some(profile) = profile {
        record["profile"] = profile.clone();
    }
    keep(call, of_tenant(tenant, user), record.clone())?;
    keep(call, of_user(user, tenant), record)
}

fn keep(call: &mut Call<'_>, key: String, record: Value) -> Result<(), Failure> {
    if !call.state.documents.contains_key(&key) && !call.room(call.state.documents.len()) {
        return Err(Failure::full());
    }
    call.state.documents.insert(key, record);
    Ok(())
}

fn with_token(mut record: Value, token: &str) -> Value {
    record["token"] = json!(token);
    record["status"] = json!("active");
    record
}

/// The entries that the body names.
///
/// Without the member there are none, so that a test can call each row alone.
fn named<'b>(body: &'b Value, name: &str) -> Result<&'b [Value], Failure> {
    match &body[name] {
        Value::Null => Ok(&[]),
        Value::Array(all) => Ok(all),
        _ => Err(Failure::invalid(format!("{name} should be array"))),
    }
}

fn required(name: &str) -> Failure {
    Failure::invalid(format!("{name}: Required"))
}

fn of_user(user: &str, tenant: &str) -> String {
    format!("users{JOIN}{user}{JOIN}tenants{JOIN}{tenant}")
}

fn of_tenant(tenant: &str, user: &str) -> String {
    format!("tenants{JOIN}{tenant}{JOIN}users{JOIN}{user}")
}

fn device(user: &str, token: &str) -> String {
    format!("users{JOIN}{user}{JOIN}tokens{JOIN}{token}")
}
