//! Searches all that is kept, in pieces. Between two pieces it releases the lock, because every
//! call needs it at its end. A call that ends meanwhile may be missed, and so may the one that it
//! replaces.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;
use std::time::SystemTime;

use super::entry::EntryKind;
use super::ring::Ring;
use super::{CallQuery, Calls, Entry, Kept, REFUSED, Reach};
use crate::ids::RandomId;

/// The most ids that are compared under one lock. That takes some microseconds.
pub(super) const IDS: usize = 4096;

/// The most calls that are read, and may be copied, under one lock. That takes some ten
/// microseconds.
pub(super) const ENTRIES: usize = 128;

const ALL: [EntryKind; 3] = [EntryKind::Eventful, EntryKind::Quiet, EntryKind::Refused];

impl Calls {
    /// The call with that id, if it is kept.
    #[must_use]
    pub fn find(&self, id: RandomId) -> Option<Entry> {
        let mut found = None;
        let look = |found: &mut Option<Entry>, ring: &Ring, places| {
            if let Some(entry) = ring.find(id, places) {
                *found = Some(entry.clone());
            }
        };
        self.walk(&ALL, IDS, &mut found, look, |found| found.is_none());
        found
    }

    /// The calls that are wanted.
    #[must_use]
    pub fn list(&self, wanted: &CallQuery) -> Vec<Entry> {
        let mut best: Vec<Entry> = Vec::with_capacity(wanted.limit + ENTRIES);
        let look = |best: &mut Vec<Entry>, ring: &Ring, places| {
            best.extend(ring.at(places).iter().filter(|entry| wanted.takes(entry)).cloned());
        };
        self.walk(&ALL, ENTRIES, &mut best, look, |best| {
            wanted.choose(best);
            true
        });
        best
    }

    /// How far back the kept calls reach.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let of = |kind| {
            let mut reach: (usize, Option<SystemTime>) = (0, None);
            let look = |(calls, first): &mut (usize, Option<SystemTime>), ring: &Ring, places| {
                let entries = ring.at(places);
                *calls += entries.len();
                *first = entries.iter().map(|entry| entry.started_at).chain(*first).min();
            };
            self.walk(&[kind], IDS, &mut reach, look, |_| true);
            reach
        };
        Reach { eventful: of(EntryKind::Eventful), quiet: of(EntryKind::Quiet) }
    }

    /// Looks at `size` places of `kinds` under each lock. After each piece `go_on` is asked,
    /// without the lock.
    pub(super) fn walk<T>(
        &self,
        kinds: &[EntryKind],
        size: usize,
        held: &mut T,
        look: impl Fn(&mut T, &Ring, Range<usize>),
        mut go_on: impl FnMut(&mut T) -> bool,
    ) {
        for kind in kinds {
            for number in 0.. {
                let kept = self.kept();
                let any = kept.piece(*kind, number, size, |ring, places| look(held, ring, places));
                drop(kept);
                if !any {
                    break;
                }
                if !go_on(held) {
                    return;
                }
            }
        }
    }
}

impl Kept {
    /// Looks at one piece of the places of a kind; false if the piece is past the last place.
    fn piece(
        &self,
        kind: EntryKind,
        number: usize,
        size: usize,
        mut look: impl FnMut(&Ring, Range<usize>),
    ) -> bool {
        let ring = match kind {
            EntryKind::Eventful => &self.eventful,
            EntryKind::Quiet => &self.quiet,
            EntryKind::Refused => {
                let rings = self.refused.chunks(size / REFUSED).nth(number).unwrap_or_default();
                rings.iter().for_each(|ring| look(ring, 0..REFUSED));
                return !rings.is_empty();
            }
        };
        let from = number * size;
        let any = from < ring.len();
        if any {
            look(ring, from..from + size);
        }
        any
    }
}

impl CallQuery {
    fn takes(&self, entry: &Entry) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == entry.tenant)
            && self.app.as_ref().is_none_or(|app| *app == entry.app)
            && (!self.refused || entry.kind() == EntryKind::Refused)
            && (self.connection.is_none() || self.connection == entry.connection)
            && self.code.as_ref().is_none_or(|code| *code == entry.end)
            && self.operation.as_ref().is_none_or(|wanted| {
                entry.operation.as_ref().is_some_and(|row| *row.id == **wanted)
            })
    }

    /// Sorts `entries` and keeps the first ones. A change of the number of places may have shown
    /// one twice.
    fn choose(&self, entries: &mut Vec<Entry>) {
        if self.slowest {
            entries.sort_by_key(|entry| Reverse(entry.total()));
        } else {
            entries.sort_by_key(|entry| Reverse(entry.ended));
        }
        let mut seen = HashSet::new();
        entries.retain(|entry| seen.insert(entry.call_id));
        entries.truncate(self.limit);
    }
}
