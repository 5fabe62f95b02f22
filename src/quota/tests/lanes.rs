//! Interactive before bulk, and bulk not forgotten.

use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionSettings, Moment, PriceNo,
    PriceSettings, QueueEvent, Quota, Settlement,
};
use super::counters::TwoBuckets;
use super::people::{AppBooks, CALM, Habit, Tally};
use super::world::{ONE, World, patient};
use std::time::Duration;

#[test]
fn interactive_calls_hardly_wait_while_bulk_uses_the_rest() {
    for seed in 0..10 {
        let apps =
            vec![AppBooks::new(Habit::Backlog(200)).bulk(), AppBooks::new(Habit::Poisson(16.0))];
        let mut world = World::new(patient(100), apps, CALM, seed);
        for stop in 1..=514 {
            world.run(f64::from(stop) * 7.0);
        }
        let cold = world.tallies[1].waits.iter().filter(|w| w.0 < 300.0).map(|w| w.1);
        let cold = cold.fold(0.0, f64::max);
        world.tallies[1].assert_started();
        let mut warm = world.tallies[1].clone();
        warm.waits.retain(|w| w.0 >= 300.0);
        let (p99, most, used) = (warm.wait(990), warm.wait(1000), world.used(0.0));
        println!("seed {seed}: p99 {p99:.3}, most {most:.3}, cold {cold:.3}, used {used:.4}");
        assert!(p99 <= 1.0, "{p99}");
        assert!(used >= 0.97, "{used}");
        assert!(cold <= 5.0, "{cold}");
    }
}

#[test]
fn with_every_default_hardly_an_interactive_call_is_refused_beside_bulk() {
    for (calls, most) in [(16.0, 0.7), (30.0, 1.0)] {
        let (mut waits, mut refused, mut asked, mut used) = (Vec::new(), 0, 0, 1.0_f64);
        for seed in 0..8 {
            let apps = vec![
                AppBooks::new(Habit::Backlog(40)).bulk(),
                AppBooks::new(Habit::Poisson(calls)),
            ];
            let settings = ConnectionSettings::of("connection", 100, Duration::from_secs(60));
            let mut world = World::new(settings, apps, CALM, seed);
            world.run(600.0);
            let (all, lost) = world.tallies[1].refused_between(0.0, 600.0);
            (asked, refused) = (asked + all, refused + lost);
            waits.extend(world.tallies[1].waits.iter().copied());
            used = used.min(world.used(65.0));
        }
        let refused = refused as f64 / asked as f64;
        let p99 = Tally { waits, ..Tally::default() }.wait(990);
        println!("{calls} a minute: p99 {p99:.3}, refused {refused:.4}, used {used:.4}");
        assert!(p99 <= most, "{p99}");
        assert!(refused <= 0.01, "{refused}");
        assert!(used >= 0.97, "{used}");
    }
}

/// Calls one after the other, each of which must start at once and is answered soon after.
fn start_in_turn(quota: &mut Quota, app: u32, bulk: bool, calls: u32, mut now: Moment) -> Moment {
    for call in 0..calls {
        let (app, price, latest) = (AppNo(app), PriceNo(0), Moment::NEVER);
        let ticket = AdmissionRequest {
            connection: ONE,
            app,
            price,
            bulk,
            latest,
            by_caller: false,
            asked: false,
        };
        let AdmissionVerdict::Start(grant) = quota.enter(now, &ticket) else {
            panic!("call {call} waits")
        };
        now = now + Duration::from_millis(40);
        quota.settle(grant, Settlement::FirstByteAt(now), now);
    }
    now
}

#[test]
fn bulk_takes_what_is_idle_where_nobody_else_calls() {
    let now = Moment::from(Duration::from_secs(1000));
    let settings = ConnectionSettings::of("connection", 100, Duration::from_secs(60));
    let prices = [PriceSettings { connection: 1, named: Vec::new() }];
    let quota = |apps: usize| {
        let settings = std::slice::from_ref(&settings);
        let mut quota = Quota::new(&[], &prices, settings, now).unwrap();
        for _ in 0..apps {
            quota.add_app(ONE, AppSettings::default(), now).unwrap();
        }
        quota
    };
    // An app's own calls before its bulk calls, or none.
    start_in_turn(&mut quota(1), 0, true, 100, now);
    let mut alone = quota(1);
    let after = start_in_turn(&mut alone, 0, false, 50, now);
    start_in_turn(&mut alone, 0, true, 50, after);
    // Another app that has not called for more than a window.
    let mut after_others = quota(2);
    start_in_turn(&mut after_others, 1, false, 10, now);
    start_in_turn(&mut after_others, 0, true, 100, now + Duration::from_secs(121));
}

/// How long each of 50 bulk calls in turn waits beside an app that called so often in the last
/// window.
fn beside(calls: u32, started: Duration) -> Vec<f64> {
    let began = Moment::from(Duration::from_secs(1000));
    let settings = ConnectionSettings::of("connection", 100, Duration::from_secs(60));
    let prices = [PriceSettings { connection: 1, named: Vec::new() }];
    let mut quota = Quota::new(&[], &prices, std::slice::from_ref(&settings), began).unwrap();
    for _ in 0..2 {
        quota.add_app(ONE, AppSettings::default(), began).unwrap();
    }
    for call in 0..calls {
        start_in_turn(&mut quota, 1, false, 1, began + started * call / calls);
    }
    let mut now = began + started;
    let mut waits = Vec::new();
    for _ in 0..50 {
        let asked = now;
        let (app, price, latest) = (AppNo(0), PriceNo(0), Moment::NEVER);
        let ticket = AdmissionRequest {
            connection: ONE,
            app,
            price,
            bulk: true,
            latest,
            by_caller: false,
            asked: false,
        };
        let grant = match quota.enter(now, &ticket) {
            AdmissionVerdict::Start(grant) => grant,
            AdmissionVerdict::Wait(..) => loop {
                match quota.poll(now) {
                    Some(QueueEvent::Start { grant, .. }) => break grant,
                    Some(QueueEvent::Refused { .. }) => panic!("refused"),
                    None => now = quota.next_wake(now).expect("it starts some time"),
                }
            },
            AdmissionVerdict::Refused(refusal) => panic!("{refusal:?}"),
        };
        waits.push(now.since(asked).as_secs_f64());
        now = now + Duration::from_millis(10);
        quota.settle(grant, Settlement::FirstByteAt(now), now);
    }
    waits
}

#[test]
fn bulk_beside_a_nearly_idle_app_uses_what_is_idle() {
    for calls in [0, 1, 6] {
        let waits = beside(calls, Duration::from_secs(61));
        assert_eq!(waits.iter().sum::<f64>(), 0.0, "{waits:?}");
    }
    // In the first window nothing is known of the other app: one by one, and no slower.
    let waits = beside(0, Duration::ZERO);
    assert!((25.0..30.0).contains(&waits.iter().sum()), "{waits:?}");
}

#[test]
fn bulk_never_falls_below_its_floor() {
    for (seed, bulk) in [(1, 1), (2, 3), (3, 1)] {
        let mut apps = vec![AppBooks::new(Habit::Backlog(100)), AppBooks::new(Habit::Backlog(20))];
        apps.resize(2 + bulk, AppBooks::new(Habit::Backlog(50)).bulk());
        let mut world = World::new(patient(100), apps, CALM, seed);
        world.run(3600.0);
        let mut least = f64::INFINITY;
        for from in 0..54 {
            let from = f64::from(from) * 60.0;
            let sent: f64 = world.sent_by(from, from + 5.0 * 60.66)[2..].iter().sum();
            least = least.min(sent / 5.0);
        }
        let bulk: f64 = world.sent_by(0.0, 3600.0)[2..].iter().sum();
        assert!(bulk <= 6.0 * 60.0, "{bulk}: interactive calls come first");
        println!("seed {seed}: least {least} a window over five, used {:.4}", world.used(0.0));
        assert!(least >= 5.0, "{least}");
        assert!(world.used(0.0) >= 0.97);
    }
}

#[test]
fn an_operators_pace_keeps_an_approximate_vendor_content() {
    for (habit, burst) in
        [(Habit::Backlog(100), 1), (Habit::Backlog(100), 3), (Habit::Clients(150, 5.0), 3)]
    {
        let mut settings = patient(100);
        settings.burst = burst;
        let mut world = World::new(settings, vec![AppBooks::new(habit)], CALM, 5);
        world.vendor = Some((TwoBuckets::new(100, Duration::from_secs(60)), 0));
        world.run(4.0 * 3600.0);
        let refused = world.vendor.as_ref().unwrap().1;
        let part = f64::from(refused) / world.sent.len() as f64;
        let used = world.used(0.0);
        println!(
            "{habit:?}, burst {burst}: {part:.5} of {} refused, used {used:.4}",
            world.sent.len()
        );
        assert!(part <= 0.005, "{part}");
        assert!(used >= 0.97, "{used}");
    }
    let unpaced = ConnectionSettings::of("connection", 100, Duration::from_secs(60));
    let mut world = World::new(unpaced, vec![AppBooks::new(Habit::Backlog(40))], CALM, 5);
    world.vendor = Some((TwoBuckets::new(100, Duration::from_secs(60)), 0));
    world.run(3600.0);
    let refused = f64::from(world.vendor.as_ref().unwrap().1) / world.sent.len() as f64;
    assert!(refused > 0.05, "the vendor refuses clumps: {refused}");
}
