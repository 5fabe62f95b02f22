//! Keys that the gateway made, by the request that they were made for. An SDK's own retry gets the
//! same key. Pure: time is an argument.
//!
//! A key is known while a call under it is under way. So a retry finds the call that it repeats
//! even while that call waits. The key stays known if one of its calls was sent. Only then does it
//! take room and a row of the journal.
//!
//! Most SDKs count their retries. For those that don't, an equal request is a retry while its
//! predecessor is in doubt. It is in doubt if its client got no answer, or a failure after which
//! the vendor may have acted. Once an answer was accepted, an equal request is a new one.

mod elsewhere;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::memory::Id;
use super::retention::{Owner, Place, Retention};
use crate::clock::Instant;
use crate::ids::RandomId;
use rows::RowNumbers;

/// How long after a request its retry may come.
pub(super) const TIME: Duration = Duration::from_secs(120);

/// Stands for the count of an SDK that counts no retries.
pub(super) const UNCOUNTED: u32 = u32::MAX;

/// Bytes for all that is known of keys. That is some 80,000 keys, or 700 sends a second.
const CAPACITY: usize = 32 << 20;

/// Bytes that a key takes.
const ENTRY: usize = 400;

/// The most rows in use at a time. A row is taken before another key makes room, hence the 1.
pub(super) const ROWS: usize = CAPACITY / ENTRY + 1;

/// The keys of the last two minutes.
pub(super) struct Made {
    /// The keys by request; those of one request are in the order in which they were last used.
    known: BTreeMap<(Id, u64), Entry>,
    next: u64,
    retention: Retention<(Id, u64)>,
    rows: RowNumbers,
}

struct Entry {
    key: RandomId,
    /// `X-Stainless-Retry-Count` of its last request.
    count: u32,
    since: Instant,
    /// True if the good answer to its last request was handed over.
    accepted: bool,
    /// True if its client knows of no good answer, and nobody has asked again since.
    doubt: bool,
    /// Its calls that are under way.
    calls: u32,
    /// True if a call that is over was sent under it.
    used: bool,
    kept: Option<Kept>,
}

/// What a key has once a call under it was sent.
#[derive(Clone, Copy)]
struct Kept {
    place: Place,
    row: u32,
    /// True if its row is out of date.
    stale: bool,
}

/// A key for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeKey {
    pub(super) key: RandomId,
    /// True if it was made for an earlier request, of which this is a retry.
    pub(super) recognised: bool,
}

/// A call under a made key.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyTicket {
    pub(super) owner: Owner,
    pub(super) print: Id,
    pub(super) key: RandomId,
    /// How often its SDK has sent the request before.
    pub(super) count: u32,
}

/// What must outlive the process to recognise a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) owner: Owner,
    pub(super) print: Id,
    pub(super) key: RandomId,
    pub(super) count: u32,
    pub(super) accepted: bool,
    pub(super) since: Instant,
}

impl Made {
    /// Knows only what the rows of a journal hold. Of two rows with one key the later counts.
    pub(super) fn new(mut rows: Vec<(u32, Remembered)>, now: Instant) -> Self {
        let retention = Retention::new(CAPACITY, TIME);
        let (known, mut taken) = (BTreeMap::new(), HashSet::new());
        let mut made = Self { known, next: 0, retention, rows: RowNumbers::default() };
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.since));
        let mut keys = HashSet::new();
        rows.retain(|(_, row)| keys.insert(row.key));
        for (row, known) in rows.into_iter().rev() {
            taken.insert(row);
            let Remembered { owner, print, key, count, accepted, since } = known;
            let at = (print, made.number());
            let place = made.retention.enter(owner, at, ENTRY, since);
            let kept = Some(Kept { place, row, stale: false });
            // If a client waited for the answer, it lost the answer with the process.
            let doubt = !accepted;
            let entry = Entry { key, count, since, accepted, doubt, calls: 0, used: true, kept };
            made.known.insert(at, entry);
        }
        made.rows = RowNumbers::without(&taken);
        made.forget(now);
        made
    }

    /// The key for the request `print`, which its SDK repeats for the `count`th time. If several
    /// fit, those whose good answer never reached the client come first, then those whose count is
    /// one lower, then the oldest. The caller must release it.
    pub(super) fn key(&mut self, print: Id, count: u32, now: Instant) -> MadeKey {
        let found = self.waiting(print, count, now).or_else(|| {
            let at = self.fits(print, count, true)?;
            self.renewed(at, count, now)
        });
        found.unwrap_or_else(|| self.fresh(print, count, now))
    }

    /// The request that the one with `count` repeats, among those whose good answer was handed over,
    /// or the others.
    fn fits(&self, print: Id, count: u32, accepted: bool) -> Option<(Id, u64)> {
        // An SDK that counts nothing is no retry of one that does.
        let later =
            |entry: &Entry| count != UNCOUNTED && entry.count < count && entry.accepted == accepted;
        let all = self.known.range((print, 0)..=(print, u64::MAX));
        let mut fitting = all.filter(|(_, entry)| later(entry)).peekable();
        let oldest = fitting.peek().map(|(at, _)| **at);
        // The count is usually one higher; more if a retry was lost on its way to the gateway.
        let next = fitting.find(|(_, entry)| entry.count.checked_add(1) == Some(count));
        next.map(|(at, _)| *at).or(oldest)
    }

    /// The key of the request `at`, which is repeated now.
    fn renewed(&mut self, at: (Id, u64), count: u32, now: Instant) -> Option<MadeKey> {
        let mut entry = self.known.remove(&at)?;
        (entry.count, entry.since, entry.accepted) = (count, now, false);
        entry.calls += 1;
        let (key, at) = (entry.key, (at.0, self.number()));
        if let Some(kept) = &mut entry.kept {
            self.retention.leave(kept.place);
            kept.place = self.retention.enter(kept.place.owner(), at, ENTRY, now);
            kept.stale = true;
        }
        self.known.insert(at, entry);
        Some(MadeKey { key, recognised: true })
    }

    /// The key of the oldest equal request that is in doubt. Its two minutes do not begin anew.
    /// Otherwise the client could get the failure that the vendor remembers under it for ever.
    fn again(&mut self, print: Id) -> Option<MadeKey> {
        let mut all = self.known.range_mut((print, 0)..=(print, u64::MAX));
        let (_, entry) = all.find(|(_, entry)| entry.count == UNCOUNTED && entry.doubt)?;
        entry.doubt = false;
        entry.calls += 1;
        Some(MadeKey { key: entry.key, recognised: true })
    }

    fn fresh(&mut self, print: Id, count: u32, now: Instant) -> MadeKey {
        let (key, at) = (RandomId::new(), (print, self.number()));
        self.known.insert(at, Entry::new(key, count, now));
        MadeKey { key, recognised: false }
    }

    /// From now on the call counts as sent. Returns the row to write before the send; `None` if it
    /// is written.
    pub(super) fn sent(&mut self, ticket: &KeyTicket, now: Instant) -> Option<(u32, Remembered)> {
        let found = self.find(ticket);
        let at = found.unwrap_or_else(|| (ticket.print, self.number()));
        // The key may have made room for others while the call waited.
        let entry = self.known.entry(at).or_insert_with(|| {
            let used = true;
            Entry { used, ..Entry::new(ticket.key, ticket.count, now) }
        });
        let kept = entry.kept.get_or_insert_with(|| Kept {
            place: self.retention.enter(ticket.owner, at, ENTRY, now),
            row: self.rows.take(),
            stale: true,
        });
        let row = std::mem::take(&mut kept.stale).then_some(kept.row);
        let row = row.map(|row| (row, entry.remembered(ticket)));
        self.forget(now);
        row
    }

    /// The row that [`sent`](Self::sent) gave was not written. The next call under the key writes
    /// it.
    pub(super) fn unwritten(&mut self, ticket: &KeyTicket) {
        let entry = self.find(ticket).and_then(|at| self.known.get_mut(&at));
        if let Some(kept) = entry.and_then(|entry| entry.kept.as_mut()) {
            kept.stale = true;
        }
    }

    /// A good answer to the call was handed over whole. Returns the row to write.
    pub(super) fn accepted(&mut self, ticket: &KeyTicket) -> Option<(u32, Remembered)> {
        let entry = self.known.get_mut(&self.find(ticket)?)?;
        // It answers an earlier request, which the client had given up.
        if entry.count != ticket.count || entry.accepted {
            return None;
        }
        entry.accepted = true;
        entry.kept.map(|kept| (kept.row, entry.remembered(ticket)))
    }

    /// The client of the call was told of a failure, or has left, though the call may go on. An
    /// equal request is now a retry.
    pub(super) fn doubted(&mut self, ticket: &KeyTicket) {
        let entry = self.find(ticket).and_then(|at| self.known.get_mut(&at));
        if let Some(entry) = entry.filter(|entry| !entry.accepted) {
            entry.doubt = true;
        }
    }

    /// The call is over; `sent` says whether the vendor may have acted on it.
    pub(super) fn release(&mut self, ticket: &KeyTicket, sent: bool) {
        let Some(at) = self.find(ticket) else { return };
        let Some(entry) = self.known.get_mut(&at) else { return };
        entry.calls = entry.calls.saturating_sub(1);
        entry.used |= sent;
        if entry.calls == 0 && !entry.used {
            if let Some(kept) = entry.kept {
                self.retention.leave(kept.place);
            }
            self.drop(at);
        }
    }

    /// Bytes that the keys of sent calls take.
    pub(super) fn octets(&self) -> usize {
        self.retention.octets()
    }

    fn find(&self, ticket: &KeyTicket) -> Option<(Id, u64)> {
        let mut all = self.known.range((ticket.print, 0)..=(ticket.print, u64::MAX));
        all.find(|(_, entry)| entry.key == ticket.key).map(|(at, _)| *at)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn forget(&mut self, now: Instant) {
        while let Some(at) = self.retention.evict(now) {
            self.drop(at);
        }
    }

    /// Removes an entry that has left its place in the retention.
    fn drop(&mut self, at: (Id, u64)) {
        if let Some(kept) = self.known.remove(&at).and_then(|entry| entry.kept) {
            self.rows.free.push(kept.row);
        }
    }
}

impl Entry {
    /// The entry of a call that begins.
    fn new(key: RandomId, count: u32, since: Instant) -> Self {
        Self { key, count, since, accepted: false, doubt: false, calls: 1, used: false, kept: None }
    }

    fn remembered(&self, ticket: &KeyTicket) -> Remembered {
        let Self { key, count, accepted, since, .. } = *self;
        Remembered { owner: ticket.owner, print: ticket.print, key, count, accepted, since }
    }
}

#[cfg(test)]
mod tests;
