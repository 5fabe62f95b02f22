//! Reads a TOML document into a type and reports every problem at once, each with its place.
//!
//! serde stops at the first problem. Here the entry with the problem is taken out of the parsed
//! document. The document is then read again, until it reads without a problem. A missing entry
//! that is required gets a stand-in, so that the rest can be checked as well. Nothing more is said
//! about entries that were taken out.

mod entries;
mod read;
mod syntax;
mod veil;
mod words;

use std::cell::OnceCell;
use std::fmt;

use toml::Spanned;
use toml::de::{DeArray, DeTable};

pub use veil::veiled;

pub use read::{Reading, parse, read};

/// One problem, and its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, if it is not the one that was read.
    pub file: Option<String>,
    /// Line, from 1; 0 if the problem has no place of its own.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right. Holds no value that could be a secret.
    pub message: String,
}

/// A document that was read, with the places of its entries.
pub struct Document<'i, T> {
    /// The value that was read.
    pub value: T,
    text: &'i str,
    /// Its entries. If none was taken out they are parsed again when a place is asked for: a good
    /// file has few such places, or none.
    root: OnceCell<DeTable<'i>>,
}

/// One step from the root to an entry.
#[derive(Clone, Debug)]
pub enum PathStep {
    /// The entry of this name in a table.
    Key(&'static str),
    /// The element at this index of an array.
    Index(usize),
}

/// What a path leads to.
struct Found {
    /// Where it is in the text, in bytes.
    at: usize,
    /// True if it, or a part of it, was taken out.
    hollow: bool,
}

impl<'i, T> Document<'i, T> {
    /// A problem at the entry that `path` leads to, or at the deepest entry on the way that exists.
    pub fn problem(&self, path: &[PathStep], message: impl Into<String>) -> Problem {
        let (line, column) = position(self.text, find(self.root(), path).at);
        Problem::new(line, column, message)
    }

    /// True if `path` leads to something that was taken out, whole or in part. For that there is a
    /// problem already.
    pub fn is_hollow(&self, path: &[PathStep]) -> bool {
        self.root.get().is_some_and(|root| find(root, path).hollow)
    }

    fn root(&self) -> &DeTable<'i> {
        self.root.get_or_init(|| DeTable::parse_recoverable(self.text).0.into_inner())
    }
}

impl Problem {
    /// A problem at a place. Words in `message` that may be secrets are not shown.
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { file: None, line, column, message: veiled(message.into()) }
    }

    /// A problem of a file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self::new(0, 0, message)
    }

    /// The problem in the form that editors open: `file:line:column: message`. `source` is the file
    /// that was read.
    #[must_use]
    pub fn at(&self, source: &str) -> String {
        let file = self.file.as_deref().unwrap_or(source);
        match self.line {
            0 => format!("{file}: {}", self.message),
            line => format!("{file}:{line}:{}: {}", self.column, self.message),
        }
    }

    /// The same for a warning: what is legal but most likely not meant.
    #[must_use]
    pub fn warning(&self, source: &str) -> String {
        Self { message: format!("warning: {}", self.message), ..self.clone() }.at(source)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), _) => f.write_str(&self.at(file)),
            (None, 0) => f.write_str(&self.message),
            (None, line) => write!(f, "line {line}, column {}: {}", self.column, self.message),
        }
    }
}

/// What `path` leads to, or the deepest entry on the way that exists.
fn find(root: &DeTable<'_>, path: &[PathStep]) -> Found {
    let mut at = 0;
    let mut last = 0;
    let mut reached = true;
    let mut table = Some(root);
    let mut array: Option<&DeArray<'_>> = None;
    for step in path {
        let next = match step {
            PathStep::Key(name) => table.and_then(|t| t.get_key_value(*name)).map(|(k, v)| {
                at = if entries::is_hollow(k.span().start) { at } else { k.span().start };
                v
            }),
            PathStep::Index(index) => {
                array.and_then(|a| a.get(*index)).inspect(|v| at = v.span().start)
            }
        };
        let Some(value) = next else {
            reached = false;
            break;
        };
        last = value.span().start;
        let value = Spanned::get_ref(value);
        (table, array) = (value.as_table(), value.as_array());
        // Of a list, only a part may have been taken out.
        if entries::is_hollow(last) && array.is_none() {
            break;
        }
    }
    let in_part = |table: &DeTable<'_>| !path.is_empty() && entries::has_hollow_part(table);
    Found { at, hollow: entries::is_hollow(last) || (reached && table.is_some_and(in_part)) }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
