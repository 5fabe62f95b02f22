//! Bulk jobs. A job accepts users until its run. It runs once.

use serde_json::{Value, json};

use super::recipients::{self, Person};
use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::{Job, JobUser};
use crate::table::{Order, Table};

/// Time from the run until the users are enqueued and the job is complete, in ms.
const ENQUEUE_MS: u64 = 500;
const COMPLETE_MS: u64 = 2000;

/// POST /bulk: `message.event` (or template or content) is required today.
pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let definition = call
        .object()?
        .remove("message")
        .filter(Value::is_object)
        .ok_or_else(|| Failure::invalid("message: Required"))?;
    if ["event", "template", "content"].iter().all(|n| definition.get(n).is_none()) {
        return Err(Failure::invalid("message.event: Required"));
    }
    if !call.room(call.state.jobs.len()) {
        return Err(Failure::full());
    }
    let id = call.ids.xray(call.wall);
    call.state.jobs.insert(&id, Job { definition, started: None, users: Table::new("bulk_users") });
    Ok(Success::Json(json!({ "jobId": id })))
}

/// GET /bulk/{job_id}.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let job = known(call, &call.param(0))?;
    let sent = job.started.is_some_and(|at| call.wall >= at.plus_ms(ENQUEUE_MS));
    let enqueued =
        if sent { job.users.iter().filter(|(_, u)| u.message.is_some()).count() } else { 0 };
    let failures = if sent { job.users.len() - enqueued } else { 0 };
    let status = match job.started {
        None => "CREATED",
        Some(at) if call.wall < at.plus_ms(COMPLETE_MS) => "PROCESSING",
        Some(_) if failures > 0 && enqueued == 0 => "ERROR",
        Some(_) => "COMPLETED",
    };
    let view = json!({
        "definition": job.definition, "received": job.users.len(), "enqueued": enqueued, "failures": failures, "status": status,
    });
    Ok(Success::Json(json!({ "job": view })))
}

/// POST /bulk/{job_id} adds users. A duplicate is reported, not refused.
pub(crate) fn add_users(call: &mut Call<'_>) -> Outcome {
    let (id, body, capacity) = (call.param(0), call.object()?, call.state.capacity);
    let users = body
        .get("users")
        .and_then(Value::as_array)
        .ok_or_else(|| Failure::invalid("users: Required"))?;
    let job = call.state.jobs.get_mut(&id).ok_or_else(Failure::not_found)?;
    if job.started.is_some() {
        return Err(Failure::invalid("Job was already started"));
    }
    if job.users.len() + users.len() > capacity {
        return Err(Failure::full());
    }
    let (mut total, mut errors) = (0, Vec::new());
    for user in users {
        let name = name_of(user).unwrap_or_else(|| format!("user-{}", job.users.len() + 1));
        if job.users.get(&name).is_some() {
            errors.push(json!({ "error": "Duplicate user", "user": user }));
            continue;
        }
        job.users.insert(&name, JobUser { sent: user.clone(), message: None });
        total += 1;
    }
    Ok(Success::Json(json!({ "total": total, "errors": errors })))
}

/// POST /bulk/{job_id}/run. A second run is a 400.
pub(crate) fn run(call: &mut Call<'_>) -> Outcome {
    let (id, wall) = (call.param(0), call.wall);
    let job = call.state.jobs.get_mut(&id).ok_or_else(Failure::not_found)?;
    if job.started.replace(wall).is_some() {
        return Err(Failure::invalid("Job was already started"));
    }
    let definition = job.definition.clone();
    let waiting: Vec<(String, Value)> =
        job.users.iter().map(|(name, u)| (name.to_owned(), u.sent.clone())).collect();
    for (name, sent) in waiting {
        let message_id = call.ids.xray(wall);
        let mut contact = call.state.profiles.get(&name).cloned().unwrap_or_else(|| json!({}));
        for extra in [sent.get("profile"), sent.get("to")].into_iter().flatten() {
            super::profiles::deep_merge(&mut contact, extra);
        }
        let person = Person { name: name.clone(), list: None, contact };
        let mut message = recipients::message(
            call,
            &message_id,
            person,
            definition.clone(),
            wall.plus_ms(ENQUEUE_MS),
        );
        message.request.clone_from(&id);
        call.state.keep_message(&message_id, message);
        if let Some(user) = call.state.jobs.get_mut(&id).and_then(|j| j.users.get_mut(&name)) {
            user.message = Some(message_id);
        }
    }
    Ok(Success::Done)
}

/// GET /bulk/{job_id}/users.
pub(crate) fn users(call: &mut Call<'_>) -> Outcome {
    let job = known(call, &call.param(0))?;
    let sent = job.started.is_some_and(|at| call.wall >= at.plus_ms(ENQUEUE_MS));
    let page = job.users.page(Order::Oldest, call.cursor(), call.limit()?, |_, _| true)?;
    let (rows, cursor) = rows_of(page, |name, user| {
        let mut v = user.sent.clone();
        v["recipient"] = json!(name);
        v["status"] = json!("PENDING");
        if let (true, Some(id)) = (sent, &user.message) {
            v["status"] = json!("ENQUEUED");
            v["messageId"] = json!(id);
        }
        v
    });
    Ok(call.wrap(rows, cursor))
}

fn known<'c>(call: &'c Call<'_>, id: &str) -> Result<&'c Job, Failure> {
    call.state.jobs.get(id).ok_or_else(Failure::not_found)
}

fn name_of(user: &Value) -> Option<String> {
    let paths = [
        "/recipient",
        "/to/user_id",
        "/profile/user_id",
        "/to/email",
        "/profile/email",
        "/profile/phone_number",
    ];
    paths.iter().find_map(|p| user.pointer(p).and_then(Value::as_str)).map(str::to_owned)
}
