//! Metrics: one table feeds registration, documentation and tests. Labels are closed sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{
    EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, LabelValueEncoder,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::code;
use crate::catalog::CONNECTION_POOL;
use crate::error::Code;
use crate::quota::Would;
use crate::record::{KeyUse, Marks, Record};

/// The bucket bounds of HTTP durations in OpenTelemetry's semantic conventions, in seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The label of what has no operation: refused before the route was known.
const NO_OPERATION: &str = "none";

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    /// The name, without the suffixes that Prometheus adds.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The labels, in order.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// A counter with labels.
pub type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// A histogram of seconds with labels.
pub type Durations<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

fn durations<const N: usize>() -> Durations<N> {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

macro_rules! instruments {
    ($($(#[doc = $help:literal])* $field:ident: $type:ty = $make:expr, $kind:literal $name:literal [$($label:literal),*];)*) => {
        /// Every instrument of the gateway.
        pub struct Metrics {
            $($(#[doc = $help])* pub $field: $type,)*
            saved: AtomicU64,
            registry: Registry,
        }

        impl Metrics {
            /// The table: what is registered, documented and tested.
            pub const TABLE: &[Instrument] = &[$(Instrument {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                help: concat!($($help),*).trim_ascii(),
            }),*];

            /// Fresh instruments in a registry of their own.
            #[must_use]
            pub fn new() -> Self {
                let mut registry = Registry::default();
                $(let $field: $type = $make;
                // The registry ends each text with a full stop of its own.
                registry.register($name, concat!($($help),*).trim_ascii().trim_end_matches('.'), $field.clone());)*
                Self { $($field,)* saved: AtomicU64::new(0), registry }
            }
        }
    };
}

instruments! {
    /// Calls answered or given up, by operation, status class and code.
    requests: Counters<3> = Counters::default(), "counter" "tollgate_requests" ["operation", "status_class", "code"];
    /// Time from the head of a request until its answer was handed over whole, in seconds.
    server_duration: Durations<2> = durations(), "histogram" "http_server_request_duration_seconds" ["operation", "status_class"];
    /// Time from the last send to Courier until the head of its answer, in seconds.
    client_duration: Durations<1> = durations(), "histogram" "http_client_request_duration_seconds" ["operation"];
    /// Time that calls waited for their turn, in seconds.
    queue_wait: Durations<1> = durations(), "histogram" "tollgate_queue_wait_seconds" ["lane"];
    /// Answers by which Courier refused a call for a quota of its own.
    throttled: Counters<1> = Counters::default(), "counter" "tollgate_vendor_throttled" ["operation"];
    /// Tries at Courier, further attempts included.
    attempts: Counters<1> = Counters::default(), "counter" "tollgate_vendor_attempts" ["operation"];
    /// Calls under an idempotency key: given, made, recognised (an SDK's retry under a made one), replayed.
    keys: Counters<1> = Counters::default(), "counter" "tollgate_idempotency_keys" ["outcome"];
    /// Answers by which Courier refused a connection's token: somebody has to replace it.
    rejected: Counters<1> = Counters::default(), "counter" "tollgate_vendor_credential_rejected" ["connection"];
    /// Hosts of Courier that are taken for dead: their calls are refused, but for one probe at a time.
    hosts_down: Gauge = Gauge::default(), "gauge" "tollgate_vendor_hosts_down" [];
    /// In shadow mode: calls that would have waited or been refused.
    shadow: Counters<1> = Counters::default(), "counter" "tollgate_quota_shadow" ["outcome"];
    /// Calls on cached or shared rows, by what the cache did for them.
    cache: Counters<2> = Counters::default(), "counter" "tollgate_cache_requests" ["operation", "outcome"];
    /// Slots of the connections' quotas that calls would have taken but for the cache.
    quota_saved: Counters<1> = Counters::default(), "counter" "tollgate_cache_quota_saved" ["operation"];
    /// Writes that cleared what is kept of the collections that they change.
    cleared: Counters<1> = Counters::default(), "counter" "tollgate_cache_clears" ["operation"];
    /// Octets that kept answers take.
    cache_bytes: Gauge = Gauge::default(), "gauge" "tollgate_cache_bytes" [];
    /// Calls under way.
    in_flight: Gauge = Gauge::default(), "gauge" "tollgate_requests_in_flight" [];
    /// Client connections that are open.
    sockets: Gauge = Gauge::default(), "gauge" "tollgate_client_sockets" [];
    /// Reloads of the configuration, by outcome.
    reloads: Counters<1> = Counters::default(), "counter" "tollgate_config_reloads" ["outcome"];
    /// Log lines that were dropped because the output did not keep up.
    lines_dropped: Counter = Counter::default(), "counter" "tollgate_log_lines_dropped" [];
    /// Spans that the collector took.
    spans_exported: Counter = Counter::default(), "counter" "tollgate_spans_exported" [];
    /// Spans that were lost: no room in the queue, or the collector did not take them.
    spans_dropped: Counter = Counter::default(), "counter" "tollgate_spans_dropped" [];
    /// Always 1; its label is the version.
    build: Family<Labels<1>, Gauge> = Family::default(), "gauge" "tollgate_build_info" ["version"];
}

/// A label value: from the code, or from the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A word of the code.
    Word(&'static str),
    /// An id of the catalogue.
    Id(Arc<str>),
}

/// The labels of one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels<const N: usize>([(&'static str, Value); N]);

impl EncodeLabelValue for Value {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => word.encode(encoder),
            Self::Id(id) => id.encode(encoder),
        }
    }
}

impl<const N: usize> EncodeLabelSet for Labels<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }
}

impl Metrics {
    /// Counts a finished call.
    pub fn observe(&self, record: &Record, marks: &Marks) {
        let operation = match &marks.operation {
            Some(operation) => Value::Id(operation.id.clone()),
            None => Value::Word(NO_OPERATION),
        };
        let class = Value::Word(status_class(marks));
        let requests = [
            ("operation", operation.clone()),
            ("status_class", class.clone()),
            ("code", Value::Word(code(marks))),
        ];
        self.requests.get_or_create(&Labels(requests)).inc();
        let taken = record.started.elapsed();
        let server = [("operation", operation.clone()), ("status_class", class)];
        self.server_duration.get_or_create(&Labels(server)).observe(seconds(taken));
        if let Some(lane) = marks.lane {
            let waited = Labels([("lane", Value::Word(lane.as_str()))]);
            self.queue_wait.get_or_create(&waited).observe(seconds(marks.queued));
        }
        if marks.throttled {
            self.throttled.get_or_create(&Labels([("operation", operation.clone())])).inc();
        }
        if marks.attempts > 0 {
            let attempts = Labels([("operation", operation.clone())]);
            self.attempts.get_or_create(&attempts).inc_by(marks.attempts.into());
        }
        if let (Some(Code::VendorCredentialRejected), Some(id)) = (marks.code, &marks.connection) {
            let connection = Labels([("connection", Value::Id(id.as_str().into()))]);
            self.rejected.get_or_create(&connection).inc();
        }
        let replayed = marks.replayed.then_some("replayed");
        for outcome in marks.key_use.map(KeyUse::as_str).into_iter().chain(replayed) {
            self.keys.get_or_create(&Labels([("outcome", Value::Word(outcome))])).inc();
        }
        self.observe_cache(&operation, marks);
        let would = match marks.would {
            None | Some(Would::Start) => None,
            Some(Would::Wait(_)) => Some("wait"),
            Some(Would::Refuse(_)) => Some("refuse"),
        };
        if let Some(outcome) = would {
            self.shadow.get_or_create(&Labels([("outcome", Value::Word(outcome))])).inc();
        }
        if let Some(vendor) = marks.vendor_time() {
            let client = Labels([("operation", operation)]);
            self.client_duration.get_or_create(&client).observe(seconds(vendor));
        }
    }

    fn observe_cache(&self, operation: &Value, marks: &Marks) {
        if marks.clears {
            self.cleared.get_or_create(&Labels([("operation", operation.clone())])).inc();
        }
        let Some(cached) = marks.cached else { return };
        let outcome = Value::Word(cached.as_str());
        let cache = Labels([("operation", operation.clone()), ("outcome", outcome)]);
        self.cache.get_or_create(&cache).inc();
        if let Some(row) =
            marks.operation.as_ref().filter(|_| cached.saves_quota() && marks.attempts == 0)
        {
            let slots = row.pools.get(CONNECTION_POOL).copied().unwrap_or(0);
            let saved = Labels([("operation", operation.clone())]);
            self.quota_saved.get_or_create(&saved).inc_by(slots.into());
            self.saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that the cache answered without the vendor.
    #[must_use]
    pub fn saved(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }

    /// Counts a reload that ended as `outcome`.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Labels([("outcome", Value::Word(outcome))])).inc();
    }

    /// The page in OpenMetrics text.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.registry)
            .expect("writing to a string does not fail");
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self::new();
        let version = Labels([("version", Value::Word(env!("CARGO_PKG_VERSION")))]);
        metrics.build.get_or_create(&version).set(1);
        metrics
    }
}

fn status_class(marks: &Marks) -> &'static str {
    match marks.status.map(|status| status.as_u16() / 100) {
        None => "none",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => "other",
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl crate::record::Observer for Nobody {
        fn finished(&self, _: &Record, _: &Marks) {}
    }

    #[test]
    fn every_row_of_the_table_is_on_the_page_with_its_type_and_help() {
        let metrics = Metrics::default();
        let record = Record::open(Arc::new(Nobody));
        let now = Some(record.started);
        metrics.observe(
            &record,
            &Marks {
                sent_at: now,
                first_byte_at: now,
                lane: Some(crate::catalog::Lane::Bulk),
                throttled: true,
                attempts: 2,
                code: Some(Code::VendorCredentialRejected),
                connection: Some("acme-prod".parse().unwrap()),
                replayed: true,
                would: Some(Would::Wait(Duration::ZERO)),
                ..Marks::default()
            },
        );
        metrics.observe(
            &record,
            &Marks {
                operation: Some(Arc::new(crate::catalog::Operation::unlisted())),
                cached: Some(crate::record::Cached::Shared),
                clears: true,
                ..Marks::default()
            },
        );
        metrics.reloaded("done");
        let page = metrics.page();
        for row in Metrics::TABLE {
            assert!(page.contains(&format!("# TYPE {} {}", row.name, row.kind)), "{}", row.name);
            assert!(page.contains(&format!("# HELP {} {}", row.name, row.help)), "{}", row.name);
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn names_have_a_prefix_a_unit_and_no_label_that_a_caller_could_fill() {
        let closed =
            ["operation", "status_class", "code", "outcome", "version", "lane", "connection"];
        for row in Metrics::TABLE {
            assert!(
                row.name.starts_with("tollgate_") || row.name.starts_with("http_"),
                "{}",
                row.name
            );
            assert!(row.kind != "histogram" || row.name.ends_with("_seconds"), "{}", row.name);
            assert!(row.labels.iter().all(|label| closed.contains(label)), "{}", row.name);
        }
    }
}
