//! Finds the row of a request: on the raw path, before anything is decoded.
//!
//! The path is split at `/`. A literal is compared byte for byte. A parameter takes one non-empty
//! segment, whatever it holds (`%2F`, `;`, `@`). If several rows fit, they are compared from the
//! left. The row that has a literal where the others have a parameter wins.

use std::sync::Arc;

use http::{HeaderValue, Method};
use matchit::{InsertError, Router};

use super::{MethodPattern, Operation};

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Match<'a> {
    /// This row.
    Operation(&'a Arc<Operation>),
    /// The path is known, the method is not. The value is what `Allow` must say.
    WrongMethod(HeaderValue),
    /// No row has this path.
    Unknown,
}

/// The rows of one method.
#[derive(Debug, Default)]
struct Routes {
    /// Templates of a fixed number of segments; a value is the index of a row.
    fixed: Router<usize>,
    /// Templates that end in `{*rest}`. They take the paths that no fixed one takes.
    open: Router<usize>,
}

/// The rows of each method.
#[derive(Debug)]
pub(super) struct Matcher {
    routes: [Routes; MethodPattern::ALL.len()],
    /// All templates in lower case, whatever their method.
    folded: Routes,
}

impl Routes {
    fn at(&self, raw_path: &str) -> Option<usize> {
        self.fixed.at(raw_path).or_else(|_| self.open.at(raw_path)).ok().map(|found| *found.value)
    }

    fn insert(&mut self, template: &str, index: usize) -> Result<(), InsertError> {
        let router = if template.contains("{*") { &mut self.open } else { &mut self.fixed };
        router.insert(template, index)
    }
}

impl Matcher {
    /// # Errors
    /// A message if two rows have the same shape, or if a template can't be read.
    pub(super) fn new(operations: &[Arc<Operation>]) -> Result<Self, String> {
        let mut routes = std::array::from_fn(|_| Routes::default());
        let mut folded = Routes::default();
        // Rows with one method come first; "*" then fills what they leave.
        for only in [true, false] {
            for (index, row) in operations.iter().enumerate() {
                if matches!(row.method, MethodPattern::Only(_)) == only {
                    insert(&mut routes, index, row)?;
                    // Rows of one path with different methods have the same template, so it may be
                    // there already.
                    let _ = folded.insert(&row.path.to_lowercase(), index);
                }
            }
        }
        Ok(Self { routes, folded })
    }

    /// Whether a path in lower case fits the template of a row in lower case.
    pub(super) fn knows_folded(&self, path: &str) -> bool {
        self.folded.at(path).is_some()
    }

    pub(super) fn find<'a>(
        &self,
        operations: &'a [Arc<Operation>],
        method: &Method,
        raw_path: &str,
    ) -> Match<'a> {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        let own = MethodPattern::ALL.iter().position(|known| known == asked);
        if let Some(index) = own.and_then(|m| self.routes[m].at(raw_path)) {
            return Match::Operation(&operations[index]);
        }
        let mut allowed: Vec<&str> = MethodPattern::ALL
            .iter()
            .zip(&self.routes)
            .filter(|(_, routes)| routes.at(raw_path).is_some())
            .map(|(method, _)| method.as_str())
            .collect();
        if allowed.first() == Some(&"GET") {
            allowed.insert(1, "HEAD");
        }
        match HeaderValue::from_str(&allowed.join(", ")) {
            Ok(allow) if !allowed.is_empty() => Match::WrongMethod(allow),
            _ => Match::Unknown,
        }
    }
}

fn insert(
    routes: &mut [Routes; MethodPattern::ALL.len()],
    index: usize,
    row: &Operation,
) -> Result<(), String> {
    for (method, routes) in MethodPattern::ALL.iter().zip(routes) {
        let result = match &row.method {
            MethodPattern::Only(only) if only != method => continue,
            MethodPattern::Only(_) => routes.insert(&row.path, index),
            MethodPattern::Any => match routes.insert(&row.path, index) {
                Err(InsertError::Conflict { .. }) => Ok(()),
                other => other,
            },
        };
        result.map_err(|error| match error {
            InsertError::Conflict { with } => {
                format!("operation '{}': {method} {} is already {method} {with}", row.id, row.path)
            }
            other => format!("operation '{}': path '{}': {other}", row.id, row.path),
        })?;
    }
    Ok(())
}
