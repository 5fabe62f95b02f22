//! The fleet in virtual time: true time drives everything, each process reads its own clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::super::super::Moment;
use super::super::super::tests::random::Random;
use super::super::{Report, SyncReply, SyncRequest};
use super::mutation::Mutation;
use super::node::{Node, Skew, Waiting};
use super::scene::{Fault, Habit, Scene, at};
use super::store::Store;

/// Between two looks of a process at the store.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Happens {
    Due(usize),
    Ripens(usize),
    Runs(usize, Box<SyncRequest>),
    Replied(usize, Box<SyncReply>),
    Connected(usize, u64),
    Answered(usize, u64),
    Calls(usize),
    Looks(usize),
    Fault(Fault),
}

impl Happens {
    /// Whose event this is; the store and the network have their own.
    fn node(&self) -> Option<usize> {
        match self {
            Self::Due(node)
            | Self::Ripens(node)
            | Self::Replied(node, _)
            | Self::Connected(node, _)
            | Self::Answered(node, _)
            | Self::Calls(node)
            | Self::Looks(node) => Some(*node),
            Self::Runs(..) | Self::Fault(_) => None,
        }
    }
}

/// One call as the vendor may see it, in true time.
#[derive(Clone, Debug)]
pub(super) struct SentCall {
    pub(super) app: u32,
    pub(super) nested: bool,
    /// Which slot of each pool.
    pub(super) slots: Vec<u32>,
    pub(super) waited: Duration,
    pub(super) taken: Moment,
    pub(super) ended: Moment,
}

pub(super) struct World {
    pub(super) scene: Scene,
    pub(super) now: Moment,
    pub(super) dice: Random,
    pub(super) nodes: Vec<Node>,
    pub(super) store: Store,
    pub(super) sent: Vec<SentCall>,
    pub(super) syncs: u64,
    /// When the limit became what.
    pub(super) limits: Vec<(Moment, u32)>,
    pub(super) serial: u64,
    to_come: BinaryHeap<Reverse<(Moment, u64)>>,
    happens: BTreeMap<u64, (u64, Happens)>,
}

impl World {
    pub(super) fn new(scene: Scene) -> Self {
        let store = Store::new(scene.mutation, scene.network);
        let mut world = Self {
            now: Moment::ZERO,
            dice: Random::new(scene.seed),
            nodes: Vec::new(),
            store,
            sent: Vec::new(),
            syncs: 0,
            limits: vec![(Moment::ZERO, scene.calls)],
            serial: 0,
            to_come: BinaryHeap::new(),
            happens: BTreeMap::new(),
            scene,
        };
        for node in 0..world.scene.habits.len() {
            let node_of = world.process(node);
            world.nodes.push(node_of);
            world.begin(node);
        }
        for (when, fault) in world.scene.faults.clone() {
            world.soon(at(when), 0, Happens::Fault(fault));
        }
        world
    }

    pub(super) fn run(&mut self) -> &mut Self {
        let end = at(self.scene.length);
        while let Some(Reverse((when, serial))) = self.to_come.pop()
            && when <= end
        {
            self.now = when;
            let Some((generation, happens)) = self.happens.remove(&serial) else { continue };
            if let Some(node) = happens.node() {
                let process = &self.nodes[node];
                if process.generation != generation || !process.alive {
                    continue;
                }
                if process.frozen_until > when {
                    let process = &mut self.nodes[node];
                    let thaws = process.frozen_until;
                    match happens {
                        Happens::Due(_) if process.armed == when => process.armed = thaws,
                        Happens::Ripens(_) if process.ripens == when => process.ripens = thaws,
                        _ => {}
                    }
                    self.soon(thaws, generation, happens);
                    continue;
                }
            }
            self.happen(happens);
        }
        self
    }

    /// A process as it starts.
    pub(super) fn process(&mut self, node: usize) -> Node {
        self.serial += 1;
        let ppm = i64::try_from(self.dice.below(2)).expect("0 or 1") * 2 - 1;
        let offset = 1_000_000_000_000 + self.dice.below(1_000_000_000_000);
        let skew = Skew { offset, ppm: ppm * self.scene.skew };
        let version = self.limits.len() as u64;
        let limit = self.limits.last().expect("one").1;
        let name = format!("{node}-{}", self.serial);
        Node::new(name, skew, &self.scene, (limit, version))
    }

    pub(super) fn begin(&mut self, node: usize) {
        let generation = self.nodes[node].generation;
        self.soon(self.now, generation, Happens::Looks(node));
        if !matches!(self.scene.habits[node], Habit::Silent) {
            self.soon(self.now, generation, Happens::Calls(node));
        }
    }

    pub(super) fn soon(&mut self, when: Moment, generation: u64, happens: Happens) {
        self.serial += 1;
        self.to_come.push(Reverse((when, self.serial)));
        self.happens.insert(self.serial, (generation, happens));
    }

    /// Lets a process look at its replica now.
    pub(super) fn kick(&mut self, node: usize) {
        self.nodes[node].armed = self.now;
        self.soon(self.now, self.nodes[node].generation, Happens::Due(node));
    }

    /// The same for an event of a process.
    pub(super) fn later(&mut self, node: usize, after: f64, happens: Happens) {
        let when = self.now + at(after).since(Moment::ZERO);
        self.soon(when, self.nodes[node].generation, happens);
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            // Where an earlier wake was armed after this one, that one armed the next.
            Happens::Due(node) => {
                if self.nodes[node].armed == self.now {
                    self.nodes[node].armed = Moment::NEVER;
                    self.due(node);
                }
            }
            Happens::Ripens(node) => {
                if self.nodes[node].ripens == self.now {
                    self.nodes[node].ripens = Moment::NEVER;
                    self.dispatch(node);
                }
            }
            Happens::Runs(node, request) => self.runs(node, &request),
            Happens::Replied(node, reply) => self.replied(node, &reply),
            Happens::Connected(node, call) => self.connected(node, call),
            Happens::Answered(node, call) => self.answered(node, call),
            Happens::Calls(node) => self.calls(node),
            Happens::Looks(node) => {
                if self.store.arrives(self.now, &mut self.dice).is_some()
                    && self.nodes[node].cut_until <= self.now
                {
                    let now = self.nodes[node].skew.local(self.now);
                    let incarnation = self.store.look(self.dice.next(), self.now);
                    self.nodes[node].sighting.sees(&incarnation, now, now);
                }
                self.later(node, LOOK.as_secs_f64(), Happens::Looks(node));
            }
            Happens::Fault(fault) => self.befall(fault),
        }
    }

    /// A client calls.
    fn calls(&mut self, node: usize) {
        match self.scene.habits[node] {
            Habit::Silent | Habit::Backlog(_) => {}
            Habit::Poisson(mean) => {
                self.enqueue(node);
                let next = self.dice.exponential(mean);
                self.later(node, next, Happens::Calls(node));
            }
        }
        self.dispatch(node);
    }

    pub(super) fn enqueue(&mut self, node: usize) {
        let app = *self.dice.pick(&self.scene.apps[node]);
        let nested = self.scene.child.is_some() && self.dice.chance(0.4);
        let call = Waiting { app, nested, since: self.now };
        self.nodes[node].queue.push_back(call);
    }

    fn due(&mut self, node: usize) {
        let now = self.nodes[node].skew.local(self.now);
        if self.nodes[node].replica.due() <= now {
            if self.nodes[node].replica.is_asking() {
                self.nodes[node].replica.give_up(self.dice.unit(), now);
            } else {
                self.sync(node, now);
            }
        }
        self.dispatch(node);
    }

    fn sync(&mut self, node: usize, now: Moment) {
        self.syncs += 1;
        let nonce = format!("{:x}", self.dice.next());
        let process = &mut self.nodes[node];
        process.release_expired(now);
        let report = Report {
            demand: process.demand(&self.scene.weights),
            waiting: process.queue.len(),
            interactive: 0,
            hurries: false,
            sighting: &process.sighting,
            nonce,
        };
        let mut request = process.replica.request(&mut process.pools, report, now, |_, _| ());
        if self.scene.mutation == Mutation::SlotInUseReturned {
            process.return_in_use(&mut request);
        }
        if self.scene.mutation == Mutation::InUseReportedByItsEnd {
            process.report_ends(&mut request, now);
        }
        if self.nodes[node].cut_until <= self.now
            && let Some(when) = self.store.arrives(self.now, &mut self.dice)
        {
            self.soon(when, self.nodes[node].generation, Happens::Runs(node, Box::new(request)));
        }
    }

    fn runs(&mut self, node: usize, request: &SyncRequest) {
        if self.now < self.store.down_until {
            return;
        }
        let reply = self.store.run(request, self.now);
        if let Some(when) = self.store.returns(self.now, &mut self.dice)
            && self.nodes[node].cut_until <= self.now
        {
            // A process that began meanwhile reads no reply to the one before.
            if self.nodes[node].replica.is_named(&request.replica) {
                let generation = self.nodes[node].generation;
                self.soon(when, generation, Happens::Replied(node, Box::new(reply)));
            }
        }
    }

    fn replied(&mut self, node: usize, reply: &SyncReply) {
        let process = &mut self.nodes[node];
        if process.cut_until > self.now {
            return;
        }
        let now = process.skew.local(self.now);
        process.release_expired(now);
        process.read(reply, &self.scene, now);
        self.dispatch(node);
    }
}
