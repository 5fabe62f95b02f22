//! The file of slots whose window changes while calls run and over restarts.

use std::time::Duration;

use proptest::prelude::*;

use super::super::moment::Moment;
use super::super::slots::{HeldSlots, RestRule, Settlement, SlotState, Slots};
use super::super::state_file::{
    FileClocks, Header, RECORD, StateFileError, decode, longest, offset, record,
};

/// What becomes of slots and of their file.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Take,
    Settle { call: prop::sample::Index, how: u8 },
    Change(RestRule),
    Restart(RestRule),
}

fn rest() -> impl Strategy<Value = RestRule> {
    (prop::sample::select(vec![1_u64, 5, 9, 40]), prop::sample::select(vec![2_u64, 60])).prop_map(
        |(window, hard)| RestRule::of(Duration::from_secs(window), Duration::from_secs(hard)),
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12_000_u64).prop_map(Step::Pass),
        Just(Step::Take),
        (any::<prop::sample::Index>(), 0..3_u8).prop_map(|(call, how)| Step::Settle { call, how }),
        rest().prop_map(Step::Change),
        rest().prop_map(Step::Restart),
    ]
}

/// Slots and their file, which is written as `admission` writes it.
struct BulkReserve {
    slots: Slots,
    calls: Vec<HeldSlots>,
    now: Moment,
    bytes: Vec<u8>,
}

impl BulkReserve {
    fn new(rest: RestRule) -> Self {
        let slots = Slots::fresh(3, rest);
        let mut kept = Self {
            slots,
            calls: Vec::new(),
            now: Moment::from(Duration::from_secs(100)),
            bytes: Vec::new(),
        };
        kept.write();
        kept
    }

    fn clocks(&self) -> FileClocks {
        let boottime = Duration::from_nanos(self.now.as_nanos()) + Duration::from_secs(7);
        FileClocks { boot: [1; 16], now: self.now, boottime, wall: Duration::from_secs(99) }
    }

    fn write(&mut self) {
        let (states, clocks) = (self.slots.states().collect::<Vec<_>>(), self.clocks());
        let header = Header {
            name: "a".into(),
            rest: *self.slots.rest(),
            longest: longest(states.iter().copied(), clocks.now),
            slots: u32::try_from(states.len()).unwrap(),
            closed: false,
        };
        self.bytes = header.encode(&clocks).unwrap().to_vec();
        self.bytes.extend((0..).zip(states).flat_map(|(at, state)| record(at, state, &clocks)));
    }

    fn write_in_place(&mut self, ids: Vec<u32>) {
        for id in ids {
            let record = record(id, self.slots.state(id), &self.clocks());
            let at = usize::try_from(offset(id)).unwrap();
            self.bytes[at..at + RECORD].copy_from_slice(&record);
        }
    }

    fn read(&self, rest: &RestRule) -> Result<Vec<Moment>, StateFileError> {
        decode(&self.bytes, "a", rest, &self.clocks())
    }

    fn step(&mut self, step: Step) {
        while self.slots.release_expired(self.now).is_some() {}
        match step {
            Step::Pass(ms) => self.now = self.now + Duration::from_millis(ms),
            Step::Take => {
                let Some(held) = self.slots.take(1, 0, self.now) else { return };
                self.write_in_place(self.slots.ids(&held).collect());
                self.calls.push(held);
            }
            Step::Settle { call, how } if !self.calls.is_empty() => {
                let held = self.calls.swap_remove(call.index(self.calls.len()));
                let ids = self.slots.ids(&held).collect();
                let how = match how {
                    0 => Settlement::FirstByteAt(self.now),
                    1 => Settlement::NoAnswer,
                    _ => Settlement::NothingSent,
                };
                self.slots.settle(held, how, self.now);
                self.write_in_place(ids);
            }
            Step::Settle { .. } => {}
            Step::Change(rest) => {
                self.slots.set_window(rest.window, rest.hard_limit, self.now);
                self.write();
            }
            Step::Restart(rest) => {
                let until = self.read(&rest).unwrap();
                (self.slots, self.calls) = (Slots::fresh(3, rest), Vec::new());
                self.slots.carry(&until, self.now);
                self.write();
            }
        }
    }

    /// When each slot may be free at last, latest first, as far as that is to come.
    fn due(&self, read: Option<Vec<Moment>>) -> Vec<Moment> {
        let known = self.slots.states().filter_map(|state| match state {
            SlotState::InUse(taken) => Some(self.slots.rest().after_no_response(taken)),
            SlotState::Resting(until) => Some(until),
            SlotState::Free | SlotState::Absent => None,
        });
        let mut due: Vec<Moment> = read.unwrap_or_else(|| known.collect());
        due.retain(|until| *until > self.now);
        due.sort_unstable_by(|one, other| other.cmp(one));
        due
    }
}

proptest! {
    #[test]
    fn what_was_written_never_contradicts_the_clock_and_loses_no_rest_under_any_rule(
        first in rest(),
        steps in prop::collection::vec(step(), 0..40),
        reader in rest(),
    ) {
        let mut kept = BulkReserve::new(first);
        for step in steps {
            kept.step(step);
            let read = kept.read(&reader);
            prop_assert!(read.is_ok(), "{read:?} after {step:?}");
            let (read, due) = (kept.due(read.ok()), kept.due(None));
            prop_assert!(read.len() >= due.len(), "{read:?} {due:?}");
            prop_assert!(read.iter().zip(&due).all(|(read, due)| read >= due), "{read:?} {due:?}");
        }
    }
}
