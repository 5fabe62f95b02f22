//! What others are to be told, in order, until they are told.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::cache::versions::entry::{Item, WriteStep};

/// Items that may wait while Redis is away. Beyond that others are told that everything is old.
const WAITING: usize = 1024;

/// Items of one entry.
const TOGETHER: usize = 128;

/// Bounded; no item is lost unless a [`WriteStep::Lost`] stands in its place.
#[derive(Default)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    /// How many were ever put in.
    put: u64,
}

impl Outbox {
    /// Puts `item` at the end. It is told when so many are.
    pub(super) fn put(&mut self, item: Item) -> u64 {
        self.items.push_back(item);
        self.put += 1;
        self.shrink();
        self.put
    }

    /// The first items, and how many are told when these are.
    pub(super) fn take(&mut self) -> (Vec<Item>, u64) {
        let count = self.items.len().min(TOGETHER);
        let taken: Vec<Item> = self.items.drain(..count).collect();
        let left = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        (taken, self.put - left)
    }

    /// `items` that were taken could not be told.
    pub(super) fn put_back(&mut self, items: Vec<Item>) {
        for item in items.into_iter().rev() {
            self.items.push_front(item);
        }
        self.shrink();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Says of all writes that have ended that everything is old. Those under way are told as before,
    /// unless they are too many.
    fn shrink(&mut self) {
        if self.items.len() <= WAITING {
            return;
        }
        let opens = |item: &Item| matches!(item.step, WriteStep::Open(_));
        let ended = self.items.iter().filter(|item| !opens(item)).map(|item| item.write);
        let ended: HashSet<u64> = ended.collect();
        let (mut hold, mut under_way) = (Duration::ZERO, Vec::new());
        for item in self.items.drain(..) {
            match item.step {
                WriteStep::Open(_) if ended.contains(&item.write) => {}
                WriteStep::Open(_) if under_way.len() < WAITING / 2 => under_way.push(item),
                WriteStep::Open(time)
                | WriteStep::Done(time)
                | WriteStep::Unknown(time)
                | WriteStep::Lost(time) => {
                    hold = hold.max(time);
                }
                WriteStep::Refused => {}
            }
        }
        // No write has this number.
        let (write, step) = (u64::MAX, WriteStep::Lost(hold));
        self.items.push_back(Item { write, step, places: Box::default() });
        self.items.extend(under_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(write: u64) -> Item {
        Item { write, step: WriteStep::Done(Duration::from_secs(write)), places: Box::default() }
    }

    #[test]
    fn items_are_told_in_order_and_those_that_could_not_be_told_come_again() {
        let mut outbox = Outbox::default();
        let numbers: Vec<u64> = (0..200).map(|write| outbox.put(item(write))).collect();
        let (first, told) = outbox.take();
        assert_eq!((first.len(), told), (TOGETHER, numbers[TOGETHER - 1]));
        outbox.put_back(first);
        let (again, _) = outbox.take();
        assert_eq!(again, (0..128).map(item).collect::<Vec<_>>());
        let (rest, told) = outbox.take();
        assert_eq!((rest.len(), told), (72, numbers[199]));
        assert!(outbox.is_empty());
    }

    #[test]
    fn while_redis_is_away_it_stays_small_and_then_says_that_everything_is_old() {
        let mut outbox = Outbox::default();
        let open =
            |write| Item { step: WriteStep::Open(Duration::from_secs(60_000)), ..item(write) };
        outbox.put(open(9_000));
        let mut last = None;
        for write in 0..5_000 {
            outbox.put(open(write));
            last = Some(outbox.put(item(write)));
            assert!(outbox.items.len() <= WAITING);
        }
        let (items, _) = outbox.take();
        let WriteStep::Lost(hold) = items[0].step else { panic!("{:?}", items[0]) };
        let longest = Duration::from_secs(5_000);
        assert!(hold > Duration::from_secs(1_024) && hold < longest, "those that ended count");
        assert_eq!(items[1], open(9_000), "it is under way");
        while !outbox.is_empty() {
            assert!(outbox.take().1 <= last.unwrap());
        }
        assert_eq!(Some(outbox.take().1), last);
    }
}
