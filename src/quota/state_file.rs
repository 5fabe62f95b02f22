//! The state file's bytes: what a new process needs to know of the slots of one pool.
//!
//! A header and one record a slot, each with a check of its own, so that a take or a settle writes
//! 16 bytes in place and a torn or foreign file is noticed. Whatever can't be read is unknown
//! state: the pool then rests for its longest time ([`super::Past::Unknown`]). Moments are stored
//! on `CLOCK_BOOTTIME`, which no wall clock step touches and which ends with its boot id. Under
//! another boot id only a file that was closed ([`Header::closed`], synced to disk) counts, by the
//! wall clock; any other may have lost its last writes with the power.
//!
//! Layout, little endian:
//!
//! | bytes | header | bytes | record |
//! | --- | --- | --- | --- |
//! | 0..8 | `TGSLOTS2` | 0..8 | moment, ns of `CLOCK_BOOTTIME` |
//! | 8..24 | boot id | 8..12 | 0 free, 1 in use since, 2 rests until |
//! | 24..32 | wall clock at boottime 0, ns since 1970 | 12..16 | check with the slot's number |
//! | 32..56 | window, guard, hard limit, ns | | |
//! | 56..60 | slots | | |
//! | 60 | 1 if closed | | |
//! | 61..116 | length and text of the file's name | | |
//! | 116..124 | how long a rest in it may last from its writing on, ns | | |
//! | 124..128 | check | | |
//!
//! A check is the CRC-32 of a number (32 bits) and all bytes before it: 0 for the header, the slot's
//! number and 1 for a record. So a torn write is noticed, and no record can stand for another slot.
//! `TGSLOTS1` had another check: such a file is foreign, to us as ours is to that version.
//!
//! Reading and writing files is not done here.

use std::time::Duration;

use super::moment::{Moment, nanos};
use super::slots::{RestRule, SlotState};

/// Bytes of a header.
pub const HEADER: usize = 128;
/// Bytes of a record.
pub const RECORD: usize = 16;
/// The longest name of a file, in bytes.
pub const LONGEST_NAME: usize = LONGEST - NAME;
/// How long after each other the quota's clock and `CLOCK_BOOTTIME` may be read: a process that is
/// held up in between must not take its own file for one of the future.
const APART: Duration = Duration::from_millis(100);
const MAGIC: &[u8; 8] = b"TGSLOTS2";
const NAME: usize = 62;
const LONGEST: usize = 116;
const LAST: usize = HEADER - 4;

/// The clocks of this process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileClocks {
    /// The kernel's boot id.
    pub boot: [u8; 16],
    /// The quota's clock.
    pub now: Moment,
    /// `CLOCK_BOOTTIME`.
    pub boottime: Duration,
    /// The wall clock, since 1970.
    pub wall: Duration,
}

impl FileClocks {
    fn boottime_of(&self, moment: Moment) -> u64 {
        let later = nanos(moment.since(self.now));
        let earlier = nanos(self.now.since(moment));
        nanos(self.boottime).saturating_add(later).saturating_sub(earlier)
    }

    fn moment_of(&self, boottime: u64) -> Moment {
        let now = nanos(self.boottime);
        self.now.before(Duration::from_nanos(now.saturating_sub(boottime)))
            + Duration::from_nanos(boottime.saturating_sub(now))
    }
}

/// What stands above the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the file, at most [`LONGEST_NAME`] bytes: one that was put in another's place is noticed.
    pub name: String,
    /// The rule that its moments were made with.
    pub rest: RestRule,
    /// How long a rest in it may last from now on by a rule before; see [`longest`].
    pub longest: Duration,
    /// Slots in the file.
    pub slots: u32,
    /// The process ended in order and the file was synced afterwards.
    pub closed: bool,
}

/// Why a file can't be used. Its pool is in unknown state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFileError {
    /// Shorter than it says.
    #[error("the file is cut off")]
    CutOff,
    /// Not a state file, or one of another version.
    #[error("not a state file of this version")]
    Foreign,
    /// A state file of another pool.
    #[error("the state of another pool")]
    OtherPool,
    /// A check does not fit.
    #[error("the file is damaged")]
    Damaged,
    /// It says something that can't be, for example a take in the future.
    #[error("the file contradicts the clock")]
    Implausible,
    /// Written under another boot and not closed: its last writes may be lost.
    #[error("written before a reboot and not closed in order")]
    NotClosed,
}

impl Header {
    /// Its bytes; `None` if the name is too long.
    #[must_use]
    pub fn encode(&self, clocks: &FileClocks) -> Option<[u8; HEADER]> {
        let mut bytes = [0; HEADER];
        let length = u8::try_from(self.name.len()).ok()?;
        if self.name.len() > LONGEST_NAME {
            return None;
        }
        let origin = nanos(clocks.wall.saturating_sub(clocks.boottime));
        let RestRule { window, guard, hard_limit } = self.rest;
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&clocks.boot);
        let words = [origin, nanos(window), nanos(guard), nanos(hard_limit)];
        for (at, word) in words.into_iter().enumerate() {
            bytes[24 + 8 * at..32 + 8 * at].copy_from_slice(&word.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.slots.to_le_bytes());
        bytes[60] = u8::from(self.closed);
        bytes[61] = length;
        bytes[NAME..NAME + self.name.len()].copy_from_slice(self.name.as_bytes());
        bytes[LONGEST..LAST].copy_from_slice(&nanos(self.longest).to_le_bytes());
        let check = check(&bytes[..LAST], 0);
        bytes[LAST..].copy_from_slice(&check.to_le_bytes());
        Some(bytes)
    }
}

/// How long the longest rest of `states` lasts from `now` on. A window that became shorter shortens
/// no rest, so that it may be more than the rule of now makes.
pub fn longest(states: impl IntoIterator<Item = SlotState>, now: Moment) -> Duration {
    let lasts = states.into_iter().map(|state| match state {
        SlotState::Resting(until) => until.since(now),
        SlotState::Free | SlotState::Absent | SlotState::InUse(_) => Duration::ZERO,
    });
    lasts.max().unwrap_or_default()
}

/// Where the record of a slot stands in the file.
#[must_use]
pub const fn offset(slot: u32) -> u64 {
    HEADER as u64 + RECORD as u64 * slot as u64
}

/// The record of a slot.
#[must_use]
pub fn record(slot: u32, state: SlotState, clocks: &FileClocks) -> [u8; RECORD] {
    let (kind, moment) = match state {
        SlotState::Free | SlotState::Absent => (0_u32, 0),
        SlotState::InUse(taken) => (1, clocks.boottime_of(taken)),
        SlotState::Resting(until) => (2, clocks.boottime_of(until)),
    };
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&moment.to_le_bytes());
    bytes[8..12].copy_from_slice(&kind.to_le_bytes());
    let check = check(&bytes[..12], slot.wrapping_add(1));
    bytes[12..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// Reads a file: when each slot that was in use or rested is free again, by the rule `rest` of now.
///
/// # Errors
/// Whatever makes the file useless.
pub fn decode(
    bytes: &[u8],
    name: &str,
    rest: &RestRule,
    clocks: &FileClocks,
) -> Result<Vec<Moment>, StateFileError> {
    let head = Head::read(bytes, name)?;
    let stored = if head.boot == clocks.boot {
        *clocks
    } else if head.closed {
        // The wall clock is all that is left: what it says goes for the old boottime.
        let boottime = clocks.wall.saturating_sub(Duration::from_nanos(head.origin));
        FileClocks { boottime, ..*clocks }
    } else {
        return Err(StateFileError::NotClosed);
    };
    let records = bytes.get(HEADER..).unwrap_or_default();
    let (records, _) = records.as_chunks::<RECORD>();
    let records = records.get(..head.slots as usize).ok_or(StateFileError::CutOff)?;
    let latest = head.latest(rest, clocks.now);
    let longer = rest.longer_than(&head.rest);
    let same_boot = head.boot == clocks.boot;
    let mut until = Vec::new();
    for (slot, bytes) in (0..).zip(records) {
        let (kind, moment) = slot_of(slot, bytes)?;
        let moment = stored.moment_of(moment);
        let latest = match kind {
            0 => continue,
            1 => clocks.now,
            2 => latest,
            _ => return Err(StateFileError::Damaged),
        };
        if moment > latest + APART && same_boot {
            return Err(StateFileError::Implausible);
        }
        let moment = moment.min(latest);
        until.push(match kind {
            1 => rest.after_no_response(moment).max(head.rest.after_no_response(moment)),
            _ => moment + longer,
        });
    }
    Ok(until)
}

/// A header as read.
struct Head {
    boot: [u8; 16],
    origin: u64,
    rest: RestRule,
    longest: Duration,
    slots: u32,
    closed: bool,
}

impl Head {
    /// The latest end of a rest that can stand in the file. By the rule of today, too: that can only
    /// make a rest longer.
    fn latest(&self, rest: &RestRule, now: Moment) -> Moment {
        let ruled = rest.after_no_response(now).max(self.rest.after_no_response(now));
        ruled.max(now + self.longest)
    }

    fn read(bytes: &[u8], name: &str) -> Result<Self, StateFileError> {
        let head: &[u8; HEADER] = bytes.first_chunk().ok_or(StateFileError::CutOff)?;
        if !head.starts_with(MAGIC) {
            return Err(StateFileError::Foreign);
        }
        if check(&head[..LAST], 0).to_le_bytes() != head[LAST..] {
            return Err(StateFileError::Damaged);
        }
        let length = usize::from(head[61]);
        if head.get(NAME..NAME + length) != Some(name.as_bytes()) || length > LONGEST_NAME {
            return Err(StateFileError::OtherPool);
        }
        let word = |at: usize| {
            let word = head[at..].first_chunk().copied().unwrap_or_default();
            u64::from_le_bytes(word)
        };
        let lasts = |at: usize| Duration::from_nanos(word(at));
        Ok(Self {
            boot: head[8..].first_chunk().copied().unwrap_or_default(),
            origin: word(24),
            rest: RestRule { window: lasts(32), guard: lasts(40), hard_limit: lasts(48) },
            longest: lasts(LONGEST),
            slots: u32::from_le_bytes(head[56..].first_chunk().copied().unwrap_or_default()),
            closed: head[60] == 1,
        })
    }
}

fn slot_of(slot: u32, bytes: &[u8; RECORD]) -> Result<(u32, u64), StateFileError> {
    let mut moment = [0; 8];
    let (mut kind, mut sum) = ([0; 4], [0; 4]);
    moment.copy_from_slice(&bytes[..8]);
    kind.copy_from_slice(&bytes[8..12]);
    sum.copy_from_slice(&bytes[12..]);
    if check(&bytes[..12], slot.wrapping_add(1)) != u32::from_le_bytes(sum) {
        return Err(StateFileError::Damaged);
    }
    Ok((u32::from_le_bytes(kind), u64::from_le_bytes(moment)))
}

/// Begun with a number, so that a record can't stand for another slot.
fn check(bytes: &[u8], number: u32) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(&number.to_le_bytes());
    sum.update(bytes);
    sum.sum()
}

#[cfg(test)]
mod tests;
