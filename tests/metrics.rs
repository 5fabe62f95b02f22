//! The page of metrics for people is made from the table.

use tollgate::telemetry::metrics;

#[test]
fn the_page_of_metrics_says_what_the_table_says() {
    let (path, text) = ("docs/metrics.md", metrics::reference());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).expect("the page can be written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{path} is not what the code says: run the test once with UPDATE=1");
}
