//! Topics of the workspace's preferences. Each schedule of a digest gets an id.

use serde_json::{Value, json};

use super::generic::{self, JOIN};
use crate::call::{Call, Outcome, Success};

/// POST and PUT of a topic.
pub(crate) fn write(call: &mut Call<'_>) -> Outcome {
    let Success::Json(mut topic) = generic::handle(call)? else {
        return Ok(Success::Done);
    };
    if topic["digest"].is_object() {
        complete(call, &mut topic["digest"]);
        let key = match topic["id"].as_str() {
            Some(id) if call.row.method == "POST" => format!("{}{JOIN}{id}", generic::key(call)),
            _ => generic::key(call),
        };
        call.state.documents.insert(key, topic.clone());
    }
    Ok(Success::Json(topic))
}

fn complete(call: &mut Call<'_>, digest: &mut Value) {
    if !digest["categories"].is_array() {
        digest["categories"] = json!([]);
    }
    let schedules = digest.get_mut("schedules").and_then(Value::as_array_mut);
    for schedule in schedules.into_iter().flatten().filter(|schedule| schedule.is_object()) {
        if !schedule["schedule_id"].is_string() {
            schedule["schedule_id"] = json!(call.ids.prefixed("sch"));
        }
    }
}
