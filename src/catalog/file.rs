//! The catalogue as a file: the embedded one, or one that replaces or extends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::matcher::{Match, Matcher};
use super::operation::CONNECTION_POOL;
use super::{Operation, Pool, prices};
use crate::document::{self, Document, PathStep, Problem, Reading};
use crate::numbers::OperationIx;
use crate::paths;

/// Courier's catalogue, as shipped.
const COURIER: &str = include_str!("../../config/courier.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// `courier`: rows and pools are added to the embedded ones, or override them by id.
    #[serde(default)]
    extends: Option<Base>,
    #[serde(default)]
    pool: Vec<Pool>,
    #[serde(default)]
    operation: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Base {
    Courier,
}

/// Every operation that the gateway knows.
#[derive(Debug)]
pub struct Catalog {
    operations: Vec<Arc<Operation>>,
    pools: Vec<Pool>,
    unlisted: Arc<Operation>,
    matcher: Matcher,
}

/// Why a catalogue file was refused: each problem with its place in the file.
pub type CatalogError = Vec<Problem>;

impl Catalog {
    /// The embedded catalogue of Courier's API. It is read once per process.
    #[must_use]
    pub fn courier() -> Arc<Self> {
        static READ: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
            let read = Catalog::parse(COURIER);
            Arc::new(read.expect("the embedded catalogue is valid: a test reads it"))
        });
        READ.clone()
    }

    /// Reads a catalogue file.
    ///
    /// # Errors
    /// Every problem in it, with its place.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let Reading { document, mut problems } = document::read::<File>(text);
        let Some(document) = document else { return Err(problems) };
        let whole = problems.is_empty();
        problems.extend(check(&document));
        problems.sort();
        let places = prices::Places::of(&document, |file| (&file.operation, &file.pool));
        let mut file = document.value;
        if file.extends.is_some() {
            let base: File = toml::from_str(COURIER).expect("the embedded catalogue is valid");
            file.pool = overlay(base.pool, file.pool, |pool| pool.id.as_str().into());
            file.operation = overlay(base.operation, file.operation, |row| row.id.clone());
        }
        let numbered = |(ix, row)| Arc::new(Operation { ix: OperationIx::from(ix), ..row });
        let operations: Vec<_> = file.operation.into_iter().enumerate().map(numbered).collect();
        if whole {
            // The prices of a row or pool that could not be read are not known.
            problems.extend(prices::problems(&operations, &file.pool, &places));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let whole_file = |message| vec![Problem::of_file(message)];
        let ix = OperationIx::from(operations.len());
        let matcher = Matcher::new(&operations).map_err(whole_file)?;
        Ok(Self {
            operations,
            pools: file.pool,
            unlisted: Arc::new(Operation { ix, ..Operation::unlisted() }),
            matcher,
        })
    }

    /// All rows.
    #[must_use]
    pub fn operations(&self) -> &[Arc<Operation>] {
        &self.operations
    }

    /// The named pools.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// All rows and the one for other paths, in the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.operations.iter().chain([&self.unlisted])
    }

    /// The row that stands for paths outside the catalogue.
    #[must_use]
    pub fn unlisted(&self) -> &Arc<Operation> {
        &self.unlisted
    }

    /// Finds the row for a raw path and a method; `HEAD` is `GET`.
    #[must_use]
    pub fn find(&self, method: &http::Method, raw_path: &str) -> Match<'_> {
        self.matcher.find(&self.operations, method, raw_path)
    }

    /// The words that scopes may use beside `*`, operation ids and `unlisted`.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<&str> {
        self.operations.iter().map(|row| row.group.as_str()).collect()
    }

    /// For a path that no row has. True if a lenient server could read it as a row's path, or as
    /// one under a group that scopes must name. Such a server decodes a path, cuts off its
    /// parameters or folds its case.
    #[must_use]
    pub fn is_reserved(&self, raw_path: &str) -> bool {
        paths::foldings(raw_path).any(|path| self.is_known(&path))
    }

    /// The same for a folded path.
    fn is_known(&self, path: &str) -> bool {
        let first = path.split('/').nth(1).unwrap_or_default();
        let mut named = self.operations.iter().filter(|row| row.named);
        named.any(|row| row.first_segment().eq_ignore_ascii_case(first))
            || self.matcher.knows_folded(path)
    }
}

/// `more` on top of `base`. An item with the same key replaces the old one in place; new keys
/// follow.
fn overlay<T>(base: Vec<T>, more: Vec<T>, key: impl Fn(&T) -> Arc<str>) -> Vec<T> {
    let mut by_key: BTreeMap<Arc<str>, T> =
        more.into_iter().map(|item| (key(&item), item)).collect();
    let mut all: Vec<T> =
        base.into_iter().map(|item| by_key.remove(&key(&item)).unwrap_or(item)).collect();
    all.extend(by_key.into_values());
    all
}

/// The problems of one file that need no other file to be seen.
fn check(document: &Document<'_, File>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, row) in document.value.operation.iter().enumerate() {
        let path =
            |column| [PathStep::Key("operation"), PathStep::Index(at), PathStep::Key(column)];
        let mut refuse = |column, message: String| {
            if !document.is_hollow(&path(column)) {
                problems.push(document.problem(&path(column), message));
            }
        };
        if !seen.insert(&row.id) {
            refuse("id", format!("operation '{}' is there twice", row.id));
        }
        if &*row.id == "unlisted" || row.group == "unlisted" {
            refuse("id", "the name 'unlisted' is taken by paths outside the catalogue".into());
        }
        if !row.path.starts_with('/') {
            refuse("path", format!("path '{}' must begin with '/'", row.path));
        }
        if row.cache.is_some() && row.reads.is_empty() {
            refuse(
                "cache",
                format!("'{}' is cached but reads no collection: no write could clear it", row.id),
            );
        }
        for name in &row.headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                refuse("headers", format!("'{name}' is not a header name"));
            }
        }
    }
    let mut pools = BTreeSet::from([CONNECTION_POOL]);
    for (at, pool) in document.value.pool.iter().enumerate() {
        if !is_pool_name(&pool.id) {
            let path = [PathStep::Key("pool"), PathStep::Index(at), PathStep::Key("id")];
            let message = "a pool's name is 1 to 40 characters of a-z, 0-9, '.', '_' and '-'";
            problems.push(document.problem(&path, message));
        }
        if !pools.insert(&pool.id) {
            let path = [PathStep::Key("pool"), PathStep::Index(at), PathStep::Key("id")];
            problems.push(document.problem(&path, format!("pool '{}' is there twice", pool.id)));
        }
    }
    problems
}

/// True if `name` can be a pool's. Pool names stand in header fields and in file names.
fn is_pool_name(name: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=40).contains(&name.len()) && name.bytes().all(plain)
}
