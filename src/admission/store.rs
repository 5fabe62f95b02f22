//! The state folder: what slots did before this process.
//!
//! One file a pool, written in place after each take and settle; the page cache outlives a killed
//! process. Files have random names; the [`index`] says which connection pays which pool
//! and where its file is. So slots are found again whatever connections, workspaces
//! and pools are called by then, and a file that is missing is told from a pool that is new. A lock
//! keeps a second process out.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::identity::{Identity, IdentityKey};
use super::index::{self, IndexEntry};
use super::timebase::moment;
use crate::catalog::CONNECTION_POOL;
use crate::clock::{self, Instant};
use crate::quota::slots::RestRule;
use crate::quota::state_file::{self, FileClocks};
use crate::quota::{Moment, Past, PoolSettings};

/// The file that says whose the folder is.
const LOCK: &str = "lock";

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
pub struct SlotStore(Arc<Folder>);

struct Folder {
    path: PathBuf,
    boot: [u8; 16],
    assume: Option<Assume>,
    key: IdentityKey,
    opened: Instant,
    /// There are slots in the folder of which nobody knows whose they are.
    strange: bool,
    /// A part of the index is missing: what it says of a connection may not be all.
    cut: bool,
    /// std, not tokio: changed by a start, a reload or a new token only.
    index: Mutex<Index>,
    /// The index could not be written the last time.
    index_fails: AtomicBool,
    /// Which file the lock is; it is kept open for its lock.
    place: (u64, u64),
    _lock: File,
}

struct Index {
    /// What an earlier process left, as far as nobody has claimed it; in the order of tokens.
    left: Vec<IndexEntry>,
}

/// A connection that looks for what an earlier process left of it.
pub(super) struct Seeker<'a> {
    pub(super) identity: Identity,
    pub(super) connection: &'a str,
    /// Where its token stands.
    pub(super) place: Identity,
    /// Every token of the configuration: what they left is theirs.
    pub(super) others: &'a HashSet<Identity>,
}

impl Seeker<'_> {
    /// Whether the token of `entry` is nobody's now.
    fn is_free(&self, entry: &IndexEntry) -> bool {
        !self.others.contains(&entry.identity)
    }
}

impl SlotStore {
    /// Makes `path` ours. `assume` overrides what is found there.
    ///
    /// # Errors
    /// What is wrong with the folder: it can't be written, or another process uses it.
    pub fn open(path: &Path, assume: Option<Assume>) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("state folder '{}': {error}", path.display());
        fs::create_dir_all(path).map_err(wrong)?;
        let lock =
            OpenOptions::new().create(true).write(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("state folder '{}': another process uses it", path.display()));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let (key, made) = IdentityKey::of_file(&path.join("key")).map_err(wrong)?;
        let files = slot_files(path).map_err(wrong)?;
        let (mut left, whole) = match fs::read_to_string(path.join(INDEX)) {
            Ok(text) => index::read(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), true),
            Err(error) => return Err(wrong(error)),
        };
        left.sort_unstable_by_key(|entry| entry.identity);
        let named: HashSet<&String> = left.iter().map(|entry| &entry.file).collect();
        let strange = !files.iter().all(|file| named.contains(file)) || (made && !left.is_empty());
        let folder = Folder {
            path: path.to_owned(),
            boot: clock::boot_id(),
            assume,
            key,
            opened: Instant::now(),
            strange: strange || [OLD_INDEX, LENT].iter().any(|name| path.join(name).exists()),
            cut: !whole,
            index: Mutex::new(Index { left }),
            index_fails: AtomicBool::new(false),
            place: lock.metadata().map(|lock| place(&lock)).map_err(wrong)?,
            _lock: lock,
        };
        Ok(Self(Arc::new(folder)))
    }

    /// True if the index could not be written the last time.
    pub(super) fn index_fails(&self) -> bool {
        self.0.index_fails.load(Ordering::Relaxed)
    }

    /// Whether the folder is still the one that was made ours: neither removed nor replaced.
    /// Another process may have a new one.
    pub(super) fn stands(&self) -> bool {
        let here = fs::metadata(self.0.path.join(LOCK));
        here.is_ok_and(|here| place(&here) == self.0.place)
    }

    /// The key of the identities in this folder.
    pub(super) fn key(&self) -> &IdentityKey {
        &self.0.key
    }

    pub(super) fn clocks(&self, base: Instant) -> FileClocks {
        FileClocks {
            boot: self.0.boot,
            now: moment(base, Instant::now()),
            boottime: clock::boottime(),
            wall: clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path.join(format!("{name}{SLOTS}"))
    }

    /// The tokens by which the connection went that are nobody's now.
    pub(super) fn former(&self, seeker: &Seeker<'_>) -> Vec<Identity> {
        let index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
        let claimed = claimed(&index.left, seeker).filter(|entry| seeker.is_free(entry));
        let mut former: Vec<Identity> = claimed.map(|entry| entry.identity).collect();
        former.sort_unstable();
        former.dedup();
        former
    }

    /// What is known of the past of a pool, as all of `seekers` left it that pay it.
    pub(super) fn past(
        &self,
        seekers: &[Seeker<'_>],
        pool: &PoolSettings,
        own: bool,
        base: Instant,
    ) -> Past {
        let rest = RestRule::of(pool.window, pool.hard_limit);
        match self.0.assume {
            Some(Assume::Fresh) => return Past::Fresh,
            Some(Assume::Used) => {
                let until = rest.after_answer(moment(base, self.0.opened));
                return Past::Resting(vec![until; pool.calls as usize]);
            }
            None => {}
        }
        let name = if own { CONNECTION_POOL } else { &pool.name };
        let mut sources = BTreeSet::new();
        for seeker in seekers {
            match self.sources(seeker, name) {
                Some(found) => sources.extend(found),
                None => {
                    return self.unknown(
                        seeker,
                        name,
                        "nobody knows whose the slots in the folder are",
                    );
                }
            }
        }
        let clocks = self.clocks(base);
        let mut until = Vec::new();
        for file in &sources {
            let bytes = fs::read(self.file(file)).map_err(|error| error.to_string());
            let rests = bytes.and_then(|bytes| {
                state_file::decode(&bytes, file, &rest, &clocks).map_err(|error| error.to_string())
            });
            match rests {
                Ok(rests) => until.extend(rests),
                Err(reason) => return self.unknown(&seekers[0], name, &reason),
            }
        }
        if sources.is_empty() { Past::Fresh } else { Past::Resting(until) }
    }

    fn unknown(&self, seeker: &Seeker<'_>, pool: &str, reason: &str) -> Past {
        tracing::error!(
            connection = seeker.connection,
            pool,
            reason,
            "slot state unknown: the pool rests"
        );
        Past::Unknown
    }

    /// The moment from which on an unknown past counts.
    pub(super) fn opened(&self, base: Instant) -> Moment {
        moment(base, self.0.opened)
    }

    /// The files that tell a pool's past; none when the connection is new, `None` when that can't be
    /// known.
    fn sources(&self, seeker: &Seeker<'_>, name: &str) -> Option<Vec<String>> {
        if self.0.cut {
            return None;
        }
        let index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mine: Vec<&IndexEntry> = claimed(&index.left, seeker).collect();
        if mine.is_empty() {
            return if self.0.strange { None } else { Some(Vec::new()) };
        }
        // A pool that it did not pay before: the vendor may have counted there whatever it paid.
        let exact = mine.iter().any(|entry| entry.pool == name);
        let told = mine.into_iter().filter(|entry| !exact || entry.pool == name);
        Some(told.map(|entry| entry.file.clone()).collect())
    }

    /// Writes the index: `live` is what this process keeps. What earlier ones left stays until it
    /// is claimed or its rests are over; then its files go, and all others that nobody knows.
    pub(super) fn keep(&self, mut live: Vec<IndexEntry>, base: Instant) {
        live.sort_unstable();
        let mut index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
        let known: HashSet<Identity> = live.iter().map(|entry| entry.identity).collect();
        let clocks = self.clocks(base);
        let names: HashSet<String> = live.iter().map(|entry| entry.file.clone()).collect();
        index.left.retain(|entry| !known.contains(&entry.identity));
        // All of a token's pools stay as long as one of them rests: one that is left out would
        // count as never paid.
        let rest = index
            .left
            .iter()
            .filter(|entry| names.contains(&entry.file) || self.rests(&entry.file, &clocks));
        let rest: HashSet<Identity> = rest.map(|entry| entry.identity).collect();
        index.left.retain(|entry| rest.contains(&entry.identity));
        let entries = live.iter().chain(&index.left);
        let names: HashSet<&str> = entries.clone().map(|entry| entry.file.as_str()).collect();
        let text = index::text(entries.clone());
        let written = self.write_index(&text);
        self.0.index_fails.store(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written {
            tracing::error!(cause = %error, "the index of the state folder can't be written");
        }
        let remove = |path: PathBuf| {
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!(file = %path.display(), cause = %error, "an old state file can't be removed");
            }
        };
        for file in slot_files(&self.0.path).unwrap_or_default() {
            if !names.contains(file.as_str()) {
                remove(self.file(&file));
            }
        }
        for old in [OLD_INDEX, LENT].map(|name| self.0.path.join(name)) {
            if old.exists() {
                remove(old);
            }
        }
    }

    /// From now on a ledger lends the slots: what is in the folder says nothing of them, and a
    /// process that comes back to it takes all for used. True if slots of the folder may still rest.
    ///
    /// # Errors
    /// What can't be written or removed.
    pub fn hand_over(&self) -> std::io::Result<bool> {
        let clocks = self.clocks(self.0.opened);
        let files = slot_files(&self.0.path)?;
        let rests = self.0.strange && !self.0.path.join(LENT).exists();
        let rests = rests || files.iter().any(|file| self.rests(file, &clocks));
        File::create(self.0.path.join(LENT))?.sync_all()?;
        for file in files {
            fs::remove_file(self.file(&file))?;
        }
        match fs::remove_file(self.0.path.join(INDEX)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(rests),
        }
    }

    /// Whether a call that a file tells of may still count; unknown counts as yes.
    fn rests(&self, file: &str, clocks: &FileClocks) -> bool {
        let none = RestRule {
            window: std::time::Duration::ZERO,
            guard: std::time::Duration::ZERO,
            hard_limit: std::time::Duration::ZERO,
        };
        let Ok(bytes) = fs::read(self.file(file)) else { return true };
        match state_file::decode(&bytes, file, &none, clocks) {
            Ok(until) => until.into_iter().any(|until| until > clocks.now),
            Err(_) => true,
        }
    }

    fn write_index(&self, text: &str) -> std::io::Result<()> {
        let path = self.0.path.join(INDEX);
        if fs::read_to_string(&path).is_ok_and(|written| written == text) {
            return Ok(());
        }
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

const INDEX: &str = "slots.index";
const SLOTS: &str = ".slots";
/// Of the first version. Nobody knows whose its files are.
const OLD_INDEX: &str = "index";
/// The slots were lent by a ledger, and this folder knows nothing of them.
const LENT: &str = "lent";

/// What is left of the seeker: under its token, else what is nobody's now under its name, else
/// where its token stands, else what others have of these. In `placing` a reload goes by the same
/// order.
fn claimed<'a>(
    left: &'a [IndexEntry],
    seeker: &'a Seeker<'_>,
) -> impl Iterator<Item = &'a IndexEntry> {
    type Rule = fn(&IndexEntry, &Seeker<'_>) -> bool;
    let rules: [Rule; 3] = [
        |entry, seeker| entry.connection == seeker.connection && seeker.is_free(entry),
        |entry, seeker| entry.place == Some(seeker.place) && seeker.is_free(entry),
        |entry, seeker| entry.connection == seeker.connection || entry.place == Some(seeker.place),
    ];
    // Nearly always under its token, so that a start with many connections is quick.
    let from = left.partition_point(|entry| entry.identity < seeker.identity);
    let count = left[from..].partition_point(|entry| entry.identity == seeker.identity);
    let others = if count == 0 { left } else { &[] };
    let rule = rules.into_iter().find(|rule| others.iter().any(|entry| rule(entry, seeker)));
    let others = others.iter().filter(move |entry| rule.is_some_and(|rule| rule(entry, seeker)));
    left[from..from + count].iter().chain(others)
}

/// Which file it is, whatever its name.
fn place(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// The names of all files of slots in a folder.
fn slot_files(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        files.extend(name.to_str().and_then(|name| name.strip_suffix(SLOTS)).map(String::from));
    }
    Ok(files)
}
