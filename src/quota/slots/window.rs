//! A window that becomes another one while calls are in it.

use std::time::Duration;

use super::super::moment::Moment;
use super::{NOBODY, RestRule, SlotState, Slots};

impl Slots {
    /// Changes the window for calls that are answered from now on, and lets those that rest do so
    /// for as much longer as it is; a slot whose rest would not be over yet rests again. A shorter
    /// one shortens no rest. The hard limit is the longer of the old and the new one, since running
    /// calls were given the old one. Returns how much longer slots rest.
    pub fn set_window(&mut self, window: Duration, hard_limit: Duration, now: Moment) -> Duration {
        let rest = RestRule::of(window, self.rest.hard_limit.max(hard_limit));
        let longer = rest.longer_than(&self.rest);
        self.rest = rest;
        if longer > Duration::ZERO {
            for (until, id) in &mut self.resting {
                *until = *until + longer;
                self.slots[*id as usize].state = SlotState::Resting(*until);
            }
            self.rest_again(longer, now);
        }
        longer
    }

    /// The last rest of a slot would have been so much longer: where that is not over, it rests
    /// again.
    fn rest_again(&mut self, longer: Duration, now: Moment) {
        let mut again = Vec::new();
        for (id, slot) in (0..).zip(&mut self.slots) {
            let Some(rested) = &mut slot.rested else { continue };
            *rested = *rested + longer;
            if matches!(slot.state, SlotState::Free | SlotState::Absent) && *rested > now {
                again.push((id, *rested, slot.state));
            }
        }
        for (id, until, state) in again {
            self.live += u32::from(state == SlotState::Absent);
            // Whoever had it was told that it came back.
            self.slots[id as usize].owner = NOBODY;
            self.put(id, until);
        }
        let is = |id: &u32, state| self.slots[*id as usize].state == state;
        self.free.retain(|id| is(id, SlotState::Free));
        self.absent.retain(|id| is(id, SlotState::Absent));
    }
}
