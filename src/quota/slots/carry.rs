//! Slots that stand for calls which others paid.

use super::super::moment::Moment;
use super::{RestRule, Slot, SlotState, Slots};

impl Slots {
    /// Lets slots rest until these moments, as if calls of theirs had been answered. The limit
    /// stays: free slots go for it, and more than it are like a limit that was lowered.
    pub fn carry(&mut self, until: &[Moment], now: Moment) {
        for until in until.iter().filter(|until| **until > now) {
            self.add(*until, now);
        }
        self.set_limit(self.limit, now);
    }

    /// When each slot would be free if the rule was `rest`, some of it in the past; those in use as
    /// if no answer came.
    #[must_use]
    pub fn rests_under(&self, rest: &RestRule) -> Vec<Moment> {
        let longer = rest.longer_than(&self.rest);
        let until = |slot: &Slot| match slot.state {
            SlotState::InUse(taken) => {
                Some(rest.after_no_response(taken).max(self.rest.after_no_response(taken)))
            }
            SlotState::Resting(until) => Some(until + longer),
            SlotState::Free | SlotState::Absent => slot.rested.map(|rested| rested + longer),
        };
        self.slots.iter().filter_map(until).collect()
    }

    /// Whether no slot is in use and every rest is over.
    #[must_use]
    pub fn is_idle(&self, now: Moment) -> bool {
        self.in_use == 0 && self.resting.back().is_none_or(|(until, _)| *until <= now)
    }
}
