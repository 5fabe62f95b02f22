//! JSON Patch (RFC 6902) over JSON Pointer (RFC 6901).

use serde_json::Value;

/// Applies all operations in order. After an error `doc` is half changed, so pass a copy.
pub(crate) fn apply(doc: &mut Value, operations: &[Value]) -> Result<(), String> {
    operations.iter().try_for_each(|operation| one(doc, operation))
}

fn one(doc: &mut Value, operation: &Value) -> Result<(), String> {
    let path = member(operation, "path")?;
    let value = || operation.get("value").cloned().ok_or_else(|| "value: Required".to_owned());
    match member(operation, "op")? {
        "add" => add(doc, path, value()?),
        "remove" => remove(doc, path).map(drop),
        "replace" => {
            *find(doc, path)? = value()?;
            Ok(())
        }
        "move" => {
            let moved = remove(doc, member(operation, "from")?)?;
            add(doc, path, moved)
        }
        "copy" => {
            let copied = find(doc, member(operation, "from")?)?.clone();
            add(doc, path, copied)
        }
        "test" if *find(doc, path)? == value()? => Ok(()),
        "test" => Err(format!("test failed at {path}")),
        other => {
            Err(format!("op should be one of add, remove, replace, move, copy, test, not {other}"))
        }
    }
}

fn member<'v>(operation: &'v Value, name: &str) -> Result<&'v str, String> {
    operation.get(name).and_then(Value::as_str).ok_or_else(|| format!("{name}: Required"))
}

fn find<'v>(doc: &'v mut Value, path: &str) -> Result<&'v mut Value, String> {
    doc.pointer_mut(path).ok_or_else(|| missing(path))
}

fn add(doc: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((parent, key)) = split(path) else {
        *doc = value;
        return Ok(());
    };
    match find(doc, parent)? {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let at = index(&key).filter(|at| *at <= list.len()).ok_or_else(|| missing(path))?;
            list.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(doc: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = split(path).ok_or_else(|| missing(path))?;
    match find(doc, parent)? {
        Value::Object(map) => map.remove(&key),
        Value::Array(list) => index(&key).filter(|at| *at < list.len()).map(|at| list.remove(at)),
        _ => None,
    }
    .ok_or_else(|| missing(path))
}

/// Parent pointer and last token, unescaped; `None` for the whole document.
fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// An array index: digits, and no zero before others (RFC 6901, 4).
fn index(key: &str) -> Option<usize> {
    let plain = key == "0" || !key.starts_with('0') && key.bytes().all(|b| b.is_ascii_digit());
    key.parse().ok().filter(|_| plain)
}

fn missing(path: &str) -> String {
    format!("no value at path {path}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operation_does_what_the_rfc_says() {
        let mut doc = json!({ "a": 1, "b": [1, 2], "c/d": 5, "~1": 3 });
        let operations = json!([
            { "op": "test", "path": "/a", "value": 1 },
            { "op": "add", "path": "/b/1", "value": 9 },
            { "op": "add", "path": "/b/-", "value": 7 },
            { "op": "remove", "path": "/b/0" },
            { "op": "move", "from": "/a", "path": "/e" },
            { "op": "copy", "from": "/e", "path": "/f" },
            { "op": "replace", "path": "/c~1d", "value": 6 },
            { "op": "remove", "path": "/~01" },
        ]);
        apply(&mut doc, operations.as_array().unwrap()).unwrap();
        assert_eq!(doc, json!({ "b": [9, 2, 7], "c/d": 6, "e": 1, "f": 1 }));
    }

    #[test]
    fn a_missing_place_or_a_failed_test_is_an_error() {
        for operation in [
            json!({ "op": "remove", "path": "/x" }),
            json!({ "op": "replace", "path": "/x", "value": 1 }),
            json!({ "op": "test", "path": "/a", "value": 2 }),
            json!({ "op": "add", "path": "/b/9", "value": 1 }),
            json!({ "op": "add", "path": "/b/+0", "value": 1 }),
            json!({ "op": "add", "path": "/b/00", "value": 1 }),
            json!({ "op": "add", "path": "/a/b", "value": 1 }),
            json!({ "op": "remove", "path": "" }),
            json!({ "op": "move", "from": "/b", "path": "/b/0" }),
            json!({ "op": "fly", "path": "/a" }),
            json!({ "path": "/a" }),
            json!({ "op": "add", "path": "/a" }),
        ] {
            let mut doc = json!({ "a": 1, "b": [] });
            assert!(apply(&mut doc, std::slice::from_ref(&operation)).is_err(), "{operation}");
        }
    }
}
