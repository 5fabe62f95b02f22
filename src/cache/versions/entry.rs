//! What replicas write of their writes: the text of an entry in the log that they share. Pure.
//!
//! `12 <replica>.<nth> <milliseconds> o:7:60000:12.4095,d:6:3000:12`: the number of the entry, who
//! added it as his how-manieth, when by Redis's clock, and what happened to his writes: opened,
//! done, unknown, refused, or lost (`x`). Tags are numbers of places, so that no name lies in Redis.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::cache::generations::TagPlace;
use crate::ids::RandomId;

/// Who added an entry, and as his how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The process.
    pub replica: RandomId,
    /// None is given twice.
    pub nth: u64,
}

/// An entry that was read: its number alone may come again, if Redis lost its last entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number in the log.
    pub seq: u64,
    /// Who added it.
    pub tag: Tag,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Which it is.
    pub mark: Mark,
    /// When it was added, in milliseconds of Redis's clock.
    pub at: u64,
    /// What it tells.
    pub items: Vec<Item>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The write, by a number of its replica's own.
    pub write: u64,
    /// What became of it.
    pub step: WriteStep,
    /// What it changes.
    pub places: Box<[TagPlace]>,
}

/// A step of a write's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    /// It is about to be sent, and may be under way for so long.
    Open(Duration),
    /// It is done; effects may follow for so long.
    Done(Duration),
    /// It may be done at any time within that.
    Unknown(Duration),
    /// It changed nothing.
    Refused,
    /// Writes were made of which nobody could be told: everything may be old, and effects may
    /// follow for so long.
    Lost(Duration),
}

/// What Redis answers: the entries that the asking replica had not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Now, in milliseconds of Redis's clock.
    pub now: u64,
    /// The log does not hold what the replica had read last: these are all entries, and others may
    /// have been missed.
    pub whole: bool,
    /// Oldest first.
    pub entries: Vec<LogEntry>,
}

// === impl Tag and Mark ===

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.replica.digits().as_str(), self.nth)
    }
}

impl Tag {
    fn read(text: &str) -> Option<Self> {
        let (replica, nth) = text.split_once('.')?;
        Some(Self { replica: replica.parse().ok()?, nth: nth.parse().ok()? })
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.tag)
    }
}

// === impl LogEntry ===

impl LogEntry {
    /// Reads an entry; `None` if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let mut next = || words.next();
        let mark = Mark { seq: next()?.parse().ok()?, tag: Tag::read(next()?)? };
        let (at, items) = (next()?.parse().ok()?, next()?);
        let items = items.split(',').filter(|item| !item.is_empty()).map(Item::read);
        Some(Self { mark, at, items: items.collect::<Option<_>>()? })
    }
}

impl Item {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (word, write) = (parts.next()?, parts.next()?.parse().ok()?);
        let time = Duration::from_millis(parts.next()?.parse().ok()?);
        let step = match word {
            "o" => WriteStep::Open(time),
            "d" => WriteStep::Done(time),
            "u" => WriteStep::Unknown(time),
            "r" => WriteStep::Refused,
            "x" => WriteStep::Lost(time),
            _ => return None,
        };
        let places = parts.next()?.split('.').filter(|place| !place.is_empty());
        let places = places.map(|place| TagPlace::of_number(place.parse().ok()?));
        let item = Self { write, step, places: places.collect::<Option<_>>()? };
        parts.next().is_none().then_some(item)
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, time) = match self.step {
            WriteStep::Open(time) => ('o', time),
            WriteStep::Done(time) => ('d', time),
            WriteStep::Unknown(time) => ('u', time),
            WriteStep::Refused => ('r', Duration::ZERO),
            WriteStep::Lost(time) => ('x', time),
        };
        write!(f, "{word}:{}:{}:", self.write, time.as_millis())?;
        for (at, place) in self.places.iter().enumerate() {
            let point = if at == 0 { "" } else { "." };
            write!(f, "{point}{}", place.number())?;
        }
        Ok(())
    }
}

/// The text of `items` in an entry.
#[must_use]
pub fn join(items: &[Item]) -> String {
    let texts: Vec<String> = items.iter().map(Item::to_string).collect();
    texts.join(",")
}

// === impl Pull ===

impl Pull {
    /// Reads Redis's answer; `None` if it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (now, which) = lines.next()?.split_once(' ')?;
        let whole = match which {
            "part" => false,
            "whole" => true,
            _ => return None,
        };
        Some(Self {
            now: now.parse().ok()?,
            whole,
            entries: lines.map(LogEntry::read).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step() -> impl Strategy<Value = WriteStep> {
        (0_u8..5, 0_u64..1 << 40).prop_map(|(which, time)| {
            let time = Duration::from_millis(time);
            match which {
                0 => WriteStep::Open(time),
                1 => WriteStep::Done(time),
                2 => WriteStep::Unknown(time),
                3 => WriteStep::Refused,
                _ => WriteStep::Lost(time),
            }
        })
    }

    fn item() -> impl Strategy<Value = Item> {
        (any::<u64>(), step(), prop::collection::vec(0_u16..4096, 0..5)).prop_map(
            |(write, step, places)| {
                let places = places.into_iter().map(|it| TagPlace::of_number(it).unwrap());
                Item { write, step, places: places.collect() }
            },
        )
    }

    proptest! {
        #[test]
        fn an_entry_is_read_as_it_was_written(
            seq: u64, octets: [u8; 16], nth: u64, at: u64,
            items in prop::collection::vec(item(), 0..6),
        ) {
            let mark = Mark { seq, tag: Tag { replica: RandomId::from_octets(octets), nth } };
            let text = format!("{mark} {at} {}", join(&items));
            let entry = LogEntry { mark, at, items };
            prop_assert_eq!(LogEntry::read(&text), Some(entry.clone()));
            let pull = Pull { now: at, whole: true, entries: vec![entry.clone(), entry] };
            prop_assert_eq!(Pull::read(&format!("{at} whole\n{text}\n{text}")), Some(pull));
        }

        #[test]
        fn no_text_makes_the_reader_fall_over(text in "[0-9a-f odurx:.,\n-]{0,120}") {
            let _ = (LogEntry::read(&text), Pull::read(&text));
        }
    }
}
