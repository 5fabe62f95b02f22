//! The simulated store: the ledger's state, what a failover brings back, its clock, the network.

use super::super::super::Moment;
use super::super::super::tests::random::Random;
use super::super::{SyncReply, SyncRequest};
use super::ledger::{Ledger, Watch};
use super::mutation::Mutation;
use super::scene::{Network, at};
use super::state::State;

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

/// All that a store keeps.
type Data = (Option<State>, Option<Watch>);

pub(super) struct Store {
    pub(super) ledger: Ledger,
    run: u64,
    last: u64,
    /// Milliseconds by which its clock is wrong.
    pub(super) offset: i64,
    snapshot: Data,
    /// The primary that a failover replaced.
    old: Option<(u64, Data)>,
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
            last: 1,
            offset: 1_000_000_000,
            snapshot: (None, None),
            old: None,
            down_until: Moment::ZERO,
            slow: Spell::default(),
            slow_replies: Spell::default(),
            network,
        };
        store.ledger.create("1", store.offset);
        store.take_snapshot();
        store
    }

    fn time(&self, now: Moment) -> i64 {
        i64::try_from(now.as_nanos() / 1_000_000).expect("a short run") + self.offset
    }

    /// A process asks which store this is.
    pub(super) fn look(&mut self, nonce: u64, now: Moment) -> String {
        let (time, run) = (self.time(now), self.run.to_string());
        self.ledger.look(&format!("{nonce:x}"), time, &run)
    }

    pub(super) fn run(&mut self, request: &SyncRequest, now: Moment) -> SyncReply {
        let (time, run) = (self.time(now), self.run.to_string());
        self.ledger.run(request, time, &run)
    }

    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn flush(&mut self) {
        (self.ledger.state, self.ledger.watch) = (None, None);
    }

    pub(super) fn restart(&mut self, with_data: bool) {
        self.run = self.fresh();
        if !with_data {
            self.flush();
        }
    }

    fn data(&self) -> Data {
        (self.ledger.state.clone(), self.ledger.watch.clone())
    }

    fn put(&mut self, run: u64, data: Data) {
        self.run = run;
        (self.ledger.state, self.ledger.watch) = data;
    }

    pub(super) fn take_snapshot(&mut self) {
        self.snapshot = self.data();
    }

    pub(super) fn fail_over(&mut self) {
        self.old = Some((self.run, self.data()));
        let run = self.fresh();
        self.put(run, self.snapshot.clone());
        self.offset += 300;
    }

    pub(super) fn old_primary(&mut self) {
        if let Some((run, data)) = self.old.take() {
            self.put(run, data);
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
