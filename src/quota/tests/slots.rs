//! Slots against a plain model, and the rules one by one.

use std::time::Duration;

use proptest::prelude::*;

use super::super::Moment;
use super::super::slots::{HeldSlots, RestRule, Settlement, SlotState, Slots};

const REST: RestRule = RestRule {
    window: Duration::from_secs(60),
    guard: Duration::from_millis(60),
    hard_limit: Duration::from_secs(30),
};

fn at(ms: u64) -> Moment {
    Moment::from(Duration::from_millis(ms))
}

fn release_expired(slots: &mut Slots, now: Moment) {
    while slots.release_expired(now).is_some() {}
}

#[test]
fn the_guard_is_a_thousandth_of_the_window_but_at_least_50_ms() {
    let guard = |secs| RestRule::of(Duration::from_secs(secs), Duration::ZERO).guard;
    assert_eq!(guard(60), Duration::from_millis(60));
    assert_eq!(guard(2), Duration::from_millis(50));
    assert_eq!(guard(3600), Duration::from_millis(3600));
}

#[test]
fn a_slot_rests_a_window_after_the_answer_and_the_hard_limit_longer_without_one() {
    let mut slots = Slots::fresh(3, REST);
    let mut held: Vec<HeldSlots> = (0..3).map(|n| slots.take(1, n, at(1000)).unwrap()).collect();
    assert!(slots.take(1, 9, at(1000)).is_none());
    let now = at(3000);
    let silent = slots.settle(held.remove(0), Settlement::NoAnswer, now);
    assert_eq!(silent, Some(at(91_060)));
    let answered = slots.settle(held.remove(0), Settlement::FirstByteAt(at(2500)), now);
    assert_eq!(answered, Some(at(62_560)));
    assert_eq!(slots.settle(held.remove(0), Settlement::NothingSent, now), Some(now));
    release_expired(&mut slots, now);
    assert_eq!(slots.free(), 1);
    release_expired(&mut slots, at(62_559));
    assert_eq!(slots.free(), 1);
    assert_eq!(slots.next_release(), Some(at(62_560)));
    release_expired(&mut slots, at(62_560));
    assert_eq!(slots.free(), 2);
    assert_eq!(slots.nth_free(2, at(62_560)), Some(at(91_060)));
    assert_eq!(slots.nth_free(3, at(62_560)), None);
}

#[test]
fn a_slot_that_nobody_settles_is_back_when_its_call_is_past_everything() {
    let mut slots = Slots::fresh(2, REST);
    let forgotten = slots.take(2, 7, at(0)).unwrap();
    release_expired(&mut slots, at(90_059));
    assert_eq!(slots.free(), 0);
    assert_eq!(slots.next_release(), Some(at(90_060)));
    assert_eq!(slots.release_expired(at(90_060)), Some(7));
    release_expired(&mut slots, at(90_060));
    assert_eq!(slots.free(), 2);
    let again = slots.take(1, 8, at(90_061)).unwrap();
    assert_eq!(slots.settle(forgotten, Settlement::NothingSent, at(90_062)), None);
    assert_eq!(slots.in_use(), 1, "a late settle frees nobody else's slot");
    assert!(slots.settle(again, Settlement::NothingSent, at(90_063)).is_some());
}

#[test]
fn unknown_state_rests_as_long_as_any_call_can_matter() {
    let mut slots = Slots::unknown(100, REST, at(5000));
    release_expired(&mut slots, at(95_059));
    assert_eq!(slots.free(), 0);
    release_expired(&mut slots, at(95_060));
    assert_eq!(slots.free(), 100);
}

#[test]
fn more_rests_than_slots_run_out_like_a_lowered_limit() {
    let until = vec![at(10), at(30), at(20), at(5)];
    let mut slots = Slots::restored(2, REST, until, at(0));
    assert_eq!(slots.nth_free(0, at(0)), Some(at(20)));
    release_expired(&mut slots, at(19));
    assert_eq!(slots.free(), 0);
    release_expired(&mut slots, at(30));
    assert_eq!(slots.free(), 2);
    let slots = Slots::restored(3, REST, vec![Moment::NEVER], at(0));
    assert_eq!(slots.free() + slots.resting(), 3);
    assert_eq!(slots.nth_free(2, at(0)), Some(REST.after_no_response(at(0))));
}

#[test]
fn a_limit_that_is_raised_after_a_restart_finds_every_rest_of_before() {
    let mut slots = Slots::restored(40, REST, vec![at(1000); 100], at(0));
    slots.set_limit(100, at(1));
    assert_eq!((slots.free(), slots.resting()), (0, 100));
}

#[test]
fn a_lowered_limit_takes_free_slots_and_then_those_that_come_back_first() {
    let mut slots = Slots::fresh(10, REST);
    let mut held: Vec<HeldSlots> =
        (0..8).map(|n| slots.take(1, n, at(u64::from(n))).unwrap()).collect();
    for (n, held) in (0..).zip(held.drain(..4)) {
        slots.settle(held, Settlement::FirstByteAt(at(10 + n)), at(20));
    }
    slots.set_limit(6, at(20));
    assert_eq!((slots.free(), slots.resting(), slots.in_use()), (0, 4, 4));
    assert_eq!(slots.nth_free(0, at(20)), Some(at(60_072)));
    assert_eq!(slots.next_release(), Some(at(60_072)));
    slots.set_limit(2, at(20));
    assert_eq!(slots.nth_free(0, at(20)), None);
    // One of them gets no answer: it may be counted when the others are long over.
    slots.settle(held.remove(0), Settlement::NoAnswer, at(30));
    for held in held {
        slots.settle(held, Settlement::FirstByteAt(at(30)), at(30));
    }
    assert_eq!(slots.nth_free(0, at(30)), Some(at(60_090)));
    // Raised again: nothing that rests is forgotten, what is missing is new.
    slots.set_limit(8, at(40));
    assert_eq!((slots.free(), slots.resting()), (0, 8));
    slots.set_limit(10, at(40));
    assert_eq!((slots.free(), slots.resting()), (2, 8));
}

#[test]
fn a_pool_of_any_size_that_is_lowered_and_raised_again_has_no_slot_twice() {
    let mut slots = Slots::fresh(10_000, REST);
    for owner in 0..10_000 {
        let held = slots.take(1, owner, at(0)).unwrap();
        slots.settle(held, Settlement::FirstByteAt(at(0)), at(0));
    }
    slots.set_limit(1, at(10));
    release_expired(&mut slots, at(10));
    slots.set_limit(10_000, at(20));
    assert_eq!((slots.free(), slots.resting()), (0, 10_000));
}

#[test]
fn calls_that_are_not_held_back_leave_bounded_books() {
    let mut slots = Slots::fresh(10, REST);
    for n in 0..10_000 {
        release_expired(&mut slots, at(n));
        let held = slots.force(1, 0, at(n)).unwrap();
        slots.settle(held, Settlement::FirstByteAt(at(n)), at(n));
    }
    assert!(slots.resting() <= 4097, "{}", slots.resting());
}

#[test]
fn an_owner_of_some_slots_adds_them_with_their_rest() {
    let mut slots = Slots::none(100, REST);
    slots.add(at(500), at(0));
    slots.add(at(0), at(0));
    release_expired(&mut slots, at(0));
    assert_eq!((slots.free(), slots.resting()), (1, 1));
}

#[derive(Clone, Debug)]
enum Step {
    Take(u32),
    Force(u32),
    Settle(usize, u8),
    Pass(u64),
    Limit(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..4u32).prop_map(Step::Take),
        1 => (1..3u32).prop_map(Step::Force),
        5 => (0..20usize, 0..4u8).prop_map(|(at, how)| Step::Settle(at, how)),
        4 => (0..40_000u64).prop_map(Step::Pass),
        1 => (1..30u32).prop_map(Step::Limit),
    ];
    proptest::collection::vec(step, 0..150)
}

/// A call in the model: its slots, its take, and when they are free once it is settled.
struct Call {
    cost: u32,
    taken: Moment,
    held: Option<HeldSlots>,
    until: Option<Moment>,
}

proptest! {
    /// Against a list of calls: a take succeeds exactly while the calls that hold slots leave room
    /// below the limit of the moment, whatever it was before and however many were forced.
    #[test]
    fn slots_agree_with_a_plain_list_of_calls(steps in steps()) {
        let mut limit = 12;
        let mut slots = Slots::fresh(limit, REST);
        let mut now = at(0);
        let mut calls: Vec<Call> = Vec::new();
        let busy = |calls: &[Call], now: Moment| -> u32 {
            calls.iter().filter(|call| call.until.unwrap_or(REST.after_no_response(call.taken)) > now)
                .map(|call| call.cost).sum()
        };
        for step in steps {
            release_expired(&mut slots, now);
            match step {
                Step::Take(cost) => {
                    let held = slots.take(cost, 0, now);
                    prop_assert_eq!(held.is_some(), busy(&calls, now) + cost <= limit);
                    if held.is_some() {
                        calls.push(Call { cost, taken: now, held, until: None });
                    }
                }
                Step::Force(cost) => {
                    let held = slots.force(cost, 0, now);
                    prop_assert!(held.is_some());
                    calls.push(Call { cost, taken: now, held, until: None });
                }
                Step::Settle(at, how) => {
                    let open: Vec<_> = calls.iter_mut().filter(|call| call.held.is_some()).collect();
                    if let Some(call) = open.into_iter().nth(at) {
                        let how = match how {
                            0 => Settlement::NothingSent,
                            1 => Settlement::NoAnswer,
                            _ => Settlement::FirstByteAt(now),
                        };
                        let held = call.held.take().unwrap();
                        let settled = slots.settle(held, how, now);
                        let late = REST.after_no_response(call.taken) <= now;
                        prop_assert_eq!(settled.is_none(), late);
                        call.until = settled;
                    }
                }
                Step::Pass(ms) => now = now + Duration::from_millis(ms),
                Step::Limit(to) => {
                    limit = to;
                    slots.set_limit(to, now);
                }
            }
            release_expired(&mut slots, now);
            let live = slots.free() + slots.resting() + slots.in_use();
            prop_assert_eq!(live, limit.max(busy(&calls, now)));
            let free = slots.states().filter(|state| *state == SlotState::Free).count();
            prop_assert_eq!(free, slots.free() as usize);
        }
        // In the end all of them come back.
        release_expired(&mut slots, now + Duration::from_secs(1000));
        prop_assert_eq!(slots.free(), limit);
    }

    /// However often the window changes: a call that starts finds fewer than the limit in the
    /// window of the moment, whatever window they were made under.
    #[test]
    fn no_call_starts_while_the_limit_is_in_the_window_of_the_moment(steps in windows()) {
        const LIMIT: u32 = 5;
        let mut slots = Slots::fresh(LIMIT, REST);
        let (mut now, mut window) = (at(0), REST.window);
        let mut running: Vec<HeldSlots> = Vec::new();
        let mut answered: Vec<Moment> = Vec::new();
        for step in steps {
            release_expired(&mut slots, now);
            match step {
                Turn::Call => {
                    let inside = |counted: &Moment| *counted + window > now;
                    // One that was never answered was counted by its hard limit.
                    let latest = |held: &HeldSlots| held.taken() + REST.hard_limit;
                    let busy = answered.iter().filter(|end| inside(end)).count()
                        + running.iter().filter(|held| inside(&latest(held))).count();
                    if let Some(held) = slots.take(1, 0, now) {
                        prop_assert!(busy < LIMIT as usize, "{busy} in {window:?}");
                        running.push(held);
                    }
                }
                Turn::Answer => if !running.is_empty() {
                    let held = running.remove(0);
                    if slots.settle(held, Settlement::FirstByteAt(now), now).is_some() {
                        answered.push(now);
                    }
                }
                Turn::Pass(ms) => now = now + Duration::from_millis(ms),
                Turn::Window(to) => {
                    window = Duration::from_secs(to);
                    let _ = slots.set_window(window, REST.hard_limit, now);
                }
            }
        }
        release_expired(&mut slots, now + Duration::from_secs(1000));
        prop_assert_eq!(slots.free(), LIMIT);
    }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Call,
    /// Of the call that runs for longest.
    Answer,
    Pass(u64),
    Window(u64),
}

fn windows() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        8 => Just(Turn::Call),
        8 => Just(Turn::Answer),
        6 => (0..8_000u64).prop_map(Turn::Pass),
        2 => (5..100u64).prop_map(Turn::Window),
    ];
    proptest::collection::vec(turn, 0..200)
}
