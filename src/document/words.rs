//! The gateway's own words for what serde says of a value.

use toml::de::DeValue;

use super::entries::EntryPart;
use crate::words::did_you_mean;

/// The key that `message` says is missing.
pub(super) fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// Says what is wrong with `value` at `path`, and what would be right. It repeats no value that
/// could be a secret in the wrong place.
pub(super) fn of(message: &str, path: &[EntryPart], value: Option<&DeValue<'_>>) -> String {
    let message = message.trim_end();
    let name = name(path);
    if let Some(key) = missing(message) {
        let place = if name.is_empty() { "the file".to_owned() } else { format!("'{name}'") };
        return format!("{place} has no '{key}', which it must have{}", example(key));
    }
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown_key(rest, &name);
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        return unknown_word(rest, &name, value);
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((_, expected)) =
            message.strip_prefix(kind).and_then(|m| m.rsplit_once(", expected "))
        {
            if let ("a sequence", Some(DeValue::Table(_))) = (expected, value) {
                return format!(
                    "{name} is one table: write [[{name}]] with two brackets, since it can be there several times"
                );
            }
            let found = value.map_or("something else", found);
            return format!("{name} is {found}: write {}", right(expected));
        }
    }
    match message {
        "wanted exactly 1 element, more than 1 element" => {
            format!("{name} says two things: leave one of its keys")
        }
        "wanted exactly 1 element, found 0 elements" => {
            format!("{name} is an empty table: write one of its keys, such as {{ env = \"…\" }}")
        }
        own => format!("{name}: {}", own.replace('\n', "; ")),
    }
}

/// Says what is wrong with a list of tables where only one table may be.
pub(super) fn once(path: &[EntryPart]) -> String {
    let name = name(path);
    format!("{name} is there once: write [{name}] with one bracket")
}

/// The names of the keys on the way, without numbers.
fn name(path: &[EntryPart]) -> String {
    let names = path.iter().filter_map(|part| match part {
        EntryPart::Key(name) => Some(name.as_str()),
        EntryPart::Index(_) => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// The words between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn unknown_key(rest: &str, name: &str) -> String {
    let (key, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let known = quoted(expected);
    let place = name.rsplit_once('.').map_or("the file", |(table, _)| table);
    let near = did_you_mean(key, known.iter().copied());
    let places = if place == "the file" { place.to_owned() } else { format!("'{place}'") };
    format!("there is no key '{key}' in {places}{near} (its keys: {})", known.join(", "))
}

fn unknown_word(rest: &str, name: &str, value: Option<&DeValue<'_>>) -> String {
    // The word itself may hold anything. So what is expected follows the last "expected".
    let expected = rest.rsplit_once("`, expected ").map_or("", |(_, expected)| expected);
    let known = quoted(expected);
    let (word, what) = match value {
        Some(DeValue::String(word)) => (word.as_ref(), "none of its words"),
        Some(DeValue::Table(_)) | None => ("", "a table without its key"),
        Some(other) => ("", found(other)),
    };
    if known == ["file", "env"] {
        let what = if word.is_empty() { what } else { "text" };
        return format!(
            "{name} is {what}: write a reference, {{ env = \"NAME\" }} or {{ file = \"/path\" }}; the secret itself never stands here"
        );
    }
    let near = did_you_mean(word, known.iter().copied());
    format!("{name} is {what}: write {expected}{near}")
}

/// What a value is, in words.
fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(number) if number.as_str().starts_with('-') => "a negative number",
        DeValue::Integer(number) if is_too_large(number.as_str()) => "too large a number",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// True for a decimal number that is larger than any here may be.
fn is_too_large(number: &str) -> bool {
    let digits = number.trim_start_matches(['+', '0']);
    digits.len() > 10 || digits.parse::<u64>().is_ok_and(|value| value > u32::MAX.into())
}

/// What was expected, in words.
fn right(expected: &str) -> String {
    let whole = |most: u64| format!("a whole number from 0 to {most}, without quotes, such as 100");
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" | "i64" => whole(i64::MAX.unsigned_abs()),
        "a nonzero u32" => {
            format!("a whole number from 1 to {}, without quotes, such as 100", u32::MAX)
        }
        "f32" | "f64" => "a number without quotes, such as 0.5".into(),
        "a boolean" => "true or false, without quotes".into(),
        "a string" | "string" => "text in quotes, such as \"name\"".into(),
        "path string" => "a path in quotes, such as \"/etc/tollgate/file\"".into(),
        "a sequence" => "a list, such as [\"…\"]".into(),
        "a map" => "a table, such as { name = … }".into(),
        other => other.strip_prefix("struct ").map_or_else(
            || other.to_owned(),
            |_| "a table: [name] with its keys below, or { key = … }".into(),
        ),
    }
}

/// How a key that must be there is written.
fn example(key: &str) -> String {
    let value = match key {
        "id" => "\"name\"",
        "token" => "{ env = \"NAME\" } or { file = \"/path\" }",
        "keys" => "[{ id = \"k1\", sha256 = \"…\" }], which `tollgate keys new` prints",
        "sha256" => "\"…\", which `tollgate keys new` prints",
        "calls" => "100",
        "window" => "\"60s\"",
        "cert" | "key" => "\"/path/to/file.pem\"",
        "replicas" => "3",
        "index" => "0",
        "ttl" => "30",
        "path" => "\"/path\"",
        "method" => "\"GET\"",
        "access" => "\"read\" or \"write\"",
        _ => "…",
    };
    format!(": {key} = {value}")
}
