//! All that is remembered of keys, behind its locks. It outlives a reload. With a state folder,
//! what is needed to recognise an SDK's retry outlives a restart, too.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::journal::{JournalWriter, KeyJournal, RowOutcome};
use super::made::{KeyTicket, Made, MadeKey, Remembered, UNCOUNTED};
use super::memory::{Id, Memory};
use super::shared::{SendFate, SharedSends};
use super::waiting::EqualSends;
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};
use crate::ids::RandomId;
use crate::shared::SharedStore;
use crate::single_flight::Crowd;

/// Size (bytes) and time of the memory of keys that clients gave.
const GIVEN: (usize, Duration) = (32 << 20, Duration::from_secs(24 * 3600));

/// The same for answers under keys that the gateway made. The time is that in which an SDK may come
/// back.
const MADE: (usize, Duration) = (8 << 20, Duration::from_secs(300));

/// What is remembered of keys.
pub struct SendKeys {
    /// std, not tokio: each section is a few look-ups; none awaits, none waits for the disk.
    given: Mutex<Memory>,
    answers: Mutex<Memory>,
    made: Mutex<Made>,
    /// Where made keys are written.
    journal: Option<JournalWriter>,
    /// True if the last write of a made key failed.
    unwritten: Arc<AtomicBool>,
    /// The journal's file, to look at it.
    file: Option<File>,
    /// Calls under way, by key.
    pub(super) running: Crowd<Id, ()>,
    /// Calls under way whose retries are recognised because they are equal.
    pub(super) waiting: EqualSends,
    /// What other replicas know.
    pub(super) shared: Option<SharedSends>,
}

impl SendKeys {
    /// An empty memory that does not outlive the process.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None, Vec::new())
    }

    /// A memory that reads the made keys of the last two minutes from the state folder, and writes
    /// them there. The caller holds the folder's lock. Must be called inside the runtime.
    ///
    /// # Errors
    /// The text says what is wrong with the file.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let (journal, rows) = KeyJournal::open(folder)?;
        let unwritten = journal.fails();
        let file = journal.file().map_err(|error| format!("made keys: {error}"))?;
        let keys = Self::with(Some(JournalWriter::new(Box::new(journal))), rows);
        Ok(Self { unwritten, file: Some(file), ..keys })
    }

    pub(super) fn with(journal: Option<JournalWriter>, rows: Vec<(u32, Remembered)>) -> Self {
        Self {
            given: Mutex::new(Memory::new(GIVEN.0, GIVEN.1)),
            answers: Mutex::new(Memory::new(MADE.0, MADE.1)),
            made: Mutex::new(Made::new(rows, Instant::now())),
            journal,
            unwritten: Arc::default(),
            file: None,
            running: Crowd::default(),
            waiting: EqualSends::default(),
            shared: None,
        }
    }

    /// The same memory, which tells other replicas of its sends through `store`. Must be called
    /// inside the runtime.
    #[must_use]
    pub fn sharing(self, store: Option<SharedStore>) -> Self {
        Self { shared: store.map(SharedSends::new), ..self }
    }

    /// Waits for the store for `time`, whatever else the machine does.
    #[cfg(feature = "testing")]
    pub fn waits_for_the_store(&self, time: Duration) {
        if let Some(shared) = &self.shared {
            let _ = shared.patience.set(time);
        }
    }

    /// True if the last write of a made key failed, or the file was removed from its folder.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        let removed = |file: &File| file.metadata().is_ok_and(|file| file.nlink() == 0);
        self.unwritten.load(Ordering::Relaxed) || self.file.as_ref().is_some_and(removed)
    }

    /// Bytes that the memory takes, over all connections.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.memory(true).octets() + self.memory(false).octets() + self.made().octets()
    }

    /// The memory of keys that clients gave, if `given`; else of those that the gateway made.
    pub(super) fn memory(&self, given: bool) -> MutexGuard<'_, Memory> {
        let memory = if given { &self.given } else { &self.answers };
        memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Made::key`].
    pub(super) fn make(&self, print: Id, count: u32) -> MadeKey {
        self.made().key(print, count, Instant::now())
    }

    /// The key for a request that may repeat one which another replica had.
    ///
    /// # Errors
    /// It says that it is a retry, and nobody can say of what. An earlier send may have been acted
    /// on, so a fresh key could make two.
    pub(super) async fn ask(
        &self,
        shared: &SharedSends,
        print: Id,
        count: u32,
    ) -> Result<MadeKey, Error> {
        let local = self.made().candidate(print, count, Instant::now());
        let fresh = RandomId::new();
        if let Ok(key) = shared.find(&print, (fresh, local), count).await {
            self.made().adopt((print, count), key, Instant::now());
            return Ok(MadeKey { key, recognised: key != fresh });
        }
        let known = self.made().waiting(print, count, Instant::now());
        let first = || (count == UNCOUNTED).then(|| self.make(print, count));
        known.or_else(first).ok_or_else(|| {
            let detail = "this is a retry, and the store that would know its first send can't be asked; nothing was sent now, but the first may have been";
            Error::refused(Code::Overloaded, detail).with_outcome(Outcome::Unknown)
        })
    }

    /// See [`Made::accepted`]. Nobody waits for the write.
    pub(super) fn accepted(&self, ticket: &KeyTicket) {
        if let Some(None) = self.write(|made| made.accepted(ticket)) {
            self.unwritten(ticket);
        }
        self.became(ticket, SendFate::Accepted);
    }

    /// Tells other replicas what became of the call of `ticket`.
    pub(super) fn became(&self, ticket: &KeyTicket, fate: SendFate) {
        if let Some(shared) = &self.shared {
            shared.became(ticket, fate);
        }
    }

    /// See [`Made::doubted`].
    pub(super) fn doubted(&self, ticket: &KeyTicket) {
        self.made().doubted(ticket);
        // A retry that is counted needs no doubt.
        if ticket.count == UNCOUNTED {
            self.became(ticket, SendFate::Doubted);
        }
    }

    /// See [`Made::unwritten`].
    pub(super) fn unwritten(&self, ticket: &KeyTicket) {
        self.made().unwritten(ticket);
    }

    /// Queues the row that `change` gives; `None` if it gives none, or if there is no journal.
    pub(super) fn write(
        &self,
        change: impl FnOnce(&mut Made) -> Option<(u32, Remembered)>,
    ) -> Option<Option<RowOutcome>> {
        let mut made = self.made();
        let row = change(&mut made);
        let (journal, (number, known)) = self.journal.as_ref().zip(row)?;
        // Under the lock, so that two keys that have one row after each other are written in that
        // order.
        let outcome = journal.push(number, known);
        drop(made);
        journal.run();
        Some(outcome)
    }

    /// See [`Made::release`].
    pub(super) fn release(&self, ticket: &KeyTicket, sent: bool) {
        self.made().release(ticket, sent);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SendKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SendKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests;
