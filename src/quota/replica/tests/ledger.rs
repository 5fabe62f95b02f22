//! A model of `ledger.lua`, written apart from it: the same requests, the same replies.

use std::collections::BTreeMap;

use super::super::{DemandClass, PoolGrant, SyncReply, SyncRequest};
use super::mutation::Mutation;
use super::state::{GAMMA, Member, POOL, SIGHT, STEP, State, THETA, signed};

/// What the store knows of itself: its birth, and since when somebody looks at it without a gap.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    birth: String,
    since: i64,
    last: i64,
}

/// The store's part: it is cloned and put back where a store loses writes.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) state: Option<State>,
    pub(super) watch: Option<Watch>,
    pub(super) mutation: Mutation,
}

impl Ledger {
    pub(super) fn new(mutation: Mutation) -> Self {
        Self { state: None, watch: None, mutation }
    }

    /// The state of a connection that nobody used before.
    pub(super) fn create(&mut self, run: &str, now: i64) {
        let incarnation = self.look("0", now, run);
        self.state = Some(State::new(&incarnation, "created", 1, (now, 0)));
    }

    /// As the script: JSON in, JSON out, the clock in milliseconds and the store's run given.
    pub(super) fn call(&mut self, request: &str, now: i64, run: &str) -> String {
        let request: SyncRequest = serde_json::from_str(request).expect("a request");
        let reply = self.run(&request, now, run);
        serde_json::to_string(&reply).expect("JSON")
    }

    /// A process looks at the store; returns its incarnation.
    pub(super) fn look(&mut self, nonce: &str, now: i64, run: &str) -> String {
        let new = Watch { birth: nonce.to_owned(), since: now, last: now };
        let watch = self.watch.get_or_insert(new);
        if now < watch.last || now - watch.last > SIGHT {
            watch.since = now;
        }
        watch.last = now;
        format!("{run}:{}", watch.birth)
    }

    pub(super) fn run(&mut self, q: &SyncRequest, now: i64, run: &str) -> SyncReply {
        let mut q = q.clone();
        if self.mutation == Mutation::LanesAsOne {
            let apps = q.pools.iter_mut().flat_map(|pool| &mut pool.apps);
            apps.for_each(|app| app.3 = DemandClass::Interactive);
        }
        let q = &q;
        let mutation = self.mutation;
        let incarnation = &self.look(&q.nonce, now, run);
        let gap = self.state.as_ref().map_or(0, |state| state.gap(q, now));
        let state = self.current(q, now, incarnation);
        let known = state.members.get(&q.replica);
        let late = known.is_some_and(|member| q.seq <= member.seq);
        if late && mutation != Mutation::LateRequestsAccepted {
            return SyncReply::Old { seq: q.seq };
        }
        let seen = known.filter(|member| member.seq == q.ack).map(|member| member.raw);
        let fresh = seen.is_some();
        state.advance(q, seen, now, mutation);
        if gap > STEP && mutation != Mutation::OwnersTrustedOverAGap {
            state.distrust_owners(q);
        }
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

    /// Step 1: the state, a new one if it is missing, of another store, older than what the caller
    /// saw, or if another store may have been in its place since it was written.
    fn current(&mut self, q: &SyncRequest, now: i64, incarnation: &str) -> &mut State {
        let old = self.state.as_ref();
        let stale = self.mutation != Mutation::EpochNumbersIgnored
            && old.is_some_and(|s| {
                q.epoch_number > s.number
                    || (q.epoch_number == s.number && !q.epoch.is_empty() && q.epoch != s.epoch)
            });
        let since = self.watch.as_ref().map_or(now, |watch| watch.since);
        let watched = old.is_some_and(|s| s.time >= since)
            || (q.incarnation == incarnation && q.age >= q.trace);
        let unseen = self.mutation != Mutation::GapsIgnored
            && !watched
            && old.is_some_and(|s| s.gap(q, now) >= signed(q.trace) - STEP);
        let foreign = self.mutation != Mutation::IncarnationIgnored
            && old.is_some_and(|s| s.incarnation != incarnation);
        if old.is_none() || stale || unseen || q.renew || foreign {
            let knows = q.incarnation == incarnation && !stale && !unseen && !q.renew;
            let age = if knows { q.age } else { 0 };
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

    /// For how long nobody wrote this, at most.
    fn gap(&self, q: &SyncRequest, now: i64) -> i64 {
        let gap = now - self.time;
        match self.members.get(&q.replica) {
            Some(member) if member.seq == q.ack => gap.min(signed(q.elapsed) + THETA),
            _ => gap,
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
}
