//! What a configuration changes in one tenant's quotas, while its calls wait and run.
//!
//! A connection keeps its line and its slots. A named pool of a workspace goes on as the pool that
//! its connections paid under that name or in its place; rests of other pools that they paid before
//! are carried over: at most the limit, never fewer than the vendor may count.

pub(super) mod lent;
mod shared;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::identity::{Identity, IdentityKey};
use super::members::{ConnectionMember, MemberApp, new_file};
use super::plan::{AdmissionPlan, AppPlan, AppsByConnection, ConnectionQuotaPlan, Cost};
use super::quotas::Core;
use super::store::{Seeker, SlotStore};
use crate::catalog::CONNECTION_POOL;
use crate::clock::Instant;
use crate::ids::ConnectionId;
use crate::numbers::ConnectionIx;
use crate::quota::slots::RestRule;
use crate::quota::{ConnectionNo, ConnectionSettings, Moment, Past, PoolId, Price, PriceNo};

/// A configuration, for all tenants.
pub(super) struct Change<'a> {
    pub(super) edition: u64,
    pub(super) plan: &'a AdmissionPlan,
    pub(super) apps: &'a AppsByConnection<'a>,
    /// Every price that is known, by its number.
    pub(super) prices: Vec<(PriceNo, &'a Cost)>,
    /// The usual price.
    pub(super) plain: PriceNo,
    /// By pool: those that operations paid before in which they pay it now.
    pub(super) before: HashMap<&'a str, BTreeSet<&'a str>>,
    /// Every token of the configuration.
    pub(super) tokens: &'a HashSet<Identity>,
    pub(super) base: Instant,
    pub(super) key: &'a IdentityKey,
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

impl Core {
    /// Becomes what `change` says for the connections `seated`, with their apps. Gives their numbers.
    pub(super) fn reshape(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        now: Moment,
    ) -> Vec<ConnectionNo> {
        self.members.edition = change.edition;
        let mut numbers = Vec::new();
        for seat in seated {
            numbers.push(seat.number.unwrap_or_else(|| self.join(change, seat, now)));
        }
        self.carry_own(change, seated, &numbers, now);
        for (seat, number) in seated.iter().zip(&numbers) {
            self.settle_in(change, seat, *number, now);
        }
        self.share_pools(change, seated, now);
        self.lend(change, seated, &numbers, now);
        self.price(change);
        self.limit(seated, &numbers, now);
        self.staff(change, seated, &numbers, now);
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
        let mut settings = seat.plan.settings.clone();
        settings.pool.past = self.past();
        let rest = RestRule::of(settings.pool.window, settings.pool.hard_limit);
        let mut identities = vec![(seat.identity, Moment::NEVER)];
        let (mut until, mut unknown_until) = (Vec::new(), Moment::ZERO);
        if let Some(store) = self.store() {
            let seeker = seat.seeker(change, store);
            let rested = rest.after_no_response(store.opened(change.base));
            let former = store.former(&seeker).into_iter().map(|identity| (identity, rested));
            identities.extend(former);
            until = match store.past(&[seeker], &settings.pool, true, change.base) {
                Past::Fresh | Past::Lent => Vec::new(),
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
            let pool = &seat.plan.settings.pool;
            let own = self.quota.own_pool(*number).expect("a connection has a pool of its own");
            self.quota.set_window(own, pool.window, pool.hard_limit, now);
            self.limit_one(*number, &seat.plan.settings, now);
        }
    }

    fn limit_one(&mut self, number: ConnectionNo, settings: &ConnectionSettings, now: Moment) {
        let own = self.quota.own_pool(number).expect("a connection has a pool of its own");
        self.quota.set_limit(own, settings.pool.calls, now);
        self.quota.configure(number, settings, now);
        self.quota.set_mode(number, settings.mode, now);
    }

    /// The figures of an operator's change for the connections `wanted`: nobody comes or goes.
    pub(super) fn steer(
        &mut self,
        wanted: &HashMap<&ConnectionId, &ConnectionQuotaPlan>,
        apps: &AppsByConnection<'_>,
        now: Moment,
    ) {
        let here = self
            .members
            .current()
            .filter_map(|member| Some((member.number, *wanted.get(&member.id)?)));
        for (number, connection) in here.collect::<Vec<_>>() {
            self.limit_one(number, &connection.settings, now);
            for app in apps.get(&connection.id).into_iter().flatten() {
                let known = self.members.apps.get(&number).and_then(|apps| apps.get(&app.app));
                if let Some(known) = known.filter(|known| known.edition == self.members.edition) {
                    self.quota.configure_app(number, known.number, app.settings.clone(), now);
                    self.quota.pause(number, known.number, app.paused);
                }
            }
        }
        self.write_files();
    }

    /// The apps of every connection. Those that are left out keep their numbers while calls of them
    /// may come from an earlier configuration.
    fn staff(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        numbers: &[ConnectionNo],
        now: Moment,
    ) {
        let edition = change.edition;
        for (seat, connection) in seated.iter().zip(numbers.iter().copied()) {
            let members = self.members.apps.entry(connection).or_default();
            for AppPlan { app, settings, paused, .. } in change.apps_of(&seat.plan.id) {
                let number = match members.get_mut(app) {
                    Some(known) => {
                        known.edition = edition;
                        self.quota.configure_app(connection, known.number, settings.clone(), now);
                        known.number
                    }
                    None => match self.quota.add_app(connection, settings.clone(), now) {
                        Some(number) => {
                            members.insert(app.clone(), MemberApp { number, edition });
                            number
                        }
                        None => continue,
                    },
                };
                self.quota.pause(connection, number, *paused);
            }
        }
    }
}

impl<'a> Change<'a> {
    /// The apps that may use `connection`, in the order of their numbers.
    pub(super) fn apps_of(&self, connection: &ConnectionId) -> &[&'a AppPlan] {
        self.apps.get(connection).map(Vec::as_slice).unwrap_or_default()
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
