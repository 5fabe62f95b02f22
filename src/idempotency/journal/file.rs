//! The file of the journal, in the state folder. The page cache outlives a killed process, so a row
//! is one write and is not synced.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::made::{ROWS, Remembered, TIME};
use super::{Clocks, ROW, RowSink, decode, header, offset, row};
use crate::clock::{self, Instant};
use crate::targets;

/// The file's name.
const NAME: &str = "made-keys";

/// Only the owner may read the file, since anybody who knows a made key can send it again.
const MODE: u32 = 0o600;

/// The open file. No other process uses it, because the one that opens it holds the lock of its
/// folder.
pub(in super::super) struct KeyJournal {
    file: File,
    boot: [u8; 16],
    /// True if the last write failed.
    fails: Arc<AtomicBool>,
}

impl KeyJournal {
    /// Opens the file in `folder`, and returns its rows.
    ///
    /// # Errors
    /// The file can't be read or written; the text says why.
    pub(in super::super) fn open(folder: &Path) -> Result<(Self, Vec<(u32, Remembered)>), String> {
        let path = folder.join(NAME);
        Self::read(&path).map_err(|error| format!("made keys '{}': {error}", path.display()))
    }

    fn read(path: &Path) -> std::io::Result<(Self, Vec<(u32, Remembered)>)> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(MODE);
        let mut file = options.open(path)?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut bytes = Vec::new();
        (&mut file).take((ROW * (ROWS + 1)) as u64).read_to_end(&mut bytes)?;
        let journal = Self { file, boot: clock::boot_id(), fails: Arc::default() };
        match decode(&bytes, TIME, &journal.clocks()) {
            Some(found) => {
                if found.damaged > 0 {
                    let rows = found.damaged;
                    tracing::warn!(target: targets::VENDOR, rows, "made keys are damaged: their retries are new sends");
                }
                Ok((journal, found.rows))
            }
            None => {
                // The file is emptied first: rows of another boot must not come under this boot's
                // header.
                journal.file.set_len(0)?;
                journal.file.write_all_at(&header(journal.boot), 0)?;
                Ok((journal, Vec::new()))
            }
        }
    }

    /// Another handle of the file, to look at it.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub(in super::super) fn file(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// The flag that says whether the last write failed, for those who report it.
    pub(in super::super) fn fails(&self) -> Arc<AtomicBool> {
        self.fails.clone()
    }

    fn clocks(&self) -> Clocks {
        Clocks { boot: self.boot, now: Instant::now(), boottime: clock::boottime() }
    }
}

impl RowSink for KeyJournal {
    /// An error is logged and changes nothing, since the next write may succeed.
    fn write(&mut self, number: u32, known: &Remembered) -> bool {
        let bytes = row(number, known, &self.clocks());
        let written = self.file.write_all_at(&bytes, offset(number));
        let failed_before = self.fails.swap(written.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (&written, failed_before) {
            tracing::error!(target: targets::VENDOR, cause = %error, "made keys can't be written: after a restart their retries are new sends");
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomId;

    #[test]
    fn a_write_that_fails_is_known_until_one_goes_well() {
        let folder = std::env::temp_dir().join(format!("tollgate-keys-{}", RandomId::new()));
        std::fs::create_dir_all(&folder).unwrap();
        let (mut journal, _) = KeyJournal::open(&folder).unwrap();
        let fails = journal.fails();
        let known = Remembered {
            owner: [1; 16],
            print: [2; 32],
            key: RandomId::new(),
            count: 0,
            accepted: false,
            since: Instant::now(),
        };
        assert!(journal.write(0, &known) && !fails.load(Ordering::Relaxed));
        // The file is opened for reading only, so every write fails.
        let whole = std::mem::replace(&mut journal.file, File::open(folder.join(NAME)).unwrap());
        assert!(!journal.write(0, &known) && fails.load(Ordering::Relaxed));
        journal.file = whole;
        assert!(journal.write(0, &known) && !fails.load(Ordering::Relaxed));
    }
}
