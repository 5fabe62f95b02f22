//! What arrived, byte for byte, in a bounded ring.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::request::Request;
use crate::search::Search;
use crate::time::{Micros, Wall};

/// How much is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalOptions {
    /// Entries; the oldest make room.
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

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything was written.
    Written,
    /// It was cut, reset or held back on purpose.
    Faulted,
    /// The client left first.
    ClientGone,
}

/// One request.
#[derive(Clone)]
pub struct Entry {
    /// Its number, from 1, never reused.
    pub seq: u64,
    /// The request; its body may be cut off to the journal's bound, `body_len` is the whole.
    pub request: Request,
    /// A hash (FNV-1a, 64 bits) of the body as far as it was read.
    pub body_hash: u64,
    /// The caller's time of arrival.
    pub arrived: Micros,
    /// The vendor's time of arrival.
    pub wall: Wall,
    /// The bearer token seen.
    pub token: Option<String>,
    /// The matched operation.
    pub operation: Option<String>,
    /// The environment that it belongs to.
    pub environment: Option<String>,
    /// When it took effect; absent if it did not (reads, refusals, replays, faults before the commit).
    pub committed: Option<Micros>,
    /// Whether the answer came from the memory of idempotency keys.
    pub replayed: bool,
    /// Whether the operation makes messages.
    pub sends: bool,
    /// The answer's status; 0 if the request never became whole.
    pub status: u16,
    /// When the first byte of the answer was due.
    pub answer_due: Option<Micros>,
    /// When and how the exchange ended, once it has.
    pub ended: Option<(Micros, Ending)>,
    /// Bytes of the answer written.
    pub written: u64,
}

impl Entry {
    /// A new entry for a request.
    pub fn new(request: Request, arrived: Micros, wall: Wall) -> Self {
        Self {
            seq: 0,
            body_hash: fnv(&request.body),
            token: request.bearer().map(str::to_owned),
            request,
            arrived,
            wall,
            operation: None,
            environment: None,
            committed: None,
            replayed: false,
            sends: false,
            status: 0,
            answer_due: None,
            ended: None,
            written: 0,
        }
    }

    /// The entry as `/__admin/requests` shows it.
    pub fn view(&self) -> Value {
        let r = &self.request;
        let mut v = json!({
            "seq": self.seq, "socket": r.socket, "protocol": r.protocol, "arrived_us": self.arrived, "wall": self.wall.iso(),
            "method": r.method, "target": r.target, "headers": r.headers, "raw_head_base64": STANDARD.encode(&r.raw_head),
            "body_bytes": r.body_len, "body_hash": format!("{:016x}", self.body_hash), "token": self.token, "operation": self.operation,
            "environment": self.environment, "committed_us": self.committed, "replayed": self.replayed, "status": self.status,
            "answer_due_us": self.answer_due, "ended_us": self.ended.map(|e| e.0), "ending": self.ended.map(|e| e.1), "written": self.written,
        });
        match std::str::from_utf8(&r.body) {
            Ok(text) => v["body"] = json!(text),
            Err(_) => v["body_base64"] = json!(STANDARD.encode(&r.body)),
        }
        v
    }

    fn weight(&self) -> usize {
        let headers: usize = self.request.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.request.raw_head.len() + self.request.body.len() + self.request.target.len() + headers
    }
}

/// The ring.
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
            // A copy, so that the whole body isn't kept alive by its beginning.
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

    /// How many requests arrived since the start, those that made room included.
    pub const fn total(&self) -> u64 {
        self.next - 1
    }

    /// How many of those are no longer kept.
    pub fn dropped(&self) -> u64 {
        self.total() - self.entries.len() as u64
    }

    /// Forgets all entries; numbers go on.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Groups of sends that took effect more than once with the same token, path and body: what a gateway must never cause.
    /// A test that relies on it makes each body different.
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

pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

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
