//! The file of one pool on the disk.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use super::super::store::SlotStore;
use crate::quota::slots::{RestRule, SlotState};
use crate::quota::state_file::{self, FileClocks, Header};

/// See the module text.
pub(super) struct PoolFile {
    file: File,
    header: Header,
}

impl PoolFile {
    /// Begins the file `name`, in place of what is there.
    pub(super) fn create(
        store: &SlotStore,
        name: &str,
        (rest, states): (RestRule, Vec<SlotState>),
        clocks: &FileClocks,
    ) -> std::io::Result<Self> {
        if !store.stands() {
            return Err(std::io::Error::other("the folder is not the one of the start any more"));
        }
        let header = Header {
            name: name.to_owned(),
            rest,
            longest: state_file::longest(states.iter().copied(), clocks.now),
            slots: u32::try_from(states.len()).unwrap_or(u32::MAX),
            closed: false,
        };
        let mut bytes = encode(&header, clocks)?;
        for (slot, state) in (0..).zip(states) {
            bytes.extend_from_slice(&state_file::record(slot, state, clocks));
        }
        // In place and in one write: a process that is killed has done it or not. Not synced: after
        // a power loss only a file that was closed counts.
        let path = store.file(name);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        Ok(Self { file, header })
    }

    /// Whether it is not in its folder any more.
    pub(super) fn is_removed(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// Writes what a slot does.
    pub(super) fn write(
        &mut self,
        slot: u32,
        state: SlotState,
        clocks: &FileClocks,
    ) -> std::io::Result<()> {
        let record = state_file::record(slot, state, clocks);
        self.file.write_all_at(&record, state_file::offset(slot))?;
        if slot >= self.header.slots {
            // Of slots between the old end and this one nothing was written yet: what they do is
            // still to come.
            for between in self.header.slots..slot {
                let record = state_file::record(between, SlotState::Free, clocks);
                self.file.write_all_at(&record, state_file::offset(between))?;
            }
            self.header.slots = slot + 1;
            self.head(clocks)?;
        }
        Ok(())
    }

    /// Marks it as whole and writes it to the disk.
    pub(super) fn close(&mut self, clocks: &FileClocks) -> std::io::Result<()> {
        self.header.closed = true;
        self.head(clocks)?;
        self.file.sync_all()
    }

    fn head(&self, clocks: &FileClocks) -> std::io::Result<()> {
        self.file.write_all_at(&encode(&self.header, clocks)?, 0)
    }
}

/// A file that misses a take would free its slot too early: better none. The index knows of it, so
/// that the next process takes the pool's past for unknown.
pub(super) fn give_up(store: &SlotStore, name: &str, error: &std::io::Error) {
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

fn encode(header: &Header, clocks: &FileClocks) -> std::io::Result<Vec<u8>> {
    let too_long = || std::io::Error::other("the name of the file is too long");
    header.encode(clocks).map(Vec::from).ok_or_else(too_long)
}
