//! The fields of a document beyond the connector that were not sent.
//!
//! `shapes.json` lists them by resource.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::time::Wall;

/// Fields by resource, which is a row's id without its last part.
///
/// A text that begins with `$` stands for a computed value.
static SHAPES: LazyLock<BTreeMap<String, Map<String, Value>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../shapes.json")).expect("shapes.json is valid")
});

/// Adds the fields that every answer about the resource has.
///
/// Its creator and its creation time are taken from `old`.
pub(crate) fn complete(call: &Call<'_>, document: &mut Value, old: Option<&Value>, wall: Wall) {
    let resource = call.row.id.rsplit_once('.').map_or("", |(resource, _)| resource);
    for (name, form) in SHAPES.get(resource).into_iter().flatten() {
        if form != "$now" && document.get(name).is_some_and(|sent| !sent.is_null()) {
            continue;
        }
        let once = ["$actor", "$iso", "$ms"].iter().any(|once| form == once);
        let kept = old.and_then(|old| old.get(name)).filter(|_| once).cloned();
        document[name] = kept.unwrap_or_else(|| value(call, document, form, wall));
    }
}

fn value(call: &Call<'_>, document: &Value, form: &Value, wall: Wall) -> Value {
    match form.as_str() {
        Some("$id") => json!(document["id"].as_str().unwrap_or_default()),
        Some("$first") => json!(call.param(0)),
        Some("$actor") => json!(call.actor),
        Some("$ms") => json!(wall.0),
        Some("$iso" | "$now") => json!(wall.iso()),
        _ => form.clone(),
    }
}
