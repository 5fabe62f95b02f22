//! Two replicas before one vendor, on a clock of their own, and a Redis that fails.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::entry::{Item, LogEntry, Pull, Tag, WriteStep, join};
use super::super::{Heard, ReadStanding, Versions};
use crate::cache::generations::{End, Generations, Name, TagPlace};
use crate::clock::Instant;
use crate::ids::RandomId;

/// A small log, so that a replica falls behind it.
pub(super) const MOST: usize = 6;
/// As in the task that asks.
pub(super) const EVERY: u64 = 750;

pub(super) const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn place(tag: &str) -> TagPlace {
    TagPlace::of_tag(Name::of("acme"), Name::of(tag))
}

pub(super) fn replica(number: u8) -> RandomId {
    RandomId::from_octets([number; 16])
}

/// The log in Redis: what the script does.
#[derive(Default)]
pub(super) struct Log {
    /// Newest last.
    pub(super) entries: Vec<String>,
    pub(super) seq: u64,
}

impl Log {
    /// The answer to a replica that has read up to `known`, and the entry that is pushed.
    pub(super) fn exchange(
        &mut self,
        known: &str,
        tag: Tag,
        items: &[Item],
        now: u64,
    ) -> (String, Option<String>) {
        let mut pushed = None;
        if !items.is_empty() || self.entries.is_empty() {
            self.seq += 1;
            let entry = format!("{} {tag} {now} {}", self.seq, join(items));
            self.entries.push(entry.clone());
            let from = self.entries.len().saturating_sub(MOST);
            self.entries.drain(..from);
            pushed = Some(entry);
        }
        let known = format!("{known} ");
        let read = self.entries.iter().position(|entry| entry.starts_with(&known));
        let which = if read.is_some() { "part" } else { "whole" };
        let from = read.map_or(0, |at| at + 1);
        let lines: Vec<String> = std::iter::once(format!("{now} {which}"))
            .chain(self.entries[from..].to_vec())
            .collect();
        (lines.join("\n"), pushed)
    }
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Luck {
    Good,
    Unsent,
    Unanswered,
}

pub(super) struct Replica {
    pub(super) versions: Versions,
    pub(super) generations: Arc<Generations>,
    /// The version that was read, its generation, and when it was asked for.
    pub(super) copy: Option<(u64, u64, Instant)>,
    /// An answer of the vendor's that is on its way.
    pub(super) fetching: Option<(u64, u64, Instant)>,
    pub(super) untold: Vec<Item>,
    pub(super) asked: u64,
    pub(super) last: u64,
    /// It was refused in the outage of this number.
    pub(super) noticed: u64,
    pub(super) pushes: Vec<String>,
}

/// A write that was answered.
pub(super) struct Written {
    pub(super) value: u64,
    pub(super) at: u64,
    pub(super) by: usize,
    pub(super) number: u64,
    /// It could not be told, though others could ask.
    pub(super) alone: bool,
    pub(super) outage: u64,
}

pub(super) struct World {
    pub(super) start: Instant,
    pub(super) now: u64,
    pub(super) log: Log,
    pub(super) replicas: [Replica; 2],
    pub(super) value: u64,
    pub(super) writes: Vec<Written>,
    /// When each was told at last.
    pub(super) told: HashMap<u64, u64>,
    /// Redis is away, in the outage of this number.
    pub(super) down: bool,
    pub(super) outage: u64,
    pub(super) bound: Duration,
    pub(super) hits: u32,
}

impl World {
    pub(super) fn new(bound: Duration) -> Self {
        let start = Instant::now();
        let replicas = [0, 1].map(|number| {
            let generations = Arc::new(Generations::new(start));
            Replica {
                versions: Versions::new(replica(number), generations.clone()),
                generations,
                copy: None,
                fetching: None,
                untold: Vec::new(),
                asked: 0,
                last: 0,
                noticed: 0,
                pushes: Vec::new(),
            }
        });
        Self {
            start,
            now: 10_000,
            log: Log::default(),
            replicas,
            value: 0,
            writes: Vec::new(),
            told: HashMap::new(),
            down: false,
            outage: 0,
            bound,
            hits: 0,
        }
    }

    pub(super) fn time(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    pub(super) fn ask(&mut self, which: usize, luck: Luck) -> bool {
        let (now, time) = (self.now, self.time());
        let luck = if self.down { Luck::Unsent } else { luck };
        let one = &mut self.replicas[which];
        (one.asked, one.last) = (one.asked + 1, now);
        let mut answer = None;
        if luck != Luck::Unsent {
            let tag = Tag { replica: one.versions.own(), nth: one.asked };
            let mark = one.versions.mark();
            let (text, pushed) = self.log.exchange(&mark, tag, &one.untold, now);
            answer = Some(text);
            if let Some(entry) = pushed {
                self.replicas.iter_mut().for_each(|it| it.pushes.push(entry.clone()));
            }
        }
        let one = &mut self.replicas[which];
        match answer.filter(|_| luck == Luck::Good) {
            Some(text) => {
                for item in one.untold.drain(..) {
                    self.told.insert(item.write, now);
                }
                one.versions.pulled(&Pull::read(&text).unwrap(), time, time, Duration::ZERO);
                true
            }
            None => {
                one.versions.failed();
                one.noticed = if self.down { self.outage } else { one.noticed };
                false
            }
        }
    }

    /// A write through `which`, which others are told of as `luck` says.
    pub(super) fn write(&mut self, which: usize, luck: [Luck; 2], step: WriteStep) {
        let number = self.writes.len() as u64;
        let places: Box<[_]> = [place("brands")].into();
        let item = |step| Item { write: number, step, places: [place("brands")].into() };
        let clearing = self.replicas[which].generations.open(places);
        self.replicas[which].untold.push(item(WriteStep::Open(LIMIT)));
        let opened = self.ask(which, luck[0]);
        self.now += 1;
        self.value += 1;
        self.replicas[which].untold.push(item(step));
        let closed = self.ask(which, luck[1]);
        clearing.close(End::Done(Duration::ZERO), self.time());
        self.writes.push(Written {
            value: self.value,
            at: self.now,
            by: which,
            number,
            alone: !opened && !closed && !self.down,
            outage: self.outage,
        });
    }

    /// A write through `which` of what nobody reads here.
    pub(super) fn other(&mut self, which: usize) {
        let (write, step) = (u64::MAX, WriteStep::Done(Duration::ZERO));
        let item = Item { write, step, places: [place("lists")].into() };
        self.replicas[which].untold.push(item);
        self.ask(which, Luck::Good);
    }

    /// True while a write may be known to its own replica only, as is documented: it was told late,
    /// and the bound counts from then on.
    pub(super) fn is_excused(&self, write: &Written, reader: usize) -> bool {
        let bound = u64::try_from(self.bound.as_millis()).unwrap();
        let waits = self.replicas[write.by].untold.iter().any(|item| item.write == write.number);
        let untold = waits || self.told.get(&write.number).is_none_or(|at| self.now <= at + bound);
        let unseen = !self.down && self.replicas[reader].noticed < write.outage;
        untold && write.by != reader && (write.alone || unseen)
    }

    /// A read through `which`: a copy, or the vendor.
    pub(super) fn read(&mut self, which: usize, luck: Luck) {
        let now = self.time();
        let mut standing =
            ReadStanding::of(self.replicas[which].versions.in_step(), now, self.bound);
        if !standing.confirmed || self.bound.is_zero() {
            self.ask(which, luck);
            standing = ReadStanding::of(self.replicas[which].versions.in_step(), now, self.bound);
        }
        let one = &mut self.replicas[which];
        let moment = one.generations.moment([place("brands")], now);
        let hit = one.copy.filter(|(_, generation, asked)| {
            *generation == moment.generation && standing.allows(*asked, now)
        });
        match hit {
            Some((value, ..)) => {
                self.hits += 1;
                let bound = u64::try_from(self.bound.as_millis()).unwrap();
                for write in &self.writes {
                    let young = bound > 0 && self.now <= write.at + bound;
                    let fine = value >= write.value || young;
                    assert!(
                        fine || self.is_excused(write, which),
                        "{value} is older than {} of {} ms ago",
                        write.value,
                        self.now - write.at
                    );
                }
            }
            // The vendor answers at once, and the answer comes later.
            None if moment.settled => one.fetching = Some((self.value, moment.generation, now)),
            None => {}
        }
    }

    pub(super) fn land(&mut self, which: usize) {
        let now = self.time();
        let one = &mut self.replicas[which];
        let moment = one.generations.moment([place("brands")], now);
        let came = one.fetching.take().filter(|came| came.1 == moment.generation);
        one.copy = came.or(one.copy);
    }

    pub(super) fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now += 50;
            for which in [0, 1] {
                let due = self.replicas[which].last + EVERY <= self.now;
                if due && !self.replicas[which].untold.is_empty() {
                    self.ask(which, Luck::Good);
                }
            }
        }
    }

    /// What was pushed to `which` arrives, apart from those whose bit is in `lost`.
    pub(super) fn hear(&mut self, which: usize, lost: u8) {
        let time = self.time();
        for (at, text) in std::mem::take(&mut self.replicas[which].pushes).into_iter().enumerate() {
            if lost >> (at % 8) & 1 == 1 {
                continue;
            }
            let heard = self.replicas[which].versions.heard(&LogEntry::read(&text).unwrap(), time);
            if heard == Heard::Missed {
                self.ask(which, Luck::Good);
            }
        }
    }
}
