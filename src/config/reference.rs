//! The JSON Schema of the configuration and the reference made from it.

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Admin, CacheTable, OpsTable, ServerTable, Settings, SharedTable, TracesTable, Vendor};
use crate::catalog::{Access, Catalog};
use crate::telemetry::logs::LogSettings as Logs;
use crate::usage::book::Counts;

/// The JSON Schema (draft 2020-12) of the configuration file.
#[must_use]
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Settings>().to_value();
    let defaults = [
        ("server", serde_json::to_value(ServerTable::default())),
        ("ops", serde_json::to_value(OpsTable::default())),
        ("admin", serde_json::to_value(Admin::default())),
        ("vendor", serde_json::to_value(Vendor::default())),
        ("cache", serde_json::to_value(CacheTable::default())),
        ("logs", serde_json::to_value(Logs::default())),
        ("traces", serde_json::to_value(TracesTable::default())),
        ("shared", serde_json::to_value(SharedTable::default())),
    ];
    for (table, values) in defaults {
        for (name, value) in values.ok().iter().filter_map(Value::as_object).flatten() {
            schema["properties"][table]["properties"][name]["default"] = value.clone();
        }
    }
    schema
}

/// `config/reference.md`: every key with its type, default and meaning.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration reference\n\n\
         Made by `tollgate config reference` from the code; `tollgate config schema` prints the JSON\n\
         Schema. Durations are whole numbers with `ms`, `s`, `m` or `h`. Sizes are whole numbers with\n\
         `B`, `KiB`, `MiB` or `GiB`. Unknown keys are refused. `tollgate check FILE` reports every problem at once.\n",
    );
    table(&mut text, &schema(), "");
    kept(&mut text, &Catalog::courier());
    usage(&mut text);
    text
}

/// Writes what is cached, for how long, and what ends it, by the catalogue.
fn kept(text: &mut String, catalog: &Catalog) {
    text.push_str(
        "\n## What is cached, for how long, and why\n\n\
         An answer is kept for the seconds of its row, plus or minus up to ten percent, so that copies do\n\
         not expire together. Courier's own `Cache-Control`, `Expires`, `Vary` and `Set-Cookie` can\n\
         shorten or forbid it. A write through any connection of the workspace clears it at once. So the\n\
         seconds only matter for changes that do not pass through the gateway: those in Courier's studio,\n\
         and Courier's own. Three kinds of answers are never kept: personal data, state that clients poll,\n\
         and what is read in order to be replaced.\n\n\
         | operation | seconds | kept | cleared by |\n| --- | --- | --- | --- |\n",
    );
    for row in catalog.operations() {
        let Some(rule) = row.cache else { continue };
        let kept = if rule.on { "yes" } else { "if `cache.on` names it" };
        let mut writes: Vec<_> = catalog
            .operations()
            .iter()
            .filter(|other| other.clears.iter().any(|tag| row.reads.contains(tag)))
            .map(|other| format!("`{}`", other.id))
            .collect();
        if writes.is_empty() {
            writes.push("time only: Courier's API has no write for it".into());
        }
        let _ = writeln!(text, "| `{}` | {} | {kept} | {} |", row.id, rule.ttl, writes.join(", "));
    }
    text.push_str(
        "\nClients poll some reads, which uses up quotas. Answers of these reads are not kept, but identical reads\n\
         that run at the same time share one answer:\n\
         ",
    );
    let shared = catalog.operations().iter().filter(|row| row.share && row.access == Access::Read);
    let names: Vec<_> = shared.map(|row| format!("`{}`", row.id)).collect();
    let _ = writeln!(text, "{}.", names.join(", "));
}

/// Writes the columns of `tollgate usage`.
fn usage(text: &mut String) {
    text.push_str(
        "\n## What `tollgate usage --csv` prints\n\n\
         It prints a header row, then one row for each day, tenant, app and connection. These four are the\n\
         first columns, and the rows are sorted by them. Days are in UTC; a call belongs to the day in which\n\
         it began. `connection` is empty for calls that were refused before their connection was known.\n\
         Calls without a valid key are not counted. Later versions may add columns.\n\n\
         | column | meaning |\n| --- | --- |\n",
    );
    for (name, meaning) in Counts::TABLE {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
}

/// Writes the keys of one table, then the tables below it.
fn table(text: &mut String, schema: &Value, path: &str) {
    let Some(keys) = schema["properties"].as_object() else {
        return;
    };
    let (tables, plain): (Vec<_>, Vec<_>) = keys.iter().partition(|(_, key)| is_table(key));
    if !plain.is_empty() {
        text.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    }
    for (name, key) in plain {
        let default = match &key["default"] {
            Value::Null if required(schema, name) => "required".to_owned(),
            Value::Null => "–".to_owned(),
            value => format!("`{value}`"),
        };
        let meaning = describe(key).replace('\n', " ");
        let _ = writeln!(text, "| `{name}` | {} | {default} | {meaning} |", kind(key));
    }
    for (name, key) in tables {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let heading =
            if key["type"] == "array" { format!("[[{path}]]") } else { format!("[{path}]") };
        let _ = writeln!(text, "\n## `{heading}`\n\n{}", describe(key).replace('\n', " "));
        let rows = if key["type"] == "array" { &key["items"] } else { key };
        table(text, rows, &path);
    }
}

/// True for a table with keys, or a list of such tables, that is not written inline.
fn is_table(key: &Value) -> bool {
    let rows = if key["type"] == "array" { &key["items"] } else { key };
    rows["properties"].is_object() && !required(rows, "sha256")
}

fn required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
}

fn describe(key: &Value) -> &str {
    key["description"].as_str().unwrap_or_default()
}

/// The type, in words for a reader.
fn kind(key: &Value) -> String {
    if let Some(choices) = key["anyOf"].as_array().or(key["oneOf"].as_array()) {
        let mut kinds: Vec<String> =
            choices.iter().filter(|c| c["type"] != "null").map(kind).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    if let Some(keys) = key["properties"].as_object() {
        let names: Vec<String> = keys.keys().map(|name| format!("`{name}`")).collect();
        return format!("table of {}", names.join(", "));
    }
    let word = match &key["type"] {
        Value::Array(types) => types.iter().find(|t| *t != "null").and_then(Value::as_str),
        other => other.as_str(),
    };
    match (word.unwrap_or("value"), key["pattern"].as_str()) {
        ("array", _) => format!("list of {}", kind(&key["items"])),
        ("string", Some(pattern)) if pattern.contains("ms|") => "duration".into(),
        ("string", Some(pattern)) if pattern.contains("KiB") => "size".into(),
        (word, _) => word.into(),
    }
}
