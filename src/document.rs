//! Reads a TOML document into a type and reports every problem at once, each with its place.
//!
//! serde stops at the first problem. Here the entry that a problem points at is taken out of the
//! parsed document, which is then read again, until it reads or nothing can be taken out any more.

use std::fmt;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// More problems than anybody reads at once.
const MOST_PROBLEMS: usize = 50;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1; 0 when the problem has no place of its own.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right. Holds no value that could be a secret.
    pub message: String,
}

/// A document that was read, with the places of its entries.
pub struct Document<'i, T> {
    /// What it says.
    pub value: T,
    text: &'i str,
    root: DeTable<'i>,
}

/// One step from the root to an entry.
#[derive(Clone, Debug)]
pub enum Step {
    /// The entry of this name in a table.
    Key(&'static str),
    /// The element at this index of an array.
    Index(usize),
}

/// Reads `text`.
///
/// # Errors
/// Every problem found, in the order of the text.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<Document<'_, T>, Vec<Problem>> {
    let (root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Err(syntax.iter().map(|e| problem(text, e)).collect());
    }
    let root_span = root.span();
    let mut readable = root.get_ref().clone();
    let mut problems = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    while problems.len() < MOST_PROBLEMS {
        let table = Spanned::new(root_span.clone(), readable.clone());
        match T::deserialize(toml::Deserializer::from(table)) {
            Ok(value) if problems.is_empty() => {
                let root = root.into_inner();
                return Ok(Document { value, text, root });
            }
            Ok(_) => break,
            Err(error) => {
                // What was taken out for being wrong is not missing.
                let follows = gone.iter().any(|name| error.message() == missing(name));
                if follows {
                    gone.clear();
                } else {
                    problems.push(problem(text, &error));
                }
                match error.span().and_then(|span| take_out(&mut readable, &span)) {
                    Some(name) => gone.push(name),
                    None => break,
                }
            }
        }
    }
    problems.sort();
    Err(problems)
}

impl<T> Document<'_, T> {
    /// A problem at the entry that `path` leads to, or at the deepest one on the way that exists.
    pub fn problem(&self, path: &[Step], message: impl Into<String>) -> Problem {
        let mut span = 0..0;
        let mut table = Some(&self.root);
        let mut array: Option<&DeArray<'_>> = None;
        for step in path {
            let next = match step {
                Step::Key(name) => table.and_then(|t| t.get_key_value(*name)).map(|(k, v)| {
                    span = k.span();
                    v
                }),
                Step::Index(at) => array.and_then(|a| a.get(*at)).inspect(|v| span = v.span()),
            };
            let Some(value) = next.map(Spanned::get_ref) else {
                break;
            };
            (table, array) = (value.as_table(), value.as_array());
        }
        let (line, column) = position(self.text, span.start);
        Problem { line, column, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}, column {}: {}", self.column, self.message),
        }
    }
}

fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let (line, column) = error.span().map_or((0, 0), |span| position(text, span.start));
    let message = without_values(error.message()).trim_end().replace('\n', "; ");
    Problem { line, column, message }
}

/// serde quotes a value that is wrong, and it may be a secret in the wrong place.
fn without_values(message: &str) -> String {
    for (kind, quote) in [("invalid type: string", '"'), ("unknown variant", '`')] {
        if let Some(rest) = message.strip_prefix(kind) {
            let expected = rest.rfind(&format!("{quote}, expected ")).map(|at| &rest[at + 1..]);
            return format!("{kind}{}", expected.unwrap_or_default());
        }
    }
    message.to_owned()
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// What serde says of a table without an entry that it must have.
fn missing(name: &str) -> String {
    format!("missing field `{name}`")
}

/// Removes the entry whose key or value stands exactly at `span`; its name, or nothing for an element
/// of an array. `None` when there is none.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let there = table
        .iter()
        .find(|(key, value)| {
            // An array of tables stands where its first one does: that one alone is meant.
            let first = value.get_ref().as_array().and_then(|array| array.first());
            let is_array = first.is_some_and(|first| first.span() == *span);
            !is_array && (key.span() == *span || value.span() == *span)
        })
        .map(|(key, _)| key.get_ref().to_string());
    match there {
        Some(name) => table.remove(name.as_str()).map(|_| name),
        None => table.iter_mut().find_map(|(_, value)| take_out_of(value.get_mut(), span)),
    }
}

fn take_out_of(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => take_out(table, span),
        DeValue::Array(array) => {
            let before = array.len();
            let kept = std::mem::replace(array, DeArray::new()).into_iter();
            *array = kept.filter(|element| element.span() != *span).collect();
            if array.len() < before {
                return Some(String::new());
            }
            array.iter_mut().find_map(|element| take_out_of(element.get_mut(), span))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by Debug")]
    struct Sample {
        #[serde(default)]
        wait: Option<crate::units::Span>,
        #[serde(default)]
        item: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by Debug")]
    struct Item {
        id: String,
        #[serde(default)]
        size: u32,
    }

    #[test]
    fn what_is_wrong_is_not_missing_too() {
        let found =
            problems("[[item]]\nid = 1\nsize = \"x\"\n[[item]]\nsize = 2\n[[item]]\nid = 3\n");
        let lines: Vec<_> = found.iter().map(|text| text.split(':').next().unwrap()).collect();
        let places =
            ["line 2, column 6", "line 3, column 8", "line 4, column 1", "line 7, column 6"];
        assert_eq!(lines, places, "{found:#?}");
        assert!(found[2].contains("missing field `id`"));
    }

    fn problems(text: &str) -> Vec<String> {
        parse::<Sample>(text).err().unwrap_or_default().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_problem_is_reported_with_line_and_column() {
        let found = problems(
            "wiat = \"5s\"\nwait = \"5 s\"\n[[item]]\nid = \"a\"\nsize = \"big\"\n[[item]]\nsize = 1\n",
        );
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(
            found[0].starts_with("line 1, column 1: unknown field `wiat`, expected"),
            "{found:#?}"
        );
        assert!(found[1].starts_with("line 2, column 8: '5 s' is not a duration"), "{found:#?}");
        assert!(
            found[2].starts_with("line 5, column 8: invalid type: string, expected u32"),
            "{found:#?}"
        );
        assert!(found[3].starts_with("line 6, column 1: missing field `id`"), "{found:#?}");
    }

    #[test]
    fn every_syntax_error_is_reported() {
        let found = problems("a = = 1\nb = \"x\nitem = []\n");
        assert!(found.len() >= 2, "{found:#?}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_repeated() {
        let found = problems("item = \"tok-\\\"secret\"\n");
        assert!(!found[0].contains("secret"), "{found:#?}");
    }

    #[test]
    fn a_later_check_can_point_at_an_entry() {
        let document = parse::<Sample>("[[item]]\nid = \"a\"\n[[item]]\nid = \"b\"\n").unwrap();
        let path = [Step::Key("item"), Step::Index(1), Step::Key("id")];
        assert_eq!(document.problem(&path, "taken").to_string(), "line 4, column 1: taken");
        let missing = [Step::Key("item"), Step::Index(0), Step::Key("size")];
        assert_eq!(document.problem(&missing, "absent").line, 1);
    }
}
