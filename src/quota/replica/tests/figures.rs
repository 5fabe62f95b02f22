//! How much of the limit a fleet uses, and how soon.

use super::safety::{run, worst};
use super::scene::{Fault, Habit, Scene, at, seconds};
use super::world::World;

/// Calls that were taken between two moments, in seconds.
fn calls(world: &World, from: f64, to: f64) -> f64 {
    let within = world.sent.iter().filter(|call| (at(from)..at(to)).contains(&call.taken));
    within.count() as f64
}

/// The part of what slots could carry that was used, over whole turns of a slot.
fn used(world: &World) -> f64 {
    let (window, (low, high)) = (world.scene.window.as_secs_f64(), world.scene.answers);
    let turn = window + 0.05 + (low + high) / 2.0;
    let sent = calls(world, turn, 9.0 * turn);
    sent / (8.0 * f64::from(world.scene.calls))
}

#[test]
fn a_saturated_fleet_uses_nearly_all_of_the_limit() {
    for replicas in [1, 3, 8] {
        for seed in 0..2 {
            let world = run(Scene::plain(replicas, 100, seed));
            let used = used(&world);
            println!("{replicas} replicas, seed {seed}: used {used:.3}, {} syncs", world.syncs);
            assert!(used >= 0.97, "{replicas} replicas: {used}");
            assert!(worst(&world).0 <= 100);
        }
    }
}

#[test]
fn one_busy_replica_uses_what_the_others_leave() {
    for replicas in [3, 8] {
        let mut scene = Scene::plain(replicas, 100, 7);
        scene.habits[1..].fill(Habit::Poisson(45.0));
        let used = used(&run(scene));
        println!("{replicas} replicas, one busy: used {used:.3}");
        assert!(used >= 0.93, "{used}");
    }
}

#[test]
fn a_burst_on_a_sleeping_connection_is_sent_in_milliseconds() {
    let mut scene = Scene::plain(3, 100, 11);
    scene.habits = vec![Habit::Silent; 3];
    scene.faults = vec![(200.0, Fault::Burst(0, 50))];
    let world = run(scene);
    let slowest = world.sent.iter().map(|call| call.waited).max();
    println!("50 calls on a sleeping connection: all taken after {slowest:?}");
    assert_eq!(world.sent.len(), 50);
    assert!(slowest.is_some_and(|slowest| slowest <= seconds(0.01)), "{slowest:?}");
}

#[test]
fn apps_are_served_by_their_weights_wherever_they_call() {
    let mut scene = Scene::plain(3, 100, 5);
    (scene.fair, scene.weights) = (true, vec![3, 1, 2]);
    scene.apps = vec![vec![0, 1], vec![0, 2], vec![0]];
    scene.habits = vec![Habit::Backlog(20); 3];
    let world = run(scene);
    let of = |app: u32| world.sent.iter().filter(|call| call.app == app).count() as f64;
    let all = world.sent.len() as f64;
    for (app, part) in [(0, 3.0 / 6.0), (1, 1.0 / 6.0), (2, 2.0 / 6.0)] {
        let got = of(app) / all;
        println!("app {app}: {got:.3} of all calls, {part:.3} by its weight");
        assert!((got - part).abs() < 0.02, "app {app}: {got}");
    }
}
