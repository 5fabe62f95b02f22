//! What it costs that a call can be explained: keeping it, finding it, telling it.
//!
//! `cargo bench --bench explain`. That keeping allocates nothing is asserted before anything is timed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use http::StatusCode;
use tollgate::catalog::Catalog;
use tollgate::clock::Instant;
use tollgate::history::{Calls, PLACES};
use tollgate::ids::{ConnectionId, KeyId, RandomId};
use tollgate::quota::{LimitedBy, PoolId, QueuePosition};
use tollgate::record::{Marks, Observer, Record, Stood, Wait};

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// The record of a call that waited behind others and was answered.
fn finished() -> Arc<Record> {
    let record = Record::open(Arc::new(Nobody));
    let now = Instant::now();
    let standing = QueuePosition {
        ahead: 3,
        own: 1,
        apps: 2,
        bound: LimitedBy::Slot(PoolId(0)),
        expected: Duration::from_secs(1),
    };
    let stood = Stood { standing, pool: Some("connection".into()) };
    record.mark(|marks| {
        marks.caller.tenant = "acme".parse().ok();
        marks.caller.app = "billing".parse().ok();
        marks.caller.key = KeyId::try_from("k1".to_owned()).ok();
        marks.caller.connection = "acme-prod".parse::<ConnectionId>().ok();
        marks.operation = Catalog::courier().operations().first().cloned();
        marks.status = Some(StatusCode::OK);
        marks.complete = true;
        marks.timeline.answered(now);
        marks.timeline.waited(Wait { left: now, ..Wait::begins(record.started, Some(stood)) });
        marks.timeline.try_begins(now);
    });
    record.sending();
    record.mark(|marks| marks.timeline.try_ends(now, Ok(StatusCode::OK)));
    record
}

fn main() {
    let (calls, record) = (Calls::default(), finished());
    let keep = || record.read(|marks| calls.finished(&record, marks));
    (0..PLACES).for_each(|_| keep());
    let used = allocation_counter::measure(keep);
    assert_eq!(used.count_total, 0, "keeping a call allocates");
    let mut bench = Criterion::default().configure_from_args();
    bench.bench_function("keep a call", |b| b.iter(keep));
    let (first, nobody) = (record.call_id, RandomId::new());
    bench.bench_function("look for a call that is not kept", |b| {
        b.iter(|| black_box(calls.find(black_box(nobody))));
    });
    let entry = calls.find(first).expect("it was just kept");
    bench.bench_function("tell a call", |b| b.iter(|| black_box(entry.document())));
    bench.final_summary();
}
