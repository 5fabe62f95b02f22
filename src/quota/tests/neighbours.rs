//! A modest app beside a noisy one, with every default, from a cold start: refusals are counted.

use std::time::Duration;

use super::super::ConnectionSettings;
use super::people::{AppBooks, CALM, Habit, Nature};
use super::world::World;

fn defaults() -> ConnectionSettings {
    ConnectionSettings::of("connection", 100, Duration::from_secs(60))
}

/// Forty clients in a loop that repeat a refused call soon, or when they are told to; or calls that
/// come by chance, far more of them than there is room for.
fn noisy() -> [(&'static str, AppBooks); 3] {
    let mut repeats = AppBooks::new(Habit::Clients(40, 1e-6));
    repeats.tries_again = 0.25;
    let mut obeys = repeats.clone();
    obeys.comes_back = true;
    [("repeats", repeats), ("obeys", obeys), ("by chance", AppBooks::new(Habit::Poisson(180.0)))]
}

#[derive(Default)]
struct Sum {
    first: (usize, usize),
    second: (usize, usize),
    later: (usize, usize),
}

fn add(sum: &mut (usize, usize), more: (usize, usize)) {
    *sum = (sum.0 + more.0, sum.1 + more.1);
}

fn part((all, refused): (usize, usize)) -> f64 {
    refused as f64 / all.max(1) as f64
}

#[test]
fn a_modest_app_is_served_beside_a_noisy_one_with_every_default() {
    let mut wrong = Vec::new();
    for (kind, noisy) in noisy() {
        for answer in [0.001, 0.15] {
            for calls in [6.0, 15.0] {
                let nature = Nature { answer: (answer, answer), ..CALM };
                let (mut sum, mut used) = (Sum::default(), 1.0_f64);
                for seed in 0..8 {
                    let apps = vec![noisy.clone(), AppBooks::new(Habit::Poisson(calls))];
                    let mut world = World::new(defaults(), apps, nature, seed);
                    world.run(600.0);
                    let modest = &world.tallies[1];
                    add(&mut sum.first, modest.refused_between(0.0, 60.0));
                    add(&mut sum.second, modest.refused_between(60.0, 120.0));
                    add(&mut sum.later, modest.refused_between(60.0, 600.0));
                    used = used.min(world.used(65.0));
                }
                let (first, second, later) = (part(sum.first), part(sum.second), part(sum.later));
                let what = format!(
                    "{kind}, {answer} s, {calls} a minute: refused {first:.3}, {second:.3}, from then on {later:.3}, used {used:.4}"
                );
                println!("{what}");
                if first > 0.5 || later > 0.05 || used < 0.97 {
                    wrong.push(what);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
