//! Replicas that say anything: right books, wrong books, old ones.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::super::{AppDemand, DemandClass, PoolReport, SyncReply, SyncRequest};

const POOLS: [&str; 2] = ["own", "child"];
const LEASE: u64 = 5000;
const TRACE: u64 = 15_000;

#[derive(Clone, Debug, Default)]
struct Caller {
    name: String,
    seq: u64,
    ack: u64,
    epoch: String,
    epoch_number: u64,
    incarnation: String,
    holds: [BTreeSet<u32>; 2],
}

/// A few replicas of one connection.
#[derive(Debug)]
pub(super) struct Callers {
    dice: Rng,
    list: Vec<Caller>,
    limits: [u32; 2],
    version: u64,
    serial: u64,
}

impl Callers {
    pub(super) fn new(seed: u64) -> Self {
        let dice = Rng::with_seed(seed);
        let limits = [12, 4];
        let mut callers = Self { dice, list: Vec::new(), limits, version: 1, serial: 0 };
        for _ in 0..4 {
            let caller = callers.caller();
            callers.list.push(caller);
        }
        callers
    }

    fn caller(&mut self) -> Caller {
        self.serial += 1;
        Caller { name: format!("replica{}", self.serial), ..Caller::default() }
    }

    /// One time in so many.
    pub(super) fn once_in(&mut self, many: u32) -> bool {
        self.dice.u32(0..many) == 0
    }

    /// How far the store's clock goes until the next request: sometimes it jumps, or goes back.
    pub(super) fn time_goes(&mut self) -> i64 {
        match self.dice.u32(0..60) {
            0 => -self.dice.i64(0..5000),
            1 => self.dice.i64(0..40_000),
            2..15 => self.dice.i64(0..5000),
            _ => self.dice.i64(0..600),
        }
    }

    /// The next request, and whose it is.
    pub(super) fn request(&mut self) -> (usize, SyncRequest) {
        let at = self.dice.usize(0..self.list.len());
        if self.once_in(40) {
            self.list[at] = self.caller();
        }
        if self.once_in(30) {
            self.version += 1;
            self.limits = [self.dice.u32(1..16), self.dice.u32(0..6)];
        }
        if !self.once_in(30) {
            self.list[at].seq += 1;
        }
        if self.once_in(40) {
            let caller = &mut self.list[at];
            (caller.epoch, caller.ack) = (String::new(), 0);
            caller.holds = <[BTreeSet<u32>; 2]>::default();
        }
        let bye = self.once_in(25);
        let pools = (0..if self.once_in(5) { 1 } else { 2 }).map(|p| self.report(at, p, bye));
        let pools = pools.collect();
        let dice = &mut self.dice;
        let caller = &self.list[at];
        let behind = u64::from(dice.u32(0..15) == 0);
        let request = SyncRequest {
            replica: caller.name.clone(),
            seq: caller.seq,
            ack: caller.ack.saturating_sub(behind),
            elapsed: dice.u64(0..2500),
            epoch: caller.epoch.clone(),
            epoch_number: caller.epoch_number,
            incarnation: caller.incarnation.clone(),
            age: dice.u64(0..2 * TRACE),
            lease: LEASE,
            trace: TRACE,
            nonce: format!("{:x}", dice.u64(..)),
            bye,
            renew: self.once_in(40),
            pools,
        };
        (at, request)
    }

    fn report(&mut self, at: usize, pool: usize, bye: bool) -> PoolReport {
        let dice = &mut self.dice;
        let (mut hold, mut ret) = (Vec::new(), Vec::new());
        for id in &self.list[at].holds[pool] {
            let rest = if dice.bool() { TRACE } else { dice.u64(0..TRACE) };
            match dice.u32(0..12) {
                0 => {}
                1..4 => ret.push((*id, if dice.bool() { 0 } else { rest })),
                _ if bye => ret.push((*id, rest)),
                _ => hold.push((*id, rest)),
            }
        }
        if dice.u32(0..20) == 0 {
            hold.push((dice.u32(0..20), dice.u64(0..TRACE)));
        }
        let apps = ["a", "b", "c d"].into_iter().filter(|_| dice.bool()).collect::<Vec<_>>();
        let apps = apps.into_iter().map(|app| {
            let class = DemandClass::ALL[dice.usize(0..3)];
            AppDemand(app.to_owned(), dice.u32(1..4), f64::from(dice.u32(0..40)) / 4.0, class)
        });
        PoolReport {
            pool: POOLS[pool].to_owned(),
            blocks: self.limits[pool],
            version: self.version,
            apps: apps.collect(),
            hold,
            ret,
        }
    }

    /// The reply comes; or it is lost, now and then.
    pub(super) fn reply(&mut self, at: usize, request: &SyncRequest, reply: &SyncReply) {
        if self.once_in(6) {
            return;
        }
        let caller = &mut self.list[at];
        match reply {
            SyncReply::Old { .. } => caller.seq += 1,
            SyncReply::Epoch { epoch, epoch_number, incarnation, .. } => {
                (caller.epoch, caller.epoch_number) = (epoch.clone(), *epoch_number);
                caller.incarnation.clone_from(incarnation);
                caller.ack = 0;
            }
            SyncReply::Ok { epoch, epoch_number, incarnation, pools, seq } => {
                (caller.epoch, caller.epoch_number) = (epoch.clone(), *epoch_number);
                caller.incarnation.clone_from(incarnation);
                caller.ack = *seq;
                for said in pools {
                    let pool = usize::from(said.pool == POOLS[1]);
                    let books = request.pools.iter().find(|books| books.pool == said.pool);
                    let given = books.into_iter().flat_map(|books| &books.ret);
                    let holds = &mut caller.holds[pool];
                    given.for_each(|(id, _)| _ = holds.remove(id));
                    said.lost.iter().for_each(|id| _ = holds.remove(id));
                    holds.extend(said.grant.iter().map(|(id, _)| *id));
                }
            }
        }
    }
}
