//! What befalls the simulated fleet.

use super::super::super::Moment;
use super::scene::{Fault, Habit, at};
use super::world::{Happens, World};

impl World {
    pub(super) fn befall(&mut self, fault: Fault) {
        let after = |now: Moment, length: f64| now + at(length).since(Moment::ZERO);
        match fault {
            Fault::Kill(node) => self.kill(node),
            Fault::Start(node) => self.start_again(node),
            Fault::Stop(node) => self.stop(node),
            Fault::Cut(node, length) => self.nodes[node].cut_until = after(self.now, length),
            Fault::Freeze(node, length) => self.nodes[node].frozen_until = after(self.now, length),
            Fault::FreezeBeforeWrite(node, length) => {
                self.nodes[node].freezes = Some(at(length).since(Moment::ZERO));
            }
            Fault::Outage(length) => self.store.down_until = after(self.now, length),
            Fault::Slow(length, takes) => {
                (self.store.slow.until, self.store.slow.takes) = (after(self.now, length), takes);
            }
            Fault::SlowReplies(length, takes) => {
                let slow = &mut self.store.slow_replies;
                (slow.until, slow.takes) = (after(self.now, length), takes);
            }
            Fault::Flush => self.store.flush(),
            Fault::EmptyRestart => self.store.restart(false),
            Fault::RestartWithData => self.store.restart(true),
            Fault::Snapshot => self.store.take_snapshot(),
            Fault::Failover => self.store.fail_over(),
            Fault::OldPrimary => self.store.old_primary(),
            #[expect(clippy::cast_possible_truncation, reason = "an hour")]
            Fault::TimeStep(step) => self.store.offset += (step * 1000.0) as i64,
            Fault::Limit(calls) => self.limit(calls),
            Fault::Burst(node, many) => {
                if self.nodes[node].alive {
                    (0..many).for_each(|_| self.enqueue(node));
                    self.later(node, 0.0, Happens::Calls(node));
                }
            }
            Fault::Load(node, habit) => self.load(node, habit),
        }
    }

    /// The process is gone; what it sent may be counted until the hard limit.
    fn kill(&mut self, node: usize) {
        let hard = self.scene.hard_limit;
        let process = &mut self.nodes[node];
        if !process.alive {
            return;
        }
        process.alive = false;
        for call in process.running.values().filter_map(|running| running.sent) {
            let call = &mut self.sent[call];
            call.ended = call.taken + hard;
        }
        let back = self.dice.between(0.5, 5.0);
        let when = self.now + at(back).since(Moment::ZERO);
        self.soon(when, 0, Happens::Fault(Fault::Start(node)));
    }

    fn start_again(&mut self, node: usize) {
        if self.nodes[node].alive {
            return;
        }
        let mut process = self.process(node);
        process.generation = self.nodes[node].generation + 1;
        self.nodes[node] = process;
        self.begin(node);
    }

    /// The process ends when its calls have; another one starts beside it, in time.
    fn stop(&mut self, node: usize) {
        let now = self.nodes[node].skew.local(self.now);
        let process = &mut self.nodes[node];
        if process.alive && !process.replica.is_gone() {
            process.queue.clear();
            process.replica.leave(now);
            self.scene.habits[node] = Habit::Silent;
            self.kick(node);
            let hard = self.scene.hard_limit.as_secs_f64();
            let back = after_stop(self.now, hard);
            self.soon(back, 0, Happens::Fault(Fault::Kill(node)));
            self.soon(back, 0, Happens::Fault(Fault::Load(node, Habit::Backlog(4))));
            let back = back + at(5.5).since(Moment::ZERO);
            self.soon(back, 0, Happens::Fault(Fault::Start(node)));
        }
    }

    fn limit(&mut self, calls: u32) {
        let calls = calls.max(self.scene.block);
        self.limits.push((self.now, calls));
        let version = self.limits.len() as u64;
        let limits = self.scene.limits(calls);
        for node in 0..self.nodes.len() {
            let process = &mut self.nodes[node];
            let now = process.skew.local(self.now);
            for (shared, calls) in process.shared.iter_mut().zip(&limits) {
                (shared.calls, shared.version) = (*calls, version);
                process.replica.limit(shared.id, *calls, version, now);
            }
            self.kick(node);
        }
    }

    fn load(&mut self, node: usize, habit: Habit) {
        let was = std::mem::replace(&mut self.scene.habits[node], habit);
        if !matches!(habit, Habit::Backlog(_)) {
            self.nodes[node].queue.clear();
        }
        if !matches!(was, Habit::Poisson(_)) && self.nodes[node].alive {
            self.later(node, 0.0, Happens::Calls(node));
        }
    }
}

fn after_stop(now: Moment, hard: f64) -> Moment {
    now + at(hard * 1.05 + 1.0).since(Moment::ZERO)
}
