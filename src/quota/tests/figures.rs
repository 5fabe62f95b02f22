//! The figures for the books: waits and use in the usual scenarios. Nothing is asserted here.
//!
//! `cargo test --release figures -- --ignored --nocapture`

use super::people::{AppBooks, CALM, Habit};
use super::world::{World, patient};

/// Runs an hour with three seeds and prints p50, p99 (after two minutes) and the calls of each app.
fn print(what: &str, apps: &[AppBooks]) {
    for seed in 1..=3 {
        let mut world = World::new(patient(100), apps.to_vec(), CALM, seed);
        world.run(3600.0);
        let mut line = format!("{what}, seed {seed}: used {:.4}", world.used(0.0));
        let sent = world.sent_by(0.0, 3600.0);
        for (tally, sent) in world.tallies.iter_mut().zip(sent).take(3) {
            tally.waits.retain(|wait| wait.0 > 121.0);
            let (p50, p99) = (tally.wait(500), tally.wait(990));
            line += &format!(" | {p50:.2} / {p99:.2} s, {sent} calls");
        }
        println!("{line}, {} wakes", world.wakes);
    }
}

#[test]
#[ignore = "prints figures: cargo test --release figures -- --ignored --nocapture"]
fn figures_of_the_usual_scenarios() {
    let backlog = |waiting| AppBooks::new(Habit::Backlog(waiting));
    let poisson = |per_minute| AppBooks::new(Habit::Poisson(per_minute));
    let minutely = |calls| AppBooks::new(Habit::Minutely(calls));
    let equal = |load: f64| vec![poisson(load * 9.93); 10];
    let weights = [3, 1, 1].map(|weight| backlog(40).weight(weight));
    print("noisy, modest 6/min", &[backlog(40), poisson(6.0)]);
    print("noisy, one call always waiting", &[backlog(40), backlog(1)]);
    print("95 each minute", &[minutely(95)]);
    print("60 each minute, modest", &[minutely(60), poisson(6.0)]);
    print("90 each minute, modest", &[minutely(90), poisson(6.0)]);
    print("bulk, interactive 16/min", &[backlog(200).bulk(), poisson(16.0)]);
    print("weights 3, 1, 1", &weights);
    print("ten equal apps, load 0.8", &equal(0.8));
    print("ten equal apps, load 0.95", &equal(0.95));
}
