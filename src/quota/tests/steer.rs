//! What operators change and callers see.

use std::time::Duration;

use super::super::slots::Settlement;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, Headroom, Lane, Mode, Moment, Past, PoolId, PoolSettings, PriceNo, PriceSettings,
    QueueEvent, Quota, QuotaRule, QuotaUsage, Would,
};

const ONE: ConnectionNo = ConnectionNo(0);

fn at(ms: u64) -> Moment {
    Moment::from(Duration::from_millis(ms))
}

fn ticket(app: u32) -> AdmissionRequest {
    AdmissionRequest {
        connection: ONE,
        app: AppNo(app),
        price: PriceNo(0),
        bulk: false,
        latest: Moment::NEVER,
        by_caller: false,
        asked: false,
    }
}

fn settings(calls: u32) -> ConnectionSettings {
    ConnectionSettings::of("connection", calls, Duration::from_secs(60))
}

fn paying(connection: u32) -> PriceSettings {
    PriceSettings { connection, named: Vec::new() }
}

fn quota(settings: ConnectionSettings, apps: u32) -> Quota {
    let mut quota = Quota::new(&[], &[paying(1)], &[settings], at(0)).unwrap();
    for _ in 0..apps {
        quota.add_app(ONE, AppSettings::default(), at(0)).unwrap();
    }
    quota
}

fn start(quota: &mut Quota, app: u32, now: Moment) -> Grant {
    match quota.enter(now, &ticket(app)) {
        AdmissionVerdict::Start(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn rule(verdict: AdmissionVerdict) -> (QuotaRule, u64) {
    match verdict {
        AdmissionVerdict::Refused(refusal) => (refusal.rule, refusal.seconds()),
        other => panic!("{other:?}"),
    }
}

fn take_all(quota: &mut Quota, calls: u32, now: Moment) {
    for _ in 0..calls {
        let grant = start(quota, 0, now);
        quota.settle(grant, Settlement::FirstByteAt(now), now);
    }
}

#[test]
fn each_rule_refuses_by_its_name_and_says_when_to_come_back() {
    let mut quota = quota(settings(10), 2);
    take_all(&mut quota, 10, at(0));
    // Slots are back at 60.06 s.
    assert_eq!(rule(quota.enter(at(10_000), &ticket(0))), (QuotaRule::QuotaExhausted, 51));
    let hasty = AdmissionRequest { latest: at(11_000), by_caller: true, ..ticket(1) };
    assert_eq!(rule(quota.enter(at(10_000), &hasty)), (QuotaRule::DeadlineTooNear, 51));
    assert!(quota.ask(at(10_000), &hasty).is_err());
    assert!(quota.ask(at(56_000), &ticket(0)).is_ok());
    for _ in 0..5 {
        assert!(matches!(quota.enter(at(56_000), &ticket(0)), AdmissionVerdict::Wait(..)));
    }
    assert_eq!(rule(quota.enter(at(56_000), &ticket(0))).0, QuotaRule::QueueFull);
    assert!(matches!(quota.enter(at(56_000), &ticket(1)), AdmissionVerdict::Wait(..)));
    quota.pause(ONE, AppNo(1), true);
    assert_eq!(rule(quota.enter(at(56_000), &ticket(1))).0, QuotaRule::AppPaused);
    assert_eq!(rule(quota.enter(at(56_000), &ticket(77))).0, QuotaRule::AppPaused);
    assert_eq!(QuotaRule::QueueFull.code(), "queue-full");
}

#[test]
fn those_refused_together_are_told_different_times() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 10, at(0));
    let told: Vec<u64> = (0..4).map(|_| rule(quota.enter(at(30_000), &ticket(0))).1).collect();
    assert_eq!(told, [31, 37, 43, 49]);
}

#[test]
fn a_place_that_was_left_is_nobodys() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 10, at(0));
    let AdmissionVerdict::Wait(first, _) = quota.enter(at(59_000), &ticket(0)) else { panic!() };
    let AdmissionVerdict::Wait(second, _) = quota.enter(at(59_000), &ticket(0)) else { panic!() };
    assert!(quota.poll(at(59_000)).is_none());
    assert_eq!(quota.next_wake(at(59_000)), Some(at(60_060)));
    assert!(quota.leave(first));
    assert!(!quota.leave(first));
    match quota.poll(at(60_060)) {
        Some(QueueEvent::Start { place, since, .. }) => {
            assert_eq!((place, since), (second, at(59_000)));
        }
        other => panic!("{other:?}"),
    }
    assert!(!quota.leave(second));
    assert_eq!(quota.next_wake(at(60_060)), None);
}

#[test]
fn a_paused_app_is_sent_away_and_comes_back() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 10, at(0));
    let AdmissionVerdict::Wait(waiting, _) = quota.enter(at(59_000), &ticket(0)) else { panic!() };
    quota.pause(ONE, AppNo(0), true);
    match quota.poll(at(59_001)) {
        Some(QueueEvent::Refused { place, refusal, .. }) => {
            assert_eq!((place, refusal.rule), (waiting, QuotaRule::AppPaused));
        }
        other => panic!("{other:?}"),
    }
    quota.pause(ONE, AppNo(0), false);
    let _ = start(&mut quota, 0, at(60_100));
}

#[test]
fn a_number_given_again_brings_no_pause_with_it() {
    let mut quota = quota(settings(10), 1);
    quota.remove_app(ONE, AppNo(0));
    assert_eq!(quota.add_app(ONE, AppSettings::default(), at(0)), Some(AppNo(0)));
    take_all(&mut quota, 10, at(0));
    let AdmissionVerdict::Wait(place, _) = quota.enter(at(59_000), &ticket(0)) else { panic!() };
    match quota.poll(at(60_060)) {
        Some(QueueEvent::Start { place: started, .. }) => assert_eq!(started, place),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pause_is_told_in_full_and_spread_over_the_slots_that_come_back() {
    let mut slow = settings(4);
    slow.pool.window = Duration::from_secs(300);
    let mut quota = quota(slow, 1);
    take_all(&mut quota, 4, at(0));
    let mut told = |ms| rule(quota.enter(at(ms), &ticket(0))).1;
    // The slots are back at 300.3 s; one of four each 75 s, and then round again.
    assert_eq!((told(0), told(100_000)), (301, 276));
    assert_eq!([told(0), told(0), told(0), told(0)], [351, 426, 501, 201]);
}

#[test]
fn a_refusal_says_how_much_is_used_and_how_much_of_it_by_the_app() {
    let mut quota = quota(settings(10), 2);
    take_all(&mut quota, 7, at(0));
    let _held: Vec<_> = (0..3).map(|_| start(&mut quota, 1, at(0))).collect();
    let AdmissionVerdict::Refused(refusal) = quota.enter(at(0), &ticket(1)) else { panic!() };
    let usage = QuotaUsage { calls: 10, window: Duration::from_secs(60), held: 10, own: 3 };
    assert_eq!(refusal.usage, usage);
}

#[test]
fn only_a_limit_an_app_has_and_a_deadline_it_set_refuse_it() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 10, at(0));
    // It wants not to wait, and was sent a moment ago.
    let at_once = AdmissionRequest { latest: at(999), by_caller: true, ..ticket(0) };
    assert_eq!(rule(quota.enter(at(1000), &at_once)).0, QuotaRule::DeadlineTooNear);
    let operators = AdmissionRequest { latest: at(2000), ..ticket(0) };
    assert_eq!(rule(quota.enter(at(1000), &operators)).0, QuotaRule::QuotaExhausted);
}

#[test]
fn an_apps_own_limit_binds_it_alone() {
    let mut quota = quota(settings(100), 2);
    let limited =
        AppSettings { limit: Some((6, Duration::from_secs(60))), ..AppSettings::default() };
    quota.configure_app(ONE, AppNo(1), limited, at(0));
    for _ in 0..6 {
        let grant = start(&mut quota, 1, at(0));
        quota.settle(grant, Settlement::FirstByteAt(at(0)), at(0));
    }
    // One is back each 10 s: too late for a wait of 5 s.
    assert_eq!(rule(quota.enter(at(0), &ticket(1))), (QuotaRule::AppLimited, 10));
    let _ = start(&mut quota, 0, at(0));
    let AdmissionVerdict::Wait(place, _) = quota.enter(at(6000), &ticket(1)) else { panic!() };
    assert!(quota.poll(at(6000)).is_none());
    assert_eq!(quota.next_wake(at(6000)), Some(at(10_000)));
    assert!(
        matches!(quota.poll(at(10_000)), Some(QueueEvent::Start { place: p, .. }) if p == place)
    );
}

#[test]
fn watching_starts_every_call_and_says_what_would_have_been() {
    let mut settings = settings(10);
    settings.mode = Mode::Shadow;
    let mut quota = quota(settings, 1);
    for n in 0..12 {
        let grant = start(&mut quota, 0, at(0));
        match grant.would() {
            Would::Start => assert!(n < 10),
            Would::Refuse(rule) => assert_eq!((rule, n >= 10), (QuotaRule::QuotaExhausted, true)),
            Would::Wait(_) => panic!("60 s are longer than any wait"),
        }
        quota.settle(grant, Settlement::FirstByteAt(at(0)), at(0));
    }
    let grant = start(&mut quota, 0, at(57_060));
    assert_eq!(grant.would(), Would::Wait(Duration::from_secs(3)));
}

#[test]
fn the_room_of_an_app_is_what_it_can_really_start() {
    let mut quota = quota(settings(100), 3);
    let own = quota.own_pool(ONE).unwrap();
    // Two others may call: 20 slots are given out over the first window.
    assert_eq!(quota.room(ONE, AppNo(0), own, at(0)).unwrap().calls, 80);
    take_all(&mut quota, 30, at(0));
    let other = start(&mut quota, 1, at(1000));
    quota.settle(other, Settlement::FirstByteAt(at(1000)), at(1000));
    for app in [0, 1, 2] {
        let Headroom { calls, next } = quota.room(ONE, AppNo(app), own, at(2000)).unwrap();
        assert_eq!(next, Duration::from_millis(58_060));
        // A copy of the state, so to speak: take what it says, and not one more.
        let mut grants = Vec::new();
        while let AdmissionVerdict::Start(grant) = quota.enter(at(2000), &ticket(app)) {
            grants.push(grant);
        }
        assert_eq!(grants.len(), calls as usize, "app {app}");
        for grant in grants {
            quota.settle(grant, Settlement::NothingSent, at(2000));
        }
        while quota.poll(at(2000)).is_some() {}
    }
    quota.pause(ONE, AppNo(0), true);
    assert_eq!(quota.room(ONE, AppNo(0), own, at(2000)).unwrap().calls, 0);
}

#[test]
fn slots_that_are_kept_for_those_who_were_told_to_come_back_are_no_room_for_others() {
    let mut settings = settings(1);
    settings.max_wait = Duration::ZERO;
    let mut quota = quota(settings, 1);
    let own = quota.own_pool(ONE).unwrap();
    let mut now = at(0);
    // Clients that come back to the millisecond when told are waited for.
    for _ in 0..10 {
        let grant = start(&mut quota, 0, now);
        quota.settle(grant, Settlement::FirstByteAt(now), now);
        let AdmissionVerdict::Refused(refusal) =
            quota.enter(now + Duration::from_secs(1), &ticket(0))
        else {
            panic!("the slot is used");
        };
        now = now + Duration::from_secs(1) + refusal.after;
    }
    // One is late, and somebody else asks in its place.
    let early = now + Duration::from_millis(150);
    assert_eq!(quota.room(ONE, AppNo(0), own, early).unwrap().calls, 0);
    assert!(!matches!(quota.enter(early, &ticket(0)), AdmissionVerdict::Start(_)));
}

#[test]
fn a_reload_that_changes_nothing_gives_nobody_a_burst() {
    let mut own = settings(100);
    (own.burst, own.max_wait) = (3, Duration::from_secs(600));
    let mut quota = quota(own.clone(), 1);
    take_all(&mut quota, 3, at(0));
    let pool = quota.own_pool(ONE).unwrap();
    quota.set_window(pool, own.pool.window, own.pool.hard_limit, at(1));
    quota.set_limit(pool, own.pool.calls, at(1));
    quota.configure(ONE, &own, at(1));
    quota.set_mode(ONE, own.mode, at(1));
    assert!(matches!(quota.enter(at(1), &ticket(0)), AdmissionVerdict::Wait(..)));
}

#[test]
fn a_vendors_429_holds_its_pool_and_no_other() {
    let named = PoolSettings { name: "lists.put".into(), ..settings(20).pool };
    let lists = PriceSettings { connection: 1, named: vec![(0, 1)] };
    let prices = [paying(1), lists];
    let mut quota = Quota::new(&[named], &prices, &[settings(100)], at(0)).unwrap();
    quota.add_app(ONE, AppSettings::default(), at(0)).unwrap();
    let lists = AdmissionRequest { price: PriceNo(1), ..ticket(0) };
    let AdmissionVerdict::Start(mut grant) = quota.enter(at(0), &lists) else { panic!() };
    let closed = quota.vendor_refused(&mut grant, Some(Duration::from_secs(20)), at(100));
    assert_eq!(closed, Some((PoolId(0), at(20_100))));
    quota.settle(grant, Settlement::FirstByteAt(at(100)), at(100));
    assert_eq!(rule(quota.enter(at(100), &lists)), (QuotaRule::VendorThrottled, 20));
    let _ = start(&mut quota, 0, at(100));
    let AdmissionVerdict::Wait(..) = quota.enter(at(16_000), &lists) else { panic!() };
    assert!(quota.poll(at(16_000)).is_none());
    assert_eq!(quota.next_wake(at(16_000)), Some(at(20_100)));
    assert!(matches!(quota.poll(at(20_100)), Some(QueueEvent::Start { .. })));
}

#[test]
fn connections_of_one_workspace_share_the_named_pools_in_turn() {
    let named = PoolSettings { name: "lists.put".into(), ..settings(4).pool };
    let lists = PriceSettings { connection: 1, named: vec![(0, 1)] };
    let mut two = [settings(100), settings(100)];
    two[1].pool.name = "second".into();
    let mut quota = Quota::new(&[named], &[lists], &two, at(0)).unwrap();
    for connection in [ConnectionNo(0), ConnectionNo(1)] {
        quota.add_app(connection, AppSettings::default(), at(0)).unwrap();
    }
    let of = |connection| AdmissionRequest { connection: ConnectionNo(connection), ..ticket(0) };
    for _ in 0..4 {
        let AdmissionVerdict::Start(grant) = quota.enter(at(0), &of(0)) else { panic!() };
        quota.settle(grant, Settlement::FirstByteAt(at(0)), at(0));
    }
    for connection in [0, 0, 0, 1, 1] {
        let verdict = quota.enter(at(59_000), &of(connection));
        assert!(matches!(verdict, AdmissionVerdict::Wait(..)), "{verdict:?}");
    }
    let mut served = Vec::new();
    while let Some(QueueEvent::Start { grant, .. }) = quota.poll(at(60_060)) {
        served.push(grant.connection.0);
    }
    assert_eq!(served, [0, 1, 0, 1]);
}

#[test]
fn calls_for_a_narrow_pool_leave_the_places_of_others_free() {
    let named = PoolSettings { name: "lists.put".into(), ..settings(4).pool };
    let lists = PriceSettings { connection: 1, named: vec![(0, 1)] };
    let mut own = settings(20);
    (own.depth, own.app_depth, own.max_wait) = (3, 3, Duration::from_secs(600));
    let mut quota = Quota::new(&[named], &[paying(1), lists], &[own], at(0)).unwrap();
    for _ in 0..20 {
        quota.add_app(ONE, AppSettings::default(), at(0)).unwrap();
    }
    let lists = |app| AdmissionRequest { price: PriceNo(1), ..ticket(app) };
    for app in 0..20 {
        let verdict = quota.enter(at(0), &lists(app));
        match app {
            0..4 => assert!(matches!(verdict, AdmissionVerdict::Start(_))),
            4..8 => assert!(matches!(verdict, AdmissionVerdict::Wait(..))),
            _ => assert_eq!(rule(verdict).0, QuotaRule::QueueFull),
        }
    }
    for app in 0..16 {
        let _ = start(&mut quota, app, at(0));
    }
    for app in 10..13 {
        assert!(matches!(quota.enter(at(0), &ticket(app)), AdmissionVerdict::Wait(..)));
    }
    assert_eq!(rule(quota.enter(at(0), &ticket(13))).0, QuotaRule::QueueFull);
}

#[test]
fn settings_that_make_no_sense_are_refused_all_at_once() {
    let named = PoolSettings { name: "connection".into(), ..settings(4).pool };
    let wrong = PriceSettings { connection: 200, named: vec![(0, 5), (7, 1)] };
    let mut bad = settings(100);
    bad.burst = 0;
    let problems = Quota::new(&[named], &[wrong], &[bad], at(0)).unwrap_err();
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn a_restart_keeps_the_debt_and_unknown_state_waits() {
    let mut known = settings(10);
    known.pool.past = Past::Resting(vec![at(30_000); 10]);
    let mut quota1 = quota(known, 1);
    assert_eq!(rule(quota1.enter(at(0), &ticket(0))), (QuotaRule::QuotaExhausted, 30));
    let _ = start(&mut quota1, 0, at(30_000));
    let mut unknown = settings(10);
    unknown.pool.past = Past::Unknown;
    let mut quota2 = quota(unknown, 1);
    assert_eq!(rule(quota2.enter(at(0), &ticket(0))), (QuotaRule::QuotaExhausted, 121));
    let _ = start(&mut quota2, 0, at(120_060));
}

#[test]
fn a_removed_apps_number_is_given_again_once_it_holds_nothing() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 1, at(0));
    quota.remove_app(ONE, AppNo(0));
    assert_eq!(quota.add_app(ONE, AppSettings::default(), at(1)), Some(AppNo(1)));
    let _ = start(&mut quota, 1, at(61_000));
    assert_eq!(quota.app_gauge(ONE, AppNo(0), Lane::Interactive).held, 0);
    assert_eq!(quota.add_app(ONE, AppSettings::default(), at(61_000)), Some(AppNo(0)));
    let _ = start(&mut quota, 0, at(61_000));
}

/// Calls that were answered under the old window are in the new one all the same.
#[test]
fn a_longer_window_lets_what_rests_rest_for_longer_and_a_shorter_one_no_less() {
    let mut quota = quota(settings(10), 1);
    take_all(&mut quota, 10, at(0));
    let own = quota.own_pool(ONE).unwrap();
    let hard = Duration::from_secs(60);
    quota.set_window(own, Duration::from_secs(80), hard, at(10_000));
    // 80 s and the guard of 80 ms after the answers.
    assert_eq!(rule(quota.enter(at(61_000), &ticket(0))), (QuotaRule::QuotaExhausted, 20));
    quota.set_window(own, Duration::from_secs(20), hard, at(61_000));
    assert_eq!(rule(quota.enter(at(70_000), &ticket(0))).0, QuotaRule::QuotaExhausted);
    take_all(&mut quota, 8, at(80_080));
}
