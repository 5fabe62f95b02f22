//! Never one call too many, whatever happens.

use std::time::Duration;

use super::super::{ConnectionSettings, Mode, PoolSettings, PriceSettings};
use super::counters::{Sent, worst};
use super::people::{AppBooks, Broken, CALM, Habit, Nature};
use super::random::Random;
use super::world::{ONE, World, at};

const WINDOW: Duration = Duration::from_secs(60);
/// Clock drift between the gateway and the vendor, in millionths.
const DRIFTS: [i64; 3] = [-500, 0, 500];

fn settings(calls: u32, random: &mut Random) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("connection", calls, WINDOW);
    settings.max_wait = Duration::from_secs(1 + random.below(30));
    settings.burst = 1 + u32::try_from(random.below(u64::from(calls) * 2)).unwrap();
    settings.bulk_floor = u32::try_from(random.below(u64::from(calls) / 2)).unwrap();
    settings.pool.hard_limit = Duration::from_secs(5 + random.below(56));
    settings
}

fn apps(random: &mut Random, calls: u32) -> Vec<AppBooks> {
    let n = f64::from(calls);
    let mut apps = Vec::new();
    for _ in 0..1 + random.below(4) {
        let habit = match random.below(5) {
            0 => Habit::Backlog(20),
            1 => Habit::Clients(30, 2.0),
            2 => Habit::Poisson(n * random.between(0.1, 1.2)),
            3 => Habit::Minutely(calls),
            _ => Habit::Bursts(40.0, calls * 2),
        };
        let mut app = AppBooks::new(habit);
        if random.chance(0.3) {
            app = app.bulk();
        }
        if random.chance(0.3) {
            app.patience = (0.0, 40.0);
        }
        if random.chance(0.3) {
            app.settings.limit = Some((calls.div_ceil(2), WINDOW));
        }
        apps.push(app);
    }
    apps
}

fn nature(random: &mut Random, broken: Broken) -> Nature {
    Nature {
        answer: (0.02, random.between(0.05, 3.0)),
        slow: random.between(0.0, 0.05),
        lost: random.between(0.0, 0.05),
        unsent: random.between(0.0, 0.05),
        leave: random.between(0.0, 0.2),
        broken,
    }
}

fn check(sent: &[Sent], limit: u32, what: &str) {
    for drift in DRIFTS {
        let seen = worst(sent, WINDOW, drift);
        assert!(seen <= limit as usize, "{what}: {seen} of {limit}, drift {drift} ppm");
    }
}

/// One stormy life of a connection: loads, lost answers, restarts, pauses; true if no counter ever
/// saw more than N. Returns the calls sent.
fn storm(seed: u64, minutes: u32, broken: Broken, guard: bool) -> (usize, usize, u32) {
    let mut random = Random::new(seed);
    let calls = 5 + u32::try_from(random.below(120)).unwrap();
    let settings = settings(calls, &mut random);
    let apps = apps(&mut random, calls);
    let nature = nature(&mut random, broken);
    let mut world = World::new(settings, apps, nature, seed);
    if !guard {
        world.quota.drop_guard();
    }
    let mut seconds = 0.0;
    while seconds < f64::from(minutes) * 60.0 {
        seconds += random.between(20.0, 300.0);
        world.run(seconds);
        match random.below(6) {
            0 => {
                let away = random.between(0.0, 30.0);
                world.restart(away, random.chance(0.5));
                seconds += away;
            }
            1 => {
                let app = random.below(world.apps.len() as u64);
                let app = super::super::AppNo(u32::try_from(app).unwrap());
                world.quota.pause(ONE, app, random.chance(0.4));
                world.poll();
            }
            _ => {}
        }
    }
    let most = DRIFTS.iter().map(|drift| worst(&world.sent, WINDOW, *drift)).max().unwrap();
    assert!(world.tallies.iter().all(|tally| tally.late == 0), "seed {seed}: late");
    (world.sent.len(), most, calls)
}

fn storms(seeds: std::ops::Range<u64>, minutes: u32) -> usize {
    let mut total = 0;
    for seed in seeds {
        let (sent, most, limit) = storm(seed, minutes, Broken::Nothing, true);
        assert!(most <= limit as usize, "seed {seed}: {most} of {limit}");
        total += sent;
    }
    total
}

#[test]
fn no_window_of_any_vendor_holds_more_than_the_quota() {
    let sent = storms(0..12, 30);
    assert!(sent > 10_000, "{sent}");
}

#[test]
#[ignore = "minutes: cargo test --release -- --ignored"]
fn no_window_of_any_vendor_holds_more_than_the_quota_over_a_million_calls() {
    let sent = storms(1000..1500, 60);
    assert!(sent >= 1_000_000, "{sent}");
    println!("{sent} calls");
}

#[test]
fn named_pools_are_as_exact_as_the_connections_own() {
    let window = Duration::from_secs(60);
    let pool = |name: &str, calls| PoolSettings {
        name: name.into(),
        ..ConnectionSettings::of("x", calls, window).pool
    };
    let named = vec![pool("lists.put", 20), pool("brands.put", 200)];
    let price = |connection, named| PriceSettings { connection, named };
    let prices = vec![
        price(1, vec![]),
        price(1, vec![(0, 1)]),
        price(0, vec![(1, 1)]),
        price(2, vec![(0, 2), (1, 1)]),
    ];
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let settings = (named.clone(), prices.clone(), settings(100, &mut random));
        let mut apps = apps(&mut random, 100);
        for app in &mut apps {
            app.prices = vec![0, 1, 2, 3];
        }
        let nature = nature(&mut random, Broken::Nothing);
        let mut world = World::with_pools(settings.clone(), apps, nature, seed);
        for minutes in 1..30 {
            world.run(f64::from(minutes) * 60.0);
        }
        let costs = |pool: usize, price: u16| {
            let price = &prices[usize::from(price)];
            let named = price.named.iter().filter(|(at, _)| *at + 1 == pool);
            let own = if pool == 0 { price.connection } else { 0 };
            named.map(|(_, cost)| *cost).sum::<u32>() + own
        };
        for (pool, limit) in [100, 20, 200].into_iter().enumerate() {
            let paying =
                world.sent.iter().flat_map(|call| (0..costs(pool, call.price)).map(|_| *call));
            check(&paying.collect::<Vec<_>>(), limit, &format!("seed {seed}, pool {pool}"));
        }
    }
}

#[test]
fn a_short_window_of_many_calls_is_as_exact() {
    let window = Duration::from_secs(2);
    let mut settings = ConnectionSettings::of("connection", 1000, window);
    settings.pool.hard_limit = Duration::from_secs(2);
    let apps = vec![
        AppBooks::new(Habit::Backlog(300)),
        AppBooks::new(Habit::Clients(300, 0.1)),
        AppBooks::new(Habit::Poisson(6000.0)).bulk(),
    ];
    let nature = Nature { answer: (0.001, 0.02), lost: 0.001, ..CALM };
    let mut world = World::new(settings, apps, nature, 3);
    world.run(60.0);
    for drift in DRIFTS {
        assert!(worst(&world.sent, window, drift) <= 1000);
    }
    assert!(world.sent.len() > 25_000, "{}", world.sent.len());
}

#[test]
fn the_counters_catch_slots_that_rest_from_the_send() {
    let caught = (0..5).filter(|seed| {
        let (_, most, limit) = storm(*seed, 30, Broken::RestFromSend, true);
        most > limit as usize
    });
    assert!(caught.count() >= 4);
}

#[test]
fn the_counters_catch_a_missing_guard() {
    let caught = (0..5).filter(|seed| {
        let (_, most, limit) = storm(*seed, 30, Broken::Nothing, false);
        most > limit as usize
    });
    assert!(caught.count() >= 4);
}

#[test]
fn the_counters_catch_slots_freed_when_the_client_leaves() {
    let caught = (0..5).filter(|seed| {
        let (_, most, limit) = storm(*seed, 30, Broken::FreedOnDeparture, true);
        most > limit as usize
    });
    assert!(caught.count() >= 4);
}

#[test]
fn the_counters_catch_silence_taken_for_an_answer() {
    let caught = (0..10).filter(|seed| {
        let (_, most, limit) = storm(*seed, 30, Broken::SilenceIsAnswer, true);
        most > limit as usize
    });
    assert!(caught.count() >= 3);
}

/// Calls counted after a moment, as a vendor sees them whose windows begin after it.
fn counted_from(sent: &[Sent], from: f64) -> Vec<Sent> {
    let from = at(1000.0 + from);
    let mut after: Vec<Sent> = sent.iter().copied().filter(|call| call.ended >= from).collect();
    for call in &mut after {
        call.taken = call.taken.max(from);
        call.counted = call.counted.max(from);
    }
    after
}

#[test]
fn a_lowered_limit_holds_once_the_calls_in_flight_were_counted_and_a_raised_one_within_a_window() {
    for seed in 0..6 {
        let random = &mut Random::new(seed);
        let nature = Nature { answer: (0.1, 2.0), ..CALM };
        let apps = vec![AppBooks::new(Habit::Backlog(40)), AppBooks::new(Habit::Bursts(20.0, 60))];
        let mut settings = ConnectionSettings::of("connection", 100, WINDOW);
        settings.max_wait = Duration::from_secs(30);
        let mut world = World::new(settings, apps, nature, seed);
        let mut seconds = 0.0;
        let mut limit = 100;
        for _ in 0..10 {
            let from = world.sent.len();
            let lowered = seconds;
            seconds += random.between(130.0, 200.0);
            world.run(seconds);
            let own = world.own();
            let sent = world.sent.split_off(from.saturating_sub(200));
            // 2 s: the longest answer. Windows that begin later hold calls under the new limit
            // only.
            check(&counted_from(&sent, lowered + 2.0), limit, "after a change");
            world.sent.extend(sent);
            let gauge = world.quota.gauge(own).unwrap();
            assert!(gauge.free + gauge.in_use + gauge.resting <= limit, "{gauge:?}");
            limit = 10 + u32::try_from(random.below(140)).unwrap();
            world.quota.set_limit(own, limit, world.now);
            world.poll();
        }
        let used = world.quota.gauge(world.own()).unwrap();
        assert_eq!(used.limit, limit);
    }
}

#[test]
fn a_changed_window_holds_once_the_calls_in_flight_were_counted() {
    let apps = vec![AppBooks::new(Habit::Backlog(40)), AppBooks::new(Habit::Bursts(20.0, 60))];
    let mut settings = ConnectionSettings::of("connection", 100, WINDOW);
    settings.max_wait = Duration::from_secs(30);
    let mut world = World::new(settings, apps, CALM, 7);
    let mut changed = 0.0;
    for seconds in [60, 90, 20, 45, 120] {
        let window = Duration::from_secs(seconds);
        let own = world.own();
        world.quota.set_window(own, window, window, world.now);
        world.poll();
        world.run(changed + 400.0);
        for drift in DRIFTS {
            let seen = worst(&counted_from(&world.sent, changed + 1.0), window, drift);
            assert!(seen <= 100, "{seen} in {window:?}, {drift} ppm");
        }
        changed += 400.0;
        // Only what was sent under the next window counts against it.
        world.sent.clear();
    }
}

#[test]
fn a_limit_lowered_and_raised_again_never_lets_more_than_the_higher_one_through() {
    for seed in 0..4 {
        let random = &mut Random::new(seed);
        let apps = vec![AppBooks::new(Habit::Backlog(60))];
        let mut settings = ConnectionSettings::of("connection", 100, WINDOW);
        settings.max_wait = Duration::from_secs(30);
        settings.depth = 1000;
        settings.app_depth = 1000;
        let mut world = World::new(settings, apps, CALM, seed);
        let mut seconds = 0.0;
        for _ in 0..200 {
            seconds += random.between(0.1, 10.0);
            world.run(seconds);
            let own = world.own();
            let limit = 1 + u32::try_from(random.below(100)).unwrap();
            let limit = if random.chance(0.5) { 100 } else { limit };
            world.quota.set_limit(own, limit, world.now);
            world.poll();
        }
        check(&world.sent, 100, "up and down");
    }
}

#[test]
fn after_a_lowered_limit_no_call_starts_while_as_many_others_are_in_the_window() {
    for seed in 0..6 {
        let random = &mut Random::new(seed);
        let nature = Nature { answer: (0.1, 2.0), lost: 0.05, ..CALM };
        let apps = vec![AppBooks::new(Habit::Backlog(40)), AppBooks::new(Habit::Bursts(20.0, 60))];
        let mut settings = ConnectionSettings::of("connection", 100, WINDOW);
        settings.max_wait = Duration::from_secs(30);
        let mut world = World::new(settings, apps, nature, seed);
        let lowered = random.between(61.0, 200.0);
        world.run(lowered);
        let own = world.own();
        world.quota.set_limit(own, 40, world.now);
        world.poll();
        world.run(lowered + 300.0);
        let from = at(1000.0 + lowered);
        let mut after = 0;
        for call in world.sent.iter().filter(|call| call.taken >= from) {
            let others = world.sent.iter().filter(|other| {
                // Its own instant is between its take and its end; that of the others may be the
                // end.
                other.taken < call.taken && other.ended + WINDOW > call.taken
            });
            assert!(others.count() < 40, "seed {seed}");
            after += 1;
        }
        assert!(after > 100, "seed {seed}: {after}");
    }
}

#[test]
fn after_watching_the_quota_holds_once_the_calls_in_flight_were_counted() {
    for seed in 0..4 {
        let apps =
            vec![AppBooks::new(Habit::Poisson(150.0)), AppBooks::new(Habit::Bursts(60.0, 80))];
        let nature = Nature { answer: (0.1, 2.0), ..CALM };
        let mut world =
            World::new(ConnectionSettings::of("connection", 100, WINDOW), apps, nature, seed);
        world.run(200.0);
        check(&world.sent, 100, "before");
        world.quota.set_mode(ONE, Mode::Shadow, world.now);
        world.poll();
        world.run(400.0);
        assert!(worst(&world.sent, WINDOW, 0) > 100, "it held something back while watching");
        let refused: u32 = world.tallies.iter().map(|t| t.refused_on_arrival).sum();
        world.run(500.0);
        assert_eq!(refused, world.tallies.iter().map(|t| t.refused_on_arrival).sum::<u32>());
        world.quota.set_mode(ONE, Mode::Enforce, world.now);
        world.poll();
        world.run(900.0);
        check(&counted_from(&world.sent, 502.0), 100, "after");
        let gauge = world.quota.gauge(world.own()).unwrap();
        assert!(gauge.free + gauge.in_use + gauge.resting <= 100, "{gauge:?}");
    }
}
