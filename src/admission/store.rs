//! The state folder: what slots did before this process.
//!
//! One file a pool, written in place at each take and settle; the page cache outlives a killed
//! process. An index names the pools that were ever used, so that a file which is missing is told
//! from a pool that is new. A lock keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::workspace::moment;
use crate::clock::{self, Instant};
use crate::quota::slots::Rest;
use crate::quota::state_file::{self, Clocks, Header};
use crate::quota::{Moment, Past, PoolId, PoolSettings, Quota};

/// What to take a pool's past for, whatever the folder says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Assume {
    /// Nobody called within the last window.
    Fresh,
    /// Every slot was used just now.
    Used,
}

/// A folder that is ours alone while this lives. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Folder>);

struct Folder {
    path: PathBuf,
    boot: [u8; 16],
    assume: Option<Assume>,
    _lock: File,
}

/// The files of one workspace.
pub(super) struct Journal {
    store: Store,
    base: Instant,
    files: Vec<PoolFile>,
}

struct PoolFile {
    pool: PoolId,
    file: File,
    header: Header,
}

impl Store {
    /// Makes `path` ours. `assume` overrides what is found there.
    ///
    /// # Errors
    /// What is wrong with the folder: it can't be written, or another process uses it.
    pub fn open(path: &Path, assume: Option<Assume>) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("state folder '{}': {error}", path.display());
        fs::create_dir_all(path).map_err(wrong)?;
        let lock =
            OpenOptions::new().create(true).write(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("state folder '{}': another process uses it", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let folder = Folder { path: path.to_owned(), boot: boot_id(), assume, _lock: lock };
        Ok(Self(Arc::new(folder)))
    }

    fn clocks(&self, base: Instant) -> Clocks {
        Clocks {
            boot: self.0.boot,
            now: moment(base, Instant::now()),
            boottime: clock::boottime(),
            wall: clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// A path that no name of a pool can lead out of the folder.
    fn file(&self, name: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '+' };
        self.0.path.join(format!("{}.slots", name.chars().map(plain).collect::<String>()))
    }

    fn index(&self) -> PathBuf {
        self.0.path.join("index")
    }

    /// True when the pool was used before, as far as the index knows.
    fn knows(&self, name: &str) -> bool {
        fs::read_to_string(self.index()).is_ok_and(|text| text.lines().any(|line| line == name))
    }

    fn remember(&self, name: &str) -> std::io::Result<()> {
        if self.knows(name) {
            return Ok(());
        }
        let mut index = OpenOptions::new().create(true).append(true).open(self.index())?;
        writeln!(index, "{name}")?;
        index.sync_all()
    }
}

impl Journal {
    pub(super) fn new(store: Store, base: Instant) -> Self {
        Self { store, base, files: Vec::new() }
    }

    /// What is known of a pool's past.
    pub(super) fn past(&self, workspace: &str, pool: &PoolSettings, now: Moment) -> Past {
        let rest = Rest::of(pool.window, pool.hard_limit);
        match self.store.0.assume {
            Some(Assume::Fresh) => return Past::Fresh,
            Some(Assume::Used) => {
                return Past::Resting(vec![rest.after_answer(now); pool.calls as usize]);
            }
            None => {}
        }
        let name = name_of(workspace, &pool.name);
        let unknown = |reason: String| {
            let seconds = rest.after_silence(now).since(now).as_secs();
            tracing::error!(pool = name, reason, seconds, "slot state unknown: the pool rests");
            Past::Unknown
        };
        match fs::read(self.store.file(&name)) {
            Ok(bytes) => {
                match state_file::decode(&bytes, &name, &rest, &self.store.clocks(self.base)) {
                    Ok(resting) => Past::Resting(resting),
                    Err(reason) => unknown(reason.to_string()),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !self.store.knows(&name) => {
                Past::Fresh
            }
            Err(error) => unknown(error.to_string()),
        }
    }

    /// Begins the files of a workspace, in place of those that it has. A file that can't be written is said so, and its pool is not
    /// remembered: the gateway goes on.
    pub(super) fn open(&mut self, workspace: &str, quota: &Quota) {
        self.files.clear();
        for (pool, known) in quota.pools().iter() {
            let name = name_of(workspace, &known.name);
            let header =
                Header { name: name.clone(), rest: *known.slots.rest(), slots: 0, closed: false };
            match self.create(pool, header, quota) {
                Ok(file) => self.files.push(file),
                Err(error) => {
                    tracing::error!(pool = name, cause = %error, "slot state can't be written");
                }
            }
        }
    }

    fn create(&self, pool: PoolId, mut header: Header, quota: &Quota) -> std::io::Result<PoolFile> {
        let clocks = self.store.clocks(self.base);
        let states: Vec<_> =
            quota.pools().get(pool).into_iter().flat_map(|pool| pool.slots.states()).collect();
        header.slots = u32::try_from(states.len()).unwrap_or(u32::MAX);
        let mut bytes = encode(&header, &clocks)?;
        for (slot, state) in (0..).zip(states) {
            bytes.extend_from_slice(&state_file::record(slot, state, &clocks));
        }
        // In place and in one write: a process that is killed has done it or not. Not synced: after a
        // power loss only a file that was closed counts.
        let path = self.store.file(&header.name);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        self.store.remember(&header.name)?;
        Ok(PoolFile { pool, file, header })
    }

    /// Writes what `slots` do now. Errors are said and change nothing: the next write may go through.
    pub(super) fn write(&mut self, quota: &Quota, slots: Vec<(PoolId, u32)>) {
        let clocks = self.store.clocks(self.base);
        for (pool, slot) in slots {
            let Some(file) = self.files.iter_mut().find(|file| file.pool == pool) else { continue };
            if let Err(error) = file.write(quota, slot, &clocks) {
                tracing::error!(pool = file.header.name, cause = %error, "slot state can't be written");
            }
        }
    }

    /// The process ends in order.
    pub(super) fn close(&mut self) {
        let clocks = self.store.clocks(self.base);
        for file in &mut self.files {
            file.header.closed = true;
            let closed = file.head(&clocks).and_then(|()| file.file.sync_all());
            if let Err(error) = closed {
                tracing::error!(pool = file.header.name, cause = %error, "slot state can't be closed");
            }
        }
    }
}

impl PoolFile {
    fn write(&mut self, quota: &Quota, slot: u32, clocks: &Clocks) -> std::io::Result<()> {
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

    fn head(&self, clocks: &Clocks) -> std::io::Result<()> {
        self.file.write_all_at(&encode(&self.header, clocks)?, 0)
    }
}

fn encode(header: &Header, clocks: &Clocks) -> std::io::Result<Vec<u8>> {
    let too_long =
        || std::io::Error::other("the names of workspace and pool are too long together");
    header.encode(clocks).map(Vec::from).ok_or_else(too_long)
}

fn name_of(workspace: &str, pool: &str) -> String {
    format!("{workspace} {pool}")
}

/// The kernel's boot id; zeros where there is none, so that every start is another boot.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or_default().to_be_bytes()
}
