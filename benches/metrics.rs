//! What the metrics of one finished call cost.
//!
//! `cargo bench --bench metrics`. That a call in the steady state allocates nothing is asserted before
//! anything is timed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use tollgate::catalog::{Lane, Operation};
use tollgate::record::{Cached, CallerMarks, Forward, Kept, Marks, Observer, QuotaMarks, Record};
use tollgate::telemetry::metrics::Metrics;

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A call that was sent and answered.
fn sent(record: &Record) {
    let now = record.started;
    record.mark(|marks| {
        *marks = Marks {
            quota: QuotaMarks { lane: Some(Lane::Interactive), ..QuotaMarks::default() },
            cached: Some(Cached::Missed { why: Forward::Miss, kept: Kept::Stored }),
            bytes_in: 200,
            ..hit()
        };
        marks.timeline.try_begins(now);
    });
    record.sending();
    record.mark(|marks| marks.timeline.try_ends(now, Ok(http::StatusCode::OK)));
}

/// A call that a copy answered.
fn hit() -> Marks {
    let kept = Duration::from_secs(1);
    Marks {
        operation: Some(Arc::new(Operation::unlisted())),
        caller: CallerMarks {
            tenant: Some("acme".parse().expect("a name")),
            app: Some("billing".parse().expect("a name")),
            connection: Some("acme-prod".parse().expect("a name")),
            ..CallerMarks::default()
        },
        status: Some(http::StatusCode::OK),
        cached: Some(Cached::Hit { age: kept, left: kept }),
        bytes_out: 2_000,
        complete: true,
        ..Marks::default()
    }
}

fn main() {
    let metrics = Metrics::default();
    let records = ["sent", "hit"].map(|name| (name, Record::open(Arc::new(Nobody))));
    sent(&records[0].1);
    records[1].1.mark(|marks| *marks = hit());
    let mut criterion = Criterion::default().configure_from_args();
    for (name, record) in &records {
        let observe = || {
            record.read(|marks| {
                metrics.observe(black_box(record), marks, &marks.breakdown(record.started), None);
            });
        };
        observe();
        let used = allocation_counter::measure(observe);
        assert_eq!(used.count_total, 0, "{name} allocates");
        criterion.bench_function(&format!("metrics/{name}"), |bench| bench.iter(observe));
    }
    criterion.final_summary();
}
