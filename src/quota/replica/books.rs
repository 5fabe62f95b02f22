//! The blocks of one pool that a replica owns: what it reports and what it gives back.
//!
//! A block is some slots that move together. It is in use while one of them is.

use std::ops::Range;
use std::time::Duration;

use super::super::moment::Moment;
use super::super::pools::PoolId;
use super::super::slots::{SlotState, Slots};
use super::wire::{AppDemand, PoolGrant, PoolReport};

/// Blocks that a pool has at most: a reply that speaks of more is wrong.
pub const MOST_BLOCKS: u32 = 1024;

/// A pool that replicas share, as its settings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedPool {
    /// Its place here.
    pub id: PoolId,
    /// Its name in the ledger.
    pub name: String,
    /// N: calls per window.
    pub calls: u32,
    /// Slots that move together; see [`block_size`]. It never changes under one name.
    pub block: u32,
    /// The version of the limit: the higher one is right.
    pub version: u64,
}

impl SharedPool {
    /// Whole blocks. With blocks of several slots the rest of the division stays unused.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        (self.calls / self.block.max(1)).clamp(1, MOST_BLOCKS)
    }
}

/// How many slots move together: about 128 blocks are enough for anybody's share.
#[must_use]
pub const fn block_size(calls: u32) -> u32 {
    if calls <= 128 { 1 } else { calls.div_ceil(128) }
}

/// What one block does.
#[derive(Clone, Copy, Debug)]
struct Block {
    id: u32,
    in_use: bool,
    /// The latest end of a rest; in the past if all its slots are free.
    until: Moment,
    /// Whether a call may start on it before the lease ends.
    usable: bool,
}

/// What to tell about the pool besides its slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportTerms {
    pub(super) now: Moment,
    pub(super) lease: Duration,
    pub(super) trace: Duration,
    /// Everything that is not in use goes back.
    pub(super) leaving: bool,
}

/// One shared pool, and what the ledger last said of it.
#[derive(Clone, Debug)]
pub(super) struct PoolBooks {
    pub(super) shared: SharedPool,
    blocks: u32,
    version: u64,
    target: u32,
    give: u32,
    hot: bool,
    /// On their way back: usable nowhere until a reply confirms it.
    returning: Vec<(u32, Moment)>,
}

impl PoolBooks {
    pub(super) fn new(shared: SharedPool) -> Self {
        let (blocks, version) = (shared.blocks(), shared.version);
        let (target, give, hot, returning) = (0, 0, false, Vec::new());
        Self { shared, blocks, version, target, give, hot, returning }
    }

    /// Whether there is a block that can go back and shall.
    pub(super) fn owes(&self, slots: &Slots) -> bool {
        let beyond = self.blocks.saturating_mul(self.size());
        let idle = |state: &SlotState| matches!(state, SlotState::Free | SlotState::Resting(_));
        let first = if self.give > 0 { 0 } else { beyond as usize };
        slots.states().skip(first).any(|state| idle(&state))
    }

    pub(super) const fn hot(&self) -> bool {
        self.hot
    }

    /// New settings of the limit.
    pub(super) fn limit(&mut self, calls: u32, version: u64) {
        (self.shared.calls, self.shared.version) = (calls, version);
        if version > self.version {
            (self.blocks, self.version) = (self.shared.blocks(), version);
        }
    }

    /// Chooses what goes back, takes it out of the slots and tells what is left. `freed` hears the
    /// tag of each resting slot that goes.
    pub(super) fn report(
        &mut self,
        slots: &mut Slots,
        apps: Vec<AppDemand>,
        terms: &ReportTerms,
        freed: &mut impl FnMut(PoolId, u32),
    ) -> PoolReport {
        let owned = self.owned(slots, terms);
        for block in self.chosen(&owned, terms.leaving) {
            self.drop_block(slots, block.id, freed);
            self.returning.push((block.id, block.until));
        }
        let kept = owned.iter().filter(|b| !self.returning.iter().any(|(id, _)| *id == b.id));
        // A call in use may come back unsent and free its slot at once: it counts as usable.
        let worst = |b: &Block| match b.usable || b.in_use {
            true => millis(terms.trace),
            false => millis(b.until.since(terms.now)),
        };
        PoolReport {
            pool: self.shared.name.clone(),
            blocks: self.blocks,
            version: self.version,
            hold: kept.map(|b| (b.id, worst(b))).collect(),
            ret: self
                .returning
                .iter()
                .map(|(id, until)| (*id, millis(until.since(terms.now))))
                .collect(),
            apps,
        }
    }

    /// Takes in what the ledger said to the last report.
    pub(super) fn take_in(
        &mut self,
        slots: &mut Slots,
        said: &PoolGrant,
        now: Moment,
        freed: &mut impl FnMut(PoolId, u32),
    ) {
        self.returning.clear();
        if said.version >= self.version && said.blocks <= MOST_BLOCKS {
            (self.blocks, self.version) = (said.blocks, said.version);
        }
        (self.target, self.give, self.hot) = (said.target, said.give, said.hot > 0);
        for id in &said.lost {
            self.drop_block(slots, *id, freed);
        }
        for (id, rest) in said.grant.iter().filter(|(id, _)| *id < MOST_BLOCKS) {
            for slot in self.slots_of(*id) {
                slots.adopt(slot, now + Duration::from_millis(*rest), now);
            }
        }
    }

    /// The ledger knows nothing of what is on its way back.
    pub(super) fn forget_returns(&mut self) {
        self.returning.clear();
    }

    /// Every block is someone else's.
    pub(super) fn forget_all(&mut self, slots: &mut Slots, freed: &mut impl FnMut(PoolId, u32)) {
        self.returning.clear();
        for id in 0..MOST_BLOCKS {
            self.drop_block(slots, id, freed);
        }
        (self.target, self.give, self.hot) = (0, 0, false);
    }

    fn size(&self) -> u32 {
        self.shared.block.max(1)
    }

    fn slots_of(&self, block: u32) -> Range<u32> {
        let first = block.saturating_mul(self.size());
        first..first.saturating_add(self.size())
    }

    fn drop_block(&self, slots: &mut Slots, id: u32, freed: &mut impl FnMut(PoolId, u32)) {
        for slot in self.slots_of(id) {
            if let Some(owner) = slots.disown(slot) {
                freed(self.shared.id, owner);
            }
        }
    }

    fn owned(&self, slots: &Slots, terms: &ReportTerms) -> Vec<Block> {
        let ends = terms.now + terms.lease;
        let mut owned: Vec<Block> = Vec::new();
        for (slot, state) in (0..).zip(slots.states()) {
            let (in_use, until) = match state {
                SlotState::Absent => continue,
                SlotState::Free => (false, Moment::ZERO),
                SlotState::InUse(_) => (true, Moment::ZERO),
                SlotState::Resting(until) => (false, until),
            };
            let usable = !in_use && until <= ends;
            let id = slot / self.size();
            match owned.last_mut() {
                Some(block) if block.id == id => {
                    block.in_use |= in_use;
                    block.until = block.until.max(until);
                    block.usable |= usable;
                }
                _ => owned.push(Block { id, in_use, until, usable }),
            }
        }
        owned
    }

    /// The blocks that go back: those beyond the limit, free ones beyond the target, and of the
    /// rest as many as the ledger asks for, so spread that what stays ripens evenly.
    fn chosen(&self, owned: &[Block], leaving: bool) -> Vec<Block> {
        let mut idle: Vec<Block> = owned.iter().filter(|b| !b.in_use).copied().collect();
        if leaving {
            return idle;
        }
        let mut chosen: Vec<Block> = idle.iter().filter(|b| b.id >= self.blocks).copied().collect();
        idle.retain(|b| b.id < self.blocks);
        idle.sort_by_key(|b| (b.until, b.id));
        let beyond = (owned.len() - chosen.len()).saturating_sub(self.target as usize);
        let free = idle.iter().filter(|b| b.until == Moment::ZERO).count().min(beyond);
        chosen.extend(idle.drain(..free));
        let more = (self.give as usize).min(beyond - free).min(idle.len());
        chosen.extend((0..more).map(|turn| idle[turn * idle.len() / more]));
        chosen
    }
}

/// Milliseconds, rounded up.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
