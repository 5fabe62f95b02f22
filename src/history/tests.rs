//! What is kept of calls, and how it is shown.

use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::entry::EntryKind;
use super::search::{ENTRIES, IDS};
use super::*;
use crate::catalog::Catalog;
use crate::error::{Code, Outcome};
use crate::ids::RandomId;
use crate::quota::{LimitedBy, PoolId, QueuePosition, QuotaRefusal, QuotaRule, QuotaUsage};
use crate::record::{Cached, CallerMarks, Observer, Stood, Wait};

struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A call of `app` at its start; its body was read at once.
fn call(app: &str) -> (Arc<Record>, Marks) {
    let record = Record::open(Arc::new(Nobody));
    let marks = Marks {
        caller: CallerMarks {
            tenant: Some("acme".parse().unwrap()),
            app: Some(app.parse().unwrap()),
            ..CallerMarks::default()
        },
        operation: Some(Catalog::courier().operations()[0].clone()),
        status: Some(StatusCode::OK),
        complete: true,
        ..Marks::default()
    };
    (record, marks)
}

fn after(record: &Record, ms: u64) -> Instant {
    record.started + Duration::from_millis(ms)
}

fn stood(bound: LimitedBy) -> Stood {
    let standing =
        QueuePosition { ahead: 3, own: 1, apps: 2, bound, expected: Duration::from_millis(4000) };
    Stood { standing, pool: bound.pool().map(|_| "connection".into()) }
}

fn wait(record: &Record, from: u64, to: u64, stood: Option<Stood>) -> Wait {
    let begins = Wait::begins(after(record, from), stood);
    Wait { left: after(record, to), queued: to > from, ..begins }
}

/// An attempt that got its socket at once.
fn tried(record: &Record, marks: &mut Marks, (from, sent, to): (u64, u64, u64), status: u16) {
    marks.timeline.try_begins(after(record, from));
    marks.timeline.try_sent_at(after(record, sent));
    let status = StatusCode::from_u16(status).unwrap();
    marks.timeline.try_ends(after(record, to), Ok(status));
}

fn told(record: &Record, marks: &Marks, end: u64) -> CallDocument {
    Entry::of(record, marks, after(record, end)).unwrap().0.document()
}

fn shares(document: &CallDocument) -> Vec<(&str, f64)> {
    document.parts.iter().map(|share| (&*share.part, share.ms)).collect()
}

#[test]
fn a_call_that_waited_is_told_part_by_part() {
    let (record, mut marks) = call("billing");
    let slot = stood(LimitedBy::Slot(PoolId(1)));
    marks.timeline.waited(wait(&record, 10, 4010, Some(slot)));
    tried(&record, &mut marks, (4010, 4015, 4215), 200);
    marks.timeline.answered(after(&record, 4216));
    let document = told(&record, &marks, 4220);
    assert_eq!(
        document.why,
        "It took 4.220 s, 4.000 s of it (95 %) waiting for a slot of 'connection': 3 calls of 2 apps, \
         1 of them its own app's, stood before it when it came."
    );
    assert_eq!(
        shares(&document),
        [
            ("queue", 4000.0),
            ("connect", 5.0),
            ("vendor", 200.0),
            ("gateway", 11.0),
            ("answer", 4.0)
        ]
    );
    let events: Vec<(&str, f64)> =
        document.timeline.iter().map(|event| (&*event.event, event.at_ms)).collect();
    assert_eq!(
        events,
        [
            ("received", 0.0),
            ("asked", 10.0),
            ("started", 4010.0),
            ("connecting", 4010.0),
            ("sent", 4015.0),
            ("first-byte", 4215.0),
            ("head", 4216.0),
            ("end", 4220.0)
        ]
    );
    let asked = &document.timeline[1];
    assert_eq!((asked.ahead, asked.ahead_own, asked.ahead_apps), (Some(3), Some(1), Some(2)));
    assert_eq!((asked.bound.as_deref(), asked.pool.as_deref()), (Some("slot"), Some("connection")));
}

#[test]
fn the_sentence_names_the_largest_part_whichever_it_is() {
    let why = |change: &dyn Fn(&Record, &mut Marks), end: u64| {
        let (record, mut marks) = call("billing");
        change(&record, &mut marks);
        told(&record, &marks, end).why
    };
    let vendor = why(&|record, marks| tried(record, marks, (1, 1, 2001), 200), 2002);
    assert_eq!(
        vendor,
        "It took 2.002 s, 2.000 s of it (100 %) waiting for Courier's answer (200)."
    );
    let tries = |record: &Record, marks: &mut Marks| {
        tried(record, marks, (0, 0, 900), 503);
        tried(record, marks, (1000, 1000, 1900), 200);
    };
    assert_eq!(
        why(&tries, 1900),
        "It took 1.900 s, 1.800 s of it (95 %) waiting for Courier's answers to 2 tries (503, 200)."
    );
    let pause = |record: &Record, marks: &mut Marks| {
        tried(record, marks, (0, 0, 100), 503);
        tried(record, marks, (3100, 3100, 3200), 200);
    };
    assert!(
        why(&pause, 3200).contains("3.000 s of it (94 %) pausing between its tries (503, 200)")
    );
    let connect = why(&|record, marks| tried(record, marks, (0, 1500, 1600), 200), 1600);
    assert!(connect.contains("1.500 s of it (94 %) getting a connection to Courier"), "{connect}");
    let upload = |record: &Record, marks: &mut Marks| {
        marks.timeline.upload_begins(after(record, 1));
        marks.timeline.upload_ends(after(record, 2000));
        marks.bytes_in = 512;
    };
    assert!(why(&upload, 2001).contains("receiving the request with its 512 octets"));
    let answer = |record: &Record, marks: &mut Marks| {
        marks.timeline.answered(after(record, 1));
        marks.bytes_out = 7;
    };
    assert!(why(&answer, 2000).contains("handing over the answer's 7 octets"));
    let another = |_: &Record, marks: &mut Marks| marks.cached = Some(Cached::Shared);
    assert!(why(&another, 800).contains("(100 %) waiting for another call that asked the same"));
    let hit = |_: &Record, marks: &mut Marks| {
        let (age, left) = (Duration::ZERO, Duration::ZERO);
        marks.cached = Some(Cached::Hit { age, left });
    };
    let quick = why(&hit, 2);
    assert_eq!(
        quick,
        "It was not slow: it took 2.000 ms, 2.000 ms of it (100 %) answering it from a copy."
    );
    assert_eq!(why(&|_, _| (), 0), "It took no time that can be measured.");
}

#[test]
fn the_sentence_names_each_rule_and_how_it_ended() {
    let rules = [
        (LimitedBy::Slot(PoolId(0)), "waiting for a slot of 'connection': "),
        (LimitedBy::Share, "waiting for slots that were kept for others' shares: "),
        (LimitedBy::Pace, "waiting for the pace that spreads calls: "),
        (
            LimitedBy::Vendor(PoolId(0)),
            "for the end of the pause that Courier asked of 'connection': ",
        ),
        (LimitedBy::AppLimit, "waiting for its app's own limit: "),
    ];
    for (bound, words) in rules {
        let (record, mut marks) = call("billing");
        marks.timeline.waited(wait(&record, 0, 5000, Some(stood(bound))));
        marks.code = Some(Code::VendorTimeout);
        let why = told(&record, &marks, 5000).why;
        assert!(why.contains(words) && why.ends_with("; it ended as vendor-timeout."), "{why}");
    }
    let (record, mut marks) = call("billing");
    marks.timeline.waited(Wait { left_early: true, ..wait(&record, 0, 3000, None) });
    (marks.complete, marks.status) = (false, None);
    let document = told(&record, &marks, 3000);
    assert_eq!(
        document.why,
        "It took 3.000 s, 3.000 s of it (100 %) waiting for its turn; its client left before the end."
    );
    assert_eq!(document.timeline[2].event, "left");
}

fn refused(app: &str, rule: QuotaRule, code: Code, waited: u64) -> (Arc<Record>, Marks) {
    let (record, mut marks) = call(app);
    let mut wait = wait(&record, 0, waited, Some(stood(LimitedBy::Slot(PoolId(0)))));
    let usage = QuotaUsage::default();
    wait.refused(&QuotaRefusal { rule, after: Duration::from_secs(9), standing: None, usage });
    marks.timeline.waited(wait);
    (marks.code, marks.outcome) = (Some(code), Some(Outcome::NotSent));
    marks.timeline.answered(after(&record, waited));
    marks.status = Some(code.status());
    (record, marks)
}

#[test]
fn a_refused_call_says_why_and_when_to_come_back() {
    let (record, marks) = refused("billing", QuotaRule::QuotaExhausted, Code::QuotaExhausted, 0);
    assert_eq!(
        told(&record, &marks, 0).why,
        "It was refused at once, since no slot would be free within the longest wait: 3 calls of 2 \
         apps, 1 of them its own app's, stood before it, and it would have waited 4.000 s for a slot \
         of 'connection'."
    );
    let (record, marks) =
        refused("billing", QuotaRule::DeadlineTooNear, Code::DeadlineTooNear, 2000);
    let document = told(&record, &marks, 2001);
    assert!(document.why.starts_with("It took 2.000 s, 2.000 s of it (100 %) waiting for a slot"));
    assert!(document.why.ends_with(
        "; then it was refused, since no slot would be free before its caller's own deadline."
    ));
    assert_eq!(document.timeline[2].retry_after_ms, Some(9000.0));
    let calls = Calls::default();
    calls.keep(&record, &marks);
    let told = calls.refused(&"acme".parse().unwrap(), &"billing".parse().unwrap());
    let told = told[0].refused();
    assert_eq!((&*told.code, told.retry_after_ms), ("deadline-too-near", Some(9000.0)));
    assert!(calls.refused(&"other".parse().unwrap(), &"billing".parse().unwrap()).is_empty());
}

#[test]
fn a_call_that_the_gateway_answered_ended_for_its_caller_then() {
    let (record, mut marks) = call("billing");
    tried(&record, &mut marks, (0, 0, 60_000), 200);
    (marks.code, marks.outcome) = (Some(Code::VendorTimeout), Some(Outcome::Unknown));
    marks.timeline.answered(after(&record, 55_000));
    let document = told(&record, &marks, 60_000);
    assert_eq!((document.total_ms, shares(&document)), (55_000.0, vec![("vendor", 55_000.0)]));
}

#[test]
fn calls_of_one_kind_push_out_those_of_their_own_kind_only() {
    let calls = Calls::default();
    calls.resize(10);
    let slow = || {
        let (record, mut marks) = call("billing");
        marks.timeline.waited(wait(&record, 0, 5, None));
        (record, marks)
    };
    let (waited, marks) = slow();
    calls.keep(&waited, &marks);
    let (turned_away, marks) = refused("modest", QuotaRule::QueueFull, Code::QueueFull, 0);
    calls.keep(&turned_away, &marks);
    for _ in 0..100 {
        // It was let in as it came, which takes a little time, too.
        let (record, mut marks) = call("billing");
        marks.timeline.waited(Wait { queued: false, ..wait(&record, 1, 2, None) });
        calls.keep(&record, &marks);
        let (record, marks) = refused("noisy", QuotaRule::QueueFull, Code::QueueFull, 0);
        calls.keep(&record, &marks);
    }
    assert!(calls.find(waited.call_id).is_some() && calls.find(turned_away.call_id).is_some());
    assert_eq!((calls.reach().eventful.0, calls.reach().quiet.0), (1, 10));
    assert_eq!(calls.refused(&"acme".parse().unwrap(), &"noisy".parse().unwrap()).len(), REFUSED);
    let all = CallQuery { limit: 1000, ..CallQuery::default() };
    assert_eq!(calls.list(&all).len(), 10 + 1 + 1 + REFUSED);
    for _ in 0..10 {
        let (record, marks) = slow();
        calls.keep(&record, &marks);
    }
    assert!(calls.find(waited.call_id).is_none(), "ten came after it");
}

/// Each call needs the lock at its end, so a search holds it only for a piece of what is kept.
#[test]
fn a_search_looks_at_a_piece_of_what_is_kept_at_a_time_and_at_all_of_it() {
    let calls = Calls::default();
    calls.resize(3 * IDS);
    let (record, marks) = call("billing");
    let (entry, _) = Entry::of(&record, &marks, marks.ended()).unwrap();
    let kept: Vec<RandomId> = (0..2 * IDS + 2).map(|_| RandomId::new()).collect();
    for call_id in &kept {
        calls.kept().quiet.push(Entry { call_id: *call_id, ..entry.clone() });
    }
    for at in [0, IDS - 1, IDS, 2 * IDS, 2 * IDS + 1] {
        let id = kept[at];
        assert!(calls.find(id).is_some(), "{at}");
        let ring = &calls.kept().quiet;
        let pieces = (0..3).filter(|n| ring.find(id, n * IDS..(n + 1) * IDS).is_some());
        assert_eq!(pieces.collect::<Vec<_>>(), [at / IDS], "{at}");
    }
    assert!(calls.find(RandomId::new()).is_none());
}

#[test]
fn strangers_and_questions_are_not_kept() {
    let calls = Calls::default();
    let (record, mut marks) = call("billing");
    marks.caller.app = None;
    calls.keep(&record, &marks);
    let (record, mut marks) = call("billing");
    marks.operation = None;
    calls.keep(&record, &marks);
    assert!(calls.list(&CallQuery { limit: 10, ..CallQuery::default() }).is_empty());
    (marks.code, marks.outcome) = (Some(Code::ScopeMissing), Some(Outcome::NotSent));
    calls.keep(&record, &marks);
    assert!(calls.find(record.call_id).is_some(), "a refused one is");
}

#[test]
fn another_size_keeps_the_last_calls_in_their_order() {
    let calls = Calls::default();
    calls.resize(4);
    let kept: Vec<Arc<Record>> = (0..6)
        .map(|_| {
            let (record, marks) = call("billing");
            calls.keep(&record, &marks);
            record
        })
        .collect();
    calls.resize(3);
    let found = |calls: &Calls| -> Vec<bool> {
        kept.iter().map(|record| calls.find(record.call_id).is_some()).collect()
    };
    assert_eq!(found(&calls), [false, false, false, true, true, true]);
    calls.resize(4);
    for _ in 0..2 {
        let (record, marks) = call("billing");
        calls.keep(&record, &marks);
    }
    assert_eq!(found(&calls), [false, false, false, false, true, true], "the oldest went first");
    calls.resize(0);
    let (record, marks) = call("billing");
    calls.keep(&record, &marks);
    assert_eq!(calls.reach(), Reach { eventful: (0, None), quiet: (0, None) });
}

#[test]
fn a_call_costs_no_allocation_and_few_octets() {
    let size = size_of::<Entry>();
    assert!(size <= 640, "{size}");
    let calls = Calls::default();
    let (record, mut marks) = call("billing");
    marks.timeline.waited(wait(&record, 0, 1, Some(stood(LimitedBy::Slot(PoolId(0))))));
    tried(&record, &mut marks, (1, 1, 2), 200);
    for _ in 0..PLACES {
        calls.keep(&record, &marks);
    }
    let used = allocation_counter::measure(|| calls.keep(&record, &marks));
    assert_eq!(used.count_total, 0);
    marks.timeline.waited(wait(&record, 3, 4, None));
    let used = allocation_counter::measure(|| calls.keep(&record, &marks));
    assert_eq!(used.count_total, 1, "a second wait is one");
}

#[test]
fn refused_calls_are_looked_through_a_piece_at_a_time_too_and_all_of_them() {
    let calls = Calls::default();
    let (record, marks) = refused("billing", QuotaRule::QueueFull, Code::QueueFull, 0);
    let (entry, _) = Entry::of(&record, &marks, marks.ended()).unwrap();
    let mut last = RandomId::new();
    for n in 0..APPS {
        let app: AppId = format!("a{n}").parse().unwrap();
        for _ in 0..REFUSED {
            last = RandomId::new();
            calls.kept().refuse(Entry { call_id: last, app: app.clone(), ..entry.clone() });
        }
    }
    for size in [IDS, ENTRIES] {
        let (mut all, mut most) = (0, 0);
        let look = |piece: &mut usize, ring: &Ring, places| *piece += ring.at(places).len();
        calls.walk(&[EntryKind::Refused], size, &mut 0, look, |piece| {
            (all, most) = (all + *piece, most.max(*piece));
            *piece = 0;
            true
        });
        assert_eq!((all, most), (APPS * REFUSED, size));
    }
    assert_eq!(calls.find(last).unwrap().call_id, last);
    let wanted = CallQuery { app: "a999".parse().ok(), limit: 40, ..CallQuery::default() };
    let listed = calls.list(&wanted);
    assert!(listed.len() == REFUSED && listed.iter().all(|entry| entry.app.as_str() == "a999"));
    assert!(listed.is_sorted_by_key(|entry| std::cmp::Reverse(entry.ended)));
    assert_eq!(calls.list(&CallQuery { limit: 7, ..CallQuery::default() }).len(), 7);
}
