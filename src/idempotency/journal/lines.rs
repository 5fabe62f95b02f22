//! Rows that wait to be written, in one line for each connection. The lines give their first row in
//! turn. So a connection can fill only its own line, and each of its rows waits for at most one row
//! of each other connection. Pure.

use std::collections::{HashMap, VecDeque};

use super::super::made::Remembered;
use super::super::retention::Owner;

/// The most rows of one connection that may wait: more than its usual quota lets it send in a
/// minute.
pub(super) const WAITING: usize = 128;

/// A row to be written; `W` is told when it was.
pub(super) struct QueuedRow<W> {
    pub(super) number: u32,
    pub(super) known: Remembered,
    pub(super) waiter: W,
}

/// See the module text.
pub(super) struct WriteLines<W> {
    lines: HashMap<Owner, VecDeque<QueuedRow<W>>>,
    /// The connections that have a line, the next one first.
    turns: VecDeque<Owner>,
    /// The connection in whose line each row waits.
    rows: HashMap<u32, Owner>,
}

impl<W> WriteLines<W> {
    pub(super) fn new() -> Self {
        Self { lines: HashMap::new(), turns: VecDeque::new(), rows: HashMap::new() }
    }

    /// Takes `row` in; false if the line of its connection is full. A row that waits to be written
    /// under the same number is dropped, because it is older and would overwrite this one.
    pub(super) fn push(&mut self, row: QueuedRow<W>) -> bool {
        self.withdraw(row.number);
        let owner = row.known.owner;
        let line = self.lines.entry(owner).or_insert_with(|| {
            self.turns.push_back(owner);
            VecDeque::new()
        });
        if line.len() >= WAITING {
            return false;
        }
        self.rows.insert(row.number, owner);
        line.push_back(row);
        true
    }

    /// The next row.
    pub(super) fn pop(&mut self) -> Option<QueuedRow<W>> {
        let owner = self.turns.pop_front()?;
        let line = self.lines.get_mut(&owner)?;
        let row = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&owner);
        } else {
            self.turns.push_back(owner);
        }
        self.rows.remove(&row.as_ref()?.number);
        row
    }

    fn withdraw(&mut self, number: u32) {
        let Some(owner) = self.rows.remove(&number) else { return };
        let Some(line) = self.lines.get_mut(&owner) else { return };
        line.retain(|row| row.number != number);
        if line.is_empty() {
            self.lines.remove(&owner);
            self.turns.retain(|other| *other != owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Instant;
    use crate::ids::RandomId;

    fn row(owner: u8, number: u32, count: u32) -> QueuedRow<()> {
        let (key, since) = (RandomId::from_octets([owner; 16]), Instant::now());
        let (owner, print) = ([owner; 16], [0; 32]);
        let known = Remembered { owner, print, key, count, accepted: false, since };
        QueuedRow { number, known, waiter: () }
    }

    fn all(lines: &mut WriteLines<()>) -> Vec<(u8, u32, u32)> {
        let next = || lines.pop().map(|row| (row.known.owner[0], row.number, row.known.count));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_full_line_takes_no_room_and_no_time_of_another() {
        let mut lines = WriteLines::new();
        let most = u32::try_from(WAITING).unwrap();
        assert!((0..most).all(|number| lines.push(row(1, number, 0))));
        assert!(!lines.push(row(1, most, 0)), "its own line is full");
        assert!(lines.push(row(2, most, 0)), "another's is not");
        assert_eq!(all(&mut lines)[..3], [(1, 0, 0), (2, most, 0), (1, 1, 0)]);
    }

    #[test]
    fn what_is_newer_in_a_place_is_written_last_whoever_had_it_before() {
        let mut lines = WriteLines::new();
        // The key of a row was forgotten while the row waited. Another key has the row now, in a
        // shorter line.
        for row in [row(1, 6, 0), row(1, 7, 0), row(2, 7, 1)] {
            assert!(lines.push(row));
        }
        assert_eq!(all(&mut lines), [(1, 6, 0), (2, 7, 1)]);
    }

    proptest! {
        #[test]
        fn each_place_is_written_once_with_its_newest_and_nothing_is_left(
            rows in prop::collection::vec((0..4_u8, 0..20_u32), 0..100),
        ) {
            let mut lines = WriteLines::new();
            let mut newest = HashMap::new();
            for (count, (owner, number)) in (0..).zip(rows) {
                prop_assert!(lines.push(row(owner, number, count)));
                newest.insert(number, (owner, number, count));
            }
            let mut written = all(&mut lines);
            written.sort_by_key(|(_, number, _)| *number);
            let mut newest: Vec<_> = newest.into_values().collect();
            newest.sort_by_key(|(_, number, _)| *number);
            prop_assert_eq!(written, newest);
            prop_assert!(lines.lines.is_empty() && lines.turns.is_empty() && lines.rows.is_empty());
        }
    }
}
