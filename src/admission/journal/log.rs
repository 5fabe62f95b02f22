//! What is to be written to the file of one pool, and who writes it.
//!
//! Two locks, so that nobody who only notes something waits for a disk. One is of what is noted: it
//! is taken under the tenant's lock, which gives the order. The other is of the file: whoever has
//! it writes until nothing is noted. The tenant's lock is never awaited under either of them.
//!
//! Of a slot only the latest state is kept. So a take is never followed in the file by what was
//! before it, and no more is kept than the pool has slots, however long a write takes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::super::store::SlotStore;
use super::file::{PoolFile, give_up};
use crate::clock::Instant;
use crate::quota::slots::{RestRule, SlotState};

/// See the module text.
pub(crate) struct SlotLog {
    name: String,
    store: SlotStore,
    base: Instant,
    noted: Mutex<Noted>,
    /// None if it was given up, or if nothing was written yet.
    file: Mutex<Option<PoolFile>>,
}

/// What is not written yet.
#[derive(Default)]
struct Noted {
    /// The file is to begin anew, with this.
    whole: Option<(RestRule, Vec<SlotState>)>,
    /// What slots do since then, by their numbers.
    slots: BTreeMap<u32, SlotState>,
}

enum Next {
    Whole((RestRule, Vec<SlotState>)),
    Slot(u32, SlotState),
}

impl SlotLog {
    pub(super) fn new(name: &str, store: SlotStore, base: Instant) -> Self {
        let (noted, file) = (Mutex::default(), Mutex::default());
        Self { name: name.to_owned(), store, base, noted, file }
    }

    /// The name of its file.
    pub(in crate::admission) fn name(&self) -> &str {
        &self.name
    }

    /// Notes that the file is to begin anew, with all slots of the pool.
    pub(super) fn begin(&self, rest: RestRule, states: Vec<SlotState>) {
        *self.noted() = Noted { whole: Some((rest, states)), slots: BTreeMap::new() };
    }

    /// Notes what a slot does.
    pub(super) fn note(&self, slot: u32, state: SlotState) {
        self.noted().slots.insert(slot, state);
    }

    /// Writes all that is noted. Waits for whoever writes now: that may be what was noted here.
    pub(super) fn write(&self) {
        self.drain(&mut self.file());
        self.have_written();
    }

    /// Writes all that is noted, unless somebody else does.
    pub(super) fn have_written(&self) {
        // Again after each turn: what is noted while somebody writes is left to them, and they may
        // have looked for the last time.
        while !self.noted().is_empty() {
            match self.file.try_lock() {
                Ok(mut file) => self.drain(&mut file),
                Err(TryLockError::Poisoned(file)) => self.drain(&mut file.into_inner()),
                Err(TryLockError::WouldBlock) => return,
            }
        }
    }

    /// Writes all that is noted, says that the file is whole, and syncs it.
    pub(in crate::admission) fn close(&self) {
        let mut file = self.file();
        self.drain(&mut file);
        let clocks = self.store.clocks(self.base);
        if let Some(Err(error)) = file.as_mut().map(|file| file.close(&clocks)) {
            tracing::error!(file = self.name, cause = %error, "slot state can't be closed");
        }
    }

    /// Whether its file is not in its folder any more.
    pub(in crate::admission) fn is_removed(&self) -> bool {
        self.file().as_ref().is_some_and(PoolFile::is_removed)
    }

    /// Whether its file can't be written.
    pub(in crate::admission) fn is_given_up(&self) -> bool {
        self.file().is_none() && self.noted().whole.is_none()
    }

    fn drain(&self, file: &mut Option<PoolFile>) {
        self.each(|next| self.put(file, next));
    }

    /// Gives what is noted to `write`, one after the other. Meanwhile more can be noted.
    fn each(&self, mut write: impl FnMut(Next)) {
        let next = || self.noted().next();
        while let Some(next) = next() {
            write(next);
        }
    }

    /// Writes to the file. One that can't be written is given up.
    fn put(&self, file: &mut Option<PoolFile>, next: Next) {
        let clocks = self.store.clocks(self.base);
        let written = match (next, file.as_mut()) {
            (Next::Whole(content), _) => {
                PoolFile::create(&self.store, &self.name, content, &clocks)
                    .map(|new| *file = Some(new))
            }
            (Next::Slot(slot, state), Some(file)) => file.write(slot, state, &clocks),
            (Next::Slot(..), None) => Ok(()),
        };
        if let Err(error) = written {
            give_up(&self.store, &self.name, &error);
            *file = None;
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> MutexGuard<'_, Option<PoolFile>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn is_empty(&self) -> bool {
        self.whole.is_none() && self.slots.is_empty()
    }

    fn next(&mut self) -> Option<Next> {
        let whole = self.whole.take().map(Next::Whole);
        whole.or_else(|| self.slots.pop_first().map(|(slot, state)| Next::Slot(slot, state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomId;
    use crate::quota::Moment;

    impl SlotLog {
        /// As long as this is held, a write takes.
        pub(in crate::admission) fn block(&self) -> impl Drop + use<'_> {
            self.file()
        }
    }

    #[test]
    fn while_a_slot_is_written_more_is_noted_and_the_latest_is_written_last() {
        let folder = std::env::temp_dir().join(format!("tollgate-log-{}", RandomId::new()));
        let store = SlotStore::open(&folder, None).unwrap();
        let log = SlotLog::new("file", store, Instant::now());
        let states = [1, 2, 3].map(|at| SlotState::InUse(Moment::from_nanos(at)));
        log.note(7, states[0]);
        log.note(7, states[1]);
        let mut written = Vec::new();
        log.each(|next| {
            assert!(log.noted.try_lock().is_ok(), "the tenant's lock would wait for this");
            if let Next::Slot(slot, state) = next {
                written.push((slot, state));
                if state == states[1] {
                    log.note(7, states[2]);
                }
            }
        });
        assert_eq!(written, [(7, states[1]), (7, states[2])]);
    }
}
