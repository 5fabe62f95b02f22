//! Slots that come and go by number, where another owner lends them.

use super::super::moment::Moment;
use super::{NIL, SlotState, Slots, count};

impl Slots {
    /// Adds the slot of this number, free at `until`; `false` if it is here already. The limit is
    /// what is owned.
    pub fn adopt(&mut self, id: u32, until: Moment, now: Moment) -> bool {
        if self.state(id) != SlotState::Absent {
            return false;
        }
        while count(self.slots.len()) <= id {
            let new = count(self.slots.len());
            self.push_absent();
            self.absent.push(new);
        }
        self.absent.retain(|absent| *absent != id);
        self.live += 1;
        self.limit += 1;
        self.most = self.most.max(self.limit);
        self.slots[id as usize].owner = super::NOBODY;
        if until <= now {
            self.release(id);
        } else {
            self.put(id, until);
        }
        true
    }

    /// Takes the slot of this number out, whatever it does, and returns the tag of whoever holds
    /// it; `None` if it is not here. The call of a slot in use goes on: its settling does nothing.
    pub fn disown(&mut self, id: u32) -> Option<u32> {
        match self.state(id) {
            SlotState::Absent => return None,
            SlotState::Free => self.free.retain(|free| *free != id),
            SlotState::Resting(_) => self.resting.retain(|(_, resting)| *resting != id),
            SlotState::InUse(_) => {
                self.leave_chain(id);
                self.vacate(id);
            }
        }
        self.limit = self.limit.saturating_sub(1);
        self.forget(id);
        let slot = &mut self.slots[id as usize];
        // Its last rest is a matter of the next owner.
        slot.rested = None;
        Some(std::mem::replace(&mut slot.owner, super::NOBODY))
    }

    /// Unlinks a slot in use from the others of its call, so that these can still be settled.
    fn leave_chain(&mut self, id: u32) {
        let next = self.slots[id as usize].sibling;
        for slot in &mut self.slots {
            if matches!(slot.state, SlotState::InUse(_)) && slot.sibling == id {
                slot.sibling = next;
            }
        }
        self.slots[id as usize].sibling = NIL;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{RestRule, Settlement};
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from(Duration::from_secs(seconds))
    }

    fn owner_of(ids: &[u32]) -> Slots {
        let rest = RestRule::of(Duration::from_secs(60), Duration::from_secs(60));
        let mut slots = Slots::none(0, rest);
        assert!(ids.iter().all(|id| slots.adopt(*id, at(0), at(1))));
        slots
    }

    #[test]
    fn the_limit_is_what_is_owned_and_a_slot_is_adopted_once() {
        let mut slots = owner_of(&[7, 3]);
        assert!(!slots.adopt(7, at(0), at(1)));
        assert_eq!((slots.limit(), slots.free()), (2, 2));
        assert_eq!(slots.state(5), SlotState::Absent);
        assert_eq!(slots.disown(7), Some(super::super::NOBODY));
        assert_eq!(slots.disown(7), None);
        assert_eq!((slots.limit(), slots.free()), (1, 1));
        assert!(slots.adopt(7, at(9), at(1)));
        assert_eq!((slots.free(), slots.resting(), slots.next_release()), (1, 1, Some(at(9))));
    }

    #[test]
    fn a_call_whose_slot_went_settles_the_others_and_not_the_next_call_of_that_slot() {
        let mut slots = owner_of(&[0, 1, 2]);
        let call = slots.take(3, 5, at(1)).unwrap();
        assert_eq!(slots.disown(1), Some(5));
        assert!(slots.adopt(1, at(0), at(2)));
        let next = slots.take(1, 6, at(2)).unwrap();
        assert!(slots.settle(call, Settlement::FirstByteAt(at(3)), at(3)).is_some());
        assert_eq!((slots.in_use(), slots.resting()), (1, 2));
        assert!(slots.settle(next, Settlement::NothingSent, at(3)).is_some());
    }
}
