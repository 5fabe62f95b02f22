//! The simulated store: the ledger's state, what a failover brings back, its clock, the network.

use super::super::super::Moment;
use super::super::super::tests::random::Random;
use super::super::{SyncReply, SyncRequest};
use super::ledger::{Ledger, State};
use super::mutation::Mutation;
use super::scene::{Network, at};

/// A state of the network that ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spell {
    pub(super) until: Moment,
    pub(super) takes: f64,
}

impl Spell {
    fn takes(&self, now: Moment, dice: &mut Random) -> f64 {
        if now < self.until { dice.between(0.0, self.takes) } else { 0.0 }
    }
}

pub(super) struct Store {
    pub(super) ledger: Ledger,
    run: u64,
    birth: u64,
    last: u64,
    /// Milliseconds by which its clock is wrong.
    pub(super) offset: i64,
    snapshot: Option<State>,
    /// The primary that a failover replaced: its run, birth and state.
    old: Option<(u64, u64, Option<State>)>,
    pub(super) down_until: Moment,
    pub(super) slow: Spell,
    pub(super) slow_replies: Spell,
    network: Network,
}

impl Store {
    pub(super) fn new(mutation: Mutation, network: Network) -> Self {
        let mut store = Self {
            ledger: Ledger::new(mutation),
            run: 1,
            birth: 2,
            last: 2,
            offset: 1_000_000_000,
            snapshot: None,
            old: None,
            down_until: Moment::ZERO,
            slow: Spell::default(),
            slow_replies: Spell::default(),
            network,
        };
        let incarnation = store.incarnation();
        store.ledger.create(&incarnation, store.offset);
        store
    }

    pub(super) fn incarnation(&self) -> String {
        format!("{}:{}", self.run, self.birth)
    }

    pub(super) fn run(&mut self, request: &SyncRequest, now: Moment) -> SyncReply {
        let time = i64::try_from(now.as_nanos() / 1_000_000).expect("a short run") + self.offset;
        let incarnation = self.incarnation();
        self.ledger.run(request, time, &incarnation)
    }

    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn flush(&mut self) {
        self.birth = self.fresh();
        self.ledger.state = None;
    }

    pub(super) fn restart(&mut self, with_data: bool) {
        self.run = self.fresh();
        if !with_data {
            self.flush();
        }
    }

    pub(super) fn take_snapshot(&mut self) {
        self.snapshot = self.ledger.state.clone();
    }

    pub(super) fn fail_over(&mut self) {
        let state = std::mem::replace(&mut self.ledger.state, self.snapshot.clone());
        self.old = Some((self.run, self.birth, state));
        self.run = self.fresh();
        self.offset += 300;
    }

    pub(super) fn old_primary(&mut self) {
        if let Some((run, birth, state)) = self.old.take() {
            (self.run, self.birth, self.ledger.state) = (run, birth, state);
            self.offset -= 300;
        }
    }

    /// When a request that is sent now runs; `None` if it is lost.
    pub(super) fn arrives(&self, now: Moment, dice: &mut Random) -> Option<Moment> {
        if now < self.down_until || dice.chance(self.network.lost) {
            return None;
        }
        let takes = self.network.takes * dice.between(0.1, 1.0);
        let late = match dice.chance(self.network.late) {
            true => dice.between(0.0, self.network.latest),
            false => 0.0,
        };
        Some(now + at(takes + late + self.slow.takes(now, dice)).since(Moment::ZERO))
    }

    /// When the reply to a request that ran now is read; `None` if it is lost.
    pub(super) fn returns(&self, now: Moment, dice: &mut Random) -> Option<Moment> {
        if dice.chance(self.network.lost) {
            return None;
        }
        let takes = self.network.takes * dice.between(0.1, 1.0);
        let slow = self.slow.takes(now, dice) + self.slow_replies.takes(now, dice);
        Some(now + at(takes + slow).since(Moment::ZERO))
    }
}
