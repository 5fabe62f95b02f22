//! Rows beyond the connector whose answers the generic store can't guess.

use serde_json::{Value, json};

use super::generic;
use crate::call::{Call, Failure, Outcome, Success};
use crate::switches::Unknown;
use crate::time::Wall;

/// The time that metrics cover by default.
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

/// POST /auth/issue-token. The token is only a label, without a signature.
pub(crate) fn issue_token(call: &mut Call<'_>) -> Outcome {
    let scope = call
        .object()?
        .get("scope")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Failure::invalid("scope: Required"))?;
    let id = call.ids.nano();
    Ok(Success::Json(json!({ "token": format!("simulated-client-token-{id}"), "scope": scope })))
}

/// POST /inbound/courier and /inbound/segment. The event is accepted, and nothing follows.
pub(crate) fn inbound(call: &mut Call<'_>) -> Outcome {
    call.object()?;
    Ok(Success::Json(json!({ "messageId": call.ids.xray(call.wall) })))
}

/// POST /journeys/{journey_id}/invoke starts a run that ends at once.
pub(crate) fn invoke_journey(call: &mut Call<'_>) -> Outcome {
    call.object()?;
    let id = call.ids.xray(call.wall);
    let run = json!({ "run_id": id, "template_id": call.param(0), "status": "PROCESSED", "created_at": call.wall.iso(), "source": ["api"] });
    if !call.room(call.state.documents.len()) {
        return Err(Failure::full());
    }
    call.state.documents.insert(format!("journeys\0runs\0{id}"), run);
    Ok(Success::Json(json!({ "runId": id })))
}

/// GET /journeys/runs/{run_id}: `{"run":{…}}`.
pub(crate) fn journey_run(call: &mut Call<'_>) -> Outcome {
    let id = call.param(0);
    let run = call.state.documents.get(&format!("journeys\0runs\0{id}")).cloned();
    let unknown = || json!({ "run_id": id, "source": [] });
    let run = match (run, call.switches.unknown_generic) {
        (None, Unknown::NotFound) => return Err(Failure::not_found()),
        (run, _) => run.unwrap_or_else(unknown),
    };
    Ok(Success::Json(json!({ "run": run })))
}

/// POST /client/q: the one GraphQL address.
pub(crate) fn graphql(call: &mut Call<'_>) -> Outcome {
    call.object()?;
    Ok(Success::Json(json!({ "data": {} })))
}

/// POST /journeys/cancel: all runs of a token, or one run. Here all have ended already.
pub(crate) fn cancel_journey(call: &mut Call<'_>) -> Outcome {
    let body = call.object()?;
    let Some(id) = body.get("run_id").and_then(Value::as_str) else {
        return Ok(Success::Json(json!({ "cancelation_token": body.get("cancelation_token") })));
    };
    // A run that had finished stays as it was (PY).
    let run = call.state.documents.get(&format!("journeys\0runs\0{id}"));
    let status = run.and_then(|run| run["status"].as_str()).unwrap_or("CANCELED");
    Ok(Success::Json(json!({ "run_id": id, "status": status })))
}

/// PUT of a submission's checks. Each is shown with its time.
pub(crate) fn put_checks(call: &mut Call<'_>) -> Outcome {
    call.object()?;
    let mut outcome = generic::handle(call)?;
    if let Success::Json(document) = &mut outcome {
        let checks = document.get_mut("checks").and_then(Value::as_array_mut);
        for check in checks.into_iter().flatten().filter(|check| check.is_object()) {
            check["updated"] = json!(call.wall.0);
        }
        call.state.documents.insert(generic::key(call), document.clone());
    }
    Ok(outcome)
}

/// GET /notifications/{notification_id}/metrics. The series is empty.
pub(crate) fn metrics(call: &mut Call<'_>) -> Outcome {
    let asked = |name: &str, default: String| call.query.get(name).map_or(default, str::to_owned);
    Ok(Success::Json(json!({
        "notificationId": call.param(0),
        "granularity": asked("granularity", "DAY".into()),
        "start": asked("start", Wall(call.wall.0.saturating_sub(WEEK_MS)).iso()),
        "end": asked("end", call.wall.iso()),
        "series": [],
    })))
}
