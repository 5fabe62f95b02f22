//! Audiences. Members are computed from profiles, a moment after the write that concerns them.

use serde_json::{Value, json};

use super::filter;
use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::{Audience, Due, Member};
use crate::state::State;
use crate::table::{Order, Table};
use crate::time::Wall;

/// GET /audiences.
pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let page =
        call.state.audiences.page(Order::Oldest, call.cursor(), call.limit()?, |_, _| true)?;
    let (rows, cursor) = rows_of(page, |_, a| a.record.clone());
    Ok(call.wrap(rows, cursor))
}

/// GET /audiences/{audience_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let audience = call.state.audiences.get(&call.param(0)).ok_or_else(Failure::not_found)?;
    Ok(Success::Json(audience.record.clone()))
}

/// PUT /audiences/{audience_id} creates or replaces.
///
/// Fields that are left out keep their values. The answer is `{"audience":{…}}`.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let (id, body) = (call.param(0), Value::Object(call.object()?));
    catch_up(call);
    if let Some(f) = body.get("filter").filter(|f| !f.is_null()) {
        filter::check(f).map_err(Failure::invalid)?;
    }
    let old = call.state.audiences.get(&id);
    if old.is_none() && !call.room(call.state.audiences.len()) {
        return Err(Failure::full());
    }
    let before = |name: &str, fallback: Value| match (body.get(name).filter(|v| !v.is_null()), old)
    {
        (Some(sent), _) => sent.clone(),
        (None, Some(old)) => old.record[name].clone(),
        (None, None) => fallback,
    };
    let record = json!({
        "id": id, "name": before("name", json!("")), "description": before("description", json!("")),
        "operator": before("operator", json!("AND")), "filter": before("filter", Value::Null),
        "created_at": old.map_or_else(|| json!(call.wall.iso()), |o| o.record["created_at"].clone()), "updated_at": call.wall.iso(),
    });
    let reason = filter::reason(&record["filter"]).into();
    match call.state.audiences.get_mut(&id) {
        Some(old) => {
            (old.record, old.reason) = (record.clone(), reason);
            old.version += 1;
        }
        None => {
            let members = Table::new("members");
            let new = Audience { record: record.clone(), version: 1, reason, members };
            call.state.audiences.insert(&id, new);
        }
    }
    later(call, Due::Audience(id.clone()));
    call.audit("audience:updated", &format!("audience/{id}"));
    Ok(Success::Json(json!({ "audience": record })))
}

/// DELETE /audiences/{audience_id}.
pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    call.state.audiences.remove(&id).ok_or_else(Failure::not_found)?;
    call.audit("audience:deleted", &format!("audience/{id}"));
    Ok(Success::Done)
}

/// GET /audiences/{audience_id}/members.
pub(crate) fn members(call: &mut Call<'_>) -> Outcome {
    catch_up(call);
    let id = call.param(0);
    let audience = call.state.audiences.get(&id).ok_or_else(Failure::not_found)?;
    let page = audience.members.page(Order::Oldest, call.cursor(), call.limit()?, |_, _| true)?;
    let (rows, cursor) = rows_of(page, |user, m| {
        json!({
            "member_id": user, "audience_id": id, "audience_version": m.version, "added_at": m.since.iso(), "reason": m.reason,
        })
    });
    Ok(call.wrap(rows, cursor))
}

/// The current users of an audience. An unknown audience has none.
pub(crate) fn users(call: &mut Call<'_>, id: &str) -> Vec<String> {
    catch_up(call);
    call.state
        .audiences
        .get(id)
        .map(|a| a.members.iter().map(|(user, _)| user.to_owned()).collect())
        .unwrap_or_default()
}

/// Schedules a computation for when the lag has passed.
pub(crate) fn later(call: &mut Call<'_>, due: Due) {
    let lag = call.switches.audience_lag_ms;
    // Without audiences nobody can join. An audience that comes later looks at all users anyway.
    if !call.state.audiences.is_empty() {
        call.state.due.push_back((call.wall.plus_ms(lag), due));
    }
}

/// Computes what is due by now.
///
/// Every write to profiles or audiences calls it first, so that older computations don't see the
/// new data.
pub(crate) fn catch_up(call: &mut Call<'_>) {
    settle(call.state, call.wall, call.switches.audience_lag_ms);
}

/// Computes what is due.
///
/// If a time is further away than the lag, the clock was set back. It counts as due.
fn settle(state: &mut State, wall: Wall, lag_ms: u64) {
    while let Some((at, _)) = state.due.front() {
        let waits = *at > wall && *at <= wall.plus_ms(lag_ms);
        // If the lag is very long, the queue gets full. The oldest is then computed early.
        if waits && state.due.len() < state.capacity {
            return;
        }
        let Some((at, due)) = state.due.pop_front() else {
            return;
        };
        let State { audiences, profiles, .. } = state;
        match due {
            Due::User(user) => {
                for (_, audience) in audiences.iter_mut() {
                    place(audience, &user, profiles.get(&user), at);
                }
            }
            Due::Audience(id) => {
                if let Some(audience) = audiences.get_mut(&id) {
                    let gone: Vec<String> = audience
                        .members
                        .iter()
                        .filter(|(u, _)| profiles.get(u).is_none())
                        .map(|(u, _)| u.to_owned())
                        .collect();
                    gone.iter().for_each(|u| place(audience, u, None, at));
                    profiles.iter().for_each(|(u, p)| place(audience, u, Some(p), at));
                }
            }
        }
    }
}

fn place(audience: &mut Audience, user: &str, profile: Option<&Value>, at: Wall) {
    let f = &audience.record["filter"];
    let outer = audience.record["operator"].as_str().unwrap_or("AND");
    let fits = profile.is_some_and(|p| !f.is_null() && filter::fits(f, outer, p));
    if !fits {
        audience.members.remove(user);
    } else if audience.members.get(user).is_none() {
        let (version, reason) = (audience.version, audience.reason.clone());
        audience.members.insert(user, Member { since: at, version, reason });
    }
}
