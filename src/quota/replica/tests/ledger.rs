//! A model of `ledger.lua`, written apart from it: the same requests, the same replies.

use std::collections::BTreeMap;

use super::super::{AppDemand, PoolGrant, PoolReport, SyncReply, SyncRequest};
use super::mutation::Mutation;
use super::targets::{Target, targets};

const STEP: i64 = 2000;
const THETA: i64 = 250;
const GAMMA: i64 = 500;
const POOL: i64 = 0;
const UNCLAIMED: i64 = -1;

/// One block: who has it, when it is usable if it was not used since, when if its owner vanishes.
#[derive(Clone, Copy, Debug)]
struct Place {
    owner: i64,
    idle_from: i64,
    dead_from: i64,
}

#[derive(Clone, Debug, Default)]
struct LedgerPool {
    blocks: u32,
    version: u64,
    places: Vec<Place>,
}

#[derive(Clone, Debug, Default)]
struct Member {
    id: i64,
    seq: u64,
    raw: i64,
    ends: i64,
    granted: BTreeMap<String, Vec<usize>>,
    apps: BTreeMap<String, Vec<AppDemand>>,
}

/// The state of one connection.
#[derive(Clone, Debug)]
pub(super) struct State {
    incarnation: String,
    epoch: String,
    number: u64,
    time: i64,
    raw: i64,
    clock: i64,
    usable_from: i64,
    last_id: i64,
    members: BTreeMap<String, Member>,
    pools: BTreeMap<String, LedgerPool>,
}

/// The store's part: it is cloned and put back where a store loses writes.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) state: Option<State>,
    pub(super) mutation: Mutation,
}

impl Ledger {
    pub(super) fn new(mutation: Mutation) -> Self {
        Self { state: None, mutation }
    }

    /// The state of a connection that nobody used before.
    pub(super) fn create(&mut self, incarnation: &str, now: i64) {
        self.state = Some(State::new(incarnation, "created", 1, (now, 0)));
    }

    /// As the script: JSON in, JSON out, the clock in milliseconds and the incarnation given.
    pub(super) fn call(&mut self, request: &str, now: i64, incarnation: &str) -> String {
        let request: SyncRequest = serde_json::from_str(request).expect("a request");
        let reply = self.run(&request, now, incarnation);
        serde_json::to_string(&reply).expect("JSON")
    }

    pub(super) fn run(&mut self, q: &SyncRequest, now: i64, incarnation: &str) -> SyncReply {
        let mutation = self.mutation;
        let state = self.current(q, now, incarnation);
        let known = state.members.get(&q.replica);
        let late = known.is_some_and(|member| q.seq <= member.seq);
        if late && mutation != Mutation::LateRequestsAccepted {
            return SyncReply::Old { seq: q.seq };
        }
        let seen = known.filter(|member| member.seq == q.ack).map(|member| member.raw);
        let fresh = seen.is_some();
        state.advance(q, seen, now, mutation);
        let holds = q.pools.iter().any(|pool| !pool.hold.is_empty());
        if q.epoch != state.epoch && (!q.epoch.is_empty() || holds) {
            return SyncReply::Epoch {
                seq: q.seq,
                epoch: state.epoch.clone(),
                epoch_number: state.number,
                incarnation: incarnation.to_owned(),
            };
        }
        let undo = !fresh && mutation != Mutation::LostGrantsKept;
        let me = state.enlist(q, undo);
        let lost: Vec<Vec<u32>> = q.pools.iter().map(|pool| state.books(pool, q, me)).collect();
        let live = state.prune(q);
        if mutation == Mutation::DeadSlotsUsableAtLeaseEnd {
            state.free_the_dead(&live);
        }
        let grants = q.pools.iter().zip(lost);
        let grants = grants.map(|(pool, lost)| state.grant(pool, q, &live, me, lost));
        let mut pools: Vec<PoolGrant> = grants.collect();
        if mutation == Mutation::RestDoesNotTravel {
            pools.iter_mut().flat_map(|pool| &mut pool.grant).for_each(|(_, rest)| *rest = 0);
        }
        SyncReply::Ok {
            seq: q.seq,
            epoch: state.epoch.clone(),
            epoch_number: state.number,
            incarnation: incarnation.to_owned(),
            pools,
        }
    }

    /// Step 1: the state, a new one if it is missing, of another store, or older than what the
    /// caller saw.
    fn current(&mut self, q: &SyncRequest, now: i64, incarnation: &str) -> &mut State {
        let old = self.state.as_ref();
        let stale = self.mutation != Mutation::EpochNumbersIgnored
            && old.is_some_and(|s| {
                q.epoch_number > s.number
                    || (q.epoch_number == s.number && !q.epoch.is_empty() && q.epoch != s.epoch)
            });
        let foreign = self.mutation != Mutation::IncarnationIgnored
            && old.is_some_and(|s| s.incarnation != incarnation);
        if old.is_none() || stale || foreign {
            let age = if q.incarnation == incarnation && !stale { q.age } else { 0 };
            let frozen = match self.mutation {
                Mutation::NoFreezeInNewEpoch => 0,
                _ => (signed(q.trace) - signed(age)).max(0),
            };
            let number = old.map_or(0, |s| s.number).max(q.epoch_number) + 1;
            self.state = Some(State::new(incarnation, &q.nonce, number, (now, frozen)));
        }
        self.state.as_mut().expect("it was made")
    }
}

impl State {
    fn new(incarnation: &str, epoch: &str, number: u64, (now, frozen): (i64, i64)) -> Self {
        Self {
            incarnation: incarnation.to_owned(),
            epoch: epoch.to_owned(),
            number,
            time: now,
            raw: 0,
            clock: 0,
            usable_from: frozen,
            last_id: 0,
            members: BTreeMap::new(),
            pools: BTreeMap::new(),
        }
    }

    /// Step 2: the fleet's clock.
    fn advance(&mut self, q: &SyncRequest, seen: Option<i64>, now: i64, mutation: Mutation) {
        if mutation == Mutation::TimeAsItIs {
            let step = now - self.time;
            self.time = now;
            self.raw += step;
            self.clock += step;
            return;
        }
        let mut step = (now - self.time).clamp(0, STEP);
        self.time = now;
        self.raw += step;
        if mutation != Mutation::TimeCappedOnly {
            match seen {
                Some(raw) => {
                    let over = self.raw - raw - signed(q.elapsed);
                    if over > THETA {
                        step = (step - over).max(0);
                    }
                }
                None => step = step.min(THETA),
            }
        }
        self.clock += step;
    }

    /// Step 3: the caller's record; a grant whose reply it did not see is undone.
    fn enlist(&mut self, q: &SyncRequest, undo: bool) -> i64 {
        let member = self.members.entry(q.replica.clone()).or_insert_with(|| {
            self.last_id += 1;
            Member { id: self.last_id, ..Member::default() }
        });
        let granted = std::mem::take(&mut member.granted);
        if undo {
            for (pool, list) in granted {
                let places = self.pools.get_mut(&pool).map(|pool| &mut pool.places);
                for place in places.into_iter().flatten().enumerate() {
                    if list.contains(&place.0) && place.1.owner == member.id {
                        place.1.owner = POOL;
                    }
                }
            }
        }
        (member.seq, member.raw) = (q.seq, self.raw);
        member.ends = self.clock + signed(q.lease) + GAMMA;
        member.id
    }

    /// Step 4: the caller's books of one pool. Returns what it holds wrongly.
    fn books(&mut self, report: &PoolReport, q: &SyncRequest, me: i64) -> Vec<u32> {
        let clock = self.clock;
        let pool = self.pools.entry(report.pool.clone()).or_insert_with(|| LedgerPool {
            blocks: report.blocks,
            version: report.version,
            places: Vec::new(),
        });
        if report.version > pool.version {
            (pool.blocks, pool.version) = (report.blocks, report.version);
        }
        let new =
            Place { owner: UNCLAIMED, idle_from: self.usable_from, dead_from: self.usable_from };
        let many = pool.places.len().max(pool.blocks as usize);
        pool.places.resize(many, new);
        for (id, rest) in &report.ret {
            if let Some(place) = pool.places.get_mut(*id as usize)
                && place.owner == me
            {
                place.owner = POOL;
                place.idle_from = if *rest > 0 { clock + signed(*rest) + GAMMA } else { clock };
            }
        }
        let (mut lost, mut held) = (Vec::new(), vec![false; many]);
        for (id, rest) in &report.hold {
            let until = clock + signed(*rest) + GAMMA;
            match pool.places.get_mut(*id as usize) {
                Some(place) if place.owner == me || place.owner == UNCLAIMED => {
                    (place.owner, place.dead_from) = (me, until);
                    held[*id as usize] = true;
                }
                Some(place) => {
                    place.dead_from = place.dead_from.max(until);
                    lost.push(*id);
                }
                None => lost.push(*id),
            }
        }
        for (place, held) in pool.places.iter_mut().zip(held) {
            if place.owner == me && !held {
                (place.owner, place.idle_from) = (POOL, place.dead_from);
            }
        }
        let member = self.members.get_mut(&q.replica).expect("it was enlisted");
        member.apps.insert(report.pool.clone(), report.apps.clone());
        lost
    }

    /// Forgets who is gone and owns nothing. Returns those whose lease runs, by number.
    fn prune(&mut self, q: &SyncRequest) -> Vec<(i64, String)> {
        let clock = self.clock;
        if q.bye
            && let Some(member) = self.members.get_mut(&q.replica)
        {
            member.ends = clock;
        }
        let pools = &self.pools;
        let owns =
            |id: i64| pools.values().any(|pool| pool.places.iter().any(|place| place.owner == id));
        self.members.retain(|_, member| member.ends > clock || owns(member.id));
        let live = self.members.iter().filter(|(_, member)| member.ends > clock);
        let mut live: Vec<_> = live.map(|(name, member)| (member.id, name.clone())).collect();
        live.sort_unstable();
        live
    }

    /// A broken rule: what a lapsed owner held is free at once.
    fn free_the_dead(&mut self, live: &[(i64, String)]) {
        for place in self.pools.values_mut().flat_map(|pool| &mut pool.places) {
            if place.owner > POOL && live.iter().all(|(id, _)| *id != place.owner) {
                (place.owner, place.idle_from) = (POOL, self.clock);
            }
        }
    }

    /// Step 6: what the caller is granted in one pool, and what it shall give back.
    fn grant(
        &mut self,
        report: &PoolReport,
        q: &SyncRequest,
        live: &[(i64, String)],
        me: i64,
        lost: Vec<u32>,
    ) -> PoolGrant {
        let name = &report.pool;
        let apps = |member: &str| self.members[member].apps.get(name).map_or(&[][..], |apps| apps);
        let wanted: Vec<_> = live.iter().map(|(id, member)| (*id, apps(member))).collect();
        let pool = &self.pools[name];
        let mut targets: BTreeMap<i64, Target> = targets(i64::from(pool.blocks), &wanted);
        let mine = targets.get(&me).map_or(0, |target| target.blocks);
        let mut own: BTreeMap<i64, i64> = targets.keys().map(|id| (*id, 0)).collect();
        let mut free: Vec<(i64, usize)> = Vec::new();
        for (at, place) in pool.places.iter().enumerate().take(pool.blocks as usize) {
            if let Some(count) = own.get_mut(&place.owner) {
                *count += 1;
            } else if place.owner == POOL {
                free.push((place.idle_from, at));
            } else if place.owner != UNCLAIMED || place.dead_from <= self.clock {
                free.push((place.dead_from, at));
            }
        }
        let has = own.get(&me).copied().unwrap_or(0);
        let need = if q.bye { 0 } else { (mine - has).clamp(0, signed(free.len() as u64)) };
        free.sort_unstable();
        let grant = self.hand_out(name, &free[..usize::try_from(need).expect("few")], q, me);
        let has = has + need;
        own.entry(me).and_modify(|count| *count = has);
        let short = |id: &i64, target: &Target| (target.blocks - own[id]).max(0);
        let unmet: i64 = targets.iter().map(|(id, target)| short(id, target)).sum();
        let others: i64 =
            targets.iter().filter(|(id, _)| **id != me).map(|(id, t)| short(id, t)).sum();
        let left = signed(free.len() as u64) - need;
        let give = if q.bye { 0 } else { (has - mine).min(others - left).max(0) };
        let pool = &self.pools[name];
        PoolGrant {
            pool: name.clone(),
            blocks: pool.blocks,
            version: pool.version,
            target: u32::try_from(mine).expect("not negative"),
            give: u32::try_from(give).expect("not negative"),
            grant,
            lost,
            shares: targets.remove(&me).unwrap_or_default().shares,
            hot: u8::from(unmet > 0),
        }
    }

    fn hand_out(
        &mut self,
        name: &str,
        chosen: &[(i64, usize)],
        q: &SyncRequest,
        me: i64,
    ) -> Vec<(u32, u64)> {
        let clock = self.clock;
        let pool = self.pools.get_mut(name).expect("its books were read");
        let mut grant = Vec::new();
        for (from, at) in chosen {
            let rest = (from - clock).max(0);
            let place = &mut pool.places[*at];
            (place.owner, place.idle_from) = (me, *from);
            place.dead_from = match rest >= signed(q.lease) {
                true => *from,
                false => clock + signed(q.trace) + GAMMA,
            };
            grant.push((u32::try_from(*at).expect("few"), rest.unsigned_abs()));
        }
        if !chosen.is_empty() {
            let member = self.members.get_mut(&q.replica).expect("it was enlisted");
            let list = chosen.iter().map(|(_, at)| *at).collect();
            member.granted.insert(name.to_owned(), list);
        }
        grant
    }
}

fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX / 4)
}
