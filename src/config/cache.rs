//! The table `[cache]`, and the rows that it turns on or off.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Access, Catalog, Freshness, Operation};
use crate::units::{Size, Span};
use crate::words::did_you_mean;

/// Answers of reads that are kept, so that the next such read costs no quota.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheTable {
    /// The most memory for all kept answers. One of them takes at most a thousandth of it.
    pub capacity: Size,
    /// How long a kept answer that is no longer fresh may be given while Courier is down or the
    /// quota has no room in time. `"0s"` turns that off.
    pub stale_if_error: Span,
    /// For this long after a write, answers that it changes are not kept. Courier finishes some
    /// effects after its answer.
    pub settle: Span,
    /// What a write through one replica means for reads through the others, where `[shared]` is.
    /// `"strict"`: a copy is given only if Redis confirms it for this very read, within 20 ms.
    /// `"bounded"`: what is read is at most a second old; Redis is asked every 0.75 s, and only while
    /// somebody reads. Default: `"bounded"`, and without `[shared]` replicas know nothing of each
    /// other's writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedReads>,
    /// Further operations whose answers are kept, by id, such as `["notifications.list"]`. The
    /// table at the end of the reference lists all of them.
    pub on: Vec<String>,
    /// Operations whose answers are not kept, by id.
    pub off: Vec<String>,
}

impl Default for CacheTable {
    fn default() -> Self {
        Self {
            capacity: Size::mib(64),
            stale_if_error: Span::secs(600),
            settle: Span::secs(3),
            shared: None,
            on: Vec::new(),
            off: Vec::new(),
        }
    }
}

/// How fresh reads are while several replicas write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SharedReads {
    /// No read is older than a write that was answered before it.
    Strict,
    /// No read is older than a write that was answered a second before it.
    #[default]
    Bounded,
}

/// What an app's own `Cache-Control` counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheControl {
    /// `no-cache`, `no-store`, `max-age`, `min-fresh` and `only-if-cached` are followed; a copy that is too old never counts (`max-stale`).
    #[default]
    Obey,
    /// They are ignored: the app cannot spend quota by them.
    Ignore,
}

impl CacheTable {
    /// True if the answers of `row` are kept.
    #[must_use]
    pub fn keeps(&self, row: &Operation) -> bool {
        let names = |list: &[String]| list.iter().any(|id| **id == *row.id);
        let by_itself = match row.freshness {
            Freshness::Headers => true,
            Freshness::Table => row.cache.is_some_and(|rule| rule.on),
        };
        can_be_kept(row) && !names(&self.off) && (by_itself || names(&self.on))
    }

    /// What is wrong, with the list and the place in it.
    pub(super) fn problems(&self, catalog: &Catalog) -> Vec<(&'static str, usize, String)> {
        let mut problems = Vec::new();
        let off: HashSet<&String> = self.off.iter().collect();
        for (list, ids) in [("on", &self.on), ("off", &self.off)] {
            for (at, id) in ids.iter().enumerate() {
                let row = catalog.operations().iter().find(|row| *row.id == **id);
                let message = match row {
                    None => {
                        let known = catalog.operations().iter().map(|row| &*row.id);
                        let near = did_you_mean(id, known);
                        format!(
                            "there is no operation '{id}'{near}; the end of the reference names those that can be kept"
                        )
                    }
                    Some(row) if !can_be_kept(row) => {
                        format!("answers of '{id}' are never kept: leave it out")
                    }
                    Some(_) if list == "on" && off.contains(id) => {
                        format!("'{id}' is in cache.on and in cache.off: leave it in one of them")
                    }
                    Some(_) => continue,
                };
                problems.push((list, at, message));
            }
        }
        problems
    }
}

fn can_be_kept(row: &Operation) -> bool {
    row.access == Access::Read && (row.cache.is_some() || row.freshness == Freshness::Headers)
}
