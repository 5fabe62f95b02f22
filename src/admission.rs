//! The quota on the clock: what makes [`quota`](crate::quota) wait, wake and remember.
//!
//! One [`Quotas`] holds the pure quota of a tenant, behind one mutex; waiters are woken at computed
//! times by one task, not by timers of their own. Connections are who their tokens are, whatever
//! names they go by: a reload changes the quotas in place, with their waiters. A [`Desk`] knows,
//! for one configuration, where each call stands. A [`Pass`] is a call's right to be sent, which
//! settles itself whatever becomes of the call. The [`SlotStore`] keeps slots over a restart.

pub mod buffer_body;
mod desk;
mod figures;
mod identity;
mod index;
mod journal;
pub mod layer;
mod lending;
mod members;
mod meters;
mod outlook;
mod pass;
pub mod pauses;
mod placing;
mod plan;
mod prices;
mod quotas;
mod reshape;
mod store;
mod syncing;
#[cfg(test)]
pub(crate) mod testing;
mod timebase;
mod turn;
mod upkeep;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

pub use desk::Desk;
use desk::Seat;
pub use figures::{AppFigures, Figures, LaneFigures, PoolFigures};
pub use lending::LendingTerms;
pub use meters::ConnectionMeter;
pub use outlook::{LaneWait, Outlook, SlotView};
pub use pass::Pass;
pub use pauses::{PauseTable, Pauses};
use plan::AppsByConnection;
pub use plan::{AdmissionPlan, AppPlan, ConnectionQuotaPlan, Cost, TenantPlan};
use quotas::Core;
pub use quotas::{Edition, Quotas};
pub use store::{Assume, SlotStore};
pub use view::{AppQuotaView, AppView, ConnectionView, PoolView, SharedView, WaitingCalls};

use crate::clock::Instant;
use crate::ids::{ConnectionId, TenantId};
use crate::numbers::{OperationIx, Table};
use crate::quota::PriceNo;
use crate::secret::VendorToken;
use identity::{Identity, IdentityKey};
use lending::Lending;
use placing::Placing;
use prices::Prices;
use reshape::{Change, Seated};

/// Between two looks at whether all slots have gone back.
const LEAVING: Duration = Duration::from_millis(20);

/// The quotas of this gateway. Clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    store: Option<SlotStore>,
    /// Of this process, where there is no store.
    key: Option<IdentityKey>,
    base: Instant,
    lending: Option<Arc<Lending>>,
    pauses: Pauses,
    /// std, not tokio: changed by a reload or a new token only.
    books: Mutex<Books>,
}

/// What is known of all configurations that are in use.
#[derive(Default)]
struct Books {
    tenants: Vec<(TenantId, Arc<Quotas>)>,
    prices: Prices,
    /// What operations cost in the configuration of now.
    costs: HashMap<Arc<str>, Cost>,
    /// The number of the configuration of now.
    edition: u64,
    /// Those that may be in use, by number.
    editions: Vec<(u64, Vec<Weak<Edition>>)>,
}

impl Admission {
    /// No connection yet; `store` keeps their slots over a restart.
    #[must_use]
    pub fn new(store: Option<SlotStore>) -> Self {
        Self::make(store, None, Instant::now())
    }

    /// No connection yet; ledgers lend their slots. Must be called inside the runtime.
    #[must_use]
    pub fn lent(terms: LendingTerms) -> Self {
        let base = Instant::now();
        Self::make(None, Some(Lending::start(terms, base)), base)
    }

    fn make(store: Option<SlotStore>, lending: Option<Arc<Lending>>, base: Instant) -> Self {
        let key = store.is_none().then(|| match lending {
            Some(_) => IdentityKey::of_fleet(),
            None => IdentityKey::of_process(),
        });
        let pauses = Pauses::default();
        Self(Arc::new(Inner { store, key, base, lending, pauses, books: Mutex::default() }))
    }

    /// Gives all slots back to the ledgers that lent them. Nothing is sent after this.
    pub async fn leave(&self) {
        let tenants: Vec<Arc<Quotas>> =
            self.books().tenants.iter().map(|(_, quotas)| quotas.clone()).collect();
        while tenants.iter().filter(|quotas| !quotas.leave()).count() > 0 {
            tokio::time::sleep(LEAVING).await;
        }
    }

    /// Makes the quotas what `plan` says, and a desk for it. Slots, queues and calls stay where
    /// they are; desks from before go on to be good.
    ///
    /// Must be called inside the runtime.
    ///
    /// # Errors
    /// When that can't be done while the gateway runs; then nothing is changed.
    pub fn desk(&self, plan: AdmissionPlan) -> Result<Desk, String> {
        let mut books = self.books();
        let oldest = books.oldest();
        for (_, quotas) in &books.tenants {
            quotas.look(|core, now| core.sweep(oldest, now));
        }
        let identities: Vec<Identity> =
            plan.connections().map(|(_, connection)| self.identity(&connection.token)).collect();
        let apps = plan.apps();
        let places = placing::place(&books.tenants, &plan, &apps, &identities)?;
        let edition = books.edition + 1;
        let prices = books.number_prices(&plan, edition, oldest)?;
        let (placed, numbers) = ((&*identities, &*places), (edition, oldest));
        let desk = self.apply(&mut books, (&plan, &apps), placed, numbers, prices);
        (books.costs, books.edition) = (plan.costs, edition);
        self.write_index(&books);
        Ok(desk)
    }

    /// What can't fail: every quota is made what the plan says.
    fn apply(
        &self,
        books: &mut Books,
        (plan, apps): (&AdmissionPlan, &AppsByConnection<'_>),
        (identities, places): (&[Identity], &[Placing]),
        (edition, oldest): (u64, u64),
        prices: Table<OperationIx, PriceNo>,
    ) -> Desk {
        let seated: Vec<Seated<'_>> = places
            .iter()
            .zip(identities)
            .zip(plan.connections().enumerate())
            .map(|((place, identity), (ix, (_, connection)))| {
                place.seated(&books.tenants, (ix.into(), connection), *identity)
            })
            .collect();
        for (place, (tenant, _)) in places.iter().zip(plan.connections()) {
            if place.at == books.tenants.len() {
                let quotas =
                    Quotas::start(self.0.base, self.0.store.as_ref(), self.0.lending.as_ref());
                self.0.lending.iter().for_each(|lending| syncing::start(&quotas, lending));
                books.tenants.push((tenant.id.clone(), quotas));
            }
        }
        let tokens: HashSet<Identity> = identities.iter().copied().collect();
        let change = Change {
            edition,
            plan,
            apps,
            prices: books.prices.known(oldest).collect(),
            plain: books.prices.plain(edition),
            before: reshape::before(&books.costs, &plan.costs),
            tokens: &tokens,
            base: self.0.base,
            key: self.key(),
        };
        let mut by_quotas: Vec<Vec<Seated<'_>>> =
            books.tenants.iter().map(|_| Vec::new()).collect();
        for (place, seat) in places.iter().zip(seated) {
            by_quotas[place.at].push(seat);
        }
        let mut seats = BTreeMap::new();
        let mut editions = Vec::new();
        for ((_, quotas), seated) in books.tenants.iter().zip(&by_quotas) {
            let known = Edition::of(quotas);
            quotas.look(|core, now| {
                let numbers = core.reshape(&change, seated, now);
                core.write_files();
                for (connection, number) in seated.iter().zip(numbers) {
                    let seat = Seat::of(&known, core, &change, connection.plan, number);
                    seats.insert(connection.ix, seat);
                }
            });
            editions.push(Arc::downgrade(&known));
        }
        books.editions.push((edition, editions));
        books.tenants.retain(|(_, quotas)| !quotas.look(|core, _| core.members.is_empty()));
        Desk::new(prices, seats.into_values().collect(), self.0.pauses.clone())
    }

    /// The token of a connection is another one from now on, outside of a reload.
    pub fn token_changed(&self, connection: &ConnectionId, token: &VendorToken) {
        let identity = self.identity(token);
        let books = self.books();
        for (_, quotas) in &books.tenants {
            quotas.look(|core, now| core.token_changed(connection, identity, self.key(), now));
        }
        self.write_index(&books);
    }

    /// Limits, modes, lanes and pauses of `connections` become what `plan` says, at once and with
    /// everybody who waits; all else stays. `plan` is the one of the desk of now, with other figures.
    pub fn steer(&self, plan: &AdmissionPlan, connections: &HashSet<ConnectionId>) {
        let apps = plan.apps();
        let all = plan.connections().map(|(_, connection)| (&connection.id, connection));
        let wanted: HashMap<_, _> = all.filter(|(id, _)| connections.contains(*id)).collect();
        for (_, quotas) in &self.books().tenants {
            let is_wanted = |core: &mut Core, _| {
                core.members.current().any(|member| wanted.contains_key(&member.id))
            };
            // Files of slots are written for those alone whom it is about.
            if quotas.look(is_wanted) {
                quotas.with(|core, now| core.steer(&wanted, &apps, now));
            }
        }
    }

    /// Who waits for what, on every connection, by their names.
    #[must_use]
    pub fn view(&self) -> Vec<ConnectionView> {
        let books = self.books();
        let mut views: Vec<ConnectionView> =
            books.tenants.iter().flat_map(|(_, quotas)| quotas.view()).collect();
        views.sort_by(|one, other| one.connection.cmp(&other.connection));
        views
    }

    /// How each connection stands, for whoever looks once a second.
    #[must_use]
    pub fn meters(&self) -> Vec<ConnectionMeter> {
        self.books().tenants.iter().flat_map(|(_, quotas)| quotas.meters()).collect()
    }

    /// What is to be expected of each connection, by its name, if calls start at its `rate` each
    /// second; at most `apps` of its apps, those with most waiting calls first.
    #[must_use]
    pub fn outlook(&self, apps: usize, rate: impl Fn(&ConnectionId) -> f64) -> Vec<Outlook> {
        let books = self.books();
        let each = books.tenants.iter();
        let mut outlook: Vec<Outlook> =
            each.flat_map(|(_, quotas)| quotas.outlook(apps, &rate)).collect();
        outlook.sort_by(|one, other| one.connection.cmp(&other.connection));
        outlook
    }

    /// The slots of a connection's own pool, at most so many; none if there is no such connection.
    #[must_use]
    pub fn slots(&self, connection: &ConnectionId, most: usize) -> Option<Vec<SlotView>> {
        self.books().tenants.iter().find_map(|(_, quotas)| quotas.slots(connection, most))
    }

    /// Who may not call.
    #[must_use]
    pub fn pauses(&self) -> &Pauses {
        &self.0.pauses
    }

    /// The figures of every workspace, each as of one moment.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        self.books().tenants.iter().flat_map(|(_, quotas)| quotas.figures()).collect()
    }

    /// Slots of connections that are not free now.
    #[must_use]
    pub fn taken(&self) -> u32 {
        let figures = self.figures();
        let own = figures.iter().flat_map(|all| &all.pools).filter(|pool| pool.owner.is_some());
        own.map(|pool| pool.slots.in_use + pool.slots.resting).sum()
    }

    /// Pools whose ledger does not answer, and of which nothing may be taken.
    #[must_use]
    pub fn cut_off(&self) -> usize {
        let books = self.books();
        let each = books.tenants.iter();
        each.map(|(_, quotas)| quotas.look(|core, _| core.quota.cut_off())).sum()
    }

    /// Files of slots that can't be written, the index among them.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        let books = self.books();
        let files: usize = books.tenants.iter().map(|(_, quotas)| quotas.unwritten()).sum();
        let index = |store: &SlotStore| store.index_fails() || !store.stands();
        files + usize::from(self.0.store.as_ref().is_some_and(index))
    }

    /// Whether the state folder is still the one of the start, or there is none.
    #[must_use]
    pub fn folder_stands(&self) -> bool {
        self.0.store.as_ref().is_none_or(SlotStore::stands)
    }

    /// True unless every connection still rests because nothing is known of its past.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let (mut any, mut usable) = (false, false);
        for (_, quotas) in &self.books().tenants {
            quotas.look(|core, now| {
                let mut current = core.members.current().peekable();
                any |= current.peek().is_some();
                usable |= current.any(|member| now >= member.unknown_until);
            });
        }
        usable || !any
    }

    /// Marks the state as whole and writes it to the disk: nothing is sent after this.
    pub fn close(&self) {
        self.books().tenants.iter().for_each(|(_, quotas)| quotas.close());
    }

    fn identity(&self, token: &VendorToken) -> Identity {
        self.key().of(token)
    }

    fn key(&self) -> &IdentityKey {
        let key = self.0.store.as_ref().map(SlotStore::key).or(self.0.key.as_ref());
        key.expect("there is a store or a key of its own")
    }

    fn write_index(&self, books: &Books) {
        if let Some(store) = &self.0.store {
            let each = books.tenants.iter();
            let live = each
                .flat_map(|(_, quotas)| quotas.look(|core, _| core.members.entries(store.key())));
            store.keep(live.collect(), self.0.base);
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// The first configuration that may be in use.
    fn oldest(&mut self) -> u64 {
        let lives = |editions: &Vec<Weak<Edition>>| editions.iter().any(|e| e.strong_count() > 0);
        self.editions.retain(|(_, editions)| lives(editions));
        self.editions.first().map_or(self.edition, |(edition, _)| *edition)
    }

    /// The price of each operation by its id.
    fn number_prices(
        &mut self,
        plan: &AdmissionPlan,
        edition: u64,
        oldest: u64,
    ) -> Result<Table<OperationIx, PriceNo>, String> {
        let number =
            |operation: &Arc<str>| self.prices.number(&plan.costs[operation], edition, oldest);
        plan.operations.iter().map(number).collect()
    }
}
