//! A counter stands at 0 before its first event: a series that appears with 1 has not grown, for
//! Prometheus, and no alert rings.

use std::collections::BTreeSet;

use tollgate::telemetry::metrics::Metrics;

use crate::metrics::{gateway, load, page_of};
use crate::page::Page;
use crate::support::{Setup, Stack, request, tenant};

/// Has too many combinations of labels.
const WITH_ITS_CALL: &str = "tollgate_requests_total";
/// Are there with `[shared]` only; `shared` sees them at 0.
pub(crate) const WITH_A_STORE: [&str; 3] = [
    "tollgate_shared_store_commands_total",
    "tollgate_cache_unconfirmed_total",
    "tollgate_cache_untold_writes_total",
];

/// Names of the samples of counters that begin at 0.
fn counters() -> impl Iterator<Item = String> {
    let counters = Metrics::TABLE.iter().filter(|row| row.kind == "counter");
    let counters = counters.map(|row| row.sample());
    counters.filter(|name| name != WITH_ITS_CALL && !WITH_A_STORE.contains(&name.as_str()))
}

/// The series of those counters.
fn series(page: &Page) -> BTreeSet<String> {
    let all = counters().flat_map(|name| {
        page.find(&name, &[]).into_iter().map(move |sample| format!("{name} {:?}", sample.labels))
    });
    all.collect()
}

#[tokio::test]
async fn every_counter_is_there_at_zero_before_the_first_call() {
    let (rig, _certificate) = gateway().await;
    let page = page_of(&rig).await;
    for name in counters().filter(|name| name != "process_cpu_seconds_total") {
        let samples = page.find(&name, &[]);
        assert!(!samples.is_empty(), "{name} is not there");
        assert!(samples.iter().all(|sample| sample.value == 0.0), "{name}: {samples:?}");
    }
    let both = |name: &str| {
        ["acme-prod", "umbrella-prod"].map(|id| page.find(name, &[("connection", id)]).len())
    };
    assert_eq!(both("tollgate_quota_refusals_total"), [7, 7]);
    assert_eq!(both("tollgate_vendor_credential_rejected_total"), [1, 1]);
    assert_eq!(both("tollgate_vendor_throttled_total"), [1, 1]);
}

#[tokio::test]
async fn no_event_makes_a_series() {
    let (mut rig, certificate) = gateway().await;
    let before = series(&page_of(&rig).await);
    load(&mut rig, &certificate).await;
    let after = series(&page_of(&rig).await);
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_reload_adds_begins_at_zero_and_the_rest_goes_on() {
    let setup = Setup::new("");
    let mut stack = Stack::new(&setup);
    stack.call(request("GET", "/messages", &setup.acme, "")).await;
    let (more, _) = tenant("wayne", "");
    stack.reload(&format!("{}{more}", setup.text)).unwrap();
    let page = Page::of(&stack.state).await;
    let refusals = page.find("tollgate_quota_refusals_total", &[("connection", "wayne-prod")]);
    assert!(refusals.len() == 7 && refusals.iter().all(|sample| sample.value == 0.0));
    let calls = |app| page.sum("tollgate_app_requests_total", &[("app", app), ("code", "ok")]);
    assert_eq!((calls("wayne"), calls("acme")), (0.0, 1.0));
    assert!(!page.find("tollgate_app_requests_total", &[("app", "wayne")]).is_empty());
}
