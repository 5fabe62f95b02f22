//! The index of the state folder: whose slots are in which file.
//!
//! A line for each pool that a connection pays, and for each token by which it goes. Tokens, and
//! the places where they stand, are keyed hashes, so that the file tells neither.

use std::fmt;

use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::hex::Hex;
use crate::ids::RandomId;

const HEAD: &str = "tollgate-slots 3";
/// Of the version without places.
const HASHED_HEAD: &str = "tollgate-slots 2";
/// Of the version without a last line, too.
const FIRST_HEAD: &str = "tollgate-slots 1";
/// The last line, with a hash of all before it.
const END: &str = "end ";
/// In the place of what an earlier version did not tell.
const UNKNOWN: &str = "-";

/// One line of the index: where the slots of a pool are that a connection pays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IndexEntry {
    /// The name of the file.
    pub(super) file: String,
    /// The connection's token.
    pub(super) identity: Identity,
    /// Where the token stands; `None` from an index of a version before.
    pub(super) place: Option<Identity>,
    /// The connection's name.
    pub(super) connection: String,
    /// The pool's name; [`CONNECTION_POOL`](crate::catalog::CONNECTION_POOL) for its own.
    pub(super) pool: String,
}

/// The text of the index.
pub(super) fn text<'a>(entries: impl Iterator<Item = &'a IndexEntry>) -> String {
    let head = std::iter::once(format!("{HEAD}\n"));
    let text: String = head.chain(entries.map(|entry| format!("{entry}\n"))).collect();
    let end = end(&text);
    text + &end
}

/// The last line of an index that begins with `text`.
fn end(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    format!("{END}{}\n", Hex(&hash[..8]))
}

/// The entries, and whether they are all that were written.
pub(super) fn read(text: &str) -> (Vec<IndexEntry>, bool) {
    let (head, rest) = text.split_once('\n').unwrap_or(("", text));
    let (whole, lines) = match head {
        HEAD | HASHED_HEAD => {
            let at = text.rfind(END).unwrap_or(text.len()).max(head.len() + 1);
            (end(&text[..at]) == text[at..], &text[head.len() + 1..at])
        }
        FIRST_HEAD => (rest.is_empty() || rest.ends_with('\n'), rest),
        _ => (false, text),
    };
    let entries: Vec<Option<IndexEntry>> =
        lines.lines().map(|line| IndexEntry::read(line, head == HEAD)).collect();
    let whole = whole && entries.iter().all(Option::is_some);
    (entries.into_iter().flatten().collect(), whole)
}

impl IndexEntry {
    fn read(line: &str, has_place: bool) -> Option<Self> {
        let mut parts: Vec<&str> = line.split(' ').collect();
        let place = match has_place && parts.len() > 2 {
            true => Some(parts.remove(2)).filter(|place| *place != UNKNOWN),
            false => None,
        };
        let [file, identity, connection, pool] = parts[..] else { return None };
        // A name of ours, which leads nowhere else.
        file.parse::<RandomId>().ok()?;
        Some(Self {
            file: file.into(),
            identity: identity.parse().ok()?,
            place: place.map(str::parse).transpose().ok()?,
            connection: connection.into(),
            pool: pool.into(),
        })
    }
}

impl fmt::Display for IndexEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, identity, place, connection, pool } = self;
        match place {
            Some(place) => write!(f, "{file} {identity} {place} {connection} {pool}"),
            None => write!(f, "{file} {identity} {UNKNOWN} {connection} {pool}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(octets: [u8; 32]) -> Identity {
        Hex(&octets).to_string().parse().unwrap()
    }

    fn entry() -> impl Strategy<Value = IndexEntry> {
        let name = || prop_oneof!["[a-z]{1,8}", Just("end".to_owned())];
        let hash = || any::<[u8; 32]>().prop_map(identity);
        let place = prop::option::of(hash());
        (any::<[u8; 16]>(), hash(), place, name(), name()).prop_map(
            |(file, identity, place, connection, pool)| {
                let file = RandomId::from_octets(file).to_string();
                IndexEntry { file, identity, place, connection, pool }
            },
        )
    }

    #[test]
    fn digits_with_signs_are_no_identity() {
        assert!("+a".repeat(32).parse::<Identity>().is_err());
    }

    proptest! {
        #[test]
        fn an_index_that_lost_anything_is_not_taken_for_whole(
            entries in prop::collection::vec(entry(), 0..6),
            at in any::<prop::sample::Index>(),
            lost in 1_usize..300,
        ) {
            let written = text(entries.iter());
            prop_assert!(read(&written) == (entries.clone(), true));
            let from = at.index(written.len());
            let cut = format!("{}{}", &written[..from], written.get(from + lost..).unwrap_or_default());
            let (left, whole) = read(&cut);
            prop_assert!(!whole, "{cut:?}");
            prop_assert!(left.len() <= entries.len() + 1);
            let lines: Vec<&str> = written.lines().collect();
            for gone in 0..lines.len() {
                let fewer: Vec<&str> = [&lines[..gone], &lines[gone + 1..]].concat();
                prop_assert!(!read(&format!("{}\n", fewer.join("\n"))).1, "{gone}");
            }
        }

        #[test]
        fn an_index_of_a_version_before_is_read_without_its_places(
            entries in prop::collection::vec(entry(), 0..6),
        ) {
            let lines = entries.iter().map(|entry| {
                let IndexEntry { file, identity, connection, pool, .. } = entry;
                format!("{file} {identity} {connection} {pool}\n")
            });
            let lines: String = lines.collect();
            let known: Vec<IndexEntry> =
                entries.into_iter().map(|entry| IndexEntry { place: None, ..entry }).collect();
            let first = format!("{FIRST_HEAD}\n{lines}");
            prop_assert!(read(&first) == (known.clone(), true));
            let hashed = format!("{HASHED_HEAD}\n{lines}");
            prop_assert!(!read(&hashed).1);
            let ended = hashed.clone() + &end(&hashed);
            prop_assert!(read(&ended) == (known, true));
        }
    }
}
