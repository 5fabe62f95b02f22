//! Finds the row of a request: on the raw path, before anything is decoded.
//!
//! The path is split at `/`; a literal is compared byte for byte; a parameter takes one non-empty
//! segment, whatever it holds (`%2F`, `;`, `@`). Of several rows the one wins that has a literal
//! where the others have a parameter, compared from the left.

use std::sync::Arc;

use http::{HeaderValue, Method};
use matchit::Router;

use super::{MethodPattern, Operation};

/// What a method and a path lead to.
#[derive(Debug)]
pub enum Match<'a> {
    /// This row.
    Operation(&'a Arc<Operation>),
    /// The path is known, the method is not: what `Allow` must say.
    WrongMethod(HeaderValue),
    /// No row has this path.
    Unknown,
}

/// One router a method; a value is the index of a row.
#[derive(Debug)]
pub(super) struct Matcher {
    routers: [Router<usize>; MethodPattern::ALL.len()],
}

impl Matcher {
    /// # Errors
    /// A message when two rows have the same shape or a template cannot be read.
    pub(super) fn new(operations: &[Arc<Operation>]) -> Result<Self, String> {
        let mut routers = std::array::from_fn(|_| Router::new());
        // Rows with a method of their own first: "*" fills what they leave.
        for only in [true, false] {
            for (index, row) in operations.iter().enumerate() {
                if matches!(row.method, MethodPattern::Only(_)) == only {
                    insert(&mut routers, index, row)?;
                }
            }
        }
        Ok(Self { routers })
    }

    pub(super) fn find<'a>(
        &self,
        operations: &'a [Arc<Operation>],
        method: &Method,
        raw_path: &str,
    ) -> Match<'a> {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        let own = MethodPattern::ALL.iter().position(|known| known == asked);
        if let Some(index) = own.and_then(|m| self.routers[m].at(raw_path).ok()) {
            return Match::Operation(&operations[*index.value]);
        }
        let mut allowed: Vec<&str> = MethodPattern::ALL
            .iter()
            .zip(&self.routers)
            .filter(|(_, router)| router.at(raw_path).is_ok())
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
    routers: &mut [Router<usize>; MethodPattern::ALL.len()],
    index: usize,
    row: &Operation,
) -> Result<(), String> {
    for (method, router) in MethodPattern::ALL.iter().zip(routers) {
        let result = match &row.method {
            MethodPattern::Only(only) if only != method => continue,
            MethodPattern::Only(_) => router.insert(&row.path, index),
            MethodPattern::Any => match router.insert(&row.path, index) {
                Err(matchit::InsertError::Conflict { .. }) => Ok(()),
                other => other,
            },
        };
        result.map_err(|error| match error {
            matchit::InsertError::Conflict { with } => {
                format!("operation '{}': {method} {} is already {method} {with}", row.id, row.path)
            }
            other => format!("operation '{}': path '{}': {other}", row.id, row.path),
        })?;
    }
    Ok(())
}
