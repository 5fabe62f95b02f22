//! How a pool opens after the vendor's pause: alone, and as a whole connection meets it.

use proptest::prelude::*;

use super::super::slots::Settlement;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, PriceNo, PriceSettings, QueueEvent, Quota,
};
use super::*;

const WINDOW: Duration = Duration::from_secs(60);

fn at(ms: u64) -> Moment {
    Moment::from(Duration::from_millis(ms))
}

/// Calls that may be under way: the window, and one more for each second without an answer.
fn allowed(opening: &Opening, now: Moment) -> u32 {
    opening.window + u32::try_from(now.since(opening.heard).as_secs()).unwrap()
}

/// What is left of the pause's effect once so many calls were answered well after `latency` each.
fn recovers(latency: u64, calls: u32) -> (Opening, u64) {
    let mut opening = Opening::first(at(0));
    let mut under_way = std::collections::VecDeque::new();
    let (mut now, mut started) = (0, 0);
    while opening.passed < calls {
        if under_way.front().is_some_and(|taken| taken + latency <= now) {
            let taken = under_way.pop_front().unwrap();
            opening.ends(at(taken), true, at(now));
        } else if started < calls && opening.lets_at() <= at(now) {
            opening.starts(at(now));
            under_way.push_back(now);
            started += 1;
        } else {
            now += 1;
        }
    }
    (opening, now)
}

#[test]
fn a_vendor_that_has_recovered_is_asked_at_full_rate_after_two_seconds() {
    for (latency, most) in [(1, 1_800), (50, 2_000), (150, 2_600)] {
        let (opening, took) = recovers(latency, 100);
        assert!(took <= most, "{took} ms for 100 calls of {latency} ms");
        assert!(opening.is_over(100, WINDOW, at(took)));
    }
}

#[test]
fn one_call_that_hangs_does_not_keep_the_others() {
    let mut opening = Opening::first(at(0));
    opening.starts(at(0));
    assert_eq!(opening.lets_at(), at(1000));
    opening.starts(at(1000));
    assert_eq!(opening.lets_at(), at(2000));
    assert!(opening.is_over(100, WINDOW, at(60_000)));
}

/// A call each ten seconds is all that was asked for, not all that there was room for.
#[test]
fn on_a_quiet_connection_a_further_refusal_keeps_nobody_longer_than_a_second() {
    let mut opening = Opening::first(at(0));
    opening.starts(at(10_000));
    opening.ends(at(10_000), true, at(10_100));
    opening.starts(at(20_000));
    opening.ends(at(20_000), false, at(20_100));
    let mut opening = opening.again(at(21_100));
    opening.starts(at(21_100));
    assert!(opening.lets_at() <= at(22_100), "{opening:?}");
}

#[test]
fn a_further_refusal_makes_the_gap_what_the_vendor_let_through() {
    let mut opening = Opening::first(at(0));
    for call in 0..4 {
        opening.starts(at(call * 300));
        opening.ends(at(call * 300), true, at(call * 300 + 1));
    }
    // 4 calls in 2 s, the pause included.
    let again = opening.again(at(2000));
    assert_eq!((again.gap, again.window), (Duration::from_millis(450), 1));
    // One that was under way before tells nothing new.
    let later = again.later(at(2500));
    assert_eq!((later.gap, later.lets_at()), (again.gap, at(2500)));
    assert!(again.estimate(10) > at(2000 + 3500) && again.estimate(10) < at(2000 + 4500));
}

proptest! {
    /// Whatever is answered when: never more under way than the window, never two starts nearer
    /// than the gap, and somebody may always start within the gap and a second a call.
    #[test]
    fn never_more_are_under_way_than_the_window_and_nobody_waits_for_ever(
        steps in proptest::collection::vec((0_u8..4, 0_u64..1500, any::<bool>()), 1..200)
    ) {
        let mut opening = Opening::first(at(0));
        let (mut now, mut under_way, mut last) = (0, Vec::new(), None);
        for (step, ms, good) in steps {
            match step {
                0 => now += ms,
                1 if !under_way.is_empty() => {
                    let taken = under_way.remove(0);
                    opening.ends(at(taken), good, at(now));
                }
                2 if ms < 50 && opening.owns(at(now)) => {
                    opening = opening.again(at(now + 1000));
                    (under_way, last) = (Vec::new(), None);
                }
                _ if opening.lets_at() <= at(now) => {
                    let many = u32::try_from(under_way.len()).unwrap();
                    prop_assert!(many < allowed(&opening, at(now)));
                    if let Some(last) = last {
                        prop_assert!(at(now).since(at(last)) >= opening.gap);
                    }
                    opening.starts(at(now));
                    under_way.push(now);
                    last = Some(now);
                }
                _ => {}
            }
            let many = u64::try_from(under_way.len()).unwrap();
            let longest = opening.gap + Duration::from_secs(many + 1);
            prop_assert!(opening.lets_at() <= at(now).max(opening.since) + longest);
        }
    }
}

/// A vendor with room for 3 calls a second on this token.
#[derive(Clone, Copy, Debug)]
enum Vendor {
    /// In any second.
    Sliding,
    /// In each second that begins so many milliseconds after a full one.
    Fixed(u64),
    /// One each third of a second, three saved.
    Bucket,
}

impl Vendor {
    fn admits(self, before: &[u64], now: u64) -> bool {
        let since = |ms: u64| before.iter().filter(|taken| **taken + ms > now).count();
        match self {
            Self::Sliding => since(1000) < 3,
            Self::Fixed(phase) => since((now + phase) % 1000 + 1) < 3,
            Self::Bucket => (1..=before.len()).all(|n| {
                let first = before[before.len() - n];
                n as u64 * 1000 <= 2000 + (now - first) * 3 || n < 3
            }),
        }
    }
}

const ANY: AdmissionRequest = AdmissionRequest {
    connection: ConnectionNo(0),
    app: AppNo(0),
    price: PriceNo(0),
    bulk: false,
    latest: Moment::NEVER,
    by_caller: false,
    asked: false,
};

/// A connection of one app that the vendor has just closed for 2 s.
fn closed() -> Quota {
    let mut settings = ConnectionSettings::of("connection", 100, WINDOW);
    settings.max_wait = Duration::from_secs(20);
    let price = PriceSettings { connection: 1, named: Vec::new() };
    let mut quota = Quota::new(&[], &[price], &[settings], at(0)).unwrap();
    quota.add_app(ConnectionNo(0), AppSettings::default(), at(0)).unwrap();
    let AdmissionVerdict::Start(mut first) = quota.enter(at(0), &ANY) else { panic!() };
    quota.vendor_refused(&mut first, Some(Duration::from_secs(2)), at(0));
    quota.settle(first, Settlement::FirstByteAt(at(0)), at(0));
    quota
}

/// 30 calls wait for the end of a pause of 2 s, then the vendor has room for 3 a second and takes
/// `latency` for an answer; those that it refuses go back to their line. Gives refusals and how
/// long each call waited.
fn after_a_pause(vendor: Vendor, latency: u64, pause: u64) -> (u32, Vec<u64>) {
    let mut quota = closed();
    let mut waiting = std::collections::HashMap::new();
    for came in 1..=30 {
        let AdmissionVerdict::Wait(place, _) = quota.enter(at(came), &ANY) else { panic!() };
        waiting.insert(place, at(came));
    }
    let (mut under_way, mut taken, mut refusals, mut waits) =
        (Vec::new(), Vec::new(), 0, Vec::new());
    for now in 31..40_000 {
        let (ended, still): (Vec<_>, Vec<_>) = under_way
            .into_iter()
            .partition(|(_, ends, ..): &(Grant, u64, Moment, bool)| *ends <= now);
        under_way = still;
        for (mut grant, _, since, good) in ended {
            if !good {
                quota.vendor_refused(&mut grant, Some(Duration::from_secs(pause)), at(now));
            }
            quota.settle(grant, Settlement::FirstByteAt(at(now)), at(now));
            if good {
                waits.push(now);
                continue;
            }
            refusals += 1;
            match quota.enter_again(at(now), &ANY, since) {
                AdmissionVerdict::Wait(place, _) => drop(waiting.insert(place, since)),
                other => panic!("it has time to wait: {other:?}"),
            }
        }
        while let Some(event) = quota.poll(at(now)) {
            let QueueEvent::Start { place, grant, .. } = event else { panic!("{event:?}") };
            let since = waiting.remove(&place).unwrap();
            let good = vendor.admits(&taken, now);
            if good {
                taken.push(now);
            }
            under_way.push((grant, now + latency, since, good));
        }
        if let Some(wake) = quota.next_wake(at(now)) {
            assert!(wake > at(now));
        }
    }
    assert!(waiting.is_empty(), "{vendor:?}, {latency} ms");
    (refusals, waits)
}

#[test]
fn after_a_pause_thirty_calls_meet_at_most_five_refusals_and_are_all_answered_in_time() {
    let vendors = [Vendor::Sliding, Vendor::Fixed(0), Vendor::Fixed(500), Vendor::Bucket];
    for vendor in vendors {
        for latency in [1, 20, 80, 150] {
            for pause in [1, 2] {
                let (refusals, waits) = after_a_pause(vendor, latency, pause);
                let what = format!("{vendor:?}, {latency} ms, pauses of {pause} s");
                assert!(refusals <= 5, "{what}: {refusals} refusals");
                assert_eq!(waits.len(), 30, "{what}");
                let last = waits.last().unwrap();
                assert!(*last <= 20_000, "{what}: the last after {last} ms");
                println!("{what}: {refusals} refusals, the last after {last} ms");
            }
        }
    }
}
