//! The last calls of one kind, in a fixed number of places. The oldest call gives way.

use std::ops::Range;

use super::Entry;
use crate::ids::RandomId;

/// See the module text.
pub(super) struct Ring {
    places: usize,
    /// The ids are stored side by side, so that a search reads 16 bytes per place.
    ids: Vec<RandomId>,
    entries: Vec<Entry>,
    /// The place that is taken next, once all places are taken.
    next: usize,
}

impl Ring {
    /// A ring of `places`. Memory for `ready` of them is allocated now.
    pub(super) fn new(places: usize, ready: usize) -> Self {
        let (ids, entries) = (Vec::with_capacity(ready), Vec::with_capacity(ready));
        Self { places, ids, entries, next: 0 }
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes `entry` in, and returns the entry that it replaces.
    pub(super) fn push(&mut self, entry: Entry) -> Option<Entry> {
        if self.places == 0 {
            return Some(entry);
        }
        if self.entries.len() < self.places {
            self.ids.push(entry.call_id);
            self.entries.push(entry);
            return None;
        }
        let at = self.next;
        self.next = (at + 1) % self.places;
        self.ids[at] = entry.call_id;
        Some(std::mem::replace(&mut self.entries[at], entry))
    }

    /// The call with that id, if it is in one of `places`.
    pub(super) fn find(&self, id: RandomId, places: Range<usize>) -> Option<&Entry> {
        let Range { start, end } = places;
        let ids = self.ids.get(start..end.min(self.ids.len()))?;
        let at = ids.iter().position(|known| *known == id)?;
        self.entries.get(start + at)
    }

    /// The entries in `places`, as far as there are any.
    pub(super) fn at(&self, places: Range<usize>) -> &[Entry] {
        let end = places.end.min(self.entries.len());
        self.entries.get(places.start..end).unwrap_or_default()
    }

    /// All entries, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Changes the number of places to `places`. The last calls stay.
    pub(super) fn resize(&mut self, places: usize) {
        if places == self.places {
            return;
        }
        let mut entries = std::mem::take(&mut self.entries);
        entries.rotate_left(self.next);
        let surplus = entries.len().saturating_sub(places);
        *self = Self::new(places, places);
        for entry in entries.into_iter().skip(surplus) {
            self.push(entry);
        }
    }
}
