//! What telling of a call costs: its usage, its access line in both forms, and the wall clock.
//!
//! `cargo bench --bench usage`. That a call's usage allocates nothing is asserted before anything is
//! timed.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion};
use tollgate::clock;
use tollgate::ids::RandomId;
use tollgate::record::{CallerMarks, Marks, Observer, Record, RequestMarks};
use tollgate::telemetry::logs::AccessLog;
use tollgate::usage::Usage;
use tollgate::usage::book::{Book, Counts};
use tollgate::usage::day::Day;

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

fn marks() -> Marks {
    let id = "an id of this form is a name";
    Marks {
        request: RequestMarks { version: Some(http::Version::HTTP_11), ..RequestMarks::default() },
        caller: CallerMarks {
            tenant: Some("acme".parse().expect(id)),
            app: Some("billing".parse().expect(id)),
            connection: Some("acme-prod".parse().expect(id)),
            ..CallerMarks::default()
        },
        status: Some(http::StatusCode::OK),
        complete: true,
        ..Marks::default()
    }
}

/// A book in which `apps` apps have called once since the last write.
fn book(apps: usize) -> (Book, Day) {
    let (mut book, today, marks) = (Book::default(), Day::of(clock::wall()), marks());
    let now = clock::Instant::now();
    for app in 0..apps {
        let app = format!("app-{app}").parse().expect("a name");
        let tenant = marks.caller.tenant.as_ref().expect("it has one");
        book.count(today, (tenant, &app, &marks.caller.connection), &Counts::of(now, &marks));
    }
    (book, today)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (record, marks) = (Record::open(Arc::new(Nobody)), marks());
    let state = std::env::temp_dir().join(format!("tollgate-bench-{}", RandomId::new()));
    let usage = Usage::open(&state).expect("a folder in the temporary one can be made");
    usage.finished(&record, &marks);
    let cost = allocation_counter::measure(|| usage.finished(&record, &marks));
    assert_eq!(cost.count_total, 0, "a known row allocates");
    criterion.bench_function("usage/one call", |bench| {
        bench.iter(|| usage.finished(black_box(&record), black_box(&marks)));
    });
    criterion.bench_function("usage/taking 1000 rows", |bench| {
        let take = |(book, day): &mut (Book, Day)| book.take(*day);
        bench.iter_batched_ref(|| book(1_000), take, BatchSize::SmallInput);
    });
    let time = marks.breakdown(record.started);
    let log = AccessLog::new(|line| drop(black_box(line)));
    criterion.bench_function("access line/json", |bench| {
        bench.iter(|| log.write(black_box(&record), black_box(&marks), &time, None));
    });
    let none = AccessLog::none();
    criterion.bench_function("access line/off", |bench| {
        bench.iter(|| none.write(black_box(&record), black_box(&marks), &time, None));
    });
    criterion.bench_function("wall clock", |bench| bench.iter(clock::wall));
    criterion.final_summary();
    // What is left in the temporary folder harms nobody.
    let _ = std::fs::remove_dir_all(state);
}
