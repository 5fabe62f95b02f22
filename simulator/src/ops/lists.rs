//! Lists and subscriptions.
//!
//! A delete is soft, and a restore brings the subscribers back. Subscribing creates the list.

use serde_json::{Value, json};

use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::{List, Subscription};
use crate::table::{Order, Table};
use crate::time::Wall;

/// GET /lists. In `pattern` a `*` is one part, and a final `**` any number of parts.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let pattern = call.query.get("pattern");
    let keep = |id: &str, list: &List| !list.deleted && pattern.is_none_or(|p| matches(p, id));
    let page = call.state.lists.page(Order::Oldest, call.cursor(), call.limit()?, keep)?;
    let (rows, cursor) = rows_of(page, |id, list| list.view(id));
    Ok(call.wrap(rows, cursor))
}

/// GET /lists/{list_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    Ok(Success::Json(live(call, &id)?.view(&id)))
}

/// PUT /lists/{list_id} creates or replaces. The name is required.
///
/// A deleted list comes back with its subscribers.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let (id, body, wall) = (call.param(0), call.object()?, call.wall);
    let Some(name) = body.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()) else {
        return Err(Failure::invalid("name: Required"));
    };
    let list = upsert(call, &id, wall)?;
    name.clone_into(&mut list.name);
    list.preferences = body.get("preferences").cloned();
    (list.updated, list.deleted) = (wall, false);
    call.audit("list:updated", &format!("list/{id}"));
    Ok(Success::Done)
}

/// DELETE /lists/{list_id}. The delete is soft.
pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let (id, wall) = (call.param(0), call.wall);
    live(call, &id)?;
    if let Some(list) = call.state.lists.get_mut(&id) {
        (list.deleted, list.updated) = (true, wall);
    }
    call.audit("list:deleted", &format!("list/{id}"));
    Ok(Success::Done)
}

/// PUT /lists/{list_id}/restore.
pub(crate) fn restore(call: &mut Call<'_>) -> Outcome {
    let (id, wall) = (call.param(0), call.wall);
    let list = call.state.lists.get_mut(&id).ok_or_else(Failure::not_found)?;
    (list.deleted, list.updated) = (false, wall);
    call.audit("list:restored", &format!("list/{id}"));
    Ok(Success::Done)
}

/// GET /lists/{list_id}/subscriptions.
pub(crate) fn subscriptions(call: &mut Call<'_>) -> Outcome {
    let list = live(call, &call.param(0))?;
    let page = list.subscribers.page(Order::Oldest, call.cursor(), call.limit()?, |_, _| true)?;
    let (rows, cursor) = rows_of(page, |user, s| {
        let mut v = json!({ "recipientId": user, "created": s.created.iso() });
        if let Some(p) = &s.preferences {
            v["preferences"] = p.clone();
        }
        v
    });
    Ok(call.wrap(rows, cursor))
}

/// POST adds subscribers, PUT replaces all of them. Both create a missing list.
pub(crate) fn subscribe_many(call: &mut Call<'_>) -> Outcome {
    let (id, wall, replace) = (call.param(0), call.wall, call.row.method == "PUT");
    let body = call.object()?;
    let Some(recipients) = body.get("recipients").and_then(Value::as_array) else {
        return Err(Failure::invalid("recipients: Required"));
    };
    let mut wanted = Vec::with_capacity(recipients.len());
    for r in recipients {
        let user =
            r["recipientId"].as_str().ok_or_else(|| Failure::invalid("recipientId: Required"))?;
        wanted.push((user.to_owned(), r.get("preferences").cloned()));
    }
    let capacity = call.state.capacity;
    let list = upsert(call, &id, wall)?;
    let had = if replace { 0 } else { list.subscribers.len() };
    if had + wanted.len() > capacity {
        return Err(Failure::full());
    }
    list.deleted = false;
    if replace {
        list.subscribers = Table::new("subscriptions");
    }
    for (user, preferences) in wanted {
        subscribe(list, &user, preferences, wall);
    }
    Ok(Success::Done)
}

/// PUT /lists/{list_id}/subscriptions/{user_id}.
pub(crate) fn subscribe_one(call: &mut Call<'_>) -> Outcome {
    let (id, user, wall) = (call.param(0), call.param(1), call.wall);
    let preferences = call.object()?.get("preferences").cloned();
    let capacity = call.state.capacity;
    let list = upsert(call, &id, wall)?;
    if !takes(list, &user, capacity) {
        return Err(Failure::full());
    }
    list.deleted = false;
    subscribe(list, &user, preferences, wall);
    Ok(Success::Done)
}

/// DELETE /lists/{list_id}/subscriptions/{user_id}. An unknown user is a 404.
pub(crate) fn unsubscribe(call: &mut Call<'_>) -> Outcome {
    let (id, user) = (call.param(0), call.param(1));
    live(call, &id)?;
    call.state
        .lists
        .get_mut(&id)
        .and_then(|l| l.subscribers.remove(&user))
        .ok_or_else(Failure::not_found)?;
    Ok(Success::Done)
}

/// GET /profiles/{user_id}/lists: the lists that a user is subscribed to.
pub(crate) fn of_user(call: &mut Call<'_>) -> Outcome {
    let user = call.param(0);
    let keep = |_: &str, l: &List| !l.deleted && l.subscribers.get(&user).is_some();
    let page = call.state.lists.page(Order::Oldest, call.cursor(), call.limit()?, keep)?;
    let (rows, cursor) = rows_of(page, |id, list| list.view(id));
    Ok(call.wrap(rows, cursor))
}

/// POST /profiles/{user_id}/lists.
pub(crate) fn add_to_user(call: &mut Call<'_>) -> Outcome {
    let (user, wall, body) = (call.param(0), call.wall, call.object()?);
    let capacity = call.state.capacity;
    let lists = body.get("lists").and_then(Value::as_array).cloned().unwrap_or_default();
    for entry in lists {
        let id = entry["listId"]
            .as_str()
            .ok_or_else(|| Failure::invalid("listId: Required"))?
            .to_owned();
        let list = upsert(call, &id, wall)?;
        if !takes(list, &user, capacity) {
            return Err(Failure::full());
        }
        list.deleted = false;
        subscribe(list, &user, entry.get("preferences").cloned(), wall);
    }
    Ok(Success::Done)
}

/// DELETE /profiles/{user_id}/lists.
pub(crate) fn clear_of_user(call: &mut Call<'_>) -> Outcome {
    let user = call.param(0);
    for (_, list) in call.state.lists.iter_mut() {
        list.subscribers.remove(&user);
    }
    Ok(Success::Done)
}

/// Whether a subscriber fits. A present one always does.
fn takes(list: &List, user: &str, capacity: usize) -> bool {
    list.subscribers.len() < capacity || list.subscribers.get(user).is_some()
}

fn subscribe(list: &mut List, user: &str, preferences: Option<Value>, wall: Wall) {
    let created = list.subscribers.get(user).map_or(wall, |s| s.created);
    list.subscribers.insert(user, Subscription { created, preferences });
}

fn live<'c>(call: &'c Call<'_>, id: &str) -> Result<&'c List, Failure> {
    call.state.lists.get(id).filter(|l| !l.deleted).ok_or_else(Failure::not_found)
}

fn upsert<'c>(call: &'c mut Call<'_>, id: &str, wall: Wall) -> Result<&'c mut List, Failure> {
    if call.state.lists.get(id).is_none() {
        if !call.room(call.state.lists.len()) {
            return Err(Failure::full());
        }
        call.state.lists.insert(id, List::new(id.to_owned(), wall));
    }
    Ok(call.state.lists.get_mut(id).expect("the list was found or put just above"))
}

/// Whether a list pattern accepts an id (parts are joined by dots).
pub(crate) fn matches(pattern: &str, id: &str) -> bool {
    let mut parts = id.split('.');
    for p in pattern.split('.') {
        match (p, parts.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (p, Some(part)) if p == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_one_part_and_two_are_any_tail() {
        for (pattern, id, yes) in [
            ("news.eu", "news.eu", true),
            ("news.*", "news.eu", true),
            ("news.*", "news.eu.fr", false),
            ("news.**", "news.eu.fr", true),
            ("news.**", "news", false),
            ("*.eu", "news.eu", true),
            ("news", "news.eu", false),
        ] {
            assert_eq!(matches(pattern, id), yes, "{pattern} {id}");
        }
    }
}
