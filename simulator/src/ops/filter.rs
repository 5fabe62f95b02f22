//! Audience filters: conditions on profile paths, joined by AND and OR.

use serde_json::Value;

use crate::time::Wall;

const CONDITIONS: [&str; 13] = [
    "EQ",
    "NEQ",
    "GT",
    "GTE",
    "LT",
    "LTE",
    "INCLUDES",
    "OMIT",
    "EXISTS",
    "STARTS_WITH",
    "ENDS_WITH",
    "IS_AFTER",
    "IS_BEFORE",
];
/// How deep a tree may be. It limits the recursion.
const DEPTH: usize = 16;

/// Checks a filter tree. The message says what is wrong, in the words that D2 shows.
pub(crate) fn check(filter: &Value) -> Result<(), String> {
    check_at(filter, DEPTH)
}

fn check_at(filter: &Value, depth: usize) -> Result<(), String> {
    if depth == 0 {
        return Err("filter is nested too deeply".into());
    }
    if let Some(filters) =
        filter.get("filters").or_else(|| filter.get("rules")).and_then(Value::as_array)
    {
        return match filter.get("operator").and_then(Value::as_str) {
            None | Some("AND" | "OR") => filters.iter().try_for_each(|f| check_at(f, depth - 1)),
            Some(_) => Err(bad_operator()),
        };
    }
    if filter.get("operator").and_then(Value::as_str).is_none_or(|o| !CONDITIONS.contains(&o)) {
        return Err(bad_operator());
    }
    if filter.get("path").and_then(Value::as_str).is_none() {
        return Err("filter.path: Required".into());
    }
    Ok(())
}

fn bad_operator() -> String {
    format!(
        "filter operator should be equal to one of the allowed values AND, {}, OR",
        CONDITIONS.join(", ")
    )
}

/// Whether a profile matches. `outer` is the operator of a tree that names none.
pub(crate) fn fits(filter: &Value, outer: &str, profile: &Value) -> bool {
    let operator = filter.get("operator").and_then(Value::as_str).unwrap_or(outer);
    if let Some(filters) =
        filter.get("filters").or_else(|| filter.get("rules")).and_then(Value::as_array)
    {
        return match operator {
            "OR" => filters.iter().any(|f| fits(f, outer, profile)),
            _ => filters.iter().all(|f| fits(f, outer, profile)),
        };
    }
    let path = filter.get("path").and_then(Value::as_str).unwrap_or_default();
    condition(operator, path.split('.').try_fold(profile, |v, part| v.get(part)), &filter["value"])
}

fn condition(operator: &str, found: Option<&Value>, wanted: &Value) -> bool {
    let Some(found) = found.filter(|v| !v.is_null()) else {
        return matches!(operator, "NEQ" | "OMIT");
    };
    match operator {
        "EXISTS" => true,
        "EQ" => text(found) == text(wanted),
        "NEQ" => text(found) != text(wanted),
        "GT" => number(found) > number(wanted) && number(wanted).is_some(),
        "GTE" => number(found) >= number(wanted) && number(wanted).is_some(),
        "LT" => number(found).is_some() && number(found) < number(wanted),
        "LTE" => number(found).is_some() && number(found) <= number(wanted),
        "INCLUDES" => contains(found, wanted),
        "OMIT" => !contains(found, wanted),
        "STARTS_WITH" => text(found).starts_with(&text(wanted)),
        "ENDS_WITH" => text(found).ends_with(&text(wanted)),
        "IS_AFTER" => date(found) > date(wanted) && date(wanted).is_some(),
        "IS_BEFORE" => date(found).is_some() && date(found) < date(wanted),
        _ => false,
    }
}

fn contains(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|i| text(i) == text(wanted)),
        other => text(other).contains(&text(wanted)),
    }
}

fn text(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

fn number(v: &Value) -> Option<f64> {
    v.as_f64().or_else(|| v.as_str()?.parse().ok())
}

fn date(v: &Value) -> Option<Wall> {
    v.as_u64().map(Wall).or_else(|| Wall::parse_iso(v.as_str()?))
}

/// The `reason` of a member, such as `EQ('title', 'engineer') => true`.
pub(crate) fn reason(filter: &Value) -> String {
    format!("{} => true", describe(filter))
}

fn describe(filter: &Value) -> String {
    let operator = filter.get("operator").and_then(Value::as_str).unwrap_or("AND");
    match filter.get("filters").or_else(|| filter.get("rules")).and_then(Value::as_array) {
        Some(filters) => {
            format!("{operator}({})", filters.iter().map(describe).collect::<Vec<_>>().join(", "))
        }
        None => format!("{operator}('{}', '{}')", text(&filter["path"]), text(&filter["value"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_condition_decides_as_named() {
        let profile = json!({ "title": "engineer", "age": 30, "tags": ["a", "b"], "born": "1990-05-01", "address": { "city": "Turin" } });
        for (operator, path, value, yes) in [
            ("EQ", "title", json!("engineer"), true),
            ("EQ", "address.city", json!("Turin"), true),
            ("NEQ", "title", json!("clerk"), true),
            ("NEQ", "nothing", json!("clerk"), true),
            ("GT", "age", json!(29), true),
            ("GT", "age", json!("30"), false),
            ("GTE", "age", json!("30"), true),
            ("LT", "age", json!(30), false),
            ("LTE", "age", json!(30), true),
            ("LT", "title", json!(30), false),
            ("INCLUDES", "tags", json!("b"), true),
            ("OMIT", "tags", json!("c"), true),
            ("EXISTS", "age", json!(null), true),
            ("EXISTS", "nothing", json!(null), false),
            ("STARTS_WITH", "title", json!("eng"), true),
            ("ENDS_WITH", "title", json!("eer"), true),
            ("IS_AFTER", "born", json!("1989-01-01"), true),
            ("IS_BEFORE", "born", json!("1989-01-01"), false),
        ] {
            let filter = json!({ "operator": operator, "path": path, "value": value });
            check(&filter).unwrap();
            assert_eq!(fits(&filter, "AND", &profile), yes, "{filter}");
        }
    }

    #[test]
    fn an_unknown_operator_or_an_endless_tree_is_refused() {
        assert!(
            check(&json!({ "operator": "LIKE", "path": "a", "value": 1 }))
                .unwrap_err()
                .contains("allowed values AND, EQ")
        );
        let deep = (0..40).fold(
            json!({ "operator": "EQ", "path": "a", "value": 1 }),
            |f, _| json!({ "operator": "AND", "filters": [f] }),
        );
        assert!(check(&deep).is_err());
    }
}
