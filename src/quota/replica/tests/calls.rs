//! The calls of the simulated fleet: from the queue to the end of the slot's use.

use std::time::Duration;

use super::super::super::Moment;
use super::super::super::slots::Settlement;
use super::mutation::Mutation;
use super::node::{Node, Running, Waiting};
use super::scene::{Habit, at};
use super::world::{Happens, SentCall, World};

impl World {
    /// Fills a backlog up again.
    fn fill(&mut self, node: usize) {
        let Habit::Backlog(many) = self.scene.habits[node] else { return };
        if self.scene.fair {
            for app in self.scene.apps[node].clone() {
                let waiting = |node: &Node| node.queue.iter().filter(|w| w.app == app).count();
                while waiting(&self.nodes[node]) < many {
                    let call = Waiting { app, nested: false, since: self.now };
                    self.nodes[node].queue.push_back(call);
                }
            }
        } else {
            while self.nodes[node].queue.len() < many {
                self.enqueue(node);
            }
        }
    }

    /// Starts what can be started, asks for slots where calls wait, and arms the next wakes.
    pub(super) fn dispatch(&mut self, node: usize) {
        self.fill(node);
        let now = self.nodes[node].skew.local(self.now);
        self.nodes[node].release_expired(now);
        let mut turn = 0;
        while turn < self.nodes[node].queue.len() {
            if self.scene.fair {
                self.nodes[node].fairest_first();
            }
            if self.start(node, turn, now) {
                self.fill(node);
            } else {
                turn += 1;
            }
        }
        let process = &mut self.nodes[node];
        let waiting = process.queue.len();
        if waiting > 0 && !process.replica.is_gone() {
            process.replica.wants(waiting, now);
        }
        if process.replica.is_gone() {
            process.alive = false;
            return;
        }
        self.arm(node, now);
    }

    fn start(&mut self, node: usize, turn: usize, now: Moment) -> bool {
        let scene = &self.scene;
        let process = &mut self.nodes[node];
        let call = process.queue[turn];
        let price = process.price(call.nested);
        if !process.pools.affords(&price, now) || !process.may_take(scene, now) {
            return false;
        }
        let Some(paid) = process.pools.pay(&price, call.app, now) else { return false };
        process.queue.remove(turn);
        let part = 1.0 / process.share(call.app);
        *process.served.entry(call.app).or_default() += part;
        self.serial += 1;
        let serial = self.serial;
        let running = Running { paid, call, taken: now, sent: None, how: None };
        self.nodes[node].running.insert(serial, running);
        let hard = self.scene.hard_limit.as_secs_f64();
        let takes = match self.dice.chance(self.scene.slow_connects) {
            true => self.dice.between(0.0, hard * 0.9),
            false => self.dice.between(0.001, 0.05),
        };
        self.later(node, takes, Happens::Connected(node, serial));
        true
    }

    /// A socket is there: the last look before the first byte.
    pub(super) fn connected(&mut self, node: usize, serial: u64) {
        let unsent = self.dice.chance(self.scene.unsent);
        let hard = self.scene.hard_limit;
        let process = &mut self.nodes[node];
        let now = process.skew.local(self.now);
        let Some(running) = process.running.get_mut(&serial) else { return };
        let unchecked =
            matches!(self.scene.mutation, Mutation::WritesUnchecked | Mutation::StaticShareBesides);
        let in_time = now.since(running.taken) <= hard / 2;
        let may = unchecked || (process.replica.may_take(now) && in_time);
        if unsent || !may {
            let running = process.running.remove(&serial).expect("it runs");
            process.pools.settle(running.paid, (Settlement::NothingSent, false), now, |_, _| ());
            process.queue.push_front(running.call);
            return self.dispatch(node);
        }
        let frozen = process.freezes.take().unwrap_or_default();
        process.frozen_until = process.frozen_until.max(self.now + frozen);
        let taken = process.skew.truly(running.taken);
        let (call, latest) = (running.call, taken + hard);
        let pools = &process.pools;
        let ids = |(pool, held)| pools.get(pool).map(|pool| pool.slots.ids(held).collect());
        let slots: Vec<u32> =
            running.paid.parts().filter_map(ids).flat_map(Vec::into_iter).collect();
        let written = self.now + frozen;
        let (answered, how) = self.fate(written, latest);
        let running = self.nodes[node].running.get_mut(&serial).expect("it runs");
        running.how = how;
        running.sent = Some(self.sent.len());
        self.sent.push(SentCall {
            app: call.app,
            nested: call.nested,
            slots,
            waited: taken.since(call.since),
            taken,
            ended: if how.is_some() { latest } else { answered },
        });
        let generation = self.nodes[node].generation;
        self.soon(answered, generation, Happens::Answered(node, serial));
    }

    /// When a call that is written then is heard of, and how if not by an answer.
    fn fate(&mut self, written: Moment, latest: Moment) -> (Moment, Option<Settlement>) {
        let (low, high) = self.scene.answers;
        let left = latest.since(written).as_secs_f64();
        if self.dice.chance(self.scene.never) {
            let gives_up = self.dice.between(0.0, left);
            return (written + seconds(gives_up), Some(Settlement::NoAnswer));
        }
        let takes = match self.dice.chance(self.scene.slow) {
            true => self.dice.between(low, left.max(low)),
            false => self.dice.between(low, high),
        };
        (written + seconds(takes.min(left)), None)
    }

    pub(super) fn answered(&mut self, node: usize, serial: u64) {
        let process = &mut self.nodes[node];
        let now = process.skew.local(self.now);
        let Some(running) = process.running.remove(&serial) else { return };
        let first = match self.scene.mutation {
            Mutation::RestFromSend => running.taken,
            _ => now,
        };
        let how = running.how.unwrap_or(Settlement::FirstByteAt(first));
        process.pools.settle(running.paid, (how, false), now, |_, _| ());
        self.dispatch(node);
    }

    /// Wakes the process when the replica or a slot wants it.
    fn arm(&mut self, node: usize, now: Moment) {
        let process = &mut self.nodes[node];
        let due = process.skew.truly(process.replica.due());
        let ripe = process.shared.iter().filter_map(|shared| {
            let pool = process.pools.get(shared.id)?;
            pool.slots.next_release().filter(|ripe| *ripe > now)
        });
        let ripe = ripe.min().filter(|_| !process.queue.is_empty());
        let ripe = ripe.map_or(Moment::NEVER, |ripe| process.skew.truly(ripe));
        let generation = process.generation;
        let due = due.max(self.now);
        let arms_due = due < process.armed;
        let arms_ripe = ripe < process.ripens;
        if arms_due {
            process.armed = due;
        }
        if arms_ripe {
            process.ripens = ripe;
        }
        if arms_due {
            self.soon(due, generation, Happens::Due(node));
        }
        if arms_ripe {
            self.soon(ripe, generation, Happens::Ripens(node));
        }
    }
}

fn seconds(length: f64) -> Duration {
    at(length).since(Moment::ZERO)
}
