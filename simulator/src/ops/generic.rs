//! The rows beyond the connector share one store of documents by path.
//!
//! The store knows how a REST resource behaves, not what it means.

use serde_json::{Map, Value, json};

use super::profiles::deep_merge;
use super::shape;
use crate::call::{Call, Failure, Outcome, Success};
use crate::catalogue::{CATALOGUE, Envelope};
use crate::state::State;
use crate::switches::Unknown;
use crate::time::Wall;

/// When an unknown document was created: 2026-01-01T00:00:00Z. So each read shows the same.
const UNWRITTEN: Wall = Wall(1_767_225_600_000);

/// Joins the segments of a document's key. No decoded segment of a template contains it.
pub(crate) const JOIN: char = '\0';

/// Does what the row's method and template suggest.
pub(crate) fn handle(call: &mut Call<'_>) -> Outcome {
    let key = key(call);
    match call.row.method.as_str() {
        "GET" => match call.row.envelope {
            Some(envelope) => list(call, &key, envelope),
            None => get(call, &key),
        },
        "PUT" | "PATCH" => write(call, &key),
        "DELETE" => delete(call, &key),
        _ => post(call, &key),
    }
}

/// The template with its parameters filled in, decoded.
pub(crate) fn key(call: &Call<'_>) -> String {
    let mut params = call.params.iter();
    let fill = |s: &str| {
        if s.starts_with('{') { params.next().cloned().unwrap_or_default() } else { s.to_owned() }
    };
    call.row.path[1..].split('/').map(fill).collect::<Vec<_>>().join("\0")
}

fn last_id(call: &Call<'_>) -> String {
    if call.row.ends_in_parameter() {
        call.params.last().cloned().unwrap_or_default()
    } else {
        String::new()
    }
}

fn get(call: &Call<'_>, key: &str) -> Outcome {
    match (call.state.documents.get(key), call.switches.unknown_generic) {
        (Some(Value::String(text)), _) => Ok(Success::Text(text.clone())),
        (Some(found), _) => Ok(Success::Json(found.clone())),
        (None, Unknown::NotFound) => Err(Failure::not_found()),
        (None, Unknown::Empty) if call.row.id == "translations.get" => {
            Ok(Success::Text(String::new()))
        }
        (None, Unknown::Empty) => Ok(Success::Json(placeholder(call))),
    }
}

/// The number in `v3`, as the SDKs write versions of templates. It is 0 for any other text.
fn version(document: &Value) -> u64 {
    let text = document["version"].as_str().and_then(|v| v.strip_prefix('v'));
    text.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The document of an unknown id, so that a test can call each row alone.
pub(crate) fn placeholder(call: &Call<'_>) -> Value {
    let mut shown = match call.params.last() {
        Some(id) => json!({ "id": id, "version": "v0", "updated_at": UNWRITTEN.iso() }),
        None => json!({ "version": "v0" }),
    };
    shape::complete(call, &mut shown, None, UNWRITTEN);
    shown
}

fn list(call: &Call<'_>, key: &str, envelope: Envelope) -> Outcome {
    if envelope == Envelope::Checks {
        // It is written as one document and read as a list.
        let put = call.state.documents.get(key).and_then(|d| d["checks"].as_array());
        return Ok(call.wrap(put.cloned().unwrap_or_default(), None));
    }
    let start = format!("{key}{JOIN}");
    let direct = |k: &str| k.strip_prefix(&start).is_some_and(|rest| !rest.contains(JOIN));
    let after = match call.cursor() {
        None => start.clone(),
        Some(cursor) => read_cursor(cursor)
            .filter(|k| direct(k))
            .ok_or_else(|| Failure::invalid("Invalid cursor format"))?,
    };
    let whole = matches!(envelope, Envelope::Tokens | Envelope::Steps);
    let limit = if whole { usize::MAX - 1 } else { call.limit()? };
    let range = call.state.documents.range(after.clone()..).filter(|(k, _)| **k != after);
    let mut found: Vec<_> = range
        .take_while(|(k, _)| k.starts_with(&start))
        .filter(|(k, _)| direct(k))
        .take(limit.saturating_add(1))
        .collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let cursor = found.last().filter(|_| more).map(|(k, _)| make_cursor(k));
    let rows = found.into_iter().map(|(_, v)| listed(call, v, envelope)).collect();
    Ok(call.wrap(rows, cursor))
}

/// A listed journey shows the version that was asked for. Other documents show a number.
fn listed(call: &Call<'_>, document: &Value, envelope: Envelope) -> Value {
    let mut row = document.clone();
    // A journey that was put as a text alone has no members.
    if envelope == Envelope::Templates && row.is_object() {
        row["version"] = json!(call.query.get("version").unwrap_or("published"));
    }
    row
}

fn write(call: &mut Call<'_>, key: &str) -> Outcome {
    if !call.state.documents.contains_key(key) && !call.room(call.state.documents.len()) {
        return Err(Failure::full());
    }
    // A translation is a PO text; everything else is JSON.
    let sent = match serde_json::from_slice::<Value>(call.body) {
        Ok(sent) => sent,
        Err(_) if call.row.id == "translations.put" => {
            Value::String(String::from_utf8_lossy(call.body).into_owned())
        }
        Err(_) if call.body.is_empty() => json!({}),
        Err(_) => return Err(Failure::invalid("Invalid JSON in request body")),
    };
    let sent = match sent {
        Value::String(_) => {
            call.state.documents.insert(key.to_owned(), sent);
            return Ok(Success::Done);
        }
        Value::Object(sent) => lifted(sent),
        sent => sent,
    };
    let old = call.state.documents.get(key).cloned();
    let next = old.as_ref().map_or(0, version).saturating_add(1);
    let mut document = match &old {
        Some(old) if call.row.method == "PATCH" && old.is_object() => old.clone(),
        _ => json!({}),
    };
    deep_merge(&mut document, if sent.is_object() { &sent } else { &Value::Null });
    if !sent.is_object() {
        document = json!({ "items": sent });
    }
    stamp(call, &mut document, &last_id(call), next);
    shape::complete(call, &mut document, old.as_ref(), call.wall);
    call.state.documents.insert(key.to_owned(), document.clone());
    Ok(Success::Json(document))
}

/// Removes the wrapping `{"notification":{…},"state":…}` of a journey's template.
fn lifted(mut sent: Map<String, Value>) -> Value {
    match sent.remove("notification") {
        Some(Value::Object(inner)) => sent.extend(inner),
        Some(other) => drop(sent.insert("notification".into(), other)),
        None => {}
    }
    Value::Object(sent)
}

fn stamp(call: &Call<'_>, document: &mut Value, id: &str, version: u64) {
    if !id.is_empty() && document.get("id").is_none() {
        document["id"] = json!(id);
    }
    document["version"] = json!(format!("v{version}"));
    document["updated_at"] = json!(call.wall.iso());
}

/// All documents whose keys begin with `start`.
pub(crate) fn below<'s>(
    state: &'s State,
    start: &'s str,
) -> impl Iterator<Item = (&'s String, &'s Value)> {
    state.documents.range(start.to_owned()..).take_while(move |(k, _)| k.starts_with(start))
}

fn delete(call: &mut Call<'_>, key: &str) -> Outcome {
    let found = call.state.documents.remove(key);
    let gone: Vec<String> =
        below(call.state, &format!("{key}{JOIN}")).map(|(k, _)| k.clone()).collect();
    gone.iter().for_each(|k| drop(call.state.documents.remove(k)));
    match found {
        Some(document) => Ok(Success::Json(document)),
        None if !gone.is_empty() || call.switches.unknown_generic == Unknown::Empty => {
            Ok(Success::Json(placeholder(call)))
        }
        None => Err(Failure::not_found()),
    }
}

/// A POST creates a child if the catalogue has rows for children. Otherwise it is an action.
fn post(call: &mut Call<'_>, key: &str) -> Outcome {
    let child = format!("{}/{{", call.row.path);
    let has_children = CATALOGUE.rows().any(|r| {
        r.path.starts_with(&child)
            || r.method == "GET" && r.path == call.row.path && r.envelope.is_some()
    });
    let sent = call.object()?;
    if has_children {
        if !call.room(call.state.documents.len()) {
            return Err(Failure::full());
        }
        let mut document = lifted(sent);
        let id = document["id"].as_str().map_or_else(|| call.ids.base32(), str::to_owned);
        stamp(call, &mut document, &id, 1);
        shape::complete(call, &mut document, None, call.wall);
        call.state.documents.insert(format!("{key}{JOIN}{id}"), document.clone());
        return Ok(Success::Json(document));
    }
    let (parent, action) = key.rsplit_once(JOIN).unwrap_or((key, key));
    let (parent, action) = (parent.to_owned(), action.to_owned());
    let mut document = call
        .state
        .documents
        .get(&parent)
        .filter(|d| d.is_object())
        .cloned()
        .unwrap_or_else(|| placeholder(call));
    let next = version(&document).saturating_add(1);
    document["last_action"] = json!(action);
    let id = call.params.last().cloned().unwrap_or_default();
    stamp(call, &mut document, &id, next);
    shape::complete(call, &mut document, None, call.wall);
    if call.state.documents.contains_key(&parent) {
        call.state.documents.insert(parent, document.clone());
    }
    Ok(Success::Json(document))
}

fn make_cursor(key: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(key)
}

fn read_cursor(cursor: &str) -> Option<String> {
    use base64::Engine;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(cursor).ok()?).ok()
}
