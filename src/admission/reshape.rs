//! What a configuration changes in one tenant's quotas, while its calls wait and run.
//!
//! A connection keeps its line and its slots. A named pool of a workspace goes on as the pool that
//! its connections paid under that name or in its place; rests of other pools that they paid before
//! are carried over: at most the limit, never fewer than the vendor may count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::identity::Identity;
use super::members::{ConnectionMember, MemberApp, Named, new_file};
use super::plan::{AdmissionPlan, AppPlan, ConnectionQuotaPlan, Cost};
use super::quotas::Core;
use super::store::{Seeker, SlotStore};
use crate::catalog::CONNECTION_POOL;
use crate::clock::Instant;
use crate::numbers::ConnectionIx;
use crate::quota::slots::RestRule;
use crate::quota::{ConnectionNo, Moment, Past, PoolId, PoolSettings, Price, PriceNo};

/// A configuration, for all tenants.
pub(super) struct Change<'a> {
    pub(super) edition: u64,
    pub(super) plan: &'a AdmissionPlan,
    /// Every price that is known, by its number.
    pub(super) prices: Vec<(PriceNo, &'a Cost)>,
    /// The usual price.
    pub(super) plain: PriceNo,
    /// By pool: those that operations paid before in which they pay it now.
    pub(super) before: HashMap<&'a str, BTreeSet<&'a str>>,
    /// Every token of the configuration.
    pub(super) tokens: &'a HashSet<Identity>,
    pub(super) base: Instant,
}

/// A connection of the configuration in these quotas.
pub(super) struct Seated<'a> {
    pub(super) ix: ConnectionIx,
    pub(super) plan: &'a ConnectionQuotaPlan,
    pub(super) identity: Identity,
    /// The number that it has already.
    pub(super) number: Option<ConnectionNo>,
    /// Rests of pools, by name, that it takes over from connections elsewhere.
    pub(super) inherits: BTreeMap<String, Vec<Moment>>,
}

/// The pools that were paid before by the operations that pay a pool now, where they differ.
pub(super) fn before<'a>(
    old: &'a HashMap<std::sync::Arc<str>, Cost>,
    new: &'a HashMap<std::sync::Arc<str>, Cost>,
) -> HashMap<&'a str, BTreeSet<&'a str>> {
    let mut before: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (operation, cost) in new {
        let Some(known) = old.get(operation) else { continue };
        let (paid, pays) = (known.pools(), cost.pools());
        let left: BTreeSet<&str> = paid.difference(&pays).copied().collect();
        // In another's place, or beside all that it paid.
        let sources = if left.is_empty() { &paid } else { &left };
        for pool in pays.difference(&paid) {
            before.entry(pool).or_default().extend(sources);
        }
    }
    before
}

impl Cost {
    fn pools(&self) -> BTreeSet<&str> {
        let own = (self.own > 0).then_some(CONNECTION_POOL);
        own.into_iter().chain(self.named.keys().map(String::as_str)).collect()
    }
}

/// A pool that a workspace wants, and where its slots come from.
struct Wanted<'a> {
    workspace: &'a str,
    settings: &'a PoolSettings,
    /// The pools that its connections pay under this name.
    same: Vec<PoolId>,
    /// The pools that they paid in its place.
    instead: Vec<PoolId>,
    base: Option<PoolId>,
}

impl Core {
    /// Becomes what `change` says for the connections `seated`, with `apps`. Gives their numbers.
    pub(super) fn reshape(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        apps: &[&AppPlan],
        now: Moment,
    ) -> Vec<ConnectionNo> {
        self.members.edition = change.edition;
        let mut numbers = Vec::new();
        let mut new = HashSet::new();
        for seat in seated {
            numbers.push(seat.number.unwrap_or_else(|| {
                let number = self.join(change, seat, now);
                new.insert(number);
                number
            }));
        }
        self.carry_own(change, seated, &numbers, now);
        for (seat, number) in seated.iter().zip(&numbers) {
            self.settle_in(change, seat, *number, now);
        }
        self.share_pools(change, seated, &new, now);
        self.price(change);
        self.limit(seated, &numbers, now);
        self.staff(change, seated, &numbers, apps, now);
        self.plain = change.plain;
        numbers
    }

    /// Writes every file anew: other limits are other slots.
    pub(super) fn write_files(&mut self) {
        if let Some(journal) = &mut self.journal {
            for (pool, file) in self.members.files() {
                journal.open(pool, file, &self.quota);
            }
        }
    }

    /// A connection that isn't here yet, with what an earlier process left of it.
    fn join(&mut self, change: &Change<'_>, seat: &Seated<'_>, now: Moment) -> ConnectionNo {
        let settings = seat.plan.settings.clone();
        let rest = RestRule::of(settings.pool.window, settings.pool.hard_limit);
        let mut identities = vec![(seat.identity, Moment::NEVER)];
        let (mut until, mut unknown_until) = (Vec::new(), Moment::ZERO);
        if let Some(store) = self.store() {
            let seeker = seat.seeker(change, store);
            let rested = rest.after_no_response(store.opened(change.base));
            let former = store.former(&seeker).into_iter().map(|identity| (identity, rested));
            identities.extend(former);
            until = match store.past(&[seeker], &settings.pool, true, change.base) {
                Past::Fresh => Vec::new(),
                Past::Resting(until) => until,
                Past::Unknown => {
                    unknown_until = rested;
                    vec![rested; settings.pool.calls as usize]
                }
            };
        }
        until.extend(seat.inherits.get(CONNECTION_POOL).into_iter().flatten());
        let number = self.quota.add_connection(settings, self.members.vacant(), now);
        let own = self.quota.own_pool(number).expect("a connection has a pool of its own");
        self.quota.carry(own, &until, now);
        self.members.list.push(ConnectionMember {
            id: seat.plan.id.clone(),
            number,
            workspace: String::new(),
            own,
            file: new_file(),
            pools: BTreeMap::new(),
            reference: String::new(),
            identities,
            unknown_until,
            edition: change.edition,
        });
        number
    }

    fn store(&self) -> Option<&SlotStore> {
        self.journal.as_ref().map(super::journal::SlotJournal::store)
    }

    /// Operations that pay the connection's own pool now and paid others before.
    fn carry_own(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        numbers: &[ConnectionNo],
        now: Moment,
    ) {
        let Some(before) = change.before.get(CONNECTION_POOL) else { return };
        for (seat, number) in seated.iter().zip(numbers) {
            let Some(member) = self.members.by_number(*number) else { continue };
            let rest =
                RestRule::of(seat.plan.settings.pool.window, seat.plan.settings.pool.hard_limit);
            let own = member.own;
            let paid = before.iter().filter_map(|name| member.pools.get(*name));
            let until: Vec<Moment> = paid.flat_map(|pool| self.quota.rests(*pool, &rest)).collect();
            self.quota.carry(own, &until, now);
        }
    }

    /// Its names and its token.
    fn settle_in(
        &mut self,
        change: &Change<'_>,
        seat: &Seated<'_>,
        number: ConnectionNo,
        now: Moment,
    ) {
        let known = self.members.list.iter_mut().find(|member| member.number == number);
        let member = known.expect("every number has its member");
        if !member.is(&seat.identity) {
            let pool = self.quota.pools().get(member.own);
            let rested = pool.map_or(now, |pool| pool.slots.rest().after_no_response(now));
            member.goes_by(seat.identity, now, rested);
        }
        member.id = seat.plan.id.clone();
        member.workspace.clone_from(&seat.plan.workspace);
        member.reference.clone_from(&seat.plan.reference);
        member.edition = change.edition;
        self.quota.rename(member.own, &seat.plan.settings.pool.name);
    }

    /// The named pools of every workspace.
    fn share_pools(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        new: &HashSet<ConnectionNo>,
        now: Moment,
    ) {
        let mut wanted = self.wanted(change, seated);
        self.find_bases(change, &mut wanted);
        for Wanted { workspace, settings, same, instead, base } in wanted {
            let rest = RestRule::of(settings.window, settings.hard_limit);
            let sources: BTreeSet<PoolId> = same.into_iter().chain(instead).collect();
            let sources = sources.into_iter().filter(|pool| Some(*pool) != base);
            let mut until: Vec<Moment> =
                sources.flat_map(|pool| self.quota.rests(pool, &rest)).collect();
            until.extend(self.left_of(change, workspace, settings, seated, new));
            let pool = self.named_pool(change.edition, workspace, settings, base, now);
            self.quota.carry(pool, &until, now);
            let edition = change.edition;
            let members = self.members.list.iter_mut().filter(|member| member.edition == edition);
            for member in members.filter(|member| member.workspace == workspace) {
                member.pools.insert(settings.name.clone(), pool);
            }
        }
    }

    /// Every named pool of every workspace, with where its slots are now.
    fn wanted<'a>(&self, change: &Change<'a>, seated: &[Seated<'a>]) -> Vec<Wanted<'a>> {
        let workspaces: BTreeSet<&str> = seated.iter().map(|s| s.plan.workspace.as_str()).collect();
        let mut wanted = Vec::new();
        for workspace in workspaces {
            let members = || self.members.current().filter(|m| m.workspace == workspace);
            for settings in &change.plan.named {
                let before = change.before.get(settings.name.as_str());
                let instead = members().flat_map(|member| {
                    let paid = before.into_iter().flatten();
                    paid.filter_map(|name| match *name {
                        CONNECTION_POOL => Some(member.own),
                        name => member.pools.get(name).copied(),
                    })
                });
                wanted.push(Wanted {
                    workspace,
                    settings,
                    same: members().filter_map(|m| m.pools.get(&settings.name).copied()).collect(),
                    instead: instead.collect(),
                    base: None,
                });
            }
        }
        wanted
    }

    /// Which pool goes on as which: the one of the same workspace and name, then the one that its
    /// connections pay under the name, then one that is paid no more, then one that was there
    /// before.
    fn find_bases(&self, change: &Change<'_>, wanted: &mut [Wanted<'_>]) {
        let declared = |name: &str| change.plan.named.iter().any(|pool| pool.name == name);
        let of = |pool: PoolId| self.members.named.iter().find(|named| named.pool == pool);
        let is_at_home = |wanted: &Wanted<'_>, pool: PoolId| {
            of(pool).is_some_and(|named| {
                named.workspace == wanted.workspace && named.name == wanted.settings.name
            })
        };
        let mut taken = HashSet::new();
        for rule in 0..4 {
            for want in wanted.iter_mut().filter(|want| want.base.is_none()) {
                let free = |pool: &PoolId| !taken.contains(pool);
                want.base = match rule {
                    0 => {
                        want.same.iter().copied().find(|pool| free(pool) && is_at_home(want, *pool))
                    }
                    1 => want.same.iter().copied().find(|pool| free(pool)),
                    2 => want.instead.iter().copied().find(|pool| {
                        free(pool) && of(*pool).is_some_and(|named| !declared(&named.name))
                    }),
                    _ => {
                        let pools = self.members.named.iter().map(|named| named.pool);
                        pools.into_iter().find(|pool| free(pool) && is_at_home(want, *pool))
                    }
                };
                taken.extend(want.base);
            }
        }
    }

    /// What an earlier process, or another tenant's quotas, left of a pool for connections that are
    /// new.
    fn left_of(
        &self,
        change: &Change<'_>,
        workspace: &str,
        settings: &PoolSettings,
        seated: &[Seated<'_>],
        new: &HashSet<ConnectionNo>,
    ) -> Vec<Moment> {
        let joined = |seat: &&Seated<'_>| {
            let member = || self.members.current().find(|member| member.is(&seat.identity));
            seat.plan.workspace == workspace && member().is_some_and(|m| new.contains(&m.number))
        };
        let joined: Vec<&Seated<'_>> = seated.iter().filter(joined).collect();
        let inherited = joined.iter().filter_map(|seat| seat.inherits.get(&settings.name));
        let mut until: Vec<Moment> = inherited.flatten().copied().collect();
        if let Some(store) = self.store().filter(|_| !joined.is_empty()) {
            let seekers: Vec<Seeker<'_>> =
                joined.iter().map(|seat| seat.seeker(change, store)).collect();
            match store.past(&seekers, settings, false, change.base) {
                Past::Fresh => {}
                Past::Resting(rests) => until.extend(rests),
                Past::Unknown => {
                    let rest = RestRule::of(settings.window, settings.hard_limit);
                    let rested = rest.after_no_response(store.opened(change.base));
                    until.extend(std::iter::repeat_n(rested, settings.calls as usize));
                }
            }
        }
        until
    }

    /// The pool of a workspace, which goes on from `base` or is new.
    fn named_pool(
        &mut self,
        edition: u64,
        workspace: &str,
        settings: &PoolSettings,
        base: Option<PoolId>,
        now: Moment,
    ) -> PoolId {
        let pool = base.unwrap_or_else(|| {
            let pool = self.quota.add_pool(settings, self.members.vacant_pool(), now);
            let named = Named {
                pool,
                workspace: String::new(),
                name: String::new(),
                file: new_file(),
                edition,
            };
            self.members.named.push(named);
            pool
        });
        for named in self.members.named.iter_mut().filter(|named| named.pool == pool) {
            named.workspace = workspace.to_owned();
            named.name.clone_from(&settings.name);
            named.edition = edition;
        }
        self.quota.rename(pool, &settings.name);
        self.quota.set_window(pool, settings.window, settings.hard_limit, now);
        self.quota.set_limit(pool, settings.calls, now);
        pool
    }

    /// What every number costs on every connection of now.
    fn price(&mut self, change: &Change<'_>) {
        let Self { quota, members, .. } = self;
        for member in members.current() {
            for (number, cost) in &change.prices {
                let named = cost
                    .named
                    .iter()
                    .filter_map(|(name, cost)| Some((*member.pools.get(name)?, *cost)));
                let parts: Vec<(PoolId, u32)> =
                    std::iter::once((member.own, cost.own)).chain(named).collect();
                let price =
                    Price::new(&parts).expect("the catalogue refuses rows that pay more pools");
                quota.set_price(member.number, *number, price);
            }
        }
    }

    /// Limits, waits and modes.
    fn limit(&mut self, seated: &[Seated<'_>], numbers: &[ConnectionNo], now: Moment) {
        for (seat, number) in seated.iter().zip(numbers) {
            let settings = &seat.plan.settings;
            let own = self.quota.own_pool(*number).expect("a connection has a pool of its own");
            self.quota.set_window(own, settings.pool.window, settings.pool.hard_limit, now);
            self.quota.set_limit(own, settings.pool.calls, now);
            self.quota.configure(*number, settings, now);
            self.quota.set_mode(*number, settings.mode, now);
        }
    }

    /// The apps of every connection. Those that are left out keep their numbers while calls of them
    /// may come from an earlier configuration.
    fn staff(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        numbers: &[ConnectionNo],
        apps: &[&AppPlan],
        now: Moment,
    ) {
        let by_id: HashMap<_, _> =
            seated.iter().zip(numbers).map(|(seat, number)| (&seat.plan.id, *number)).collect();
        let edition = change.edition;
        for AppPlan { connection, app, settings } in apps {
            let Some(connection) = by_id.get(connection).copied() else { continue };
            let known = self.members.apps.get_mut(&(connection, app.clone()));
            if let Some(known) = known {
                known.edition = edition;
                self.quota.configure_app(connection, known.number, settings.clone(), now);
            } else if let Some(number) = self.quota.add_app(connection, settings.clone(), now) {
                self.members.apps.insert((connection, app.clone()), MemberApp { number, edition });
            }
        }
    }
}

impl<'a> Seated<'a> {
    fn seeker<'b>(&'b self, change: &'b Change<'_>, store: &SlotStore) -> Seeker<'b> {
        Seeker {
            identity: self.identity,
            connection: self.plan.id.as_str(),
            place: store.key().of_place(&self.plan.reference),
            others: change.tokens,
        }
    }
}
