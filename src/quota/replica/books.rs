//! What a replica reports of one pool, what it gives back, and what it is given.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::moment::Moment;
use super::super::pools::PoolId;
use super::super::slots::Slots;
use super::blocks::{Block, MOST_BLOCKS, ReportTerms, SharedPool, owned};
use super::wire::{AppDemand, PoolGrant, PoolReport};

/// One shared pool, and what the ledger last said of it.
#[derive(Clone, Debug)]
pub(super) struct PoolBooks {
    pub(super) shared: SharedPool,
    pub(super) blocks: u32,
    version: u64,
    pub(super) target: u32,
    give: u32,
    hot: bool,
    /// What is given back shall be what comes back first.
    soon: bool,
    /// Of the target, what is for interactive calls.
    pub(super) interactive: u32,
    shares: BTreeMap<String, f64>,
    /// The settings were loaded, and the ledger has not said yet what it knew of the limit.
    loaded: bool,
    /// It is to be shared no more: everything goes back, as its calls end.
    retired: bool,
    /// Still held, but what comes free of it is used no more, so that the whole can go back: when
    /// its slots that are out already are free. Blocks of one slot are never in here.
    draining: Vec<(u32, Moment)>,
    /// On their way back: usable nowhere until a reply confirms it.
    returning: Vec<(u32, Moment)>,
}

impl PoolBooks {
    pub(super) fn new(shared: SharedPool) -> Self {
        Self {
            blocks: shared.blocks(),
            version: shared.version,
            shared,
            target: 0,
            give: 0,
            hot: false,
            soon: false,
            interactive: 0,
            shares: BTreeMap::new(),
            loaded: true,
            retired: false,
            draining: Vec::new(),
            returning: Vec::new(),
        }
    }

    pub(super) const fn hot(&self) -> bool {
        self.hot
    }

    /// How many slots each app may fill here, as the ledger last said.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        let size = f64::from(self.shared.size());
        self.shares.iter().map(move |(app, blocks)| (app.as_str(), blocks * size))
    }

    /// New settings of the limit.
    pub(super) fn limit(&mut self, calls: u32, version: u64) {
        (self.shared.calls, self.shared.version) = (calls, version);
        if version > self.version {
            (self.blocks, self.version) = (self.shared.blocks(), version);
        }
    }

    /// The same for settings that were loaded here: they are newer than what the ledger knows.
    pub(super) fn relimit(&mut self, calls: u32) {
        match self.loaded {
            true => {
                self.shared.calls = calls;
                self.blocks = self.shared.blocks();
            }
            false => self.limit(calls, self.version + 1),
        }
    }

    /// From now on everything goes back.
    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    pub(super) const fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether it was retired, and all of it has gone back.
    pub(super) fn is_gone(&self, slots: &Slots) -> bool {
        self.retired && self.returning.is_empty() && slots.limit() == 0
    }

    /// Whether a request that is made now would move a block back that shall go soon.
    pub(super) fn owes(&self, slots: &Slots, terms: &ReportTerms) -> bool {
        let owned = owned(&self.shared, slots, terms);
        let has = owned.len();
        let asked = self.give as usize > self.draining.len() && has > self.target as usize;
        owned.iter().any(|block| match self.drains(block.id) {
            true => block.busy == 0,
            false => (block.id >= self.blocks || asked) && (block.busy == 0 || self.splits()),
        })
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
        let owned = owned(&self.shared, slots, terms);
        let leaving = terms.leaving || self.retired;
        let apps = if leaving { Vec::new() } else { apps };
        for block in self.chosen(&owned, leaving) {
            self.draining.push((block.id, Moment::ZERO));
        }
        self.drain(slots, &owned, freed);
        let kept = owned.iter().filter(|b| !self.returning.iter().any(|(id, _)| *id == b.id));
        // A call in use may come back unsent and free its slot at once: it counts as usable.
        let worst = |b: &Block| match b.usable || b.busy > 0 {
            true => millis(terms.trace),
            false => millis(b.until.since(terms.now)),
        };
        let rests = self.returning.iter().map(|(id, until)| (*id, millis(until.since(terms.now))));
        PoolReport {
            pool: self.shared.name.clone(),
            blocks: self.blocks,
            version: self.version,
            hold: kept.map(|b| (b.id, worst(b))).collect(),
            ret: rests.collect(),
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
        let known = said.version >= self.version && said.blocks <= MOST_BLOCKS;
        let other = self.loaded && known && said.blocks != self.shared.blocks();
        if other {
            (self.blocks, self.version) = (self.shared.blocks(), said.version + 1);
        } else if known {
            (self.blocks, self.version) = (said.blocks, said.version);
        }
        (self.loaded, self.soon) = (false, said.soon > 0);
        self.interactive = said.interactive;
        (self.target, self.give, self.hot) = (said.target, said.give, said.hot > 0 || other);
        self.shares.clone_from(&said.shares);
        for id in &said.lost {
            self.draining.retain(|(draining, _)| draining != id);
            slots.disown(self.shared.slots_of(*id), |owner| freed(self.shared.id, owner));
        }
        for (id, rest) in said.grant.iter().filter(|(id, _)| *id < MOST_BLOCKS) {
            slots.adopt(self.shared.slots_of(*id), now + Duration::from_millis(*rest), now);
        }
    }

    /// The ledger knows nothing of what is on its way back.
    pub(super) fn forget_returns(&mut self) {
        self.returning.clear();
    }

    /// Every block is someone else's.
    pub(super) fn forget_all(&mut self, slots: &mut Slots, freed: &mut impl FnMut(PoolId, u32)) {
        self.returning.clear();
        self.draining.clear();
        slots.disown(0..u32::MAX, |owner| freed(self.shared.id, owner));
        (self.target, self.give, self.hot) = (0, 0, false);
        self.shares.clear();
    }

    /// Takes idle slots of draining blocks out; a block without any other goes back.
    fn drain(&mut self, slots: &mut Slots, owned: &[Block], freed: &mut impl FnMut(PoolId, u32)) {
        let mut left = Vec::new();
        for (id, until) in std::mem::take(&mut self.draining) {
            let Some(block) = owned.iter().find(|block| block.id == id) else { continue };
            slots.disown_idle(self.shared.slots_of(id), |owner| freed(self.shared.id, owner));
            match block.busy {
                0 => self.returning.push((id, until.max(block.until))),
                _ => left.push((id, until.max(block.until))),
            }
        }
        self.draining = left;
    }

    /// Whether a block may be in use in part.
    fn splits(&self) -> bool {
        self.shared.size() > 1
    }

    fn drains(&self, id: u32) -> bool {
        self.draining.iter().any(|(draining, _)| *draining == id)
    }

    /// The blocks that go back from now on: those beyond the limit, free ones beyond the target,
    /// and of the rest as many as the ledger asks for: those that ripen first if interactive calls wait
    /// for them, else so spread that what stays ripens evenly. A
    /// block of several slots may still be in use then: while calls wait it would never be idle.
    fn chosen(&self, owned: &[Block], leaving: bool) -> Vec<Block> {
        let goes = |block: &Block| block.busy == 0 || self.splits();
        let rest = owned.iter().filter(|block| !self.drains(block.id)).copied();
        let (mut chosen, mut rest): (Vec<Block>, Vec<Block>) =
            rest.partition(|block| (leaving || block.id >= self.blocks) && goes(block));
        if leaving {
            return chosen;
        }
        let leave = self.draining.len() + chosen.len();
        let mut beyond = owned.len().saturating_sub(leave + self.target as usize);
        rest.sort_by_key(|block| (block.busy, block.until, block.id));
        let free = rest.iter().take_while(|b| b.busy == 0 && b.until == Moment::ZERO).count();
        let free = free.min(beyond);
        chosen.extend(rest.drain(..free));
        beyond -= free;
        let asked = (self.give as usize).saturating_sub(self.draining.len()).min(beyond);
        let idle = rest.iter().take_while(|block| block.busy == 0).count();
        let more = asked.min(idle);
        let spread = |turn| if self.soon { turn } else { turn * idle / more };
        chosen.extend((0..more).map(|turn| rest[spread(turn)]));
        chosen.extend(rest[idle..].iter().filter(|b| goes(b)).take(asked - more));
        chosen
    }
}

/// Milliseconds, rounded up.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
