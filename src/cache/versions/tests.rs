//! No read is older than is promised, whatever two replicas and their Redis do.

mod world;

use proptest::prelude::*;

use super::*;
use world::{LIMIT, Log, Luck, World, place, replica};

#[derive(Clone, Debug)]
enum Action {
    Read(usize, Luck),
    Write(usize, [Luck; 2], WriteStep),
    /// Something else is written.
    Other(usize),
    Pass(u64),
    Hear(usize, u8),
    Land(usize),
    Outage(bool),
    Lost(usize),
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![8 => Just(Luck::Good), 1 => Just(Luck::Unsent), 1 => Just(Luck::Unanswered)]
}

fn action() -> impl Strategy<Value = Action> {
    let step = prop_oneof![
        6 => Just(WriteStep::Done(Duration::ZERO)),
        1 => Just(WriteStep::Unknown(Duration::from_millis(300))),
    ];
    prop_oneof![
        12 => (0_usize..2, luck()).prop_map(|(which, luck)| Action::Read(which, luck)),
        4 => (0_usize..2, [luck(), luck()], step)
            .prop_map(|(which, luck, step)| Action::Write(which, luck, step)),
        2 => (0_usize..2).prop_map(Action::Other),
        5 => (1_u64..30).prop_map(|steps| Action::Pass(steps * 50)),
        3 => (0_usize..2, any::<u8>()).prop_map(|(which, lost)| Action::Hear(which, lost)),
        8 => (0_usize..2).prop_map(Action::Land),
        1 => any::<bool>().prop_map(Action::Outage),
        1 => (0_usize..2).prop_map(Action::Lost),
    ]
}

fn run(bound: Duration, actions: Vec<Action>) -> World {
    let mut world = World::new(bound);
    for action in actions {
        world.now += 1;
        match action {
            Action::Read(which, luck) => world.read(which, luck),
            Action::Write(which, luck, step) => world.write(which, luck, step),
            Action::Other(which) => world.other(which),
            Action::Pass(millis) => world.pass(millis),
            Action::Hear(which, lost) => world.hear(which, lost),
            Action::Land(which) => world.land(which),
            Action::Outage(begins) => {
                world.outage += u64::from(begins && !world.down);
                world.down = begins;
            }
            Action::Lost(which) => {
                let now = world.time();
                world.replicas[which].versions.lost(now, Duration::ZERO);
            }
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_strict_read_is_never_older_than_a_write_that_was_answered(
        actions in prop::collection::vec(action(), 1..120),
    ) {
        run(Duration::ZERO, actions);
    }

    #[test]
    fn a_bounded_read_is_never_older_than_a_second(
        actions in prop::collection::vec(action(), 1..120),
    ) {
        run(Duration::from_secs(1), actions);
    }
}

#[test]
fn copies_are_used_while_nothing_is_written() {
    for bound in [Duration::ZERO, Duration::from_secs(1)] {
        let mut world = World::new(bound);
        world.read(0, Luck::Good);
        world.pass(100);
        for _ in 0..10 {
            world.read(0, Luck::Good);
            world.land(0);
        }
        assert_eq!(world.hits, 9, "the first one kept a copy, once the gateway knew its start");
    }
}

#[test]
fn a_write_elsewhere_holds_copies_back_until_it_ends_or_must_have_ended() {
    let mut world = World::new(Duration::ZERO);
    world.read(0, Luck::Good);
    let generations = world.replicas[0].generations.clone();
    let settled = |world: &World, ms| {
        generations.moment([place("brands")], world.time() + Duration::from_millis(ms)).settled
    };
    world.pass(100);
    let item = |step| Item { write: 7, step, places: [place("brands")].into() };
    world.replicas[1].untold.push(item(WriteStep::Open(LIMIT)));
    world.ask(1, Luck::Good);
    world.ask(0, Luck::Good);
    assert!(!settled(&world, 0) && !settled(&world, 90_000), "it may come to an end at any time");
    world.replicas[1].untold.push(item(WriteStep::Done(Duration::from_secs(3))));
    world.ask(1, Luck::Good);
    world.ask(0, Luck::Good);
    assert!(!settled(&world, 2_900) && settled(&world, 3_100));
    world.replicas[1].untold.push(item(WriteStep::Open(LIMIT)));
    world.ask(1, Luck::Good);
    world.ask(0, Luck::Good);
    world.now += 61_000;
    world.ask(0, Luck::Good);
    assert!(settled(&world, 100), "its replica has vanished");
}

#[test]
fn a_slow_answer_is_not_believed_at_once() {
    let mut world = World::new(Duration::ZERO);
    let (mut pull, asked) = (Pull { now: 0, whole: false, entries: Vec::new() }, world.time());
    let versions = &mut world.replicas[0].versions;
    let after = |ms| asked + Duration::from_millis(ms);
    for (from, to, believed) in
        [(0, 20, true), (20, 41, false), (100, 110, false), (141, 142, true), (200, 1_300, false)]
    {
        pull.now += 1;
        versions.pulled(&pull, after(from), after(to), Duration::ZERO);
        assert_eq!(versions.in_step(), believed.then_some(after(from)), "{from}");
    }
    for (from, believed) in [(2_200, false), (2_300, true)] {
        versions.pulled(&pull, after(from), after(from), Duration::ZERO);
        assert_eq!(versions.in_step(), believed.then_some(after(from)), "{from}");
    }
}

#[test]
fn a_push_that_follows_a_lost_one_hides_no_write() {
    let mut world = World::new(Duration::from_secs(1));
    world.ask(0, Luck::Good);
    world.read(0, Luck::Good);
    world.pass(50);
    world.read(0, Luck::Good);
    world.land(0);
    world.replicas[0].pushes.clear();
    world.write(1, [Luck::Good; 2], WriteStep::Done(Duration::ZERO));
    world.other(1);
    world.hear(0, 0b011);
    world.pass(1_000);
    // The copy of before would be an old one.
    world.read(0, Luck::Good);
    assert_eq!(world.hits, 0);
}

#[test]
fn what_comes_late_and_was_said_again_opens_nothing() {
    let mut world = World::new(Duration::ZERO);
    world.ask(0, Luck::Good);
    let item = |step| Item { write: 7, step, places: [place("brands")].into() };
    let (open, done) = (item(WriteStep::Open(LIMIT)), item(WriteStep::Done(Duration::ZERO)));
    let tag = |nth| Tag { replica: replica(1), nth };
    world.log.exchange("", tag(2), &[open.clone(), done], world.now);
    world.log.exchange("", tag(1), &[open], world.now);
    world.ask(0, Luck::Good);
    let later = world.time() + Duration::from_millis(10);
    assert!(world.replicas[0].generations.moment([place("brands")], later).settled);
}

#[test]
fn a_log_without_what_was_read_last_makes_all_copies_worthless() {
    let mut world = World::new(Duration::ZERO);
    world.ask(0, Luck::Good);
    let read = |world: &World| world.replicas[0].generations.generation([place("lists")]);
    let before = read(&world);
    world.write(1, [Luck::Good; 2], WriteStep::Done(Duration::ZERO));
    world.ask(0, Luck::Good);
    assert_eq!(read(&world), before, "another tag was written");
    // The same number of entries, and other ones.
    let seq = world.log.seq;
    world.log = Log::default();
    for _ in 0..seq {
        world.write(1, [Luck::Good, Luck::Unsent], WriteStep::Done(Duration::ZERO));
    }
    world.ask(0, Luck::Good);
    assert_ne!(read(&world), before);
}

#[test]
fn after_an_outage_others_have_time_to_tell_what_they_could_not() {
    let mut world = World::new(Duration::from_secs(1));
    assert!(world.ask(0, Luck::Good) && world.replicas[0].versions.in_step().is_some());
    world.ask(0, Luck::Unsent);
    world.now += 5_000;
    world.ask(0, Luck::Good);
    assert_eq!(world.replicas[0].versions.in_step(), None);
    world.now += 900;
    world.ask(0, Luck::Good);
    assert_eq!(world.replicas[0].versions.in_step(), None);
    world.now += 100;
    world.ask(0, Luck::Good);
    assert_eq!(world.replicas[0].versions.in_step(), Some(world.time()));
}

#[test]
fn who_can_not_ask_joins_young_flights_only() {
    let now = Instant::now();
    let ms = Duration::from_millis;
    let of = |bound| ReadStanding::of(None, now, bound);
    assert_eq!(ReadStanding::ALONE.joins(ms(7)), Some(0));
    assert_eq!(ReadStanding::of(Some(now), now, Duration::ZERO).joins(ms(7)), Some(0));
    assert_eq!(of(Duration::ZERO).joins(ms(7)), None, "strict");
    let bounded = of(Duration::from_secs(1));
    assert_ne!(bounded.joins(ms(0)), Some(0));
    assert_eq!(bounded.joins(ms(0)), bounded.joins(ms(499)));
    assert_ne!(bounded.joins(ms(499)), bounded.joins(ms(500)));
    assert!(bounded.allows(now, now + ms(999)) && !bounded.allows(now, now + ms(1_000)));
    assert!(!of(Duration::ZERO).allows(now, now));
}
