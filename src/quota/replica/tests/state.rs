//! What the model of the ledger keeps.

use std::collections::BTreeMap;

use super::super::AppDemand;

pub(super) const STEP: i64 = 2000;
pub(super) const THETA: i64 = 250;
pub(super) const SIGHT: i64 = 15_000;
pub(super) const GAMMA: i64 = 500;
pub(super) const POOL: i64 = 0;
pub(super) const UNCLAIMED: i64 = -1;

/// The state of one connection.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) incarnation: String,
    pub(super) epoch: String,
    pub(super) number: u64,
    pub(super) time: i64,
    pub(super) raw: i64,
    pub(super) clock: i64,
    pub(super) usable_from: i64,
    pub(super) last_id: i64,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) pools: BTreeMap<String, LedgerPool>,
}

/// One block: who has it, when it is usable if it was not used since, when if its owner vanishes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) owner: i64,
    pub(super) idle_from: i64,
    pub(super) dead_from: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct LedgerPool {
    pub(super) blocks: u32,
    pub(super) version: u64,
    pub(super) places: Vec<Place>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) seq: u64,
    pub(super) raw: i64,
    pub(super) ends: i64,
    pub(super) granted: BTreeMap<String, Vec<usize>>,
    pub(super) apps: BTreeMap<String, Vec<AppDemand>>,
}

pub(super) fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}
