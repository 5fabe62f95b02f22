//! No window of the length W ever meets more than N calls, whatever befalls the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::Moment;
use super::super::super::moment::nanos;
use super::mutation::Mutation;
use super::scene::Scene;
use super::world::World;

/// The most calls that one window meets which begins between two moments.
pub(super) fn most(
    calls: &[(Moment, Moment)],
    window: Duration,
    from: Moment,
    to: Moment,
) -> usize {
    let mut edges: Vec<(u64, i32)> = Vec::new();
    for (taken, ended) in calls {
        let first = (taken.as_nanos() + 1).saturating_sub(nanos(window));
        let (first, last) = (first.max(from.as_nanos()), ended.as_nanos().min(to.as_nanos()));
        if first <= last {
            edges.push((first, 1));
            edges.push((last + 1, -1));
        }
    }
    edges.sort_unstable();
    let (mut most, mut open) = (0, 0);
    for (_, edge) in edges {
        open += edge;
        most = most.max(open);
    }
    usize::try_from(most).unwrap()
}

/// How the worst window stands to the limit, for the worst pool: (calls, limit).
pub(super) fn worst(world: &World) -> (usize, usize) {
    let scene = &world.scene;
    let pools = scene.limits(scene.calls).len();
    let settled = scene.lease + scene.hard_limit + Duration::from_secs(3);
    let mut worst = (0, usize::MAX);
    for pool in 0..pools {
        let calls = world.sent.iter().filter(|call| pool == 0 || call.nested);
        let calls: Vec<_> = calls.map(|call| (call.taken, call.ended)).collect();
        let limit = |calls: u32| scene.limits(calls)[pool] as usize;
        let mut check = |from, to, limit: usize| {
            let found = most(&calls, scene.window, from, to);
            if worst.1 == usize::MAX || found * worst.1 > worst.0 * limit {
                worst = (found, limit);
            }
        };
        let highest = world.limits.iter().map(|(_, calls)| limit(*calls)).max().unwrap();
        check(Moment::ZERO, Moment::NEVER.before(Duration::from_nanos(1)), highest);
        for (at, (from, calls)) in world.limits.iter().enumerate() {
            let next = world.limits.get(at + 1).map(|(next, _)| *next);
            let to = next.unwrap_or(world.now).before(scene.window);
            check(*from + settled, to, limit(*calls));
        }
    }
    worst
}

/// Uses of a slot that began less than a window after the last one's end: none, whatever the load.
pub(super) fn too_soon(world: &World) -> usize {
    let mut uses: BTreeMap<(usize, u32), Vec<(Moment, Moment)>> = BTreeMap::new();
    let pools = if world.scene.child.is_some() { 2 } else { 1 };
    for call in &world.sent {
        // What a call was in use of when it was lost is not known.
        if call.slots.len() == if call.nested { pools } else { 1 } {
            for slot in call.slots.iter().copied().enumerate() {
                uses.entry(slot).or_default().push((call.taken, call.ended));
            }
        }
    }
    let pairs = |uses: &mut Vec<(Moment, Moment)>| {
        uses.sort_unstable();
        let soon = |pair: &&[(Moment, Moment)]| pair[1].0 < pair[0].1 + world.scene.window;
        uses.windows(2).filter(soon).count()
    };
    uses.values_mut().map(pairs).sum()
}

pub(super) fn run(scene: Scene) -> World {
    let mut world = World::new(scene);
    world.run();
    world
}

/// Runs schedules; tells how many calls and syncs there were.
fn all_are_safe(seeds: std::ops::Range<u64>) {
    let many = seeds.end - seeds.start;
    let (mut calls, mut syncs, mut faults, mut full) = (0, 0, 0, 0);
    for seed in seeds {
        let world = run(Scene::random(seed));
        let (found, limit) = worst(&world);
        assert!(found <= limit, "seed {seed}: {found} of {limit}: {:?}", world.scene);
        assert_eq!(too_soon(&world), 0, "seed {seed}: {:?}", world.scene);
        calls += world.sent.len();
        syncs += world.syncs;
        faults += world.scene.faults.len();
        full += u32::from(found == limit);
    }
    println!(
        "{many} schedules, {calls} calls, {syncs} syncs, {faults} faults, {full} reached the limit"
    );
}

#[test]
fn no_window_meets_more_calls_than_the_limit() {
    all_are_safe(0..200);
}

/// `FIRST` and `SCHEDULES` make it longer, or have each process of several take its own.
#[test]
#[ignore = "a minute: cargo test --release --lib million -- --ignored"]
fn no_window_is_over_the_limit_in_two_million_calls_of_random_fleets() {
    let number = |name: &str, usual: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let first = number("FIRST", 1_000_000);
    all_are_safe(first..first + number("SCHEDULES", 18_000));
}

#[test]
fn the_check_counts_what_a_window_can_meet() {
    let second = |s: u64| Moment::from(Duration::from_secs(s));
    let window = Duration::from_secs(60);
    let calls = [(second(100), second(101)), (second(161), second(162))];
    let all = (Moment::ZERO, second(1000));
    assert_eq!(most(&calls, window, all.0, all.1), 1);
    let calls = [(second(100), second(102)), (second(161), second(162))];
    assert_eq!(most(&calls, window, all.0, all.1), 2);
    assert_eq!(most(&calls, window, second(103), all.1), 1);
    assert_eq!(Scene::random(1).mutation, Mutation::Faithful);
}
