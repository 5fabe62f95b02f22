//! A replica's part of a quota that several replicas share.
//!
//! **Purpose.** Every slot has one owner at a time: a replica, or the pool in the store. A replica
//! starts calls on its own slots without asking anybody. Once a second or so it *syncs*: it tells
//! the ledger (`ledger.lua`, run by the store) its books, and is told what is its own now.
//!
//! **Invariants.** A slot is taken only while the *lease* runs, counted from the send of the last
//! request that was answered: the ledger gives the slots of a silent replica away later than that.
//! Only lengths of time are sent, rounded so that a slot rests longer. A slot that is given back is
//! not used again before it is granted again. One request is under way at a time, and a reply to
//! any other is dropped.
//!
//! **How to drive it.** Plain data, time is an argument. Its owner keeps it beside the slots and
//! 1. sends what [`Replica::request`] makes when [`Replica::due`] has come, and hands the reply to
//!    [`Replica::accept`], or calls [`Replica::give_up`] when `due` comes first;
//! 2. calls [`Replica::wants`] when calls wait, and looks for calls to start after each reply;
//! 3. takes slots only until the end that [`Replica::lent`] tells, and sends a call only within its
//!    hard limit from then on.
//!
//! **Left out.** The store and the network.

mod blocks;
mod books;
mod pace;
mod sharing;
mod sighting;
#[cfg(test)]
mod tests;
mod view;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use super::moment::Moment;
use super::pools::{PoolId, Pools};
use blocks::ReportTerms;
pub use blocks::{MOST_BLOCKS, SharedPool, block_size};
use books::{PoolBooks, millis};
use pace::HURRIED;
pub use sighting::Sighting;
pub use wire::{
    AppDemand, DemandClass, LookReply, LookRequest, PoolGrant, PoolReport, SyncReply, SyncRequest,
};

/// What the ledger does with a request: run by the store in one piece.
pub const LEDGER: &str = include_str!("replica/ledger.lua");

/// Apps of one pool and class that are reported by name; the others are one.
const NAMED_APPS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Asleep,
    Awake,
    /// Gives back what is not in use, until nothing is.
    Leaving,
    Gone,
}

/// A request whose reply is awaited.
#[derive(Clone, Copy, Debug)]
struct Asked {
    seq: u64,
    at: Moment,
    bye: bool,
}

/// The last reply of this epoch.
#[derive(Clone, Copy, Debug)]
struct Heard {
    seq: u64,
    asked: Moment,
    at: Moment,
}

/// What is reported besides the slots.
#[derive(Debug)]
pub struct Report<'a> {
    /// What the apps want of each shared pool.
    pub demand: BTreeMap<PoolId, Vec<AppDemand>>,
    /// Calls that wait.
    pub waiting: usize,
    /// Slots that interactive calls have or wait for.
    pub interactive: u32,
    /// Slots are taken as soon as they come back by calls that have time: others may need them.
    pub hurries: bool,
    /// The store, as this process sees it.
    pub sighting: &'a Sighting,
    /// Random, for a state that the request may make.
    pub nonce: String,
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct Replica {
    name: String,
    lease: Duration,
    pools: Vec<PoolBooks>,
    life: Life,
    seq: u64,
    asked: Option<Asked>,
    heard: Option<Heard>,
    epoch: String,
    epoch_number: u64,
    /// The epoch is new, and no reply has said yet what of the books holds there.
    claims: bool,
    lease_end: Moment,
    due: Moment,
    /// Calls that waited when the last request was made.
    waiting: usize,
    /// Slots that were wanted then: taken, resting or waited for.
    told: u32,
    /// The same of interactive calls.
    told_interactive: u32,
    /// More calls wait than then.
    eager: bool,
    /// When there last was something to do.
    active: Moment,
    /// See [`Report::hurries`], of the last request.
    hurries: bool,
    /// When the first of the requests was given up that nobody answered since.
    unanswered: Option<Moment>,
    /// Calls were made without the ledger before this process, and no reply has said that it knows.
    renews: bool,
}

impl Replica {
    /// A replica under a fresh random name, asleep. The slots of its pools are none
    /// ([`super::slots::Slots::none`] with a limit of 0).
    #[must_use]
    pub fn new(name: String, lease: Duration, pools: Vec<SharedPool>) -> Self {
        Self {
            name,
            lease,
            pools: pools.into_iter().map(PoolBooks::new).collect(),
            life: Life::Asleep,
            seq: 0,
            asked: None,
            heard: None,
            epoch: String::new(),
            epoch_number: 0,
            claims: false,
            lease_end: Moment::ZERO,
            due: Moment::NEVER,
            waiting: 0,
            told: 0,
            told_interactive: 0,
            eager: false,
            active: Moment::ZERO,
            hurries: false,
            unanswered: None,
            renews: false,
        }
    }

    /// Calls were made without the ledger before: it is to count all as used just now.
    #[must_use]
    pub const fn renewing(mut self, renews: bool) -> Self {
        self.renews = renews;
        self
    }

    /// The process ends: slots go back as their calls end.
    pub fn leave(&mut self, now: Moment) {
        self.due = self.due.min(now);
        self.life = match self.life {
            Life::Asleep | Life::Gone => Life::Gone,
            Life::Awake | Life::Leaving => Life::Leaving,
        };
    }

    /// Syncs soon, unless it sleeps.
    fn soon(&mut self, now: Moment) {
        if self.due != Moment::NEVER {
            self.due = self.due.min(now);
        }
    }

    /// The next request. Expired slots were released before; `freed` hears the tag of each slot
    /// that rested and goes back.
    pub fn request(
        &mut self,
        pools: &mut Pools,
        mut report: Report<'_>,
        now: Moment,
        mut freed: impl FnMut(PoolId, u32),
    ) -> SyncRequest {
        if self.claims && now >= self.lease_end {
            self.forget_all(pools, &mut freed);
        }
        let bye = self.is_idle(pools, report.waiting, now);
        let slots = self.pools.iter().filter_map(|books| pools.get(books.shared.id));
        let taken: u32 = slots.map(|pool| pool.slots.in_use() + pool.slots.resting()).sum();
        self.told_interactive = report.interactive;
        self.told = taken.saturating_add(u32::try_from(report.waiting).unwrap_or(u32::MAX));
        let terms = self.terms(pools, bye || self.life == Life::Leaving, now);
        let mut reports = Vec::with_capacity(self.pools.len());
        for books in &mut self.pools {
            let apps = report.demand.remove(&books.shared.id).unwrap_or_default();
            if let Some(pool) = pools.get_mut(books.shared.id) {
                reports.push(books.report(&mut pool.slots, summed(apps), &terms, &mut freed));
            }
        }
        self.seq += 1;
        self.asked = Some(Asked { seq: self.seq, at: now, bye });
        (self.waiting, self.eager, self.hurries) = (report.waiting, false, report.hurries);
        SyncRequest {
            replica: self.name.clone(),
            seq: self.seq,
            ack: self.heard.map_or(0, |heard| heard.seq),
            elapsed: self.heard.map_or(0, |heard| heard.elapsed(now)),
            epoch: self.epoch.clone(),
            epoch_number: self.epoch_number,
            incarnation: report.sighting.incarnation().to_owned(),
            age: u64::try_from(report.sighting.age().as_millis()).unwrap_or(u64::MAX),
            lease: millis(self.lease),
            trace: millis(terms.trace),
            nonce: report.nonce,
            bye,
            renew: self.renews,
            pools: reports,
        }
    }

    /// Takes in a reply; `false` if it answers no request that is still awaited.
    pub fn accept(
        &mut self,
        pools: &mut Pools,
        reply: &SyncReply,
        now: Moment,
        mut freed: impl FnMut(PoolId, u32),
    ) -> bool {
        let Some(asked) = self.asked.take_if(|asked| asked.seq == reply.seq()) else {
            return false;
        };
        self.unanswered = None;
        self.renews &= matches!(reply, SyncReply::Old { .. });
        match reply {
            SyncReply::Old { .. } => self.due = now + HURRIED,
            SyncReply::Epoch { epoch, epoch_number, .. } => {
                self.begin_epoch(pools, now, &mut freed);
                (self.epoch, self.epoch_number) = (epoch.clone(), *epoch_number);
                self.due = now;
            }
            SyncReply::Ok { epoch, epoch_number, pools: said, .. } => {
                self.heard = Some(Heard { seq: asked.seq, asked: asked.at, at: now });
                (self.epoch, self.epoch_number) = (epoch.clone(), *epoch_number);
                self.claims = false;
                // The lease ends here before it ends there: a clock may run fast.
                self.lease_end = asked.at + self.lease.mul_f64(0.999);
                for books in &mut self.pools {
                    let said = said.iter().find(|said| said.pool == books.shared.name);
                    if let (Some(said), Some(pool)) = (said, pools.get_mut(books.shared.id)) {
                        books.take_in(&mut pool.slots, said, now, &mut freed);
                    }
                }
                let slots = |id| pools.get(id).map(|pool| &pool.slots);
                self.pools.retain(|books| !slots(books.shared.id).is_none_or(|s| books.is_gone(s)));
                self.due = now + self.pause(pools, now);
                if asked.bye {
                    self.said_bye(now);
                }
            }
        }
        true
    }

    fn terms(&self, pools: &Pools, leaving: bool, now: Moment) -> ReportTerms {
        ReportTerms { now, lease: self.lease, trace: self.trace(pools), leaving }
    }

    fn said_bye(&mut self, now: Moment) {
        (self.heard, self.due) = (None, Moment::NEVER);
        self.epoch.clear();
        self.life = if self.life == Life::Leaving { Life::Gone } else { Life::Asleep };
        self.forget_retired();
        if self.eager && self.life == Life::Asleep {
            self.wake(now);
        }
    }

    /// The state of the ledger is another one: what is held is claimed there, unless somebody may
    /// have been granted it meanwhile.
    fn begin_epoch(&mut self, pools: &mut Pools, now: Moment, freed: &mut impl FnMut(PoolId, u32)) {
        self.pools.iter_mut().for_each(PoolBooks::forget_returns);
        (self.heard, self.claims) = (None, true);
        if now >= self.lease_end {
            self.forget_all(pools, freed);
        }
    }

    fn forget_all(&mut self, pools: &mut Pools, freed: &mut impl FnMut(PoolId, u32)) {
        for books in &mut self.pools {
            if let Some(pool) = pools.get_mut(books.shared.id) {
                books.forget_all(&mut pool.slots, freed);
            }
        }
    }
}

/// At most [`NAMED_APPS`] apps of each class; those beyond are one, under a name that no app has.
fn summed(apps: Vec<AppDemand>) -> Vec<AppDemand> {
    let mut all = Vec::new();
    for class in DemandClass::ALL {
        let mut apps: Vec<AppDemand> = apps.iter().filter(|app| app.3 == class).cloned().collect();
        if apps.len() > NAMED_APPS {
            let others = apps.split_off(NAMED_APPS - 1);
            let weight = others.iter().fold(0_u32, |sum, app| sum.saturating_add(app.1));
            let wants = others.iter().map(|app| app.2).sum();
            apps.push(AppDemand("*".to_owned(), weight, wants, class));
        }
        all.extend(apps);
    }
    all
}
