//! Slots: the right to have one call inside the window.
//!
//! A pool of N calls per W is N slots. A slot is used by one call at a time and rests for W and a
//! guard after the first byte of that call's final answer. The vendor counts a call at some instant
//! between its send and its answer, so two calls of one slot are counted at least W apart, and no
//! window of length W, wherever it begins, holds more than N calls.
//!
//! Invariants: every slot is in one state; a slot in use is back at the latest its hard limit, W
//! and the guard after its take, whoever forgot to settle it; `live` slots exceed the limit only
//! while a lowered limit (or one that was not enforced) runs out. Then a slot whose rest is over
//! goes in place of being free, so those that end soonest go first, no call starts before the
//! others are down to the new limit less one, and a limit that is raised again finds every rest
//! that is not over.
//!
//! The structure knows no queue and no clock. It serves the owner of all slots of a pool; an owner
//! of some takes them in and gives them back by number ([`Slots::adopt`], [`Slots::disown`]).
//!
//! Cost: `take` and `release_expired` O(1), `settle` O(log N) comparisons. `settle` moves only the
//! slots that rest longer than the settled one: those whose answer never came.

mod carry;
mod owned;
mod window;

use std::collections::VecDeque;

use super::moment::Moment;
pub use super::rest::{RestRule, Settlement, SlotState};

/// No slot: the end of a chain.
const NIL: u32 = u32::MAX;
/// The owner of slots that no call of this process took.
pub const NOBODY: u32 = u32::MAX;
/// Slots that may rest where calls are not held back, if the pool never had more: the books must
/// not grow with the traffic.
const MOST_RESTING: u32 = 4096;

/// Slots of one pool taken together by one call; settling consumes it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "slots that are not settled are lost until the hard limit and the window are over"]
pub struct HeldSlots {
    first: u32,
    serial: u32,
    cost: u32,
    taken: Moment,
}

impl HeldSlots {
    /// When the slots were taken.
    #[must_use]
    pub const fn taken(&self) -> Moment {
        self.taken
    }

    /// How many slots these are.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    state: SlotState,
    /// When its last rest was over, if it ever rested.
    rested: Option<Moment>,
    /// Counts takes, so that a late settle of a reclaimed slot does nothing.
    serial: u32,
    /// Who holds it: a tag of the caller's, given back when the slot is free again.
    owner: u32,
    /// Neighbours among the slots in use, oldest take first.
    older: u32,
    newer: u32,
    /// The next slot that the same call took.
    sibling: u32,
}

/// The slots of one pool. See the module text for the invariant.
#[derive(Debug)]
pub struct Slots {
    rest: RestRule,
    limit: u32,
    /// The highest limit that it ever had.
    most: u32,
    live: u32,
    in_use: u32,
    slots: Vec<Slot>,
    /// Those that are free for longest go first, so that each stands for one of the last calls.
    free: VecDeque<u32>,
    /// Sorted by the end of the rest.
    resting: VecDeque<(Moment, u32)>,
    /// Ids that stand for no slot now.
    absent: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl Slots {
    /// A pool of `limit` free slots: nothing was sent within the last window.
    #[must_use]
    pub fn fresh(limit: u32, rest: RestRule) -> Self {
        let mut slots = Self::none(limit, rest);
        slots.grow(Moment::ZERO);
        slots
    }

    /// A pool about whose past nothing is known: every slot rests for the longest possible time.
    #[must_use]
    pub fn unknown(limit: u32, rest: RestRule, now: Moment) -> Self {
        let mut slots = Self::none(limit, rest);
        let until = rest.after_no_response(now);
        for _ in 0..limit {
            slots.add(until, now);
        }
        slots
    }

    /// A pool whose last owner left slots that rest until the given moments. More of them than the
    /// limit are like a limit that was lowered.
    #[must_use]
    pub fn restored(limit: u32, rest: RestRule, mut until: Vec<Moment>, now: Moment) -> Self {
        until.retain(|u| *u > now);
        until.sort_unstable();
        let mut slots = Self::none(limit, rest);
        for u in until {
            slots.add(u.min(rest.after_no_response(now)), now);
        }
        slots.grow(now);
        slots
    }

    /// A pool of which no slot is owned yet.
    #[must_use]
    pub fn none(limit: u32, rest: RestRule) -> Self {
        Self {
            rest,
            limit,
            most: limit,
            live: 0,
            in_use: 0,
            slots: Vec::with_capacity(limit as usize),
            free: VecDeque::with_capacity(limit as usize),
            resting: VecDeque::with_capacity(limit as usize),
            absent: Vec::new(),
            oldest: NIL,
            newest: NIL,
        }
    }

    /// Slots that may be given out at most.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Slots that could be taken now. Call [`Slots::release_expired`] first.
    #[must_use]
    pub fn free(&self) -> u32 {
        count(self.free.len())
    }

    /// Slots whose call is running.
    #[must_use]
    pub const fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Slots whose call was answered within the last window.
    #[must_use]
    pub fn resting(&self) -> u32 {
        count(self.resting.len())
    }

    /// The rest rule.
    #[must_use]
    pub const fn rest(&self) -> &RestRule {
        &self.rest
    }

    /// Takes `cost` slots together, or none.
    pub fn take(&mut self, cost: u32, owner: u32, now: Moment) -> Option<HeldSlots> {
        if cost == 0 || self.free() < cost {
            return None;
        }
        let mut first = NIL;
        let mut serial = 0;
        for _ in 0..cost {
            let id = self.free.pop_front()?;
            serial = self.occupy(id, owner, first, now);
            first = id;
        }
        Some(HeldSlots { first, serial, cost, taken: now })
    }

    /// Takes `cost` slots even if none is free: the mode that holds nothing back.
    ///
    /// What is missing is made; it goes as its calls are settled ([`Slots::settle`]).
    pub fn force(&mut self, cost: u32, owner: u32, now: Moment) -> Option<HeldSlots> {
        for _ in self.free()..cost {
            let id = self.make();
            self.release(id);
            self.live += 1;
        }
        self.take(cost, owner, now)
    }

    /// Ends the use of slots; `None` if they were reclaimed before.
    ///
    /// Gives the moment at which they are free again.
    pub fn settle(&mut self, held: HeldSlots, how: Settlement, now: Moment) -> Option<Moment> {
        let head = self.slots.get(held.first as usize)?;
        if head.serial != held.serial || !matches!(head.state, SlotState::InUse(_)) {
            return None;
        }
        let until = match how {
            Settlement::FirstByteAt(at) => self.rest.after_answer(at.max(held.taken)),
            Settlement::NoAnswer => self.rest.after_no_response(held.taken),
            Settlement::NothingSent => now,
        };
        let mut id = held.first;
        while id != NIL {
            let next = self.slots[id as usize].sibling;
            self.vacate(id);
            self.put(id, until);
            id = next;
        }
        Some(until)
    }

    /// Frees one slot whose rest is over (or whose call is past everything it could do) and returns
    /// its owner; `None` when there is no other. To be called until then before anything is
    /// decided.
    pub fn release_expired(&mut self, now: Moment) -> Option<u32> {
        let most = MOST_RESTING.max(self.most) as usize;
        if let Some(&(until, id)) = self.resting.front()
            && (until <= now || self.resting.len() > most)
        {
            self.resting.pop_front();
            return Some(self.come_back(id));
        }
        let id = self.oldest;
        if id != NIL
            && let SlotState::InUse(taken) = self.slots[id as usize].state
            && self.rest.after_no_response(taken) <= now
        {
            self.vacate(id);
            return Some(self.come_back(id));
        }
        None
    }

    /// When the (k+1)-th slot from now is free, counting the free ones first; `None` beyond those
    /// that are free or resting: their calls are not answered yet.
    #[must_use]
    pub fn nth_free(&self, k: usize, now: Moment) -> Option<Moment> {
        match k.checked_sub(self.free.len()) {
            None => Some(now),
            Some(i) => self.resting.get(i + self.excess()).map(|(until, _)| (*until).max(now)),
        }
    }

    /// Slots that rest now and are free at some moment.
    #[must_use]
    pub fn back_by(&self, at: Moment) -> u32 {
        count(self.resting.partition_point(|(until, _)| *until <= at))
    }

    /// When the next slot that is not free now will be, if nothing is settled meanwhile.
    #[must_use]
    pub fn next_release(&self) -> Option<Moment> {
        let rests = self.resting.get(self.excess()).map(|(until, _)| *until);
        rests.into_iter().chain(self.next_lost()).min()
    }

    /// When [`Slots::release_expired`] next has something to do, after it said `None`, if nothing
    /// is changed meanwhile.
    #[must_use]
    pub fn next_end(&self) -> Moment {
        let rests = self.resting.front().map(|(until, _)| *until);
        rests.into_iter().chain(self.next_lost()).min().unwrap_or(Moment::NEVER)
    }

    /// When the call that runs for longest is past everything it could do.
    fn next_lost(&self) -> Option<Moment> {
        match self.slots.get(self.oldest as usize)?.state {
            SlotState::InUse(taken) => Some(self.rest.after_no_response(taken)),
            SlotState::Free | SlotState::Resting(_) | SlotState::Absent => None,
        }
    }

    /// Changes the limit.
    ///
    /// Raised: new slots are made, beside all that are in use or resting. Lowered: free slots go at
    /// once, the others as they come back, so that the next call starts when no more than the new
    /// limit are in the window, itself included.
    pub fn set_limit(&mut self, limit: u32, now: Moment) {
        self.limit = limit;
        self.most = self.most.max(limit);
        while self.live > limit
            && let Some(id) = self.free.pop_front()
        {
            self.forget(id);
        }
        self.grow(now);
    }

    /// Adds one slot that is free at `until`, under any number.
    pub fn add(&mut self, until: Moment, now: Moment) {
        let id = self.make();
        self.live += 1;
        if until <= now && self.live <= self.limit {
            self.release(id);
        } else {
            self.put(id, until);
        }
    }

    /// The slots that are in use or rest, with their owners.
    pub fn held(&self) -> impl Iterator<Item = (SlotState, u32)> {
        let held = |slot: &&Slot| matches!(slot.state, SlotState::InUse(_) | SlotState::Resting(_));
        self.slots.iter().filter(held).map(|slot| (slot.state, slot.owner))
    }

    /// Every slot by id, for the state file.
    pub fn states(&self) -> impl Iterator<Item = SlotState> {
        self.slots.iter().map(|slot| slot.state)
    }

    /// What one slot is doing.
    #[must_use]
    pub fn state(&self, id: u32) -> SlotState {
        let slot = self.slots.get(id as usize);
        slot.map_or(SlotState::Absent, |slot| slot.state)
    }

    /// The ids that a call holds, for the state file.
    pub fn ids<'a>(&'a self, held: &HeldSlots) -> impl Iterator<Item = u32> + use<'a> {
        let valid = self.slots.get(held.first as usize).is_some_and(|s| s.serial == held.serial);
        let first = if valid { held.first } else { NIL };
        std::iter::successors((first != NIL).then_some(first), |id| {
            let next = self.slots[*id as usize].sibling;
            (next != NIL).then_some(next)
        })
    }

    /// Owners of the slots in use or resting.
    #[cfg(test)]
    pub(crate) fn owners(&self) -> impl Iterator<Item = u32> {
        let taken = |slot: &&Slot| {
            matches!(slot.state, SlotState::InUse(_) | SlotState::Resting(_))
                && slot.owner != NOBODY
        };
        self.slots.iter().filter(taken).map(|slot| slot.owner)
    }

    #[cfg(test)]
    pub(crate) fn drop_guard(&mut self) {
        self.rest.guard = std::time::Duration::ZERO;
    }

    /// Raises the number of live slots to the limit.
    fn grow(&mut self, now: Moment) {
        while self.live < self.limit {
            self.add(now, now);
        }
    }

    /// Slots that go before the next one is free.
    fn excess(&self) -> usize {
        self.live.saturating_sub(self.limit) as usize
    }

    fn make(&mut self) -> u32 {
        if let Some(id) = self.absent.pop() {
            self.slots[id as usize].owner = NOBODY;
            return id;
        }
        self.push_absent();
        count(self.slots.len()) - 1
    }

    fn push_absent(&mut self) {
        self.slots.push(Slot {
            state: SlotState::Absent,
            rested: None,
            serial: 0,
            owner: NOBODY,
            older: NIL,
            newer: NIL,
            sibling: NIL,
        });
    }

    fn occupy(&mut self, id: u32, owner: u32, sibling: u32, now: Moment) -> u32 {
        let newest = self.newest;
        let slot = &mut self.slots[id as usize];
        slot.state = SlotState::InUse(now);
        slot.serial = slot.serial.wrapping_add(1);
        slot.owner = owner;
        slot.sibling = sibling;
        (slot.older, slot.newer) = (newest, NIL);
        let serial = slot.serial;
        match newest {
            NIL => self.oldest = id,
            _ => self.slots[newest as usize].newer = id,
        }
        self.newest = id;
        self.in_use += 1;
        serial
    }

    /// Unlinks a slot from those in use.
    fn vacate(&mut self, id: u32) {
        let Slot { older, newer, .. } = self.slots[id as usize];
        match older {
            NIL => self.oldest = newer,
            _ => self.slots[older as usize].newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            _ => self.slots[newer as usize].older = older,
        }
        self.in_use -= 1;
    }

    /// Lets a slot that is in no list rest until `until`.
    fn put(&mut self, id: u32, until: Moment) {
        self.slots[id as usize].state = SlotState::Resting(until);
        let list = &mut self.resting;
        // Nearly always at its end.
        let at = match list.back() {
            Some((last, _)) if *last > until => list.partition_point(|(u, _)| *u <= until),
            _ => list.len(),
        };
        list.insert(at, (until, id));
    }

    /// Frees a slot, unless there are too many.
    fn come_back(&mut self, id: u32) -> u32 {
        let slot = &mut self.slots[id as usize];
        slot.rested = match slot.state {
            SlotState::Resting(until) => Some(until),
            SlotState::InUse(taken) => Some(self.rest.after_no_response(taken)),
            SlotState::Free | SlotState::Absent => slot.rested,
        };
        if self.live > self.limit {
            self.forget(id);
            self.slots[id as usize].owner
        } else {
            self.release(id)
        }
    }

    /// Drops a slot that is in no list.
    fn forget(&mut self, id: u32) {
        self.live -= 1;
        self.slots[id as usize].state = SlotState::Absent;
        self.absent.push(id);
    }

    fn release(&mut self, id: u32) -> u32 {
        let slot = &mut self.slots[id as usize];
        slot.state = SlotState::Free;
        self.free.push_back(id);
        std::mem::replace(&mut slot.owner, NOBODY)
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
