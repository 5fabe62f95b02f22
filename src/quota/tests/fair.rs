//! All of the quota is used, and shared fairly.

use super::super::{AppNo, ConnectionSettings, Gauge, Lane, PoolId, PoolSettings, PriceSettings};
use super::people::{AppBooks, CALM, Habit, Tally};
use super::world::{ONE, World, patient};
use std::time::Duration;

/// Jain's index of fairness: 1 if all are equal.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|x| x * x).sum();
    let n = f64::from(u32::try_from(shares.len()).unwrap());
    sum * sum / (n * squares)
}

fn backlogged(weights: &[u32]) -> Vec<AppBooks> {
    let app = |weight: &u32| AppBooks::new(Habit::Backlog(40)).weight(*weight);
    weights.iter().map(app).collect()
}

#[test]
fn backlogged_apps_use_all_of_it_and_share_by_weight() {
    for (seed, weights) in
        [&[1][..], &[1, 1], &[3, 1, 1], &[1; 10], &[1, 2, 3, 4, 5]].iter().enumerate()
    {
        let mut world = World::new(patient(100), backlogged(weights), CALM, seed as u64);
        world.run(3600.0);
        let used = world.used(0.0);
        let mut least = f64::INFINITY;
        for from in 1..11 {
            let from = f64::from(from) * 300.0;
            let sent = world.sent_by(from, from + 5.0 * 60.66);
            let by_weight: Vec<_> =
                sent.iter().zip(*weights).map(|(n, w)| n / f64::from(*w)).collect();
            least = least.min(jain(&by_weight));
        }
        println!("weights {weights:?}: used {used:.4}, least Jain {least:.4}");
        assert!(used >= 0.98, "{weights:?}: used {used}");
        assert!(least >= 0.99, "{weights:?}: {least}");
    }
}

#[test]
fn a_thousand_sockets_get_no_more_than_one_app_with_one_call_waiting() {
    for seed in 0..3 {
        let apps = vec![AppBooks::new(Habit::Backlog(1000)), AppBooks::new(Habit::Backlog(1))];
        let mut world = World::new(patient(100), apps, CALM, seed);
        world.run(3600.0);
        let used = world.used(0.0);
        let sent = world.sent_by(0.0, 3600.0);
        let mut least = f64::INFINITY;
        for from in 2..11 {
            let from = f64::from(from) * 300.0;
            least = least.min(jain(&world.sent_by(from, from + 300.0)));
        }
        println!(
            "seed {seed}: {sent:?} used {used:.4}, least Jain {least:.4}, {} wakes",
            world.wakes
        );
        assert!(least >= 0.99, "{least}");
        assert!(used >= 0.98, "{used}");
    }
}

/// The hard case: its next call comes only after the answer, so that it never shows what it wants.
#[test]
fn a_single_socket_gets_its_part_beside_a_thousand() {
    for seed in 0..3 {
        let apps =
            vec![AppBooks::new(Habit::Backlog(1000)), AppBooks::new(Habit::Clients(1, 1e-6))];
        let mut world = World::new(patient(100), apps, CALM, seed);
        world.run(3600.0);
        let used = world.used(300.0);
        let mut least = f64::INFINITY;
        for from in 2..11 {
            let from = f64::from(from) * 300.0;
            least = least.min(jain(&world.sent_by(from, from + 300.0)));
        }
        let sent = world.sent_by(0.0, 3600.0);
        println!("seed {seed}: {sent:?} used {used:.4}, least Jain {least:.4}");
        assert!(least >= 0.99, "{least}");
        assert!(used >= 0.96, "{used}");
    }
}

#[test]
fn modest_apps_beside_a_noisy_one_hardly_wait() {
    for modest in [1, 4, 9] {
        for seed in 0..3 {
            let mut apps = vec![AppBooks::new(Habit::Backlog(40))];
            apps.resize(1 + modest, AppBooks::new(Habit::Poisson(6.0)));
            let mut world = World::new(patient(100), apps, CALM, seed);
            world.run(3600.0);
            let used = world.used(0.0);
            let p50 = world.tallies[1..].iter().map(|t| t.wait(500)).fold(0.0, f64::max);
            world.tallies[1..].iter().for_each(Tally::assert_started);
            for tally in &mut world.tallies {
                // From a cold start the noisy app holds all slots for a window.
                tally.waits.retain(|w| w.0 > 121.0);
            }
            let p99 = world.tallies[1..].iter().map(|t| t.wait(990)).fold(0.0, f64::max);
            println!("{modest} modest, seed {seed}: used {used:.4}, p50 {p50:.3}, p99 {p99:.3}");
            assert!(p50 <= 0.1, "{p50}");
            assert!(used >= 0.96, "{used}");
        }
    }
}

#[test]
fn sixty_calls_at_each_full_minute_beside_a_modest_app_leave_within_a_second() {
    for seed in 0..3 {
        let apps = vec![AppBooks::new(Habit::Minutely(60)), AppBooks::new(Habit::Poisson(6.0))];
        let mut world = World::new(patient(100), apps, CALM, seed);
        world.run(3600.0);
        world.tallies.iter().for_each(Tally::assert_started);
        let (most, modest) = (world.tallies[0].wait(1000), world.tallies[1].wait(1000));
        println!("seed {seed}: burst {most:.3}, modest {modest:.3}");
        assert!(most <= 1.0, "{most}");
        assert!(modest <= 1.0, "{modest}");
    }
}

#[test]
fn a_burst_of_all_from_idle_leaves_at_once() {
    let mut apps = vec![AppBooks::new(Habit::Minutely(100))];
    let mut world = World::new(patient(100), apps.clone(), CALM, 1);
    world.run(119.0);
    assert_eq!(world.tallies[0].waits.iter().filter(|w| w.1 == 0.0).count(), 100);
    // With others that called within the window: less their headroom.
    apps.resize(10, AppBooks::new(Habit::Poisson(1.0)));
    apps[0].awake.0 = 120.0;
    let mut world = World::new(patient(100), apps, CALM, 1);
    world.run(239.0);
    let held: usize = world.tallies[1..].iter().map(|t| t.started_between(119.0, 180.0)).sum();
    let at_once = world.tallies[0].waits.iter().filter(|w| w.1 == 0.0).count();
    println!("{at_once} at once beside {held}");
    assert!(at_once + held >= 95, "{at_once} beside {held}");
}

#[test]
fn an_idle_apps_share_is_used_by_others_and_comes_back_within_a_window() {
    for seed in 0..5 {
        let mut apps = backlogged(&[1, 1, 1]);
        apps[0].awake = (0.0, 600.0);
        let mut back = apps[0].clone();
        back.awake = (1000.0 + 7.3 * seed as f64, f64::INFINITY);
        let returns = back.awake.0;
        apps.push(back);
        let mut world = World::new(patient(100), apps, CALM, seed);
        world.run(returns + 61.0);
        let returned = AppNo(3);
        let held = world.quota.app_gauge(ONE, returned, Lane::Interactive).held;
        world.run(returns + 400.0);
        let used = world.used(0.0);
        let first = world.sent_by(returns, returns + 60.7)[3];
        println!(
            "seed {seed}: used {used:.4}, {first} calls in its first window, then holds {held}"
        );
        assert!(used >= 0.98, "{used}");
        assert!(first >= 30.0, "{first}");
        assert!((31..=35).contains(&held), "{held}");
    }
}

/// p99 of an app's waits, the longest wait of one that pays nothing, the narrow pool's figures and
/// what was sent, with or without an app that always waits for the narrow pool.
fn beside_a_narrow_pool(settings: ConnectionSettings, stuck: bool) -> (f64, f64, Gauge, Vec<f64>) {
    let named = PoolSettings {
        name: "lists.put".into(),
        ..ConnectionSettings::of("x", 20, Duration::from_secs(60)).pool
    };
    let price = |connection, named| PriceSettings { connection, named };
    let prices =
        vec![price(1, vec![]), price(1, vec![(0, 1)]), price(0, vec![(0, 1)]), price(0, vec![])];
    let mut apps = vec![AppBooks::new(Habit::Poisson(50.0)), AppBooks::new(Habit::Poisson(30.0))];
    apps[1].prices = vec![3];
    if stuck {
        let mut narrow = AppBooks::new(Habit::Poisson(200.0));
        narrow.prices = vec![1, 2];
        apps.push(narrow);
    }
    let mut world = World::with_pools((vec![named], prices, settings), apps, CALM, 4);
    world.run(3600.0);
    let narrow = world.quota.gauge(PoolId(0)).unwrap();
    let waits = (world.tallies[0].wait(990), world.tallies[1].wait(1000));
    (waits.0, waits.1, narrow, world.sent_by(0.0, 3600.0))
}

#[test]
fn a_waiter_on_a_narrow_pool_delays_nobody_else() {
    let defaults = ConnectionSettings::of("connection", 100, Duration::from_secs(60));
    for settings in [patient(100), defaults] {
        let (alone, free_alone, ..) = beside_a_narrow_pool(settings.clone(), false);
        let (beside, free_beside, narrow, sent) = beside_a_narrow_pool(settings, true);
        println!("alone {alone}, beside {beside}; {narrow:?}; {sent:?}");
        assert!(alone == 0.0 && beside <= 0.05, "{alone} {beside}");
        assert!(free_alone == 0.0 && free_beside == 0.0, "who pays nothing never waits");
        assert!(narrow.free + narrow.in_use + narrow.resting == 20);
        assert!(sent[2] >= 0.95 * 20.0 * 59.0, "{sent:?}");
    }
}
