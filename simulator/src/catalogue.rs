//! The 198 operations as the simulator knows them: its own reduced copy, `operations.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// How a list answer is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// `{"paging":{…},"results":[…]}` (C, OA).
    Results,
    /// `{"items":[…],"paging":{…}}` (C, OA).
    Items,
    /// `{"cursor":…,"has_more":…,"items":[…],"type":"list","url":…}` (PH tests; digests: PY).
    Tenants,
    /// `{"cursor":…,"templates":[…]}` (OA).
    Templates,
    /// `{"tokens":[…]}` (OA).
    Tokens,
    /// `{"next_cursor":…,"runs":[…]}` (PY).
    Runs,
    /// `{"steps":[…]}`, all of them (PY).
    Steps,
    /// `{"checks":[…]}`, all of them (PY).
    Checks,
    /// `{"paging":{…},"versions":[…]}` (PY).
    Versions,
}

/// One operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The stable name, such as `lists.put`.
    pub id: String,
    /// The method, upper case.
    pub method: String,
    /// The template, such as `/lists/{list_id}`.
    pub path: String,
    /// Success codes that a source names; the first is the default.
    pub statuses: Vec<u16>,
    /// Query names that Courier documents.
    #[serde(default)]
    pub query: Vec<String>,
    /// Collections that the answer is built from.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Collections that the call changes.
    #[serde(default)]
    pub clears: Vec<String>,
    /// The operation's name in the Power Platform connector, for the 36 that have one.
    #[serde(default)]
    pub connector: Option<String>,
    /// The wrapping of a list answer; `None` on all other rows.
    #[serde(default)]
    pub envelope: Option<Envelope>,
}

impl Row {
    /// Whether the operation only reads.
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    /// Whether the template's last segment is a parameter.
    pub fn ends_in_parameter(&self) -> bool {
        self.path.ends_with('}')
    }
}

struct IndexedRow {
    row: Row,
    /// `None` stands for a parameter.
    literals: Vec<Option<String>>,
}

/// The rows, indexed by method and number of segments.
pub struct Catalogue {
    buckets: BTreeMap<(String, usize), Vec<IndexedRow>>,
}

/// The embedded catalogue.
pub static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../operations.json"))
        .expect("the embedded operations.json is valid");
    Catalogue::new(rows)
});

impl Catalogue {
    fn new(rows: Vec<Row>) -> Self {
        let mut buckets: BTreeMap<(String, usize), Vec<IndexedRow>> = BTreeMap::new();
        for row in rows {
            let literals: Vec<_> = row.path[1..]
                .split('/')
                .map(|s| (!s.starts_with('{')).then(|| s.to_owned()))
                .collect();
            buckets
                .entry((row.method.clone(), literals.len()))
                .or_default()
                .push(IndexedRow { row, literals });
        }
        for bucket in buckets.values_mut() {
            // Literals come before parameters, so the first match is the right one.
            bucket.sort_by_key(|e| e.literals.iter().map(Option::is_none).collect::<Vec<_>>());
        }
        Self { buckets }
    }

    /// Finds the row for a raw path, and its raw parameters. A `HEAD` finds the `GET` row.
    pub fn find<'p>(&self, method: &str, path: &'p str) -> Option<(&Row, Vec<&'p str>)> {
        let method = if method == "HEAD" { "GET" } else { method };
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let bucket = self.buckets.get(&(method.to_owned(), segments.len()))?;
        let fits = |e: &&IndexedRow| {
            e.literals
                .iter()
                .zip(&segments)
                .all(|(l, s)| l.as_ref().map_or(!s.is_empty(), |l| l == s))
        };
        let entry = bucket.iter().find(fits)?;
        let params = entry
            .literals
            .iter()
            .zip(segments)
            .filter(|(l, _)| l.is_none())
            .map(|(_, s)| s)
            .collect();
        Some((&entry.row, params))
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.buckets.values().flatten().map(|e| &e.row)
    }

    /// Whether a row with exactly this template and method exists.
    pub fn has(&self, method: &str, template: &str) -> bool {
        self.rows().any(|r| r.method == method && r.path == template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(method: &str, path: &str) -> Option<String> {
        CATALOGUE.find(method, path).map(|(r, _)| r.id.clone())
    }

    #[test]
    fn there_are_198_rows_with_distinct_ids() {
        let mut ids: Vec<_> = CATALOGUE.rows().map(|r| &r.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 198);
    }

    #[test]
    fn a_literal_wins_over_a_parameter_and_the_match_can_step_back() {
        assert_eq!(id("GET", "/journeys/runs").as_deref(), Some("journeys.runs.list"));
        assert_eq!(id("GET", "/journeys/runs/templates").as_deref(), Some("journeys.runs.get"));
        assert_eq!(
            id("PUT", "/notifications/x/elements/checks").as_deref(),
            Some("notifications.elements.put")
        );
        assert_eq!(id("POST", "/automations/runs/invoke").as_deref(), Some("automations.invoke"));
        assert_eq!(id("GET", "/preferences/logs").as_deref(), Some("preferences.logs.list"));
    }

    #[test]
    fn odd_slashes_and_case_match_nothing() {
        for path in ["/lists/", "//lists", "/Lists", "lists", "", "/"] {
            assert_eq!(id("GET", path), None, "{path}");
        }
    }

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        let (row, params) = CATALOGUE.find("GET", "/lists/a%2Fsubscriptions").unwrap();
        assert_eq!(
            (row.id.as_str(), params.as_slice()),
            ("lists.get", ["a%2Fsubscriptions"].as_slice())
        );
    }
}
