//! Brands. The default one always exists. A write with a published key changes drafts too.

use serde_json::{Value, json};

use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::Release;
use crate::state::State;
use crate::table::{Order, Table};
use crate::time::Wall;

/// Puts the default brand, whose id is `default`.
pub(super) fn seed(state: &mut State, wall: Wall) {
    let brand = record("default", &json!({ "name": "Default Brand" }), wall, wall);
    both(state, Release::Published, |t| {
        t.insert("default", brand.clone());
    });
}

/// GET /brands.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let page = call.state.brands(call.release).page(
        Order::Oldest,
        call.cursor(),
        call.limit()?,
        |_, _| true,
    )?;
    let (rows, cursor) = rows_of(page, |_, brand| brand.clone());
    Ok(call.wrap(rows, cursor))
}

/// GET /brands/{brand_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let brand =
        call.state.brands(call.release).get(&call.param(0)).ok_or_else(Failure::not_found)?;
    Ok(Success::Json(brand.clone()))
}

/// POST /brands: 409 when the id is taken.
pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let body = checked(call)?;
    if !call.room(call.state.draft_brands.len()) {
        return Err(Failure::full());
    }
    let id = match body["id"].as_str() {
        Some(id) => id.to_owned(),
        None => call.ids.base32(),
    };
    if call.state.brands(call.release).get(&id).is_some() {
        return Err(Failure::conflict("Already Exists"));
    }
    let brand = record(&id, &body, call.wall, call.wall);
    both(call.state, call.release, |t| t.insert(&id, brand.clone()));
    call.audit("brand:created", &format!("brand/{id}"));
    Ok(Success::Json(brand))
}

/// PUT /brands/{brand_id}: replaces; 404 when unknown.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let (id, body) = (call.param(0), checked(call)?);
    let old = call.state.brands(call.release).get(&id).ok_or_else(Failure::not_found)?;
    let created = Wall(old["created"].as_u64().unwrap_or(call.wall.0));
    let brand = record(&id, &body, created, call.wall);
    both(call.state, call.release, |t| t.insert(&id, brand.clone()));
    call.audit("brand:updated", &format!("brand/{id}"));
    Ok(Success::Json(brand))
}

/// DELETE /brands/{brand_id}: 409 for the default one.
pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    if id == "default" {
        return Err(Failure::conflict("Cannot delete default brand"));
    }
    call.state.brands(call.release).get(&id).ok_or_else(Failure::not_found)?;
    both(call.state, call.release, |t| {
        t.remove(&id);
    });
    call.audit("brand:deleted", &format!("brand/{id}"));
    Ok(Success::Done)
}

fn checked(call: &Call<'_>) -> Result<Value, Failure> {
    let body = Value::Object(call.object()?);
    if body["name"].as_str().is_none_or(str::is_empty) {
        return Err(Failure::invalid("name: Required"));
    }
    Ok(body)
}

/// Writes a brand. Only draft keys see the write of a draft key. Both see that of a published key.
fn both(state: &mut State, release: Release, write: impl Fn(&mut Table<Value>)) {
    write(&mut state.draft_brands);
    if release == Release::Published {
        write(&mut state.brands);
    }
}

fn record(id: &str, body: &Value, created: Wall, updated: Wall) -> Value {
    let settings = body.get("settings").cloned().unwrap_or_else(|| json!({}));
    let snippets = body.get("snippets").cloned().unwrap_or_else(|| json!({ "items": [] }));
    json!({
        "id": id, "name": body["name"], "created": created.0, "updated": updated.0, "published": updated.0,
        "version": updated.iso(), "settings": settings, "snippets": snippets,
    })
}
