//! The content of templates and broadcasts. Writes and reads show the checksum of each element.

use serde_json::{Value, json};

use super::generic;
use crate::call::{Call, Outcome, Success};
use crate::hash::fnv;

/// PUT of a content, of one element, or of the texts of a locale.
pub(crate) fn put(call: &mut Call<'_>) -> Outcome {
    let template = call.param(usize::from(call.row.id.starts_with("journeys.")));
    let Success::Json(document) = generic::handle(call)? else {
        return Ok(Success::Done);
    };
    let one = [document.clone()];
    let written = elements(&document).unwrap_or(if call.row.id == "notifications.elements.put" {
        &one
    } else {
        &[]
    });
    let sums: Vec<Value> = written.iter().enumerate().map(|(at, e)| sum(at, e)).collect();
    let state = document["state"].as_str().unwrap_or("DRAFT");
    Ok(Success::Json(
        json!({ "id": template, "elements": sums, "state": state, "version": document["version"] }),
    ))
}

/// GET of a content.
pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    let Success::Json(document) = generic::handle(call)? else {
        return Ok(Success::Done);
    };
    let shown = |(at, element): (usize, &Value)| {
        let mut shown = element.clone();
        let sum = sum(at, element);
        (shown["id"], shown["checksum"]) = (sum["id"].clone(), sum["checksum"].clone());
        shown
    };
    let elements = elements(&document).unwrap_or(&[]).iter().filter(|e| e.is_object()).enumerate();
    let elements: Vec<Value> = elements.map(shown).collect();
    Ok(Success::Json(json!({ "elements": elements, "version": document["version"] })))
}

fn elements(document: &Value) -> Option<&[Value]> {
    let found = document.pointer("/content/elements").or_else(|| document.get("elements"));
    found.and_then(Value::as_array).map(Vec::as_slice)
}

fn sum(at: usize, element: &Value) -> Value {
    let id = element["id"].as_str().map_or_else(|| format!("element-{at}"), str::to_owned);
    json!({ "id": id, "checksum": format!("{:016x}", fnv(element.to_string().as_bytes())) })
}
