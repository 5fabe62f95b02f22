//! The files of one tenant's pools: which pool has which, and what its slots do.
//!
//! What a slot does is noted under the tenant's lock and written after it, by the thread that noted
//! it. So a write that blocks holds up its thread and those who take a slot of that pool.

mod file;
mod log;

use std::collections::HashMap;
use std::sync::Arc;

use super::store::SlotStore;
use crate::clock::Instant;
use crate::quota::{PoolId, Quota};
pub(super) use log::SlotLog;

/// See the module text.
pub(super) struct SlotJournal {
    store: SlotStore,
    base: Instant,
    logs: HashMap<PoolId, Arc<SlotLog>>,
    /// What was noted since somebody asked, and what nobody's call depends on.
    noted: NotedSlots,
}

/// The files in which something is to be written that was noted.
#[derive(Default)]
pub(super) struct NotedSlots(Vec<Arc<SlotLog>>);

impl NotedSlots {
    /// Writes it: what was noted of a take is in the file after this, so that its call may be sent.
    pub(super) fn write(&self) {
        self.0.iter().for_each(|log| log.write());
    }

    /// Has it written: by whoever writes that file now, or here.
    pub(super) fn have_written(&self) {
        self.0.iter().for_each(|log| log.have_written());
    }

    fn add(&mut self, log: &Arc<SlotLog>) {
        if !self.0.iter().any(|known| Arc::ptr_eq(known, log)) {
            self.0.push(log.clone());
        }
    }
}

impl SlotJournal {
    pub(super) fn new(store: SlotStore, base: Instant) -> Self {
        Self { store, base, logs: HashMap::new(), noted: NotedSlots::default() }
    }

    pub(super) fn store(&self) -> &SlotStore {
        &self.store
    }

    /// All files.
    pub(super) fn logs(&self) -> Vec<(PoolId, Arc<SlotLog>)> {
        self.logs.iter().map(|(pool, log)| (*pool, log.clone())).collect()
    }

    /// Begins the file `name` of a pool, in place of what is there.
    pub(super) fn open(&mut self, pool: PoolId, name: &str, quota: &Quota) {
        let Some(known) = quota.pools().get(pool) else { return };
        let new = || Arc::new(SlotLog::new(name, self.store.clone(), self.base));
        let log = self.logs.entry(pool).or_insert_with(new);
        if log.name() != name {
            *log = new();
        }
        log.begin(*known.slots.rest(), known.slots.states().collect());
        self.noted.add(log);
    }

    /// Forgets a pool that is no more.
    pub(super) fn forget(&mut self, pool: PoolId) {
        self.logs.remove(&pool);
    }

    /// Notes what `slots` do now, for a call that must not be sent before that is written.
    pub(super) fn note(
        &self,
        quota: &Quota,
        slots: impl IntoIterator<Item = (PoolId, u32)>,
    ) -> NotedSlots {
        let mut noted = NotedSlots::default();
        for (pool, slot) in slots {
            let Some(log) = self.logs.get(&pool) else { continue };
            log.note(slot, quota.slot(pool, slot));
            noted.add(log);
        }
        noted
    }

    /// Notes what `slots` do now, for nobody's call.
    pub(super) fn note_for_later(&mut self, quota: &Quota, slots: Vec<(PoolId, u32)>) {
        let noted = self.note(quota, slots);
        noted.0.iter().for_each(|log| self.noted.add(log));
    }

    /// What is to be written as soon as the tenant's lock is free.
    pub(super) fn take_noted(&mut self) -> NotedSlots {
        std::mem::take(&mut self.noted)
    }
}

#[cfg(test)]
mod tests;
