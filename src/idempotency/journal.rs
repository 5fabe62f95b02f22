//! The bytes of the journal of made keys: what a new process needs to recognise an SDK's retry.
//!
//! A header and rows of one size, each with a check of its own. A row is written in place when its
//! key is used, before the call is sent. When the key is forgotten, another key takes the row. So
//! the file is as long as the memory is large, and nothing is ever copied. It holds hashes of
//! requests, and the made keys themselves, which are sent again. It holds nothing that a client
//! gave. A row that can't be read is ignored. Times are of `CLOCK_BOOTTIME`. After another boot
//! nothing in the file counts, because a loss of power may have lost the last writes.
//!
//! Layout, little endian:
//!
//! | bytes | header | bytes | row |
//! | --- | --- | --- | --- |
//! | 0..8 | `TGKEYS01` | 0..16 | connection, hashed |
//! | 8..24 | boot id | 16..48 | request, hashed |
//! | 24..120 | zero | 48..64 | key |
//! | 120..128 | check | 64..72 | moment, ns |
//! | | | 72..76 | count of the SDK's retries; all ones where it counts none |
//! | | | 76 | 1 if its answer was handed over |
//! | | | 77..120 | zero |
//! | | | 120..128 | check with the row's number |
//!
//! This module does no I/O. The thread of `writer` takes rows from `lines` and writes them through
//! `file`.

mod file;
mod lines;
mod writer;

use std::time::Duration;

use sha2::{Digest, Sha256};

pub(super) use file::KeyJournal;
pub(super) use writer::{JournalWriter, RowOutcome, RowSink, STALL};

use super::made::Remembered;
use super::retention::Owner;
use crate::clock::Instant;
use crate::ids::RandomId;

/// Bytes of the header, and of a row. No row lies on two pages.
pub(super) const ROW: usize = 128;
const MAGIC: &[u8; 8] = b"TGKEYS01";
const LAST: usize = ROW - 8;

/// The clocks of this process at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The kernel's boot id; zeros if it has none.
    pub(super) boot: [u8; 16],
    pub(super) now: Instant,
    /// `CLOCK_BOOTTIME`.
    pub(super) boottime: Duration,
}

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JournalContents {
    pub(super) rows: Vec<(u32, Remembered)>,
    /// Rows that can't be read.
    pub(super) damaged: usize,
}

/// The header of a file that is written under the boot id `boot`.
pub(super) fn header(boot: [u8; 16]) -> [u8; ROW] {
    let mut bytes = [0; ROW];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..24].copy_from_slice(&boot);
    seal(bytes, u32::MAX)
}

/// The offset of a row in the file, in bytes.
pub(super) const fn offset(number: u32) -> u64 {
    ROW as u64 * (number as u64 + 1)
}

/// The bytes of a row.
pub(super) fn row(number: u32, known: &Remembered, clocks: &Clocks) -> [u8; ROW] {
    let age = clocks.now.saturating_duration_since(known.since);
    let mut bytes = [0; ROW];
    bytes[..16].copy_from_slice(&known.owner);
    bytes[16..48].copy_from_slice(&known.print);
    bytes[48..64].copy_from_slice(&known.key.to_octets());
    bytes[64..72].copy_from_slice(&nanos(clocks.boottime.saturating_sub(age)).to_le_bytes());
    bytes[72..76].copy_from_slice(&known.count.to_le_bytes());
    bytes[76] = u8::from(known.accepted);
    seal(bytes, number)
}

/// Reads a file and returns the rows that are younger than `time`. `None` if the file is not of
/// this boot.
pub(super) fn decode(bytes: &[u8], time: Duration, clocks: &Clocks) -> Option<JournalContents> {
    let (rows, torn) = bytes.as_chunks::<ROW>();
    let (head, rows) = rows.split_first()?;
    if clocks.boot == [0; 16] || *head != header(clocks.boot) {
        return None;
    }
    let mut found = JournalContents { rows: Vec::new(), damaged: usize::from(!torn.is_empty()) };
    for (number, bytes) in (0..).zip(rows) {
        match read(number, bytes, clocks) {
            Some(known) if clocks.now.saturating_duration_since(known.since) < time => {
                found.rows.push((number, known));
            }
            Some(_) => {}
            // Zeros are a row that was never written.
            None => found.damaged += usize::from(*bytes != [0; ROW]),
        }
    }
    Some(found)
}

fn read(number: u32, bytes: &[u8; ROW], clocks: &Clocks) -> Option<Remembered> {
    if seal(*bytes, number) != *bytes {
        return None;
    }
    let moment = Duration::from_nanos(u64::from_le_bytes(part(bytes, 64)));
    let age = clocks.boottime.checked_sub(moment)?;
    Some(Remembered {
        owner: part::<16>(bytes, 0) as Owner,
        print: part(bytes, 16),
        key: RandomId::from_octets(part(bytes, 48)),
        count: u32::from_le_bytes(part(bytes, 72)),
        accepted: bytes[76] == 1,
        since: clocks.now.checked_sub(age)?,
    })
}

fn part<const N: usize>(bytes: &[u8; ROW], at: usize) -> [u8; N] {
    bytes[at..].first_chunk().copied().expect("each part lies within a row")
}

/// `bytes` with their check. The check covers the row's number, so that a row can't pass for
/// another.
fn seal(mut bytes: [u8; ROW], number: u32) -> [u8; ROW] {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    hash.update(&bytes[..LAST]);
    let check: [u8; 32] = hash.finalize().into();
    bytes[LAST..].copy_from_slice(&check[..ROW - LAST]);
    bytes
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIME: Duration = Duration::from_secs(120);

    fn clocks() -> Clocks {
        Clocks { boot: [7; 16], now: Instant::now(), boottime: Duration::from_secs(9_000) }
    }

    fn known(n: u8, clocks: &Clocks) -> Remembered {
        let age = Duration::from_secs(u64::from(n % 100));
        Remembered {
            owner: [n; 16],
            print: [n; 32],
            key: RandomId::from_octets([n; 16]),
            count: u32::from(n),
            accepted: n.is_multiple_of(2),
            since: clocks.now.checked_sub(age).unwrap(),
        }
    }

    fn file(rows: u8, clocks: &Clocks) -> (Vec<u8>, Vec<(u32, Remembered)>) {
        let mut bytes = header(clocks.boot).to_vec();
        let rows: Vec<_> =
            (0..rows).map(|n| (u32::from(n), known(n.wrapping_mul(37), clocks))).collect();
        rows.iter().for_each(|(number, known)| bytes.extend(row(*number, known, clocks)));
        (bytes, rows)
    }

    #[test]
    fn what_is_written_is_read_and_ages() {
        let written = clocks();
        let (bytes, rows) = file(30, &written);
        assert_eq!(
            decode(&bytes, TIME, &written),
            Some(JournalContents { rows: rows.clone(), damaged: 0 })
        );
        let ahead = Duration::from_secs(50);
        let later =
            Clocks { now: written.now + ahead, boottime: written.boottime + ahead, ..written };
        let young = |known: &Remembered| later.now.duration_since(known.since) < TIME;
        let young: Vec<_> = rows.into_iter().filter(|(_, known)| young(known)).collect();
        assert_eq!(decode(&bytes, TIME, &later).unwrap().rows, young);
    }

    #[test]
    fn what_another_boot_wrote_counts_for_nothing() {
        let written = clocks();
        let (bytes, _) = file(3, &written);
        for boot in [[8; 16], [0; 16]] {
            assert_eq!(decode(&bytes, TIME, &Clocks { boot, ..written }), None);
        }
        // The clock is behind the row's time, so that time can't be right.
        let behind = Clocks { boottime: Duration::from_secs(1), ..written };
        assert_eq!(
            decode(&bytes, TIME, &behind),
            Some(JournalContents { rows: Vec::new(), damaged: 3 })
        );
    }

    #[test]
    fn a_row_in_another_place_is_damaged() {
        let clocks = clocks();
        let (mut bytes, _) = file(2, &clocks);
        bytes.drain(ROW..2 * ROW);
        assert_eq!(
            decode(&bytes, TIME, &clocks),
            Some(JournalContents { rows: Vec::new(), damaged: 1 })
        );
    }

    proptest! {
        #[test]
        fn any_prefix_of_a_file_holds_the_first_of_its_rows(rows in 0..20_u8, cut in 0..3_000_usize) {
            let clocks = clocks();
            let (mut bytes, rows) = file(rows, &clocks);
            bytes.truncate(cut);
            let whole = bytes.len() / ROW;
            match decode(&bytes, TIME, &clocks) {
                None => prop_assert_eq!(whole, 0),
                Some(found) => {
                    prop_assert_eq!(found.rows, &rows[..whole - 1]);
                    prop_assert_eq!(found.damaged == 0, bytes.len() % ROW == 0);
                }
            }
        }

        #[test]
        fn octets_that_changed_cost_their_rows_and_make_no_key(
            rows in 1..20_u8,
            changes in prop::collection::vec((0..3_000_usize, any::<u8>()), 1..9),
        ) {
            let clocks = clocks();
            let (written, rows) = file(rows, &clocks);
            let mut bytes = written.clone();
            for (at, octet) in changes {
                let at = at % bytes.len();
                bytes[at] = octet;
            }
            let same = |number: u32| {
                let at = usize::try_from(offset(number)).unwrap();
                bytes[at..at + ROW] == written[at..at + ROW]
            };
            match decode(&bytes, TIME, &clocks) {
                None => prop_assert!(bytes[..ROW] != written[..ROW]),
                Some(found) => {
                    let whole: Vec<_> =
                        rows.into_iter().filter(|(number, _)| same(*number)).collect();
                    prop_assert_eq!(found.rows, whole);
                }
            }
        }

        #[test]
        fn octets_at_random_are_no_rows(octets in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let clocks = clocks();
            let mut bytes = header(clocks.boot).to_vec();
            bytes.extend(octets);
            prop_assert_eq!(decode(&bytes, TIME, &clocks).unwrap().rows, Vec::new());
        }
    }
}
