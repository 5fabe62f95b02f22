//! What the quota costs: a call in and out, and with many waiting.
//!
//! `cargo bench --bench quota`. The hot path's allocations are asserted to be none before anything is
//! timed.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion};
use tollgate::quota::slots::{RestRule, Slots};
use tollgate::quota::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Moment, PoolSettings, PriceNo, PriceSettings, QueueEvent, Quota, Settlement,
};

const WINDOW: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(1);

/// A quota of many calls with some apps, and one call a millisecond: no call ever waits.
struct Calls {
    quota: Quota,
    now: Moment,
    app: u32,
    apps: u32,
}

fn settings(calls: u32) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("connection", calls, WINDOW);
    (settings.depth, settings.app_depth) = (1_000_000, 1_000_000);
    settings.max_wait = Duration::from_secs(100_000);
    settings
}

fn ticket(app: u32, price: u16) -> AdmissionRequest {
    AdmissionRequest {
        connection: ConnectionNo(0),
        app: AppNo(app),
        price: PriceNo(price),
        bulk: false,
        latest: Moment::NEVER,
        by_caller: false,
        asked: false,
    }
}

fn quota(settings: &ConnectionSettings, apps: u32) -> Quota {
    let named = PoolSettings { name: "lists.put".into(), ..settings.pool.clone() };
    let prices = [
        PriceSettings { connection: 1, named: Vec::new() },
        PriceSettings { connection: 1, named: vec![(0, 1)] },
    ];
    let now = Moment::from(WINDOW);
    let connections = std::slice::from_ref(settings);
    let mut quota = Quota::new(&[named], &prices, connections, now).expect("settings are sound");
    for _ in 0..apps {
        quota.add_app(ConnectionNo(0), AppSettings::default(), now).expect("there is room");
    }
    quota
}

impl Calls {
    /// Run long enough that slots come and go.
    fn warm(apps: u32) -> Self {
        let mut calls =
            Self { quota: quota(&settings(70_000), apps), now: Moment::from(WINDOW), app: 0, apps };
        for _ in 0..200_000 {
            calls.call(0);
        }
        calls
    }

    fn call(&mut self, price: u16) {
        self.now = self.now + STEP;
        self.app = (self.app + 1) % self.apps;
        match self.quota.enter(self.now, &ticket(self.app, price)) {
            AdmissionVerdict::Start(grant) => {
                let answered = Settlement::FirstByteAt(self.now);
                black_box(self.quota.settle(grant, answered, self.now));
            }
            other => panic!("nobody waits here: {other:?}"),
        }
    }
}

/// A full quota with so many calls waiting for it.
fn crowd(waiting: u32, apps: u32) -> Quota {
    let mut quota = quota(&settings(100), apps);
    let now = Moment::from(WINDOW);
    for n in 0..waiting + 100 {
        match quota.enter(now, &ticket(n % apps, 0)) {
            AdmissionVerdict::Start(grant) => {
                quota.settle(grant, Settlement::FirstByteAt(now), now);
            }
            AdmissionVerdict::Wait(..) => {}
            AdmissionVerdict::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
    quota
}

fn hot_path(c: &mut Criterion) {
    for (apps, price) in [(1, 0), (10, 0), (100, 0), (10, 1)] {
        let mut calls = Calls::warm(apps);
        let used = allocation_counter::measure(|| {
            for _ in 0..100_000 {
                calls.call(price);
            }
        });
        assert_eq!(used.count_total, 0, "the hot path allocates");
        let pools = price + 1;
        let of = format!("enter and settle, {apps} apps, {pools} pools");
        c.bench_function(&of, |b| b.iter(|| calls.call(price)));
    }
    let mut slots = Slots::fresh(100_000, RestRule::of(WINDOW, WINDOW));
    let mut now = Moment::from(WINDOW);
    c.bench_function("take and settle, slots alone", |b| {
        b.iter(|| {
            now = now + STEP;
            while slots.release_expired(now).is_some() {}
            let held = slots.take(1, 0, now).expect("more slots than calls a minute");
            slots.settle(held, Settlement::FirstByteAt(now), now)
        });
    });
}

fn crowds(c: &mut Criterion) {
    let mut group = c.benchmark_group("with calls waiting");
    for (waiting, apps) in [(100, 10), (10_000, 10), (100_000, 10), (100_000, 1000)] {
        let now = Moment::from(WINDOW) + STEP;
        let of = format!("{waiting} of {apps} apps");
        let mut quota = crowd(waiting, apps);
        let mut app = 0;
        group.bench_function(BenchmarkId::new("enter, look and leave", &of), |b| {
            b.iter(|| {
                app = (app + 1) % apps;
                let AdmissionVerdict::Wait(place, _) = quota.enter(now, &ticket(app, 0)) else {
                    panic!("it has to wait");
                };
                black_box(quota.poll(now).is_none());
                quota.leave(place)
            });
        });
        group.bench_function(BenchmarkId::new("next wake", &of), |b| {
            b.iter(|| quota.next_wake(now));
        });
        let mut now = Moment::from(WINDOW);
        group.bench_function(BenchmarkId::new("serve one and settle it", &of), |b| {
            b.iter_batched(
                || {},
                |()| {
                    // The next slot is free: one call starts, is answered, and another comes.
                    let event = match quota.poll(now) {
                        Some(event) => Some(event),
                        None => {
                            now = quota.next_wake(now).expect("some wait");
                            quota.poll(now)
                        }
                    };
                    if let Some(QueueEvent::Start { grant, .. }) = event {
                        quota.settle(grant, Settlement::FirstByteAt(now), now);
                        app = (app + 1) % apps;
                        black_box(quota.enter(now, &ticket(app, 0)));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hot_path(&mut criterion);
    crowds(&mut criterion);
    criterion.final_summary();
}
