//! What the metrics of one finished call cost.
//!
//! `cargo bench --bench metrics`. That a call in the steady state allocates nothing is asserted before
//! anything is timed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use tollgate::catalog::{Lane, Operation};
use tollgate::clock::Instant;
use tollgate::record::{Cached, Forward, Marks, Observer, Record, Wait};
use tollgate::telemetry::metrics::Metrics;

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A call that was sent and answered.
fn sent(now: Instant) -> Marks {
    let mut marks = Marks {
        operation: Some(Arc::new(Operation::unlisted())),
        tenant: Some("acme".parse().expect("a name")),
        app: Some("billing".parse().expect("a name")),
        connection: Some("acme-prod".parse().expect("a name")),
        status: Some(http::StatusCode::OK),
        attempts: 1,
        lane: Some(Lane::Interactive),
        cached: Some(Cached::Missed { why: Forward::Miss, stored: true }),
        sent_at: Some(now),
        first_byte_at: Some(now),
        bytes_in: 200,
        bytes_out: 2_000,
        complete: true,
        ..Marks::default()
    };
    marks.timeline.waited(Wait { entered: now, left: now, refused: None });
    marks.timeline.try_begins(now);
    marks.timeline.try_ends(now, Ok(http::StatusCode::OK));
    marks
}

/// A call that a copy answered.
fn hit() -> Marks {
    let kept = Duration::from_secs(1);
    Marks {
        operation: Some(Arc::new(Operation::unlisted())),
        tenant: Some("acme".parse().expect("a name")),
        app: Some("billing".parse().expect("a name")),
        connection: Some("acme-prod".parse().expect("a name")),
        status: Some(http::StatusCode::OK),
        cached: Some(Cached::Hit { age: kept, left: kept }),
        bytes_out: 2_000,
        complete: true,
        ..Marks::default()
    }
}

fn main() {
    let metrics = Metrics::default();
    let record = Record::open(Arc::new(Nobody));
    let mut criterion = Criterion::default().configure_from_args();
    for (name, marks) in [("sent", sent(record.started)), ("hit", hit())] {
        metrics.observe(&record, &marks);
        let used = allocation_counter::measure(|| metrics.observe(&record, &marks));
        assert_eq!(used.count_total, 0, "{name} allocates");
        criterion.bench_function(&format!("metrics/{name}"), |bench| {
            bench.iter(|| metrics.observe(&record, black_box(&marks)));
        });
    }
    criterion.final_summary();
}
