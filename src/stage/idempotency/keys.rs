//! All that is remembered of keys, behind its locks. It outlives a reload; with a state folder, what
//! recognises an SDK's retry outlives a restart, too.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::journal::Journal;
use super::made::{Key, Made, Remembered, Ticket};
use super::memory::{Id, Memory};
use crate::clock::Instant;
use crate::flight::Crowd;

/// Octets and time of the memory of keys that clients gave.
const GIVEN: (usize, Duration) = (32 << 20, Duration::from_secs(24 * 3600));

/// The same for answers under keys that the gateway made: as long as an SDK may come back.
const MADE: (usize, Duration) = (8 << 20, Duration::from_secs(300));

/// What is remembered of keys.
pub struct Keys {
    /// std, not tokio: each section is a few look-ups, and one write of a row; none awaits.
    given: Mutex<Memory>,
    answers: Mutex<Memory>,
    made: Mutex<Kept>,
    /// Calls under way, by key.
    pub(super) running: Crowd<Id, ()>,
}

/// Made keys, and where they are written.
struct Kept {
    made: Made,
    journal: Option<Journal>,
}

impl Keys {
    /// Nothing is known yet, and nothing will be known after a restart.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None, Vec::new())
    }

    /// Knows the made keys of the last two minutes from the state folder, and writes them there.
    /// The caller holds the folder's lock.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let (journal, rows) = Journal::open(folder)?;
        Ok(Self::with(Some(journal), rows))
    }

    fn with(journal: Option<Journal>, rows: Vec<(u32, Remembered)>) -> Self {
        Self {
            given: Mutex::new(Memory::new(GIVEN.0, GIVEN.1)),
            answers: Mutex::new(Memory::new(MADE.0, MADE.1)),
            made: Mutex::new(Kept { made: Made::new(rows, Instant::now()), journal }),
            running: Crowd::default(),
        }
    }

    /// Octets of all that is remembered, over all connections.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.memory(true).octets() + self.memory(false).octets() + self.kept().made.octets()
    }

    /// What is remembered of keys that were `given`, or made.
    pub(super) fn memory(&self, given: bool) -> MutexGuard<'_, Memory> {
        let memory = if given { &self.given } else { &self.answers };
        memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Made::key`].
    pub(super) fn make(&self, print: Id, count: u32) -> Key {
        self.kept().made.key(print, count, Instant::now())
    }

    /// See [`Made::sent`]: it is written when this returns.
    pub(super) fn sent(&self, ticket: &Ticket) {
        let mut kept = self.kept();
        let row = kept.made.sent(ticket, Instant::now());
        kept.write(row);
    }

    /// See [`Made::accepted`].
    pub(super) fn accepted(&self, ticket: &Ticket) {
        let mut kept = self.kept();
        let row = kept.made.accepted(ticket);
        kept.write(row);
    }

    /// See [`Made::release`].
    pub(super) fn release(&self, ticket: &Ticket, sent: bool) {
        self.kept().made.release(ticket, sent);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write(&mut self, row: Option<(u32, Remembered)>) {
        if let (Some((number, known)), Some(journal)) = (row, &mut self.journal) {
            journal.write(number, &known);
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}
