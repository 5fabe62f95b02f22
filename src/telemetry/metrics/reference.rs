//! The table as a page for people.

use std::fmt::Write as _;

use super::{Instrument, MOST_APPS, Metrics};

/// `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = format!(
        "# Metrics\n\n\
        Made from the table in `src/telemetry/metrics.rs` by `UPDATE=1 cargo test --test metrics`; do not edit it.\n\n\
        The operations port serves them at `/metrics`. Whoever accepts `application/openmetrics-text` gets \
        OpenMetrics, with an example call in each bucket (`call_id`, and `trace_id` if the call belongs to a \
        trace). All others get Prometheus text 0.0.4.\n\n\
        The two `http_…` histograms have the names and buckets of OpenTelemetry's semantic conventions. \
        `operation` replaces their route and method, `status_class` replaces their status. `operation` is `none` \
        if the request was refused before its operation was known.\n\n\
        Counters are there from the start and begin at 0, with each label that the configuration has. So \
        `increase()` sees their first event. A connection or app that a reload adds brings its own series. Only \
        the series of `tollgate_requests_total` and of the histograms appear with their first call.\n\n\
        Label values are words of the code, rows of the catalogue and names of the configuration. Nothing that \
        a caller sends becomes one. `tenant` and `app` name the first {MOST_APPS} apps of the configuration; all \
        further apps share the value `other`. A pool that several connections share has `workspace/<name>` as its \
        `connection`.\n\n\
        | name | type | labels | unit | meaning |\n| --- | --- | --- | --- | --- |\n"
    );
    for row in Metrics::TABLE {
        let labels: Vec<String> = row.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, unit, help) = (row.sample(), row.kind, unit(row), row.help);
        writeln!(page, "| `{name}` | {kind} | {} | {unit} | {help} |", labels.join(", "))
            .expect("writing to a string does not fail");
    }
    page
}

fn unit(row: &Instrument) -> &'static str {
    match row.name.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        _ => "",
    }
}
