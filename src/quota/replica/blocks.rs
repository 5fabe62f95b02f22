//! Blocks: slots that move together between replicas. A block is in use while one of its slots is.

use std::ops::Range;
use std::time::Duration;

use super::super::moment::Moment;
use super::super::pools::PoolId;
use super::super::slots::{SlotState, Slots};

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
    /// Whole blocks: what is left of the division stays unused, and a limit that was lowered below
    /// one block lets no call start.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        (self.calls / self.size()).min(MOST_BLOCKS)
    }

    pub(super) fn size(&self) -> u32 {
        self.block.max(1)
    }

    pub(super) fn slots_of(&self, block: u32) -> Range<u32> {
        let first = block.saturating_mul(self.size());
        first..first.saturating_add(self.size())
    }
}

/// How many slots move together: about 128 blocks are enough for anybody's share.
#[must_use]
pub const fn block_size(calls: u32) -> u32 {
    if calls <= 128 { 1 } else { calls.div_ceil(128) }
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

/// What one block does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) id: u32,
    /// Slots in use.
    pub(super) busy: u32,
    /// The latest end of a rest; [`Moment::ZERO`] if none of its slots rests.
    pub(super) until: Moment,
    /// Whether a call may start on it before the lease ends.
    pub(super) usable: bool,
}

/// The blocks of which this replica has slots, by number.
pub(super) fn owned(shared: &SharedPool, slots: &Slots, terms: &ReportTerms) -> Vec<Block> {
    let ends = terms.now + terms.lease;
    let mut owned: Vec<Block> = Vec::new();
    for (slot, state) in (0..).zip(slots.states()) {
        let (busy, until) = match state {
            SlotState::Absent => continue,
            SlotState::Free => (0, Moment::ZERO),
            SlotState::InUse(_) => (1, Moment::ZERO),
            SlotState::Resting(until) => (0, until),
        };
        let usable = busy == 0 && until <= ends;
        let id = slot / shared.size();
        match owned.last_mut() {
            Some(block) if block.id == id => {
                block.busy += busy;
                block.until = block.until.max(until);
                block.usable |= usable;
            }
            _ => owned.push(Block { id, busy, until, usable }),
        }
    }
    owned
}
