//! Usage as comma-separated values.

use super::book::{Counts, UsageRow};
use super::day::Day;

/// A header row, then one line for each day, tenant, app and connection. Names hold nothing that
/// CSV or a spreadsheet could misread.
#[must_use]
pub fn csv<'a>(rows: impl Iterator<Item = (Day, &'a UsageRow)>) -> String {
    let counts = Counts::TABLE.iter().map(|(name, _)| *name);
    let header: Vec<&str> =
        ["day", "tenant", "app", "connection"].into_iter().chain(counts).collect();
    let mut text = header.join(",") + "\n";
    for (day, (who, counts)) in rows {
        let connection = who.connection.as_ref().map_or("", |id| id.as_str());
        text += &format!("{day},{},{},{connection}", who.tenant, who.app);
        counts.values().iter().for_each(|count| text += &format!(",{count}"));
        text.push('\n');
    }
    text
}
