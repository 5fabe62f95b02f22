//! The journal: the latest requests, byte for byte.

mod entry;
mod search;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
pub use entry::{Ending, Entry};
pub use search::Search;
use serde::{Deserialize, Serialize};

/// How much is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalOptions {
    /// Entries. The oldest are dropped when it is full.
    pub entries: usize,
    /// Bytes of each body.
    pub body: usize,
    /// Bytes of heads and bodies together.
    pub bytes: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { entries: 20_000, body: 16 * 1024, bytes: 64 * 1024 * 1024 }
    }
}

/// The latest requests, within bounds.
pub struct Journal {
    options: JournalOptions,
    entries: VecDeque<Entry>,
    next: u64,
    bytes: usize,
}

impl Journal {
    /// An empty journal.
    pub fn new(options: &JournalOptions) -> Self {
        Self { options: options.clone(), entries: VecDeque::new(), next: 1, bytes: 0 }
    }

    /// Adds an entry and gives its number.
    pub fn add(&mut self, mut entry: Entry) -> u64 {
        entry.seq = self.next;
        self.next += 1;
        if entry.request.body.len() > self.options.body {
            // A copy, because a slice would keep the whole body in memory.
            entry.request.body = Bytes::copy_from_slice(&entry.request.body[..self.options.body]);
        }
        self.bytes += entry.weight();
        self.entries.push_back(entry);
        while self.entries.len() > self.options.entries || self.bytes > self.options.bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.weight();
        }
        self.next - 1
    }

    /// The entry of this number, if it is still kept.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.seq;
        self.entries.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// The entries that fit, oldest first.
    pub fn find(&self, search: &Search) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| search.fits(e))
    }

    /// All entries kept, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many requests arrived since the start, dropped ones included.
    pub const fn total(&self) -> u64 {
        self.next - 1
    }

    /// How many of those are no longer kept.
    pub fn dropped(&self) -> u64 {
        self.total() - self.entries.len() as u64
    }

    /// Removes all entries. The numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Groups of sends that took effect more than once with the same token, path and body.
    ///
    /// A gateway must never cause them. A test that relies on it makes each body different.
    pub fn duplicates(&self) -> Vec<Vec<u64>> {
        let mut groups: BTreeMap<(&str, &str, u64, u64), Vec<u64>> = BTreeMap::new();
        for e in self.entries.iter().filter(|e| e.committed.is_some() && e.sends) {
            let path = e.request.target.split('?').next().unwrap_or_default();
            groups
                .entry((
                    e.token.as_deref().unwrap_or_default(),
                    path,
                    e.body_hash,
                    e.request.body_len,
                ))
                .or_default()
                .push(e.seq);
        }
        groups.into_values().filter(|g| g.len() > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;
    use crate::time::{Micros, Wall};

    fn entry(target: &str, body: &str, committed: bool) -> Entry {
        let mut e = Entry::new(
            Request::new("POST", target).token("t").bytes(body.to_owned()),
            Micros::ZERO,
            Wall(0),
        );
        (e.committed, e.sends) = (committed.then_some(Micros::ZERO), true);
        e
    }

    #[test]
    fn the_ring_is_bounded_in_entries_and_bytes_and_numbers_go_on() {
        let mut j = Journal::new(&JournalOptions { entries: 3, body: 4, bytes: 1000 });
        for _ in 0..5 {
            j.add(entry("/send", "123456789", true));
        }
        assert_eq!(j.entries().map(|e| e.seq).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(j.get_mut(4).unwrap().request.body, "1234");
        assert_eq!(j.get_mut(4).unwrap().request.body_len, 9);
        assert!(j.get_mut(2).is_none() && j.get_mut(6).is_none());
        assert_eq!((j.total(), j.dropped()), (5, 2));
        j.add(entry(&"x".repeat(2000), "", false));
        assert_eq!(j.entries().count(), 0);
        j.add(entry("/send", "1", true));
        assert_eq!(j.entries().count(), 1);
    }

    #[test]
    fn only_what_took_effect_twice_is_a_duplicate() {
        let mut j = Journal::new(&JournalOptions::default());
        for (target, body, committed) in [
            ("/send", "a", true),
            ("/send", "a", false),
            ("/send", "b", true),
            ("/send?x", "a", true),
        ] {
            j.add(entry(target, body, committed));
        }
        assert_eq!(j.duplicates(), [vec![1, 4]]);
    }
}
