//! A search over the journal.

use super::entry::Entry;

/// What to look for. Absent conditions match everything.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The token.
    pub token: Option<String>,
    /// The path without its query. With a star at its end, the beginning of the path.
    pub path: Option<String>,
    /// The operation.
    pub operation: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// Entries after this number.
    pub after: u64,
}

impl Search {
    /// Whether an entry matches.
    pub(super) fn fits(&self, e: &Entry) -> bool {
        let path = e.request.target.split('?').next().unwrap_or_default();
        let is = |wanted: &Option<String>, actual: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == actual
        };
        e.seq > self.after
            && is(&self.token, e.token.as_deref())
            && is(&self.operation, e.operation.as_deref())
            && is(&self.method, Some(&e.request.method))
            && self.path.as_deref().is_none_or(|p| {
                p.strip_suffix('*').map_or_else(|| path == p, |start| path.starts_with(start))
            })
    }
}
