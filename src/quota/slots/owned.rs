//! Slots that come and go by number, where another owner lends them.

use std::ops::Range;

use super::super::moment::Moment;
use super::{NIL, NOBODY, SlotState, Slots, count};

impl Slots {
    /// Adds the slots of these numbers, free at `until`, but for those that are here already. The
    /// limit is what is owned.
    pub fn adopt(&mut self, ids: Range<u32>, until: Moment, now: Moment) {
        while count(self.slots.len()) < ids.end {
            let new = count(self.slots.len());
            self.push_absent();
            self.absent.push(new);
        }
        self.absent.retain(|absent| !ids.contains(absent));
        for id in ids {
            if self.state(id) != SlotState::Absent {
                continue;
            }
            self.live += 1;
            self.limit += 1;
            self.slots[id as usize].owner = NOBODY;
            if until <= now {
                self.release(id);
            } else {
                self.put(id, until);
            }
        }
        self.most = self.most.max(self.limit);
    }

    /// Takes the slots of these numbers out, whatever they do; `gone` hears the tag of whoever
    /// holds each. The calls of slots in use go on: their settling does nothing.
    pub fn disown(&mut self, ids: Range<u32>, mut gone: impl FnMut(u32)) {
        self.leave_chains(&ids);
        self.remove(ids, true, &mut gone);
    }

    /// The same for those that no call uses; the others stay.
    pub fn disown_idle(&mut self, ids: Range<u32>, mut gone: impl FnMut(u32)) {
        self.remove(ids, false, &mut gone);
    }

    fn remove(&mut self, ids: Range<u32>, all: bool, gone: &mut impl FnMut(u32)) {
        self.free.retain(|free| !ids.contains(free));
        self.resting.retain(|(_, resting)| !ids.contains(resting));
        for id in ids.start..ids.end.min(count(self.slots.len())) {
            match self.state(id) {
                SlotState::Absent => continue,
                SlotState::InUse(_) if !all => continue,
                SlotState::InUse(_) => self.vacate(id),
                SlotState::Free | SlotState::Resting(_) => {}
            }
            self.limit = self.limit.saturating_sub(1);
            self.forget(id);
            let slot = &mut self.slots[id as usize];
            // Its last rest is a matter of the next owner.
            (slot.rested, slot.sibling) = (None, NIL);
            gone(std::mem::replace(&mut slot.owner, NOBODY));
        }
    }

    /// Unlinks slots in use from the others of their calls, so that these can still be settled.
    fn leave_chains(&mut self, ids: &Range<u32>) {
        for at in 0..self.slots.len() {
            let mut next = self.slots[at].sibling;
            while ids.contains(&next) {
                next = self.slots[next as usize].sibling;
            }
            self.slots[at].sibling = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::{RestRule, Settlement};
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from(Duration::from_secs(seconds))
    }

    fn owner_of(ids: Range<u32>) -> Slots {
        let rest = RestRule::of(Duration::from_secs(60), Duration::from_secs(60));
        let mut slots = Slots::none(0, rest);
        slots.adopt(ids, at(0), at(1));
        slots
    }

    fn disowned(slots: &mut Slots, ids: Range<u32>) -> Vec<u32> {
        let mut tags = Vec::new();
        slots.disown(ids, |tag| tags.push(tag));
        tags
    }

    #[test]
    fn the_limit_is_what_is_owned_and_a_slot_is_adopted_once() {
        let mut slots = owner_of(6..8);
        slots.adopt(7..8, at(0), at(1));
        assert_eq!((slots.limit(), slots.free()), (2, 2));
        assert_eq!(slots.state(5), SlotState::Absent);
        assert_eq!(disowned(&mut slots, 7..9), [NOBODY]);
        assert_eq!(disowned(&mut slots, 7..9), [0; 0]);
        assert_eq!((slots.limit(), slots.free()), (1, 1));
        slots.adopt(7..8, at(9), at(1));
        assert_eq!((slots.free(), slots.resting(), slots.next_release()), (1, 1, Some(at(9))));
    }

    #[test]
    fn a_call_whose_slot_went_settles_the_others_and_not_the_next_call_of_that_slot() {
        for gone in 0..3 {
            let mut slots = owner_of(0..3);
            let call = slots.take(3, 5, at(1)).unwrap();
            assert_eq!(disowned(&mut slots, gone..gone + 1), [5]);
            slots.adopt(gone..gone + 1, at(0), at(2));
            let next = slots.take(1, 6, at(2)).unwrap();
            let settled = slots.settle(call, Settlement::FirstByteAt(at(3)), at(3));
            // The handle of a call is the slot that it took last: without it, its hard limit ends it.
            assert_eq!(settled.is_some(), gone != 2);
            assert_eq!(slots.in_use(), if gone == 2 { 3 } else { 1 });
            assert!(slots.settle(next, Settlement::NothingSent, at(3)).is_some());
        }
    }

    #[test]
    fn a_slot_in_use_stays_where_only_idle_ones_go() {
        let mut slots = owner_of(0..4);
        let call = slots.take(1, 5, at(1)).unwrap();
        let mut gone = 0;
        slots.disown_idle(0..4, |_| gone += 1);
        assert_eq!((gone, slots.in_use(), slots.free(), slots.limit()), (3, 1, 0, 1));
        assert!(slots.settle(call, Settlement::FirstByteAt(at(3)), at(3)).is_some());
        assert_eq!(slots.resting(), 1);
    }

    proptest! {
        /// Whatever comes, goes and is used: every slot is in one list, and the counts are theirs.
        #[test]
        fn counts_are_those_of_the_slots(steps in vec((0..6_u8, 0..12_u32, 1..4_u32), 0..200)) {
            let mut slots = owner_of(0..4);
            let mut calls = Vec::new();
            for (second, (step, id, many)) in (1..).zip(steps) {
                let now = at(second);
                while slots.release_expired(now).is_some() {}
                match step {
                    0 => slots.adopt(id..id + many, at(second + u64::from(id)), now),
                    1 => slots.disown(id..id + many, |_| ()),
                    2 => slots.disown_idle(id..id + many, |_| ()),
                    3 | 4 => calls.extend(slots.take(many, id, now)),
                    _ if calls.is_empty() => {}
                    _ => {
                        let call = calls.remove(id as usize % calls.len());
                        slots.settle(call, Settlement::FirstByteAt(now), now);
                    }
                }
                let count = |is: fn(&SlotState) -> bool| count(slots.states().filter(is).count());
                prop_assert_eq!(slots.free(), count(|s| *s == SlotState::Free));
                prop_assert_eq!(slots.in_use(), count(|s| matches!(s, SlotState::InUse(_))));
                prop_assert_eq!(slots.resting(), count(|s| matches!(s, SlotState::Resting(_))));
                prop_assert_eq!(slots.limit(), count(|s| *s != SlotState::Absent));
                prop_assert_eq!(slots.live, slots.limit());
            }
        }
    }
}
