use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use http_body_util::BodyExt;

use super::feed::LISTENERS;
use super::recorder::KnownConnection;
use super::ring::{KEPT, RATED, Rates};
use super::*;
use crate::admission::ConnectionMeter;
use crate::call::StreamBody;
use crate::clock::Instant;
use crate::error::Code;
use crate::ids::ConnectionId;
use crate::quota::{Gauge, Moment};
use crate::record::{Cached, Marks, Observer, Record, Wait};

fn id(name: &str) -> ConnectionId {
    name.parse().unwrap()
}

fn known(name: &str, host: &str) -> KnownConnection {
    let apps = HashSet::from(["billing".parse().unwrap()]);
    KnownConnection { id: id(name), apps, host: host.into() }
}

fn recorder() -> Recorder {
    let recorder = Recorder::default();
    recorder.keep(vec![known("acme-prod", "api.example")]);
    recorder
}

fn meter(name: &str, started: [u64; 2]) -> ConnectionMeter {
    ConnectionMeter {
        connection: id(name),
        slots: Gauge { limit: 100, free: 17, in_use: 3, resting: 80, closed_until: Moment::ZERO },
        window: Duration::from_secs(60),
        waiting: [1, 12],
        started,
    }
}

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

fn call(write: impl FnOnce(&mut Marks, Instant)) -> (Arc<Record>, Marks) {
    let record = Record::open(Arc::new(Nobody));
    let mut marks = Marks { complete: true, ..Marks::default() };
    marks.caller.app = Some("billing".parse().unwrap());
    marks.caller.connection = Some(id("acme-prod"));
    marks.ended_at = Some(record.started);
    write(&mut marks, record.started);
    (record, marks)
}

fn tell(recorder: &Recorder, write: impl FnOnce(&mut Marks, Instant)) {
    let (record, marks) = call(write);
    recorder.finished(&record, &marks);
}

fn answered(marks: &mut Marks, at: Instant, took: u64, status: u16) {
    let ended = at + Duration::from_millis(took);
    marks.timeline.try_begins(at);
    marks.timeline.try_sent_at(at);
    marks.timeline.try_ends(ended, Ok(StatusCode::from_u16(status).unwrap()));
    marks.ended_at = Some(ended);
}

#[test]
fn a_second_holds_what_happened_in_it_and_how_it_ended() {
    let recorder = recorder();
    tell(&recorder, |marks, _| marks.code = Some(Code::QueueFull));
    tell(&recorder, |marks, _| marks.cached = Some(Cached::Shared));
    tell(&recorder, |marks, at| answered(marks, at, 20, 429));
    recorder.tick(&[meter("acme-prod", [5, 2])]);
    recorder.tick(&[meter("acme-prod", [6, 2]), meter("stranger", [1, 1])]);
    let history = recorder.history(&id("acme-prod"), 10_000).unwrap();
    assert_eq!((history.step_ms, history.from_at_ms), (1000, 8_000));
    assert_eq!((history.interactive, history.bulk), (vec![5, 1], vec![2, 0]));
    assert_eq!((history.refused, history.saved), (vec![1, 0], vec![1, 0]));
    assert_eq!((history.waiting_interactive, history.waiting_bulk), (vec![1, 1], vec![12, 12]));
    assert_eq!(
        (history.in_use, history.resting, history.limit),
        (vec![3; 2], vec![80; 2], vec![100; 2])
    );
    let rates = recorder.rates(&id("acme-prod"));
    let shown = Rates { started: 4.0, refused: 0.5, saved: 0.5, vendor_429: 1 };
    assert_eq!(rates, shown);
    assert!(recorder.history(&id("stranger"), 10_000).is_none());
}

#[test]
fn a_rate_is_the_mean_of_the_last_minute() {
    let recorder = recorder();
    for second in 1..=2 * RATED as u64 {
        // Two a second in the second minute, none in the first.
        recorder.tick(&[meter("acme-prod", [second.saturating_sub(RATED as u64) * 2, 0])]);
    }
    assert_eq!(recorder.rates(&id("acme-prod")).started.to_string(), "2");
}

#[test]
fn a_connection_that_begins_again_does_not_count_backwards() {
    let recorder = recorder();
    recorder.tick(&[meter("acme-prod", [50, 0])]);
    recorder.tick(&[meter("acme-prod", [3, 0])]);
    assert_eq!(recorder.history(&id("acme-prod"), 0).unwrap().interactive, [50, 3]);
}

#[test]
fn an_hour_of_seconds_takes_no_more_than_a_quarter_of_it() {
    let recorder = recorder();
    let hour = |from: u64| {
        for second in from..from + 3600 {
            tell(&recorder, |marks, at| answered(marks, at, second % 900, 200));
            recorder.tick(&[meter("acme-prod", [second, 0])]);
        }
    };
    hour(0);
    let held = recorder.bytes();
    assert!(held <= 40 << 10, "{held}");
    let cost = allocation_counter::measure(|| hour(3600));
    assert_eq!((recorder.bytes(), cost.bytes_current), (held, 0), "{cost:?}");
    assert_eq!(recorder.history(&id("acme-prod"), 0).unwrap().limit.len(), KEPT);
    assert_eq!(recorder.slowest().len(), 5);
}

#[test]
fn a_call_of_a_known_app_costs_no_allocation() {
    let recorder = recorder();
    let waited = |marks: &mut Marks, at: Instant| {
        marks.timeline.waited(Wait::begins(at, None));
        answered(marks, at, 0, 200);
    };
    tell(&recorder, waited);
    let (record, marks) = call(waited);
    let cost = allocation_counter::measure(|| recorder.finished(&record, &marks));
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

#[test]
fn what_was_kept_of_a_connection_stays_over_a_reload_and_goes_with_it() {
    let recorder = recorder();
    tell(&recorder, |marks, at| answered(marks, at, 300, 503));
    recorder.tick(&[meter("acme-prod", [1, 0])]);
    recorder.keep(vec![known("acme-prod", "api.example"), known("other", "api.example")]);
    assert_eq!(recorder.history(&id("acme-prod"), 0).unwrap().interactive, [1]);
    let host = recorder.hosts().remove("api.example").unwrap();
    assert_eq!(host.statuses["5xx"], 1);
    assert!(host.latency_ms.p50.is_some_and(|ms| (300..=357).contains(&ms)), "{host:?}");
    recorder.keep(vec![known("other", "elsewhere.example")]);
    assert!(recorder.history(&id("acme-prod"), 0).is_none());
    tell(&recorder, |marks, at| answered(marks, at, 300, 503));
    assert_eq!(recorder.hosts().len(), 1, "a call of an earlier configuration");
}

#[test]
fn the_waits_and_refusals_of_each_app_are_told_apart() {
    let recorder = recorder();
    for ms in [10, 20, 3_000] {
        tell(&recorder, |marks, at| {
            let left = at + Duration::from_millis(ms);
            marks.timeline.waited(Wait { left, ..Wait::begins(at, None) });
        });
    }
    tell(&recorder, |marks, at| {
        marks.timeline.waited(Wait::begins(at, None));
        marks.code = Some(Code::QuotaExhausted);
    });
    let times = recorder.app(&id("acme-prod"), &"billing".parse().unwrap());
    assert_eq!(times.refused, 1);
    assert!(times.waits.p50.is_some_and(|ms| (20..=24).contains(&ms)), "{times:?}");
    assert!(times.waits.p99.is_some_and(|ms| (3_000..=3_600).contains(&ms)), "{times:?}");
    for _ in 0..60 {
        recorder.tick(&[]);
    }
    assert_eq!(recorder.app(&id("acme-prod"), &"billing".parse().unwrap()).refused, 0);
}

#[test]
fn the_slowest_calls_are_those_of_the_last_quarter_of_an_hour() {
    let recorder = recorder();
    for took in [7, 9_000, 3, 5, 4, 6, 8] {
        tell(&recorder, |marks, at| answered(marks, at, took, 200));
    }
    let shown = || recorder.slowest().iter().map(|call| call.total.as_millis()).collect::<Vec<_>>();
    assert_eq!(shown(), [9_000, 8, 7, 6, 5]);
    let minute = || (0..60).for_each(|_| recorder.tick(&[]));
    minute();
    tell(&recorder, |marks, at| answered(marks, at, 2, 200));
    assert_eq!(shown(), [9_000, 8, 7, 6, 5], "a slower one of before stays");
    (0..14).for_each(|_| minute());
    assert_eq!(shown(), [2]);
}

async fn event(stream: &mut StreamBody) -> Option<String> {
    let frame = stream.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_event_is_made_once_for_all_and_only_while_somebody_listens() {
    let (feed, made) = (Feed::default(), AtomicU32::new(0));
    let make = || format!("{{\"n\":{}}}", made.fetch_add(1, Ordering::Relaxed)).into_bytes();
    feed.tick(make);
    assert_eq!(made.load(Ordering::Relaxed), 0, "nobody listens");
    let mut all: Vec<_> = (0..50).map(|_| feed.listen(|| true, make).unwrap()).collect();
    for stream in &mut all {
        assert_eq!(event(stream).await.unwrap(), "event: overview\nid: 1\ndata: {\"n\":0}\n\n");
        assert!(stream.frame().now_or_never().is_none(), "the next second is not over");
    }
    feed.tick(make);
    for stream in &mut all {
        assert_eq!(event(stream).await.unwrap(), "event: overview\nid: 2\ndata: {\"n\":1}\n\n");
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
    drop(all);
    feed.tick(make);
    assert_eq!(made.load(Ordering::Relaxed), 2, "nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_misses_events_and_holds_none() {
    let feed = Feed::default();
    let mut stream = feed.listen(|| true, || b"0".to_vec()).unwrap();
    for number in 1..1000 {
        feed.tick(|| number.to_string().into_bytes());
    }
    assert!(event(&mut stream).await.unwrap().ends_with("data: 999\n\n"));
    assert!(stream.frame().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn events_end_for_who_is_not_welcome_and_for_all_when_the_gateway_drains() {
    let feed = Feed::default();
    let welcome = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = welcome.clone();
    let mut one = feed.listen(move || asked.load(Ordering::Relaxed), Vec::new).unwrap();
    let mut other = feed.listen(|| true, Vec::new).unwrap();
    assert!(event(&mut one).await.is_some() && event(&mut other).await.is_some());
    welcome.store(false, Ordering::Relaxed);
    feed.tick(Vec::new);
    assert!(event(&mut one).await.is_none() && event(&mut other).await.is_some());
    feed.end();
    assert!(event(&mut other).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn so_many_may_listen_and_a_place_comes_back() {
    let feed = Feed::default();
    let mut all: Vec<_> = (0..LISTENERS).map(|_| feed.listen(|| true, Vec::new).unwrap()).collect();
    assert!(feed.listen(|| true, Vec::new).is_none());
    all.pop();
    assert!(feed.listen(|| true, Vec::new).is_some());
}

#[test]
fn a_call_is_under_way_from_its_opening_to_its_end_and_a_stranger_is_not_shown() {
    let recorder = Arc::new(recorder());
    let states = || recorder.under_way().iter().map(|call| call.state).collect::<Vec<_>>();
    let record = Record::open(recorder.clone());
    assert!(states().is_empty(), "nobody knows who calls");
    record.mark(|marks| {
        marks.caller.tenant = Some("acme".parse().unwrap());
        marks.caller.app = Some("billing".parse().unwrap());
    });
    assert_eq!(states(), ["waiting"]);
    record.mark(|marks| marks.timeline.try_begins(record.started));
    assert_eq!(states(), ["connecting"]);
    record.sending();
    assert_eq!(states(), ["at-courier"]);
    record.mark(|marks| {
        marks.timeline.try_ends(record.started, Ok(StatusCode::OK));
        marks.timeline.answered(record.started);
    });
    assert_eq!(states(), ["answering"]);
    let other = Record::open(recorder.clone());
    drop(record);
    assert!(states().is_empty());
    drop(other);
}
