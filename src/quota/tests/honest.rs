//! What a call is told is true.

use std::time::Duration;

use super::super::{ConnectionSettings, Past};
use super::people::{AppBooks, CALM, Habit, Tally};
use super::world::{World, at};

fn defaults() -> ConnectionSettings {
    ConnectionSettings::of("connection", 100, Duration::from_secs(60))
}

#[derive(Debug, Default)]
struct Sum {
    arrived: f64,
    started: f64,
    expired: f64,
    refused: f64,
    servable: f64,
    spared: f64,
}

fn sum(tallies: &[Tally]) -> Sum {
    let mut sum = Sum::default();
    for tally in tallies {
        assert_eq!(tally.late, 0, "a call started after its deadline");
        sum.arrived += f64::from(tally.arrived);
        sum.started += tally.waits.len() as f64;
        sum.expired += f64::from(tally.expired);
        sum.refused += f64::from(tally.refused_on_arrival);
        sum.servable += f64::from(tally.servable);
        sum.spared += f64::from(tally.spared);
    }
    sum
}

/// Runs an hour and returns the part of the calls that were accepted and expired.
fn overload(what: &str, apps: &[AppBooks], settings: &ConnectionSettings) -> f64 {
    let mut worst: f64 = 0.0;
    for seed in 0..3 {
        let mut world = World::new(settings.clone(), apps.to_vec(), CALM, seed);
        world.run(3600.0);
        let sum = sum(&world.tallies);
        let expired = sum.expired / sum.arrived;
        println!(
            "{what}, seed {seed}: of {} arrived: refused {:.3} (servable {:.3} of them, {:.3} beside the headroom), expired {expired:.4}, used {:.4}",
            sum.arrived,
            sum.refused / sum.arrived,
            sum.servable / sum.refused.max(1.0),
            sum.spared / sum.refused.max(1.0),
            world.used(300.0)
        );
        worst = worst.max(expired);
    }
    worst
}

fn poisson(total: f64, apps: u32) -> Vec<AppBooks> {
    let app = AppBooks::new(Habit::Poisson(total / f64::from(apps)));
    (0..apps).map(|_| app.clone()).collect()
}

#[test]
fn of_one_app_hardly_a_call_is_accepted_and_expires() {
    for patience in [f64::INFINITY, 0.0] {
        let mut apps = poisson(130.0, 1);
        if patience.is_finite() {
            apps[0].patience = (0.0, 30.0);
        }
        let mut settings = defaults();
        for wait in [5, 55] {
            settings.max_wait = Duration::from_secs(wait);
            let expired = overload(&format!("one app, {wait} s, {patience}"), &apps, &settings);
            assert!(expired <= 0.005, "{expired}");
        }
    }
}

#[test]
fn of_equal_apps_few_calls_are_accepted_and_expire() {
    for apps in [2, 5, 10] {
        let mut apps = poisson(130.0, apps);
        for app in &mut apps {
            app.patience = (1.0, 30.0);
        }
        let mut settings = defaults();
        for wait in [5, 55] {
            settings.max_wait = Duration::from_secs(wait);
            let expired = overload(&format!("{} apps, {wait} s", apps.len()), &apps, &settings);
            assert!(expired <= 0.05, "{expired}");
        }
    }
}

#[test]
fn of_mixed_apps_few_calls_are_accepted_and_expire() {
    let mut apps = poisson(60.0, 3);
    apps[0].settings.weight = 3;
    apps.push(AppBooks::new(Habit::Bursts(60.0, 60)));
    apps.push(AppBooks::new(Habit::Poisson(40.0)).bulk());
    for app in &mut apps {
        app.patience = (1.0, 40.0);
    }
    let mut settings = defaults();
    for wait in [5, 55] {
        settings.max_wait = Duration::from_secs(wait);
        let expired = overload(&format!("mixed, {wait} s"), &apps, &settings);
        assert!(expired <= 0.10, "{expired}");
    }
}

/// The part of the clients that were let in when they came back as told.
fn let_in(apps: Vec<AppBooks>, seed: u64, of: usize) -> (f64, u32) {
    let mut world = World::new(defaults(), apps, CALM, seed);
    world.run(4.0 * 3600.0);
    let tally = &world.tallies[of];
    let part = f64::from(tally.let_in) / f64::from(tally.came_back.max(1));
    (part, tally.came_back)
}

#[test]
fn a_lone_client_that_waits_as_told_is_let_in() {
    for seed in 0..3 {
        let mut alone = AppBooks::new(Habit::Clients(1, 0.05));
        alone.comes_back = true;
        alone.patience = (0.0, 1.0);
        let (part, came) = let_in(vec![alone], seed, 0);
        println!("seed {seed}: alone: {part:.3} of {came} let in");
        let mut lone = AppBooks::new(Habit::Clients(1, 1.0));
        lone.comes_back = true;
        lone.patience = (0.0, 0.5);
        let others = AppBooks::new(Habit::Poisson(95.0));
        let (beside, came) = let_in(vec![lone, others], seed, 0);
        println!("seed {seed}: beside others: {beside:.3} of {came} let in");
        assert!(part >= 0.95, "{part}");
        assert!(beside >= 0.95, "{beside}");
    }
}

#[test]
fn of_twenty_that_contend_at_least_half_are_let_in() {
    for seed in 0..3 {
        let mut twenty = AppBooks::new(Habit::Clients(20, 0.1));
        twenty.comes_back = true;
        twenty.patience = (0.0, 1.0);
        let (one_app, came) = let_in(vec![twenty.clone()], seed, 0);
        println!("seed {seed}: twenty of one app: {one_app:.3} of {came}");
        twenty.habit = Habit::Clients(1, 0.1);
        let mut world = World::new(defaults(), vec![twenty; 20], CALM, seed);
        world.run(4.0 * 3600.0);
        let came: u32 = world.tallies.iter().map(|t| t.came_back).sum();
        let let_in: u32 = world.tallies.iter().map(|t| t.let_in).sum();
        let twenty_apps = f64::from(let_in) / f64::from(came);
        println!("seed {seed}: twenty apps: {twenty_apps:.3} of {came}");
        assert!(one_app >= 0.5, "{one_app}");
        assert!(twenty_apps >= 0.5, "{twenty_apps}");
    }
}

/// Slots that come back one by one, and clients without a pause: whoever was told a time finds a
/// slot.
#[test]
fn of_a_crowd_of_one_app_most_are_let_in_when_they_come_back_as_told() {
    for patience in [0.0, f64::INFINITY] {
        for seed in 0..3 {
            let mut crowd = AppBooks::new(Habit::Clients(20, 0.1));
            crowd.comes_back = true;
            crowd.patience = (patience, patience);
            let mut settings = defaults();
            let back = |slot| at(1000.0 + 0.6 * f64::from(slot));
            settings.pool.past = Past::Resting((0..100).map(back).collect());
            let mut world = World::new(settings, vec![crowd], CALM, seed);
            world.run(3600.0);
            let tally = &world.tallies[0];
            let part = f64::from(tally.let_in) / f64::from(tally.came_back.max(1));
            let (came, used) = (tally.came_back, world.used(65.0));
            println!(
                "patience {patience}, seed {seed}: {part:.3} of {came} let in, used {used:.4}"
            );
            assert!(part >= 0.7, "{part}");
            assert!(used >= 0.97, "{used}");
        }
    }
}
