//! The files of one tenant's pools.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use super::store::SlotStore;
use crate::clock::Instant;
use crate::quota::state_file::{self, FileClocks, Header};
use crate::quota::{PoolId, Quota};

/// See the module text.
pub(super) struct SlotJournal {
    store: SlotStore,
    base: Instant,
    files: HashMap<PoolId, PoolFile>,
    /// Pools whose files were given up.
    given_up: HashSet<PoolId>,
}

struct PoolFile {
    pool: PoolId,
    file: File,
    header: Header,
}

impl SlotJournal {
    pub(super) fn new(store: SlotStore, base: Instant) -> Self {
        Self { store, base, files: HashMap::new(), given_up: HashSet::new() }
    }

    /// How many files can't be written, or are not in the folder any more. One that was removed
    /// from a folder that stands is written anew.
    pub(super) fn unwritten(&mut self, quota: &Quota) -> usize {
        if !self.store.stands() {
            return self.files.len() + self.given_up.len();
        }
        let removed = self.files.values().filter(|file| file.is_removed());
        let removed: Vec<(PoolId, String)> =
            removed.map(|file| (file.pool, file.header.name.clone())).collect();
        for (pool, name) in removed {
            tracing::warn!(
                file = name,
                "slot state was removed from its folder: it is written anew"
            );
            self.open(pool, &name, quota);
        }
        self.given_up.len()
    }

    pub(super) fn store(&self) -> &SlotStore {
        &self.store
    }

    /// Begins the file `name` of a pool, in place of what is there. If it can't be written that is
    /// said, and it is removed: the index knows of it, so that the next process takes the pool's
    /// past for unknown.
    pub(super) fn open(&mut self, pool: PoolId, name: &str, quota: &Quota) {
        self.forget(pool);
        match self.create(pool, name, quota) {
            Ok(file) => drop(self.files.insert(pool, file)),
            Err(error) => {
                give_up(&self.store, name, &error);
                self.given_up.insert(pool);
            }
        }
    }

    fn create(&self, pool: PoolId, name: &str, quota: &Quota) -> std::io::Result<PoolFile> {
        if !self.store.stands() {
            return Err(std::io::Error::other("the folder is not the one of the start any more"));
        }
        let clocks = self.store.clocks(self.base);
        let known = quota.pools().get(pool).ok_or_else(|| std::io::Error::other("no such pool"))?;
        let states: Vec<_> = known.slots.states().collect();
        let header = Header {
            name: name.to_owned(),
            rest: *known.slots.rest(),
            longest: state_file::longest(states.iter().copied(), clocks.now),
            slots: u32::try_from(states.len()).unwrap_or(u32::MAX),
            closed: false,
        };
        let mut bytes = encode(&header, &clocks)?;
        for (slot, state) in (0..).zip(states) {
            bytes.extend_from_slice(&state_file::record(slot, state, &clocks));
        }
        // In place and in one write: a process that is killed has done it or not. Not synced: after
        // a power loss only a file that was closed counts.
        let path = self.store.file(name);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        Ok(PoolFile { pool, file, header })
    }

    /// Forgets a pool that is no more.
    pub(super) fn forget(&mut self, pool: PoolId) {
        self.files.remove(&pool);
        self.given_up.remove(&pool);
    }

    /// Writes what `slots` do now. A file that can't be written is given up.
    pub(super) fn write(&mut self, quota: &Quota, slots: Vec<(PoolId, u32)>) {
        let clocks = self.store.clocks(self.base);
        for (pool, slot) in slots {
            let Some(file) = self.files.get_mut(&pool) else { continue };
            if let Err(error) = file.write(quota, slot, &clocks) {
                give_up(&self.store, &file.header.name, &error);
                self.files.remove(&pool);
                self.given_up.insert(pool);
            }
        }
    }

    /// The process ends in order.
    pub(super) fn close(&mut self) {
        let clocks = self.store.clocks(self.base);
        for file in self.files.values_mut() {
            file.header.closed = true;
            let closed = file.head(&clocks).and_then(|()| file.file.sync_all());
            if let Err(error) = closed {
                tracing::error!(file = file.header.name, cause = %error, "slot state can't be closed");
            }
        }
    }
}

/// A file that misses a take would free its slot too early: better none.
fn give_up(store: &SlotStore, name: &str, error: &std::io::Error) {
    tracing::error!(file = name, cause = %error, "slot state can't be written: after a restart the pool rests");
    let removed = fs::remove_file(store.file(name));
    if let Err(error) = removed
        .as_ref()
        .err()
        .filter(|e| e.kind() != std::io::ErrorKind::NotFound)
        .map_or(Ok(()), Err)
    {
        tracing::error!(file = name, cause = %error, "and its file can't be removed");
    }
}

impl PoolFile {
    fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    fn write(&mut self, quota: &Quota, slot: u32, clocks: &FileClocks) -> std::io::Result<()> {
        let record = state_file::record(slot, quota.slot(self.pool, slot), clocks);
        self.file.write_all_at(&record, state_file::offset(slot))?;
        if slot >= self.header.slots {
            // Records between the old end and this one are of slots that were never used.
            for between in self.header.slots..slot {
                let record = state_file::record(between, quota.slot(self.pool, between), clocks);
                self.file.write_all_at(&record, state_file::offset(between))?;
            }
            self.header.slots = slot + 1;
            self.head(clocks)?;
        }
        Ok(())
    }

    fn head(&self, clocks: &FileClocks) -> std::io::Result<()> {
        self.file.write_all_at(&encode(&self.header, clocks)?, 0)
    }
}

fn encode(header: &Header, clocks: &FileClocks) -> std::io::Result<Vec<u8>> {
    let too_long = || std::io::Error::other("the name of the file is too long");
    header.encode(clocks).map(Vec::from).ok_or_else(too_long)
}
