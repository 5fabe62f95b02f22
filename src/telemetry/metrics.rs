//! Metrics: one table feeds registration, documentation and tests.
//!
//! Labels are closed sets: words of the code, names of the configuration, rows of the catalogue.
//! Nothing that a caller sends becomes a label. Finished calls feed counters and histograms
//! (`observe`). Most gauges are read when somebody asks for the page.

mod apps;
mod handles;
mod labels;
mod observe;
mod process;
mod reference;
mod zero;

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use apps::{AppRow, KeyEnd};
pub use handles::Handles;
pub use labels::{Example, Labels, Value};
pub use observe::{is_rule, of, unix};
pub use reference::reference;
pub use zero::words;

/// The bucket bounds of HTTP durations in OpenTelemetry's semantic conventions, in seconds.
const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The most apps that have series of their own. All others together have one.
pub const MOST_APPS: usize = 100;

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

/// A whole number with labels.
pub type Gauges<const N: usize> = Family<Labels<N>, Gauge>;

/// A number that may have a fraction.
pub type Real = Gauge<f64, AtomicU64>;

/// A number that may have a fraction, with labels.
pub type Reals<const N: usize> = Family<Labels<N>, Real>;

/// A histogram of seconds; each bucket names a call as its example.
pub type Seconds = HistogramWithExemplars<Example>;

/// A histogram of seconds with labels.
pub type Durations<const N: usize> = Family<Labels<N>, Seconds, fn() -> Seconds>;

fn durations<const N: usize>() -> Durations<N> {
    Family::new_with_constructor(|| Seconds::new(BOUNDS.into_iter()))
}

macro_rules! instruments {
    ($($(#[doc = $help:literal])* $field:ident: $type:ty = $make:expr, $kind:literal $name:literal [$($label:literal),*];)*) => {
        /// Every instrument of the gateway.
        pub struct Metrics {
            $($(#[doc = $help])* pub $field: $type,)*
            handles: Handles,
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
                Self { $($field,)* handles: Handles::default(), registry }
            }
        }
    };
}

instruments! {
    /// Calls answered or given up, by operation, status class and code.
    requests: Counters<3> = Counters::default(), "counter" "tollgate_requests" ["operation", "status_class", "code"];
    /// The same by app. Calls without a valid key belong to no app and are not counted.
    app_requests: Counters<3> = Counters::default(), "counter" "tollgate_app_requests" ["tenant", "app", "code"];
    /// Requests without a valid key, by reason: none (no key, or several), foreign (not a gateway
    /// key, such as a Courier token), unknown (no key has that id), expired, revoked, wrong (a known
    /// id with another secret).
    keys_refused: Counters<1> = Counters::default(), "counter" "tollgate_keys_refused" ["reason"];
    /// Time from the head of a request until its answer was handed over whole. For an answer that
    /// the gateway made itself, until its head.
    server_duration: Durations<2> = durations(), "histogram" "http_server_request_duration_seconds" ["operation", "status_class"];
    /// Time from the send of one attempt until the head of its answer, or until it was known that
    /// none will come. It is counted whole, even if the caller was answered before.
    client_duration: Durations<2> = durations(), "histogram" "http_client_request_duration_seconds" ["operation", "status_class"];
    /// Calls under way.
    in_flight: Gauge = Gauge::default(), "gauge" "tollgate_requests_in_flight" [];
    /// Calls that were sent and go on without their callers.
    flights: Gauge = Gauge::default(), "gauge" "tollgate_flights" [];
    /// Bytes of the bodies of finished calls, by direction: in (requests), out (answers).
    body_bytes: Counters<1> = Counters::default(), "counter" "tollgate_body_bytes" ["direction"];
    /// Bytes of request bodies that are held now.
    upload_bytes: Gauge = Gauge::default(), "gauge" "tollgate_upload_bytes" [];

    /// Time that calls waited for their turn until they had it, over all their attempts.
    queue_wait: Durations<2> = durations(), "histogram" "tollgate_queue_wait_seconds" ["connection", "lane"];
    /// Calls that wait for their turn.
    queue_length: Gauges<2> = Gauges::default(), "gauge" "tollgate_queue_length" ["connection", "lane"];
    /// Slots of a pool: free, in_use (their call runs), resting (their call was answered within the
    /// window).
    slots: Gauges<3> = Gauges::default(), "gauge" "tollgate_quota_slots" ["connection", "pool", "state"];
    /// Calls that a pool allows per window.
    limit: Gauges<2> = Gauges::default(), "gauge" "tollgate_quota_limit" ["connection", "pool"];
    /// The window of a pool.
    window: Reals<2> = Reals::default(), "gauge" "tollgate_quota_window_seconds" ["connection", "pool"];
    /// Time until a pool that is closed after a 429 of Courier's opens again; 0 for an open pool.
    closed: Reals<2> = Reals::default(), "gauge" "tollgate_quota_closed_seconds" ["connection", "pool"];
    /// Time between two starts at the lane's pace, in the long run; 0 if slots alone decide.
    pace: Reals<2> = Reals::default(), "gauge" "tollgate_quota_pace_seconds" ["connection", "lane"];
    /// Calls that the quota refused, by rule.
    refusals: Counters<2> = Counters::default(), "counter" "tollgate_quota_refusals" ["connection", "rule"];
    /// In shadow mode: calls that would have waited, or been refused by a rule.
    shadow: Counters<2> = Counters::default(), "counter" "tollgate_quota_shadow" ["connection", "outcome"];
    /// Calls of an app that wait for their turn.
    app_waiting: Gauges<4> = Gauges::default(), "gauge" "tollgate_app_queue_length" ["tenant", "app", "connection", "lane"];
    /// Slots of the connection's pool that an app's calls use, or that rest after them.
    app_slots: Gauges<4> = Gauges::default(), "gauge" "tollgate_app_slots" ["tenant", "app", "connection", "lane"];

    /// Attempts at Courier, retries included.
    attempts: Counters<1> = Counters::default(), "counter" "tollgate_vendor_attempts" ["operation"];
    /// Results of those attempts: the status class of the answer, or none.
    answers: Counters<2> = Counters::default(), "counter" "tollgate_vendor_answers" ["connection", "status_class"];
    /// Answers by which Courier refused a call because of its own quota.
    throttled: Counters<1> = Counters::default(), "counter" "tollgate_vendor_throttled" ["connection"];
    /// Retries, by the result of the attempt before.
    retries: Counters<2> = Counters::default(), "counter" "tollgate_retries" ["connection", "reason"];
    /// Retries that may still be made now, by calls without a key (plain) and with one (keyed).
    retry_budget: Gauges<2> = Gauges::default(), "gauge" "tollgate_retry_budget" ["connection", "kind"];
    /// Calls under an idempotency key: given, made, recognised (an SDK's retry under a made one),
    /// replayed.
    keys: Counters<1> = Counters::default(), "counter" "tollgate_idempotency_keys" ["outcome"];
    /// Calls that failed because Courier refused the connection's token. Somebody has to replace
    /// it.
    rejected: Counters<1> = Counters::default(), "counter" "tollgate_vendor_credential_rejected" ["connection"];
    /// 1 if Courier accepted the connection's token the last time, or if the token was not used
    /// since it was loaded; 0 if it was refused.
    token_good: Gauges<1> = Gauges::default(), "gauge" "tollgate_vendor_token_good" ["connection"];
    /// 1 while the connection uses its earlier token, because Courier refused the one in its file.
    /// The next start reads the file only.
    token_given_up: Gauges<1> = Gauges::default(), "gauge" "tollgate_vendor_token_given_up" ["connection"];
    /// 1 while the file of the connection's token can't be read, or holds no token that could be used.
    /// The last good one is used. The next start needs the file.
    token_unreadable: Gauges<1> = Gauges::default(), "gauge" "tollgate_token_unreadable" ["connection"];
    /// Refused tokens for which another token was found at the source.
    token_replaced: Counters<1> = Counters::default(), "counter" "tollgate_vendor_token_replaced" ["connection"];
    /// 1 for a host of Courier that counts as down, for at least one connection. Calls to it are
    /// refused, except one probe at a time.
    host_down: Gauges<1> = Gauges::default(), "gauge" "tollgate_vendor_host_down" ["host"];
    /// Sockets to a host of Courier, in use or idle.
    vendor_sockets: Gauges<1> = Gauges::default(), "gauge" "tollgate_vendor_sockets" ["host"];
    /// Calls that the gateway itself could not send, by what was short: places (vendor.sockets),
    /// descriptors, ports, memory, storage (the state folder stalls, so a made key could not be
    /// written in time).
    shortages: Counters<2> = Counters::default(), "counter" "tollgate_local_shortages" ["connection", "reason"];

    /// Calls on cached or shared rows, by what the cache did for them.
    cache: Counters<2> = Counters::default(), "counter" "tollgate_cache_requests" ["operation", "outcome"];
    /// Slots of the connections' quotas that the cache saved.
    quota_saved: Counters<1> = Counters::default(), "counter" "tollgate_cache_quota_saved" ["operation"];
    /// Writes that cleared kept answers of the collections that they change.
    cleared: Counters<1> = Counters::default(), "counter" "tollgate_cache_clears" ["operation"];
    /// Reads for which a fresh copy was not used, since Redis could not confirm it (`cache.shared`).
    unconfirmed: Counters<1> = Counters::default(), "counter" "tollgate_cache_unconfirmed" ["operation"];
    /// Writes that were answered before Redis could be told of them, so that other replicas may serve
    /// older copies (`cache.shared`).
    untold: Counters<1> = Counters::default(), "counter" "tollgate_cache_untold_writes" ["operation"];
    /// Memory that kept answers take.
    cache_bytes: Gauge = Gauge::default(), "gauge" "tollgate_cache_bytes" [];

    /// Client connections that are open.
    sockets: Gauge = Gauge::default(), "gauge" "tollgate_client_sockets" [];
    /// Client connections that were accepted.
    accepted: Counter = Counter::default(), "counter" "tollgate_client_sockets_accepted" [];
    /// Client connections that were closed unserved, because the port is full (`server.sockets`) or
    /// their address holds its most (`server.sockets_per_peer`).
    turned_away: Counter = Counter::default(), "counter" "tollgate_client_sockets_turned_away" [];
    /// TLS handshakes of clients: done, failed, slow (given up after the time limit).
    handshakes: Counters<1> = Counters::default(), "counter" "tollgate_tls_handshakes" ["outcome"];
    /// Client connections that ended because no readable request came. They have no log line.
    unreadable: Counters<1> = Counters::default(), "counter" "tollgate_client_unreadable" ["reason"];
    /// Client connections that were closed after a time limit: no-request (no whole head in time),
    /// answer-unread.
    too_slow: Counters<1> = Counters::default(), "counter" "tollgate_client_too_slow" ["limit"];

    /// When the last key of an app expires (Unix time). Apps with a key that never expires are not
    /// listed.
    key_expiry: Reals<2> = Reals::default(), "gauge" "tollgate_app_key_expiry_timestamp_seconds" ["tenant", "app"];
    /// When a key expires (Unix time). An operator's key has no `tenant` and no `app`. Keys that never
    /// expire are not listed, and of the others the first two hundred.
    each_key_expiry: Reals<3> = Reals::default(), "gauge" "tollgate_key_expiry_timestamp_seconds" ["key", "tenant", "app"];
    /// When the first of the certificates in the chain of a port with TLS expires (Unix time): data
    /// (`server.tls`), admin (`admin.tls`).
    certificate_expiry: Reals<1> = Reals::default(), "gauge" "tollgate_tls_certificate_expiry_timestamp_seconds" ["listener"];
    /// Requests on the admin port by outcome: done, refused (who asked may not), wrong (what was asked
    /// for is not there or is not understood), failed. A connection from an address that is not
    /// welcome (`admin.clients`) counts as refused.
    admin_requests: Counters<1> = Counters::default(), "counter" "tollgate_admin_requests" ["outcome"];
    /// Lines of the audit that its file (`admin.audit`) did not take.
    audit_unwritten: Counter = Counter::default(), "counter" "tollgate_audit_lines_unwritten" [];
    /// Reloads of the configuration, by outcome: done, refused.
    reloads: Counters<1> = Counters::default(), "counter" "tollgate_config_reloads" ["outcome"];
    /// When the configuration that is in use was loaded (Unix time).
    config_loaded: Real = Real::default(), "gauge" "tollgate_config_loaded_timestamp_seconds" [];
    /// 1 while the gateway takes new calls. 0 while it drains, or while every connection rests
    /// after a start because its earlier calls are not known. `tollgate_vendor_token_good` says
    /// whether Courier accepts a token.
    ready: Gauge = Gauge::default(), "gauge" "tollgate_ready" [];
    /// Files of the state folder that can't be written, or that were removed, by what they keep:
    /// slots, made-keys, overrides, usage, revoked-keys. Calls go on, but a restart loses what is in them.
    unwritten: Gauges<1> = Gauges::default(), "gauge" "tollgate_state_files_unwritten" ["kind"];
    /// 1 while the shared store (`[shared]`) is connected and takes writes, by what it is: single,
    /// sentinel, cluster. Without `[shared]` there is none of the three `tollgate_shared_store` rows.
    store_up: Gauges<1> = Gauges::default(), "gauge" "tollgate_shared_store_up" ["kind"];
    /// Quotas that replicas share (`[shared]`), by how this replica stands: lent, asleep (nothing is
    /// lent, and nobody calls), asking, away (Redis does not answer, and calls are refused).
    loans: Gauges<1> = Gauges::default(), "gauge" "tollgate_shared_quotas" ["state"];
    /// Commands to the shared store, by outcome: done, refused, timed-out, lost (the connection broke),
    /// away (there was none, so nothing was sent), unreadable.
    store_commands: Counters<1> = Counters::default(), "counter" "tollgate_shared_store_commands" ["outcome"];
    /// Time of those commands.
    store_duration: Durations<1> = durations(), "histogram" "tollgate_shared_store_command_duration_seconds" ["outcome"];
    /// Log lines that were dropped because the output did not keep up.
    lines_dropped: Counter = Counter::default(), "counter" "tollgate_log_lines_dropped" [];
    /// Spans that the collector took.
    spans_exported: Counter = Counter::default(), "counter" "tollgate_spans_exported" [];
    /// Spans that were lost: no room in the queue, or the collector did not take them.
    spans_dropped: Counter = Counter::default(), "counter" "tollgate_spans_dropped" [];
    /// Always 1. Its labels are the versions of the gateway and of the compiler, and the commit if
    /// the build was told.
    build: Gauges<3> = Gauges::default(), "gauge" "tollgate_build_info" ["version", "rustc", "commit"];

    /// User and system time that the process used.
    cpu: Counter<f64, AtomicU64> = Counter::default(), "counter" "process_cpu_seconds" [];
    /// Memory of the process that is in RAM.
    resident: Gauge = Gauge::default(), "gauge" "process_resident_memory_bytes" [];
    /// Memory that the process has mapped.
    mapped: Gauge = Gauge::default(), "gauge" "process_virtual_memory_bytes" [];
    /// File descriptors that are open.
    open_fds: Gauge = Gauge::default(), "gauge" "process_open_fds" [];
    /// File descriptors that may be open.
    max_fds: Gauge = Gauge::default(), "gauge" "process_max_fds" [];
    /// When the process was started (Unix time).
    process_start: Real = Real::default(), "gauge" "process_start_time_seconds" [];
    /// Threads of the process.
    threads: Gauge = Gauge::default(), "gauge" "process_threads" [];
}

impl Instrument {
    /// The name under which Prometheus finds its samples (a histogram's have suffixes).
    #[must_use]
    pub fn sample(&self) -> String {
        let suffix = if self.kind == "counter" { "_total" } else { "" };
        format!("{}{suffix}", self.name)
    }
}

impl Metrics {
    /// Counts a reload that ended as `outcome`.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Labels([("outcome", Value::Word(outcome))])).inc();
    }

    /// When the certificate of each port with TLS expires.
    pub fn certificates(&self, ports: [(&'static str, Option<SystemTime>); 2]) {
        self.certificate_expiry.clear();
        for (port, end) in ports.into_iter().filter_map(|(port, end)| Some((port, end?))) {
            let listener = Labels([("listener", Value::Word(port))]);
            self.certificate_expiry.get_or_create(&listener).set(unix(end));
        }
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
        let build = Labels([
            ("version", Value::Word(env!("CARGO_PKG_VERSION"))),
            ("rustc", Value::Word(env!("TOLLGATE_RUSTC"))),
            ("commit", Value::Word(option_env!("TOLLGATE_COMMIT").unwrap_or("unknown"))),
        ]);
        metrics.build.get_or_create(&build).set(1);
        metrics.begin();
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_on_the_page_with_its_type_and_help() {
        let page = Metrics::default().page();
        for row in Metrics::TABLE {
            // A family without a series is not written; `tests/gateway/metrics.rs` fills them all.
            if row.labels.is_empty() || row.name == "tollgate_build_info" {
                let (name, kind) = (row.name, row.kind);
                assert!(page.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
                assert!(page.contains(&format!("# HELP {name} {}\n", row.help)), "{name}");
            }
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn names_have_a_prefix_a_unit_and_no_label_that_a_caller_could_fill() {
        let closed = [
            "operation",
            "status_class",
            "code",
            "outcome",
            "lane",
            "connection",
            "pool",
            "state",
            "rule",
            "reason",
            "kind",
            "limit",
            "listener",
            "direction",
            "tenant",
            "app",
            "host",
            "key",
            "version",
            "rustc",
            "commit",
        ];
        let mut names = std::collections::HashSet::new();
        for row in Metrics::TABLE {
            let prefixes = ["tollgate_", "http_", "process_"];
            assert!(prefixes.iter().any(|prefix| row.name.starts_with(prefix)), "{}", row.name);
            assert!(row.kind != "histogram" || row.name.ends_with("_seconds"), "{}", row.name);
            assert!(row.labels.iter().all(|label| closed.contains(label)), "{}", row.name);
            assert!(
                row.help.ends_with('.') && !row.help.contains(['\\', '"', '\n']),
                "{}",
                row.name
            );
            assert!(names.insert(row.name), "{} is there twice", row.name);
        }
    }
}
