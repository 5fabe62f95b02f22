//! What is done to a world from outside, and what is measured in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::super::slots::RestRule;
use super::super::state_file::{FileClocks, Header, decode, record};
use super::super::{Moment, Past, PoolId};
use super::counters::Sent;
use super::people::Habit;
use super::world::{Happens, ONE, World, at, quota};

impl World {
    /// The gateway dies and comes back after some seconds: with what it knew of its slots, or
    /// without. What was under way may be counted until its hard limit.
    pub(super) fn restart(&mut self, after: f64, knows: bool) {
        let hard = self.settings.2.pool.hard_limit;
        for call in self.sent.iter_mut().rev() {
            if call.taken + hard < self.now {
                break;
            }
            if call.ended > self.now {
                call.ended = call.taken + hard;
            }
        }
        let waiting = self.queued.drain().map(|(_, call)| call.app);
        let mut cut_off: Vec<usize> = waiting.collect();
        cut_off.extend(self.running.drain().map(|(_, call)| call.app));
        // Maps have an order of their own; the same seed is to be the same run.
        cut_off.sort_unstable();
        self.now = self.now + Duration::from_secs_f64(after);
        self.settings.2.pool.past =
            if knows { Past::Resting(self.read_file()) } else { Past::Unknown };
        self.settings.2.pool.calls = self.limit();
        self.quota = quota(&self.settings, &self.apps, self.now);
        self.write_file();
        self.armed = Moment::NEVER;
        self.happens.retain(|_, h| matches!(h, Happens::Arrives { .. }));
        for app in cut_off {
            if matches!(self.apps[app].habit, Habit::Backlog(_) | Habit::Clients(..)) {
                self.soon(self.now, Happens::Arrives { app, back: false });
            }
        }
        // What would have come while it was away comes now.
        let mut late = BinaryHeap::new();
        std::mem::swap(&mut late, &mut self.to_come);
        for Reverse((when, serial)) in late {
            if self.happens.contains_key(&serial) {
                self.to_come.push(Reverse((when.max(self.now), serial)));
            }
        }
    }

    /// The clocks now, as the state file knows them.
    pub(super) fn clocks(&self) -> FileClocks {
        let since = self.now.since(Moment::ZERO);
        FileClocks {
            boot: [7; 16],
            now: self.now,
            boottime: since + Duration::from_secs(77),
            wall: Duration::ZERO,
        }
    }

    /// Writes the whole state file.
    pub(super) fn write_file(&mut self) {
        let slots = &self.quota.pools().get(self.own()).unwrap().slots;
        let clocks = self.clocks();
        let records = (0..).zip(slots.states());
        self.file = records.map(|(slot, state)| record(slot, state, &clocks)).collect();
    }

    /// Writes what became of some slots of the connection's own pool.
    pub(super) fn write_slots(&mut self, slots: &[(PoolId, u32)]) {
        let own = self.own();
        for (pool, slot) in slots.iter().filter(|(pool, _)| *pool == own) {
            let bytes = record(*slot, self.quota.slot(*pool, *slot), &self.clocks());
            match self.file.get_mut(*slot as usize) {
                Some(place) => *place = bytes,
                None => self.write_file(),
            }
        }
    }

    /// What a new process reads.
    fn read_file(&self) -> Vec<Moment> {
        let rest = RestRule::of(self.settings.2.pool.window, self.settings.2.pool.hard_limit);
        let header = Header {
            name: "connection".into(),
            rest,
            longest: Duration::ZERO,
            slots: u32::try_from(self.file.len()).unwrap(),
            closed: false,
        };
        let mut bytes = header.encode(&self.clocks()).unwrap().to_vec();
        bytes.extend(self.file.iter().flatten());
        decode(&bytes, "connection", &rest, &self.clocks()).unwrap()
    }

    pub(super) fn own(&self) -> PoolId {
        self.quota.own_pool(ONE).unwrap()
    }

    pub(super) fn limit(&self) -> u32 {
        self.quota.gauge(self.own()).unwrap().limit
    }

    /// The part of the slots' time since `from` (seconds) in which they were in use or resting:
    /// calls sent against what slots that rest a window after their answers allow, without an error
    /// at the edges. Every call counts as answered.
    pub(super) fn used(&self, from: f64) -> f64 {
        let slots = &self.quota.pools().get(self.own()).unwrap().slots;
        let begin = at(1000.0 + from);
        let busy = |call: &Sent| {
            let until = slots.rest().after_answer(call.ended).min(self.now);
            until.since(call.taken.max(begin)).as_secs_f64()
        };
        let busy: f64 = self.sent.iter().map(busy).sum();
        busy / (f64::from(slots.limit()) * (self.seconds() - from))
    }

    /// Calls that each app sent between two times (seconds).
    pub(super) fn sent_by(&self, from: f64, to: f64) -> Vec<f64> {
        let (from, to) = (at(1000.0 + from), at(1000.0 + to));
        let mut calls = vec![0.0; self.apps.len()];
        for call in self.sent.iter().filter(|call| (from..to).contains(&call.taken)) {
            calls[call.app] += 1.0;
        }
        calls
    }
}
