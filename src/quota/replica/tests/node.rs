//! One process of the simulated fleet: a replica, its slots, its calls and those that wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::super::pools::{Paid, PoolId, Pools, Price, SlotPool};
use super::super::super::slots::{Settlement, Slots};
use super::super::super::{Moment, rest::RestRule};
use super::super::{AppDemand, DemandClass, Replica, SharedPool, Sighting};
use super::mutation::Mutation;
use super::scene::Scene;

/// A clock that began somewhere and runs a little fast or slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skew {
    pub(super) offset: u64,
    pub(super) ppm: i64,
}

impl Skew {
    pub(super) fn local(&self, at: Moment) -> Moment {
        let drift = i128::from(at.as_nanos()) * i128::from(self.ppm) / 1_000_000;
        let local = i128::from(at.as_nanos()) + drift + i128::from(self.offset);
        Moment::from_nanos(u64::try_from(local).expect("after the base"))
    }

    /// A true moment that is not before this local one.
    pub(super) fn truly(&self, local: Moment) -> Moment {
        if local == Moment::NEVER {
            return local;
        }
        let since = local.as_nanos().saturating_sub(self.offset);
        let drift = i128::from(since) * i128::from(self.ppm) / (1_000_000 + i128::from(self.ppm));
        let at = u64::try_from(i128::from(since) - drift).expect("after the base");
        Moment::from_nanos(at + 1000)
    }
}

/// A call that waits: its app, which pools it pays, since when (true time).
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) app: u32,
    pub(super) nested: bool,
    pub(super) since: Moment,
}

pub(super) struct Running {
    pub(super) paid: Paid,
    pub(super) call: Waiting,
    pub(super) taken: Moment,
    /// Its place in the list of what was sent.
    pub(super) sent: Option<usize>,
    pub(super) how: Option<Settlement>,
}

pub(super) struct Node {
    pub(super) generation: u64,
    pub(super) alive: bool,
    pub(super) skew: Skew,
    pub(super) replica: Replica,
    pub(super) pools: Pools,
    pub(super) shared: Vec<SharedPool>,
    pub(super) sighting: Sighting,
    pub(super) queue: VecDeque<Waiting>,
    pub(super) running: BTreeMap<u64, Running>,
    pub(super) frozen_until: Moment,
    /// The next write is followed by a freeze of this length, before its first byte.
    pub(super) freezes: Option<Duration>,
    pub(super) cut_until: Moment,
    pub(super) armed: Moment,
    pub(super) ripens: Moment,
    /// What each app was served, by its weight here.
    pub(super) served: BTreeMap<u32, f64>,
    /// Takes beyond the lease, of a broken rule.
    pub(super) stolen: VecDeque<Moment>,
}

impl Node {
    pub(super) fn new(name: String, skew: Skew, scene: &Scene, limits: (u32, u64)) -> Self {
        let mut rest = RestRule::of(scene.window, scene.hard_limit);
        if scene.mutation == Mutation::NarrowGuard {
            rest.guard = Duration::from_micros(200);
        }
        let mut pools = Pools::default();
        let mut shared = Vec::new();
        for (at, calls) in scene.limits(limits.0).into_iter().enumerate() {
            let name = if at == 0 { "own" } else { "child" };
            let id = pools.add(SlotPool::new(name, Slots::none(0, rest)));
            let (name, block, version) = (name.to_owned(), scene.block, limits.1);
            shared.push(SharedPool { id, name, calls, block, version });
        }
        Self {
            generation: 0,
            alive: true,
            skew,
            replica: Replica::new(name, scene.lease, shared.clone()),
            pools,
            shared,
            sighting: Sighting::default(),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            frozen_until: Moment::ZERO,
            freezes: None,
            cut_until: Moment::ZERO,
            armed: Moment::NEVER,
            ripens: Moment::NEVER,
            served: BTreeMap::new(),
            stolen: VecDeque::new(),
        }
    }

    pub(super) fn price(&self, nested: bool) -> Price {
        let parts = if nested { self.shared.len() } else { 1 };
        let parts: Vec<_> = self.shared[..parts].iter().map(|pool| (pool.id, 1)).collect();
        Price::new(&parts).expect("two pools")
    }

    /// What each app wants of each pool; of the wide one for the narrow one's calls only as much
    /// as that one could take.
    pub(super) fn demand(&self, weights: &[u32]) -> BTreeMap<PoolId, Vec<AppDemand>> {
        let mut wants = BTreeMap::new();
        for (at, shared) in self.shared.iter().enumerate() {
            let mut calls = vec![0.0_f64; weights.len()];
            let slots = &self.pools.get(shared.id).expect("its own").slots;
            for owner in slots.owners() {
                calls[owner as usize] += 1.0;
            }
            let mut nested = self.shared.last().map_or(0, |pool| pool.calls);
            for waiting in &self.queue {
                if waiting.nested {
                    if at == 0 && self.shared.len() > 1 && nested == 0 {
                        continue;
                    }
                    nested = nested.saturating_sub(1);
                } else if at > 0 {
                    continue;
                }
                calls[waiting.app as usize] += 1.0;
            }
            let block = f64::from(shared.block);
            let apps = calls.into_iter().zip(weights).enumerate();
            let apps = apps.filter(|(_, (calls, _))| *calls > 0.0);
            let demand = |(app, (calls, weight)): (usize, (f64, &u32))| {
                AppDemand(format!("app{app}"), *weight, calls / block, DemandClass::Interactive)
            };
            wants.insert(shared.id, apps.map(demand).collect());
        }
        wants
    }

    /// How many slots the ledger lets an app fill here.
    pub(super) fn share(&self, app: u32) -> f64 {
        let name = format!("app{app}");
        let mut shares = self.replica.shares(self.shared[0].id);
        shares.find(|(app, _)| **app == name).map_or(0.01, |(_, share)| share.max(0.01))
    }

    /// Puts a call of the app first that was served least for its share.
    pub(super) fn fairest_first(&mut self) {
        let served = |app: u32| self.served.get(&app).copied().unwrap_or_default();
        let calls = self.queue.iter().enumerate();
        let least = calls.min_by(|(_, a), (_, b)| served(a.app).total_cmp(&served(b.app)));
        if let Some((at, _)) = least {
            self.queue.swap(0, at);
        }
    }

    pub(super) fn release_expired(&mut self, now: Moment) {
        self.pools.release_expired(now, |_: PoolId, _: u32| ());
    }

    /// Whether slots may be taken, by the rules or by the broken one.
    pub(super) fn may_take(&mut self, scene: &Scene, now: Moment) -> bool {
        if self.replica.may_take(now) {
            return true;
        }
        if scene.mutation != Mutation::StaticShareBesides {
            return false;
        }
        self.stolen.retain(|at| now.since(*at) < scene.window);
        let may = self.stolen.len() < (scene.calls / 8).max(1) as usize;
        if may {
            self.stolen.push_back(now);
        }
        may
    }
}
