//! Automations. A run does its steps at once, up to a delay. Later steps wait for the vendor's
//! clock.

use serde_json::{Map, Value, json};

use super::{profiles, recipients};
use crate::call::{Call, Failure, Outcome, Success, rows_of};
use crate::model::{Message, Run};
use crate::table::Order;
use crate::time::Wall;

/// POST /automations/{automation_id}/invoke.
///
/// Templates live in Courier's studio, so any id or alias is accepted.
pub(crate) fn invoke(call: &mut Call<'_>) -> Outcome {
    let (template, body) = (call.param(0), call.object()?);
    if !body.contains_key("recipient") {
        return Err(Failure::invalid("recipient: Required"));
    }
    let step = body.get("template").map(|t| json!({ "action": "send", "template": t }));
    start(call, &body, &template, step.into_iter().collect(), None)
}

/// POST /automations/invoke.
pub(crate) fn invoke_ad_hoc(call: &mut Call<'_>) -> Outcome {
    let body = call.object()?;
    let automation = body.get("automation").cloned().unwrap_or(Value::Null);
    let Some(steps) = automation["steps"].as_array().filter(|s| !s.is_empty()).cloned() else {
        return Err(Failure::invalid("automation.steps: Required"));
    };
    if let Some(bad) =
        steps.iter().find(|s| s["action"].as_str().is_none_or(|a| !ACTIONS.contains(&a)))
    {
        return Err(Failure::invalid(format!(
            "automation.steps: unknown action {}",
            bad["action"]
        )));
    }
    let token = automation["cancelation_token"].as_str().map(str::to_owned);
    start(call, &body, "ad-hoc", steps, token)
}

/// GET /automations/runs.
pub(crate) fn runs(call: &mut Call<'_>) -> Outcome {
    let (q, wall) = (call.query, call.wall);
    let template = q.get("template_id");
    let keep = |_: &str, run: &Run| {
        q.get("status").is_none_or(|w| run.status(run.ends, wall) == w)
            && template.is_none_or(|w| run.template == w)
    };
    let page = call.state.runs.page(Order::Newest, call.cursor(), call.limit()?, keep)?;
    let (rows, cursor) = rows_of(page, |id, run| run.view(id, wall));
    Ok(call.wrap(rows, cursor))
}

/// GET /automations/runs/{run_id}.
pub(crate) fn run(call: &mut Call<'_>) -> Outcome {
    let run = call.state.runs.get(&call.param(0)).ok_or_else(Failure::not_found)?;
    Ok(Success::Json(run.view(&call.param(0), call.wall)))
}

/// GET /automations/runs/{run_id}/steps.
pub(crate) fn steps(call: &mut Call<'_>) -> Outcome {
    let run = call.state.runs.get(&call.param(0)).ok_or_else(Failure::not_found)?;
    let shown = |(action, at): &(String, Wall)| json!({ "action": action, "status": run.status(*at, call.wall) });
    let rows = run.steps.iter().map(shown).collect();
    Ok(call.wrap(rows, None))
}

const ACTIONS: [&str; 8] =
    ["delay", "send", "send-list", "update-profile", "cancel", "fetch-data", "invoke", "throttle"];

fn start(
    call: &mut Call<'_>,
    body: &Map<String, Value>,
    template: &str,
    steps: Vec<Value>,
    token: Option<String>,
) -> Outcome {
    let id = call.ids.xray(call.wall);
    let (mut at, mut shown) = (call.wall, Vec::with_capacity(steps.len()));
    for step in &steps {
        match step["action"].as_str().unwrap_or_default() {
            "delay" => {
                at = at.plus_ms(step["duration"].as_str().and_then(duration_ms).unwrap_or(0));
            }
            "send" | "send-list" => send(call, body, step, (&id, at), token.as_deref())?,
            "update-profile" if at == call.wall => update_profile(call, body, step),
            "cancel" => cancel(call, step["cancelation_token"].as_str().unwrap_or_default()),
            _ => {}
        }
        shown.push((step["action"].as_str().unwrap_or_default().to_owned(), at));
    }
    let run = Run { template: template.to_owned(), created: call.wall, ends: at, steps: shown };
    call.state.runs.insert(&id, run);
    if call.state.runs.len() > call.state.capacity {
        call.state.runs.pop_oldest();
    }
    Ok(Success::Json(json!({ "runId": id })))
}

fn send(
    call: &mut Call<'_>,
    body: &Map<String, Value>,
    step: &Value,
    run: (&str, Wall),
    token: Option<&str>,
) -> Result<(), Failure> {
    let inline = step.pointer("/message/to").cloned();
    let to = match (
        inline,
        step["list"].as_str(),
        step["recipient"].as_str().or_else(|| body.get("recipient").and_then(Value::as_str)),
    ) {
        (Some(to), _, _) => to,
        (None, Some(list), _) => json!({ "list_id": list }),
        (None, None, Some(user)) => json!({ "user_id": user }),
        (None, None, None) => return Ok(()),
    };
    let ask = step
        .get("message")
        .cloned()
        .unwrap_or_else(|| json!({ "template": step["template"], "data": body.get("data") }));
    for person in recipients::resolve(call, &to)? {
        let id = call.ids.xray(run.1);
        let mut message = recipients::message(call, &id, person, ask.clone(), run.1);
        run.0.clone_into(&mut message.request);
        message.token = token.map(str::to_owned);
        call.state.keep_message(&id, message);
    }
    Ok(())
}

fn update_profile(call: &mut Call<'_>, body: &Map<String, Value>, step: &Value) {
    let user = step["recipient_id"]
        .as_str()
        .or_else(|| body.get("recipient").and_then(Value::as_str))
        .map(str::to_owned);
    if let Some(user) = user.filter(|_| step["profile"].is_object()) {
        // A step has no answer, so a profile that doesn't fit is left out.
        drop(profiles::merge_into(call, &user, &step["profile"]));
    }
}

/// Removes the messages that other runs with this token would still send.
fn cancel(call: &mut Call<'_>, token: &str) {
    let wall = call.wall;
    let ahead = |m: &Message| m.enqueued > wall && m.token.as_deref() == Some(token);
    let ids: Vec<String> =
        call.state.messages.iter().filter(|(_, m)| ahead(m)).map(|(id, _)| id.to_owned()).collect();
    ids.iter().for_each(|id| drop(call.state.messages.remove(id)));
}

/// Reads a number and a unit, such as `2 hours` or `1 day`. The result is in ms.
fn duration_ms(text: &str) -> Option<u64> {
    let (n, unit) = text.trim().split_once(' ')?;
    let unit = match unit.trim_end_matches('s') {
        "second" => 1000,
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        "week" => 604_800_000,
        _ => return None,
    };
    n.parse::<u64>().ok()?.checked_mul(unit)
}
