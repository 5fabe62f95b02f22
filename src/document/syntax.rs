//! The gateway's own words for a text that is not TOML.

use toml::de::Error;

use super::{Problem, position};

/// The lines that can't be read.
pub(super) struct Wrong {
    pub(super) problems: Vec<Problem>,
    /// True if a mistake may reach beyond its own line. Then nobody knows what the rest says.
    pub(super) spreads: bool,
}

impl Wrong {
    pub(super) fn of(text: &str, errors: &[Error]) -> Self {
        let mut wrong = Self { problems: Vec::new(), spreads: false };
        for error in errors {
            let start = error.span().map_or(text.len(), |span| span.start);
            let (line, column) = position(text, start);
            let source = text.lines().nth(line - 1).unwrap_or_default();
            if wrong.spreads {
                // Later problems may follow from this one.
                break;
            }
            wrong.spreads = !(error.message() == "duplicate key" || stays(source));
            if let Some((line, column)) = wrong.spreads.then(|| unclosed(text, line)).flatten() {
                let message = "this list or table is not closed: write ] or } at its end, and a comma between two elements";
                wrong.problems.push(Problem::new(line, column, message));
                break;
            }
            // The parser often reports one mistake several times.
            if wrong.problems.iter().all(|problem| problem.line != line) {
                let message = words(error.message(), source, start_of(text, &error.span()));
                wrong.problems.push(Problem::new(line, column, message));
            }
        }
        wrong
    }
}

/// The text at the place of an error. It is shown only if it is a name, since a value may be a
/// secret.
fn start_of<'a>(text: &'a str, span: &Option<std::ops::Range<usize>>) -> &'a str {
    span.clone().and_then(|span| text.get(span)).unwrap_or_default()
}

/// True for a line that affects no other: a key, its value, and all brackets and quotes closed.
fn stays(line: &str) -> bool {
    let count = |c: char| line.matches(c).count();
    line.contains('=')
        && !line.trim_start().starts_with('[')
        && count('[') == count(']')
        && count('{') == count('}')
        && count('"').is_multiple_of(2)
        && count('\'').is_multiple_of(2)
}

/// The value above `line` that opens more brackets than are closed before that line.
fn unclosed(text: &str, line: usize) -> Option<(usize, usize)> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let entry = |line: &&str| line.contains('=') && !line.trim_start().starts_with(['[', '#']);
    let at = lines.iter().rposition(entry)?;
    let before = lines[at].find('=')?;
    let value = &lines[at][before..];
    let count = |c: char| value.matches(c).count();
    let open = count('[') > count(']') || count('{') > count('}');
    let column = value.find(['[', '{'])? + before;
    open.then(|| (at + 1, lines[at][..column].chars().count() + 1))
}

/// The problem of a file in another language.
pub(super) fn other_language(text: &str) -> Option<Problem> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let used = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.trim().starts_with('#');
    let (at, first) = lines.find(used)?;
    let first = first.trim();
    let yaml = |line: &str| {
        line.split_once(':').is_some_and(|(key, rest)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            !key.is_empty() && key.chars().all(plain) && (rest.is_empty() || rest.starts_with(' '))
        })
    };
    let language = match first {
        _ if first.starts_with('{') => "JSON",
        _ if first == "---" || yaml(first) => "YAML",
        _ if first.starts_with('<') => "XML",
        _ => return None,
    };
    Some(Problem {
        line: at + 1,
        column: 1,
        message: format!(
            "this looks like {language}, and must be TOML: [table], then key = value on a line each; config/tollgate.toml shows a complete one"
        ),
        file: None,
    })
}

fn words(said: &str, line: &str, name: &str) -> String {
    let trimmed = line.trim_start();
    if line.contains(['“', '”', '„', '‘', '’']) {
        return "the quotes are those of a word processor: write \" before and behind the text"
            .into();
    }
    if said == "duplicate key" || said.starts_with("cannot extend value") {
        return twice(trimmed, name);
    }
    let table = "write [name] for a table, [[name]] for one that may be there several times";
    let value = line.split_once('=').map(|(_, value)| value.trim());
    match said {
        _ if value == Some("") => "the value is missing: write key = value".into(),
        _ if value.is_some_and(|value| value.starts_with('=')) => {
            "one = too many: write key = value".into()
        }
        _ if value.is_some_and(|value| ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value))) => {
            "write true or false in small letters".into()
        }
        _ if value.is_some_and(|value| value.starts_with(['[', '{'])) && stays(line) => {
            "this list or table can't be read: write [\"a\", \"b\"] or { key = value, key = value }, with commas between".into()
        }
        _ if trimmed.starts_with('[') && !line.contains('=') => {
            format!("this heading is not complete: {table}")
        }
        _ if said.contains("string") && !line.matches('"').count().is_multiple_of(2) => {
            "a quote is missing: write \" before and behind the text".into()
        }
        _ if !line.contains('=') && line.contains(':') => {
            "a colon is no TOML: write key = value".into()
        }
        _ if !line.contains('=') => format!("this is no entry: write key = value; {table}"),
        _ if said.contains("escape") || said.contains("unicode") => {
            "a \\ begins an escape in \"…\": write \\\\, or put the text between two '".into()
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            "tables and lists stand too deep in each other: no key needs that".into()
        }
        _ if said.contains("key") && !said.contains("value") => {
            "this is no key: write a name of a-z, 0-9, '_' and '-' before the =".into()
        }
        _ => "this value can't be read: write text in quotes (key = \"…\"), and numbers, true and false without".into(),
    }
}

fn twice(line: &str, name: &str) -> String {
    if line.starts_with("[[") {
        format!("'{name}' is there as another kind of entry: write [[…]] each time, or [ … ] once")
    } else if line.starts_with('[') {
        format!("the table '{name}' is there twice: put its keys below one heading")
    } else {
        format!("the key '{name}' is there twice: leave one of them")
    }
}
