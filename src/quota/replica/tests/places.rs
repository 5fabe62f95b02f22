//! The model's books of who has which block, and its grants.

use std::collections::BTreeMap;

use super::super::{PoolGrant, PoolReport, SyncRequest};
use super::state::{GAMMA, LedgerPool, POOL, Place, State, UNCLAIMED, signed};
use super::targets::{Target, targets};

impl State {
    /// Nobody wrote this for some time. If another store was in its place, slots may have moved
    /// there: what is owned is usable without its owner only when that can't matter any more.
    pub(super) fn distrust_owners(&mut self, q: &SyncRequest) {
        let safe = self.clock + signed(q.trace) + GAMMA;
        for place in self.pools.values_mut().flat_map(|pool| &mut pool.places) {
            if place.owner > POOL {
                place.dead_from = place.dead_from.max(safe);
            }
        }
    }

    /// Step 4: the caller's books of one pool. Returns what it holds wrongly.
    pub(super) fn books(&mut self, report: &PoolReport, q: &SyncRequest, me: i64) -> Vec<u32> {
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
    pub(super) fn prune(&mut self, q: &SyncRequest) -> Vec<(i64, String)> {
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
    pub(super) fn free_the_dead(&mut self, live: &[(i64, String)]) {
        for place in self.pools.values_mut().flat_map(|pool| &mut pool.places) {
            if place.owner > POOL && live.iter().all(|(id, _)| *id != place.owner) {
                (place.owner, place.idle_from) = (POOL, self.clock);
            }
        }
    }

    /// Step 6: what the caller is granted in one pool, and what it shall give back.
    pub(super) fn grant(
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
        let interactive = targets.get(&me).map_or(0, |target| target.interactive);
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
        let lacks = |(id, target): (&i64, &Target)| *id != me && own[id] < target.interactive;
        let soon = targets.iter().any(lacks);
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
            interactive: u32::try_from(interactive).expect("not negative"),
            soon: soon.into(),
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
