//! What a waiting call is told of its position is what then happens.

use std::time::Duration;

use proptest::prelude::*;

use super::super::slots::Settlement;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings, Lane,
    LimitedBy, Moment, PoolId, PoolSettings, PriceNo, PriceSettings, QueueEvent, QueuePlace,
    QueuePosition, Quota,
};

const ONE: ConnectionNo = ConnectionNo(0);
/// The pool "lists.put", and the connection's own behind it.
const LISTS: PoolId = PoolId(0);
const OWN: PoolId = PoolId(1);
/// What calls pay: the own pool; both.
const PLAIN: u16 = 0;
const PUT: u16 = 1;

fn at(ms: u64) -> Moment {
    Moment::from(Duration::from_millis(ms))
}

fn settings(calls: u32) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("connection", calls, Duration::from_secs(60));
    (settings.max_wait, settings.max_wait_bulk) = (Duration::from_secs(600), Duration::MAX);
    (settings.depth, settings.app_depth) = (1000, 1000);
    settings
}

fn quota(settings: ConnectionSettings, apps: &[AppSettings]) -> Quota {
    let lists = PoolSettings { name: "lists.put".into(), calls: 2, ..settings.pool.clone() };
    let prices = [
        PriceSettings { connection: 1, named: Vec::new() },
        PriceSettings { connection: 1, named: vec![(0, 1)] },
    ];
    let mut quota = Quota::new(&[lists], &prices, &[settings], at(0)).unwrap();
    for app in apps {
        quota.add_app(ONE, app.clone(), at(0)).unwrap();
    }
    quota
}

fn interactive(apps: usize) -> Vec<AppSettings> {
    vec![AppSettings::default(); apps]
}

fn ticket(app: u32, price: u16) -> AdmissionRequest {
    let (app, price) = (AppNo(app), PriceNo(price));
    AdmissionRequest {
        connection: ONE,
        app,
        price,
        bulk: false,
        latest: Moment::NEVER,
        by_caller: false,
        asked: false,
    }
}

/// Calls of `app` that are answered at once.
fn done(quota: &mut Quota, app: u32, price: u16, calls: u32, now: Moment) {
    for _ in 0..calls {
        let AdmissionVerdict::Start(grant) = quota.enter(now, &ticket(app, price)) else {
            panic!()
        };
        quota.settle(grant, Settlement::FirstByteAt(now), now);
    }
}

fn waits(quota: &mut Quota, ticket: AdmissionRequest, now: Moment) -> (QueuePlace, QueuePosition) {
    match quota.enter(now, &ticket) {
        AdmissionVerdict::Wait(place, standing) => (place, standing),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_stands_behind_the_calls_and_apps_that_came_before_it() {
    let mut quota = quota(settings(4), &interactive(4));
    done(&mut quota, 3, PLAIN, 4, at(0));
    let mut standing = |app, ms| waits(&mut quota, ticket(app, PLAIN), at(ms)).1;
    let first = standing(0, 20_000);
    assert_eq!((first.ahead, first.own, first.apps), (0, 0, 0));
    assert_eq!(first.bound, LimitedBy::Slot(OWN));
    assert_eq!(first.expected, Duration::from_millis(40_060));
    let second = standing(0, 20_001);
    assert_eq!((second.ahead, second.own, second.apps), (1, 1, 1));
    standing(0, 20_002);
    standing(1, 20_003);
    // It has the tag of the first calls of the others, and came after them.
    let late = standing(2, 20_004);
    assert_eq!((late.ahead, late.own, late.apps), (2, 0, 2));
    let next = standing(2, 20_005);
    assert_eq!((next.ahead, next.own, next.apps), (4, 1, 3));
}

#[test]
fn who_waits_for_a_narrow_pool_is_before_nobody_that_does_not() {
    let mut quota = quota(settings(3), &interactive(3));
    done(&mut quota, 2, PUT, 2, at(0));
    let (_, put) = waits(&mut quota, ticket(0, PUT), at(10));
    assert_eq!((put.ahead, put.bound), (0, LimitedBy::Slot(LISTS)));
    let (_, behind) = waits(&mut quota, ticket(1, PUT), at(11));
    assert_eq!((behind.ahead, behind.apps, behind.bound), (1, 1, LimitedBy::Slot(LISTS)));
    done(&mut quota, 2, PLAIN, 1, at(12));
    let (_, plain) = waits(&mut quota, ticket(2, PLAIN), at(13));
    assert_eq!((plain.ahead, plain.bound), (0, LimitedBy::Slot(OWN)));
}

#[test]
fn a_bulk_call_stands_behind_every_interactive_one() {
    let bulk = AppSettings { lane: Lane::Bulk, ..AppSettings::default() };
    let mut quota = quota(settings(4), &[AppSettings::default(), bulk.clone(), bulk]);
    done(&mut quota, 0, PLAIN, 4, at(0));
    waits(&mut quota, ticket(1, PLAIN), at(1));
    for ms in 2..5 {
        let (_, standing) = waits(&mut quota, ticket(0, PLAIN), at(ms));
        assert_eq!(u64::from(standing.ahead), ms - 2, "bulk is not before it");
    }
    let (_, last) = waits(&mut quota, ticket(2, PLAIN), at(5));
    assert_eq!((last.ahead, last.own, last.apps), (4, 0, 2));
}

#[test]
fn each_rule_is_named_where_it_keeps_a_call_longest() {
    let mut throttled = quota(settings(4), &interactive(1));
    let AdmissionVerdict::Start(mut grant) = throttled.enter(at(0), &ticket(0, PLAIN)) else {
        panic!()
    };
    throttled.vendor_refused(&mut grant, Some(Duration::from_secs(20)), at(0));
    throttled.settle(grant, Settlement::FirstByteAt(at(0)), at(0));
    let (_, vendor) = waits(&mut throttled, ticket(0, PLAIN), at(1000));
    assert_eq!((vendor.bound, vendor.expected), (LimitedBy::Vendor(OWN), Duration::from_secs(19)));

    let limit = Some((1, Duration::from_secs(30)));
    let mut limited = quota(settings(4), &[AppSettings { limit, ..AppSettings::default() }]);
    done(&mut limited, 0, PLAIN, 1, at(0));
    assert_eq!(waits(&mut limited, ticket(0, PLAIN), at(1)).1.bound, LimitedBy::AppLimit);

    let mut paced = quota(ConnectionSettings { burst: 1, ..settings(60) }, &interactive(1));
    done(&mut paced, 0, PLAIN, 1, at(0));
    assert_eq!(waits(&mut paced, ticket(0, PLAIN), at(1)).1.bound, LimitedBy::Pace);

    // It has its half, which rests for long; the slots that come first are the other's.
    let mut shared = quota(settings(4), &interactive(2));
    done(&mut shared, 1, PLAIN, 2, at(0));
    done(&mut shared, 0, PLAIN, 2, at(30_000));
    waits(&mut shared, ticket(1, PLAIN), at(40_000));
    let (_, beyond) = waits(&mut shared, ticket(0, PLAIN), at(50_000));
    assert_eq!(beyond.bound, LimitedBy::Share);
}

#[test]
fn a_refused_call_says_where_it_would_have_stood() {
    let mut hasty = settings(2);
    hasty.max_wait = Duration::from_secs(5);
    let mut quota = quota(hasty, &interactive(2));
    done(&mut quota, 0, PLAIN, 2, at(0));
    waits(&mut quota, ticket(1, PLAIN), at(58_000));
    let hasty = AdmissionRequest { latest: at(58_500), by_caller: true, ..ticket(0, PLAIN) };
    let AdmissionVerdict::Refused(refused) = quota.enter(at(58_001), &hasty) else { panic!() };
    let standing = refused.standing.unwrap();
    assert_eq!((standing.ahead, standing.apps), (1, 1));
    quota.pause(ONE, AppNo(0), true);
    let AdmissionVerdict::Refused(paused) = quota.enter(at(58_002), &ticket(0, PLAIN)) else {
        panic!()
    };
    assert_eq!(paused.standing, None);
}

proptest! {
    /// Apps of one weight whose calls wait while another one's slots rest, and nobody comes after:
    /// then no share binds, and the order of service is all there is.
    #[test]
    fn as_many_calls_are_served_before_it_as_stood_before_it(
        arrivals in proptest::collection::vec(0..3_u32, 1..20),
    ) {
        let calls = 20;
        let mut quota = quota(settings(calls), &interactive(4));
        for slot in 0..calls {
            done(&mut quota, 3, PLAIN, 1, at(u64::from(slot) * 100));
        }
        let (last, before) = arrivals.split_last().unwrap();
        let mut now = 5000;
        for app in before {
            waits(&mut quota, ticket(*app, PLAIN), at(now));
            now += 1;
        }
        let (mine, standing) = waits(&mut quota, ticket(*last, PLAIN), at(now));
        let (mut served, mut own, mut clock) = (0, 0, at(now));
        'time: loop {
            clock = quota.next_wake(clock).unwrap();
            while let Some(event) = quota.poll(clock) {
                let QueueEvent::Start { place, grant, .. } = event else { panic!("{event:?}") };
                if place == mine {
                    drop(grant);
                    break 'time;
                }
                served += 1;
                own += u32::from(grant.key.app == *last);
                quota.settle(grant, Settlement::FirstByteAt(clock), clock);
            }
        }
        prop_assert_eq!((served, own), (standing.ahead, standing.own));
    }
}
