//! A collection in order of insertion. Its pages don't shift when rows are added.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A cursor that this table did not make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadCursor;

/// Which end a listing starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// In order of insertion.
    Oldest,
    /// Latest insertion first: messages and audit events.
    Newest,
}

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    /// Id and row, in the order asked for.
    pub(crate) rows: Vec<(&'a str, &'a T)>,
    /// Where the next page starts; absent on the last one.
    pub(crate) cursor: Option<String>,
}

/// Rows by id, in order of insertion.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    name: &'static str,
    rows: BTreeMap<u64, (String, T)>,
    /// Only for look-ups. It is never iterated, because its order differs from run to run.
    index: HashMap<String, u64>,
    next: u64,
}

impl<T> Table<T> {
    /// Creates an empty table. Its cursors hold `name`, so that other tables refuse them.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rows: BTreeMap::new(), index: HashMap::new(), next: 1 }
    }

    /// The row called `id`.
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(self.index.get(id)?).map(|(_, row)| row)
    }

    /// The row called `id`, to change it in place.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(self.index.get(id)?).map(|(_, row)| row)
    }

    /// Inserts or replaces a row. A replaced row keeps its place.
    pub(crate) fn insert(&mut self, id: &str, row: T) {
        if let Some(slot) = self.get_mut(id) {
            *slot = row;
            return;
        }
        self.index.insert(id.to_owned(), self.next);
        self.rows.insert(self.next, (id.to_owned(), row));
        self.next += 1;
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        let seq = self.index.remove(id)?;
        self.rows.remove(&seq).map(|(_, row)| row)
    }

    /// Removes the oldest row.
    pub(crate) fn pop_oldest(&mut self) -> Option<(String, T)> {
        let (_, (id, row)) = self.rows.pop_first()?;
        self.index.remove(&id);
        Some((id, row))
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &T)> {
        self.rows.values().map(|(id, row)| (id.as_str(), row))
    }

    /// All rows, oldest first, to change in place.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut T)> {
        self.rows.values_mut().map(|(id, row)| (id.as_str(), row))
    }

    /// Returns up to `limit` rows that `keep` accepts, after the place that `cursor` names.
    ///
    /// The place is the number of a row, not a count of rows. So rows that come or go shift
    /// nothing.
    pub(crate) fn page(
        &self,
        order: Order,
        cursor: Option<&str>,
        limit: usize,
        keep: impl Fn(&str, &T) -> bool,
    ) -> Result<Page<'_, T>, BadCursor> {
        let after = cursor.map(|c| self.read_cursor(c)).transpose()?;
        let kept = |(_, (id, row)): &(&u64, &(String, T))| keep(id, row);
        // One row more than the limit shows whether another page follows.
        let mut found: Vec<_> = match order {
            Order::Oldest => self
                .rows
                .range(after.map_or(0, |a| a.saturating_add(1))..)
                .filter(kept)
                .take(limit.saturating_add(1))
                .collect(),
            Order::Newest => self
                .rows
                .range(..after.unwrap_or(u64::MAX))
                .rev()
                .filter(kept)
                .take(limit.saturating_add(1))
                .collect(),
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let cursor = found.last().filter(|_| more).map(|(seq, _)| self.make_cursor(**seq));
        Ok(Page {
            rows: found.into_iter().map(|(_, (id, row))| (id.as_str(), row)).collect(),
            cursor,
        })
    }

    fn make_cursor(&self, seq: u64) -> String {
        STANDARD.encode(format!("{seq},{}", self.name))
    }

    fn read_cursor(&self, cursor: &str) -> Result<u64, BadCursor> {
        let bytes = STANDARD.decode(cursor).map_err(|_| BadCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| BadCursor)?;
        let (seq, name) = text.split_once(',').ok_or(BadCursor)?;
        if name != self.name {
            return Err(BadCursor);
        }
        seq.parse().map_err(|_| BadCursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: u32) -> Table<u32> {
        let mut t = Table::new("t");
        (0..n).for_each(|i| t.insert(&format!("r{i}"), i));
        t
    }

    #[test]
    fn pages_join_without_a_gap_while_rows_are_added_and_removed() {
        let mut t = filled(25);
        let first = t.page(Order::Newest, None, 10, |_, _| true).unwrap();
        let seen: Vec<u32> = first.rows.iter().map(|r| *r.1).collect();
        let cursor = first.cursor.unwrap();
        t.insert("late", 99);
        t.remove("r15");
        let second = t.page(Order::Newest, Some(&cursor), 10, |_, _| true).unwrap();
        assert_eq!(seen, (15..25).rev().collect::<Vec<_>>());
        assert_eq!(
            second.rows.iter().map(|r| *r.1).collect::<Vec<_>>(),
            (5..15).rev().collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_row_is_on_two_pages_in_either_order() {
        let t = filled(25);
        for order in [Order::Oldest, Order::Newest] {
            let (mut seen, mut cursor) = (Vec::new(), None);
            for _ in 0..3 {
                let page = t.page(order, cursor.as_deref(), 10, |_, _| true).unwrap();
                seen.extend(page.rows.iter().map(|(_, n)| **n));
                cursor = page.cursor;
            }
            if order == Order::Newest {
                seen.reverse();
            }
            assert_eq!((seen, cursor), ((0..25).collect(), None), "{order:?}");
        }
    }

    #[test]
    fn a_full_last_page_has_no_cursor() {
        assert!(filled(10).page(Order::Oldest, None, 10, |_, _| true).unwrap().cursor.is_none());
        assert!(filled(11).page(Order::Oldest, None, 10, |_, _| true).unwrap().cursor.is_some());
    }

    #[test]
    fn a_cursor_of_another_table_is_refused() {
        let cursor = Table::<u32>::new("other").make_cursor(3);
        for bad in [cursor.as_str(), "", "!!", "MTIz"] {
            assert_eq!(
                filled(3).page(Order::Oldest, Some(bad), 10, |_, _| true).unwrap_err(),
                BadCursor,
                "{bad}"
            );
        }
    }
}
