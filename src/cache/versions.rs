//! What a replica knows of the writes that were made through others. Pure: the time is an argument.
//!
//! Redis holds a log of writes: each is written there before it is sent, and again before its caller
//! is answered. A replica asks for what it has not read yet, and does to its own [`Generations`]
//! what it would do for a write of its own. Whatever was answered before it asked is known after the
//! answer: it is *in step* with the moment of the question. Pushes tell the same sooner, and nothing
//! relies on them. A log that does not hold what was read last may have lost entries: then every
//! copy is worthless.

pub mod entry;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::generations::{Clearing, End, Generations};
use crate::clock::Instant;
use crate::ids::RandomId;
use entry::{Item, LogEntry, Mark, Pull, Tag, WriteStep};

/// Writes of others that may be under way at once. Beyond that the outcome of one counts as unknown.
const UNDER_WAY: usize = 4096;

/// Processes whose last entry is remembered.
const REPLICAS: usize = 1024;

/// After Redis could not be asked for a while it is believed so much later: others could not be asked
/// either, and tell now what they could not tell then.
const GRACE: Duration = Duration::from_secs(1);

/// An answer that took longer is a sign that others may have given up telling of a write. They do so
/// as soon as Redis answers them, at the same time.
const SLOW: Duration = Duration::from_millis(20);

/// After a slow answer Redis is believed so much later.
const SHORT_GRACE: Duration = Duration::from_millis(100);

/// What one replica has read.
pub struct Versions {
    own: RandomId,
    generations: Arc<Generations>,
    read: Option<Mark>,
    /// By replica and number, with the time when each ends at the latest.
    open: HashMap<(RandomId, u64), (Clearing, Instant)>,
    /// The last entry of each replica, by its own count.
    last: HashMap<RandomId, u64>,
    in_step: Option<Instant>,
    /// The last question failed.
    failed: bool,
    /// Answers to earlier questions say too little.
    believed_from: Option<Instant>,
}

/// What a pushed entry was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was the next, or known already.
    InOrder,
    /// Others lie between: they must be asked for.
    Missed,
}

/// How far copies may be trusted in a read that begins now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadStanding {
    /// Every write is known that was answered long enough ago.
    pub confirmed: bool,
    /// How old what is served may be all the same.
    pub bound: Duration,
}

// === impl ReadStanding ===

impl ReadStanding {
    /// Of a gateway that shares nothing.
    pub const ALONE: Self = Self { confirmed: true, bound: Duration::ZERO };

    /// Of a replica that was last in step at `in_step`, for a read that begins `now`.
    #[must_use]
    pub fn of(in_step: Option<Instant>, now: Instant, bound: Duration) -> Self {
        Self { confirmed: in_step.is_some_and(|time| time + bound >= now), bound }
    }

    /// True when an answer may be served `now` that was asked for at `asked`.
    #[must_use]
    pub fn allows(self, asked: Instant, now: Instant) -> bool {
        self.confirmed || now < asked + self.bound
    }

    /// Which flights may be joined `since` the start: those with the same number. `None`: none.
    #[must_use]
    pub fn joins(self, since: Duration) -> Option<u64> {
        if self.confirmed {
            return Some(0);
        }
        // None of them began longer ago than half the bound.
        let half = u64::try_from(self.bound.as_millis() / 2).unwrap_or(u64::MAX);
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        since.checked_div(half).map(|number| number + 1)
    }
}

// === impl Versions ===

impl Versions {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(own: RandomId, generations: Arc<Generations>) -> Self {
        Self {
            own,
            generations,
            read: None,
            open: HashMap::new(),
            last: HashMap::new(),
            in_step: None,
            failed: false,
            believed_from: None,
        }
    }

    /// Whose own entries need no reading.
    #[must_use]
    pub fn own(&self) -> RandomId {
        self.own
    }

    /// The last entry that was read, as Redis is asked.
    #[must_use]
    pub fn mark(&self) -> String {
        self.read.map_or_else(String::new, |mark| mark.to_string())
    }

    /// When it was in step the last time.
    #[must_use]
    pub fn in_step(&self) -> Option<Instant> {
        self.in_step
    }

    /// Redis was asked at `asked` and answered `pull`. Effects of writes that are not known may
    /// follow for `settle`.
    pub fn pulled(&mut self, pull: &Pull, asked: Instant, now: Instant, settle: Duration) {
        if pull.whole {
            self.generations.clear_all(now + settle);
        }
        for entry in &pull.entries {
            let age = Duration::from_millis(pull.now.saturating_sub(entry.at));
            self.apply(entry, age, now);
            self.read = Some(entry.mark);
        }
        self.expire(now);
        let took = now.saturating_duration_since(asked);
        if std::mem::take(&mut self.failed) || took > GRACE {
            self.believe_from(now + GRACE);
        } else if took > SLOW {
            self.believe_from(now + SHORT_GRACE);
        }
        self.in_step = self.believed_from.is_none_or(|from| from <= asked).then_some(asked);
    }

    fn believe_from(&mut self, time: Instant) {
        self.believed_from = self.believed_from.max(Some(time));
    }

    /// Redis was asked in vain.
    pub fn failed(&mut self) {
        self.failed = true;
    }

    /// An entry was pushed.
    pub fn heard(&mut self, entry: &LogEntry, now: Instant) -> Heard {
        match self.read {
            Some(mark) if entry.mark.seq <= mark.seq => Heard::InOrder,
            Some(mark) if entry.mark.seq == mark.seq + 1 => {
                self.apply(entry, Duration::ZERO, now);
                self.read = Some(entry.mark);
                Heard::InOrder
            }
            _ => Heard::Missed,
        }
    }

    /// Redis was lost for a while. It may be another one now, to which the last entries never came,
    /// whether or not this replica has read them.
    pub fn lost(&mut self, now: Instant, settle: Duration) {
        (self.read, self.in_step) = (None, None);
        self.generations.clear_all(now + settle);
    }

    fn apply(&mut self, entry: &LogEntry, age: Duration, now: Instant) {
        let Tag { replica, nth } = entry.mark.tag;
        // Its own were done when they were made.
        if replica == self.own {
            return;
        }
        if self.last.len() >= REPLICAS {
            self.last.clear();
        }
        // A question that Redis answered too late may come behind the next one, which said the same
        // again. What it opens was closed meanwhile.
        let last = self.last.entry(replica).or_default();
        if nth > *last {
            *last = nth;
            entry.items.iter().for_each(|item| self.step(replica, item, age, now));
        }
    }

    fn step(&mut self, replica: RandomId, item: &Item, age: Duration, now: Instant) {
        let write = (replica, item.write);
        let end = match item.step {
            WriteStep::Lost(hold) => return self.generations.clear_all(now + hold),
            WriteStep::Open(limit) => {
                let until = now + limit.saturating_sub(age);
                self.make_room(now);
                let clearing = self.generations.open(item.places.clone());
                self.open.insert(write, (clearing, until));
                return;
            }
            WriteStep::Done(settle) => End::Done(settle.saturating_sub(age)),
            WriteStep::Unknown(limit) => End::Unknown(limit.saturating_sub(age)),
            WriteStep::Refused => End::Refused,
        };
        let opened = self.open.remove(&write).map(|(clearing, _)| clearing);
        let clearing = opened.unwrap_or_else(|| self.generations.open(item.places.clone()));
        clearing.close(end, now);
    }

    /// Writes whose replica has vanished are over by now.
    fn expire(&mut self, now: Instant) {
        for (_, (clearing, _)) in self.open.extract_if(|_, (_, until)| *until <= now) {
            clearing.close(End::Unknown(Duration::ZERO), now);
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.open.len() < UNDER_WAY {
            return;
        }
        let first = self.open.iter().min_by_key(|(_, (_, until))| *until).map(|(write, _)| *write);
        if let Some((clearing, until)) = first.and_then(|write| self.open.remove(&write)) {
            clearing.close(End::Unknown(until.saturating_duration_since(now)), now);
        }
    }
}

#[cfg(test)]
mod tests;
