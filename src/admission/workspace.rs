//! One workspace's quota with its waiters and its clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::pass::Pass;
use super::plan::{AppPlan, WorkspacePlan};
use super::store::{Journal, Store};
use crate::clock::Instant;
use crate::ids::{AppId, ConnectionId};
use crate::quota::{
    AppNo, ConnectionNo, ConnectionSettings, Event, Grant, Moment, Past, Place, PoolId,
    PoolSettings, PriceNo, PriceSettings, Prospect, Quota, Refusal, Room, Settlement, Standing,
    Ticket, Verdict,
};

/// How often the clock task looks when nobody waits; it is woken as soon as somebody does.
const NOTHING_TO_DO: Duration = Duration::from_secs(3600);

/// Where the quota's time begins: so long before this process that no moment of an earlier one is
/// before it.
const BEFORE: Duration = Duration::from_secs(24 * 3600);

/// How waiting ends.
type Ending = Result<Grant, Refusal>;

/// The quota of one workspace.
pub struct Workspace {
    /// std, not tokio: each section is a few map and heap operations, and a write to the page cache.
    core: Mutex<Core>,
    base: Instant,
    shape: Shape,
    news: Arc<Notify>,
    clock: Mutex<Option<AbortHandle>>,
}

pub(super) struct Core {
    pub(super) quota: Quota,
    waiting: HashMap<Place, oneshot::Sender<Ending>>,
    pub(super) apps: HashMap<(ConnectionId, AppId), AppNo>,
    /// What the usual call pays.
    pub(super) plain: PriceNo,
    journal: Option<Journal>,
    /// When the clock task looks next.
    planned: Moment,
    /// Until then a pool rests because its past is not known.
    unknown_until: Moment,
}

/// What can't change in place: which pools and connections there are, and what operations pay.
#[derive(PartialEq, Eq)]
struct Shape {
    named: Vec<String>,
    prices: Vec<PriceSettings>,
    connections: Vec<ConnectionId>,
}

impl Shape {
    fn of(plan: &WorkspacePlan) -> Self {
        Self {
            named: plan.named.iter().map(|pool| pool.name.clone()).collect(),
            prices: plan.prices.clone(),
            connections: plan.connections.iter().map(|(id, _)| id.clone()).collect(),
        }
    }
}

impl Workspace {
    /// Starts the quota that `plan` asks for. Its past is that of `old`, the workspace in whose place
    /// it comes, or else what `store` knows.
    pub(super) fn start(
        plan: &WorkspacePlan,
        old: Option<&Self>,
        store: Option<&Store>,
    ) -> Arc<Self> {
        let base = old.map_or_else(Instant::now, |old| old.base);
        let now = moment(base, Instant::now());
        let mut journal = store.map(|store| Journal::new(store.clone(), base));
        let mut unknown_until = Moment::ZERO;
        let mut remember = |pool: &PoolSettings| {
            let past = match (old, &mut journal) {
                (Some(old), _) => Past::Resting(old.rests(&pool.name)),
                (None, Some(journal)) => journal.past(&plan.name, pool, now),
                (None, None) => Past::Fresh,
            };
            if past == Past::Unknown {
                let rest = crate::quota::slots::Rest::of(pool.window, pool.hard_limit);
                unknown_until = unknown_until.max(rest.after_silence(now));
            }
            PoolSettings { past, ..pool.clone() }
        };
        let named: Vec<PoolSettings> = plan.named.iter().map(&mut remember).collect();
        let connections: Vec<ConnectionSettings> = plan
            .connections
            .iter()
            .map(|(_, settings)| ConnectionSettings {
                pool: remember(&settings.pool),
                ..settings.clone()
            })
            .collect();
        let quota = Quota::new(&named, &plan.prices, &connections, now)
            .expect("the configuration refuses settings that make no sense");
        let core = Core {
            quota,
            waiting: HashMap::new(),
            apps: HashMap::new(),
            plain: plain(&plan.prices),
            journal,
            planned: Moment::NEVER,
            unknown_until,
        };
        let workspace = Arc::new(Self {
            core: Mutex::new(core),
            base,
            shape: Shape::of(plan),
            news: Arc::default(),
            clock: Mutex::new(None),
        });
        let clock =
            tokio::spawn(tick(Arc::downgrade(&workspace), workspace.news.clone())).abort_handle();
        *workspace.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        workspace
    }

    pub(super) fn has_shape_of(&self, plan: &WorkspacePlan) -> bool {
        self.shape == Shape::of(plan)
    }

    /// Takes over limits and apps; gives the number of each connection's app.
    pub(super) fn configure(&self, plan: &WorkspacePlan) -> HashMap<(ConnectionId, AppId), AppNo> {
        self.with(|core, now| {
            core.configure_pools(plan, now);
            core.configure_apps(plan, now);
            if let Some(journal) = &mut core.journal {
                // Other limits are other slots: the files begin anew.
                journal.open(&plan.name, &core.quota);
            }
            core.apps.clone()
        })
    }

    pub(super) fn pause(&self, connection: &ConnectionId, app: &AppId, paused: bool) -> bool {
        let at = self.shape.connections.iter().position(|id| id == connection);
        let Some(number) = at.and_then(|at| u16::try_from(at).ok()).map(ConnectionNo) else {
            return false;
        };
        self.with(|core, _| {
            let known = core.apps.get(&(connection.clone(), app.clone())).copied();
            known.inspect(|known| core.quota.pause(number, *known, paused)).is_some()
        })
    }

    /// Whether a call would be refused now, and where it would stand if it had to wait.
    pub(super) fn ask(&self, ticket: &Ticket) -> Result<Option<Standing>, Refusal> {
        self.with(|core, now| core.quota.ask(now, ticket))
    }

    /// Lets a call in, or into the queue.
    pub(super) fn enter(self: &Arc<Self>, ticket: &Ticket) -> Result<Entry, Refusal> {
        self.with(|core, now| match core.quota.enter(now, ticket) {
            Verdict::Start(grant) => {
                core.write(&grant);
                Ok(Entry::Let(Pass::new(self.clone(), grant)))
            }
            Verdict::Wait(place, standing) => {
                let (sender, receiver) = oneshot::channel();
                core.waiting.insert(place, sender);
                Ok(Entry::Waits(Waiter { workspace: self.clone(), place, receiver }, standing))
            }
            Verdict::Refused(refusal) => Err(refusal),
        })
    }

    pub(super) fn settle(&self, grant: Grant, how: Option<Settlement>) {
        self.with(|core, now| core.settle(grant, how.unwrap_or(Settlement::FirstByteAt(now)), now));
    }

    /// The vendor refused the call of `grant`: which pool is closed, and for how long.
    pub(super) fn vendor_refused(
        &self,
        grant: &Grant,
        asked: Option<Duration>,
    ) -> Option<(String, Duration)> {
        self.with(|core, now| {
            let (pool, until) = core.quota.vendor_refused(grant, asked, now)?;
            let name = core.quota.pools().get(pool)?.name.to_string();
            Some((name, until.since(now)))
        })
    }

    /// What an app could do now with each of `pools`.
    pub(super) fn room(
        &self,
        connection: ConnectionNo,
        app: AppNo,
        pools: &[PoolId],
    ) -> Vec<Option<Room>> {
        self.with(|core, now| {
            pools.iter().map(|pool| core.quota.room(connection, app, *pool, now)).collect()
        })
    }

    /// What a call of an app would meet now.
    pub(super) fn prospect(&self, connection: ConnectionNo, app: AppNo) -> Option<Prospect> {
        self.with(|core, now| core.quota.prospect(connection, app, core.plain, now))
    }

    /// Looks at all of it as it is now: what is over by now is over in it. `see` gets the connections
    /// by their numbers, too.
    pub(super) fn look<T>(&self, see: impl FnOnce(&mut Core, &[ConnectionId], Moment) -> T) -> T {
        self.with(|core, now| {
            core.pump(now);
            see(core, &self.shape.connections, now)
        })
    }

    /// How long the vendor usually takes to the first byte.
    pub(super) fn usual_answer(&self, connection: ConnectionNo) -> Duration {
        self.core().quota.usual_answer(connection)
    }

    pub(super) fn moment_of(&self, instant: Instant) -> Moment {
        moment(self.base, instant)
    }

    pub(super) fn pools(&self) -> Vec<(String, PoolId)> {
        self.core().quota.pools().iter().map(|(id, pool)| (pool.name.to_string(), id)).collect()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.with(|core, now| now >= core.unknown_until)
    }

    pub(super) fn close(&self) {
        if let Some(journal) = &mut self.core().journal {
            journal.close();
        }
    }

    /// When the slots of a pool are free again that are not now; those in use as if no answer came.
    fn rests(&self, pool: &str) -> Vec<Moment> {
        let core = self.core();
        let slots = core
            .quota
            .pools()
            .iter()
            .find(|(_, known)| *known.name == *pool)
            .map(|(_, known)| &known.slots);
        slots.map(crate::quota::slots::Slots::rests).unwrap_or_default()
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, then all that follows from it: calls whose waiting is over, the next look.
    fn with<T>(&self, act: impl FnOnce(&mut Core, Moment) -> T) -> T {
        let mut core = self.core();
        let now = moment(self.base, Instant::now());
        let result = act(&mut core, now);
        core.pump(now);
        let next = core.quota.next_wake(now).unwrap_or(Moment::NEVER);
        let sooner = next < core.planned;
        core.planned = next;
        drop(core);
        if sooner {
            self.news.notify_one();
        }
        result
    }

    /// When the clock task shall look.
    fn next_look(&self) -> Instant {
        let planned = Duration::from_nanos(self.core().planned.as_nanos()).saturating_sub(BEFORE);
        let latest = Instant::now() + NOTHING_TO_DO;
        self.base.checked_add(planned).map_or(latest, |at| at.min(latest))
    }
}

/// The price of one slot of the connection's own pool and none of any other, or the next thing to it.
fn plain(prices: &[PriceSettings]) -> PriceNo {
    let usual = |(_, price): &(u16, &PriceSettings)| (price.named.len(), price.connection == 0);
    let number = (0..).zip(prices).min_by_key(usual).map_or(0, |(number, _)| number);
    PriceNo(number)
}

/// `instant` on the quota's clock, which began [`BEFORE`] the `base`.
pub(super) fn moment(base: Instant, instant: Instant) -> Moment {
    Moment::from(BEFORE + instant.saturating_duration_since(base))
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(clock) = self.clock.lock().unwrap_or_else(PoisonError::into_inner).take() {
            clock.abort();
        }
    }
}

/// Looks at the computed times, as long as the workspace is there.
async fn tick(workspace: Weak<Workspace>, news: Arc<Notify>) {
    while let Some(look) = workspace.upgrade().map(|workspace| workspace.next_look()) {
        tokio::select! {
            () = sleep_until(look) => {}
            () = news.notified() => {}
        }
        if let Some(workspace) = workspace.upgrade() {
            workspace.with(|_, _| ());
        }
    }
}

// === impl Core ===

impl Core {
    fn pump(&mut self, now: Moment) {
        while let Some(event) = self.quota.poll(now) {
            match event {
                Event::Start { place, grant, .. } => {
                    self.write(&grant);
                    let waiter = self.waiting.remove(&place).expect("every place has its waiter");
                    // Its caller left in this moment: nothing was sent.
                    if let Err(Ok(grant)) = waiter.send(Ok(grant)) {
                        self.settle(grant, Settlement::NothingSent, now);
                    }
                }
                Event::Refused { place, refusal, .. } => {
                    if let Some(waiter) = self.waiting.remove(&place) {
                        let _ = waiter.send(Err(refusal));
                    }
                }
            }
        }
    }

    fn settle(&mut self, grant: Grant, how: Settlement, now: Moment) {
        let slots: Vec<(PoolId, u32)> = match self.journal {
            Some(_) => self.quota.slots_of(&grant).collect(),
            None => Vec::new(),
        };
        self.quota.settle(grant, how, now);
        if let Some(journal) = &mut self.journal {
            journal.write(&self.quota, slots);
        }
    }

    /// Remembers what was just taken.
    fn write(&mut self, grant: &Grant) {
        if let Some(journal) = &mut self.journal {
            let slots: Vec<(PoolId, u32)> = self.quota.slots_of(grant).collect();
            journal.write(&self.quota, slots);
        }
    }

    fn configure_pools(&mut self, plan: &WorkspacePlan, now: Moment) {
        let own = plan.connections.iter().map(|(_, settings)| &settings.pool);
        let wanted: Vec<&PoolSettings> = plan.named.iter().chain(own).collect();
        let pools: Vec<PoolId> = self.quota.pools().iter().map(|(id, _)| id).collect();
        for (pool, settings) in pools.into_iter().zip(wanted) {
            self.quota.set_window(pool, settings.window, settings.hard_limit, now);
            self.quota.set_limit(pool, settings.calls, now);
        }
        for (number, (_, settings)) in (0..).zip(&plan.connections) {
            self.quota.configure(ConnectionNo(number), settings, now);
            self.quota.set_mode(ConnectionNo(number), settings.mode, now);
        }
    }

    fn configure_apps(&mut self, plan: &WorkspacePlan, now: Moment) {
        let number = |connection: &ConnectionId| {
            let at = plan.connections.iter().position(|(id, _)| id == connection)?;
            u16::try_from(at).ok().map(ConnectionNo)
        };
        let mut gone = std::mem::take(&mut self.apps);
        for AppPlan { connection, app, settings } in &plan.apps {
            let Some(no) = number(connection) else { continue };
            let key = (connection.clone(), app.clone());
            let app_no = match gone.remove(&key) {
                Some(known) => {
                    self.quota.configure_app(no, known, settings.clone(), now);
                    Some(known)
                }
                None => self.quota.add_app(no, settings.clone(), now),
            };
            self.apps.extend(app_no.map(|app_no| (key, app_no)));
        }
        for ((connection, _), app) in gone {
            if let Some(no) = number(&connection) {
                self.quota.remove_app(no, app);
            }
        }
    }
}

/// How a call is let in.
pub(super) enum Entry {
    /// At once.
    Let(Pass),
    /// When its turn comes; it stands there.
    Waits(Waiter, Standing),
}

/// A caller in the queue; gives its place back when it leaves.
pub(super) struct Waiter {
    workspace: Arc<Workspace>,
    place: Place,
    receiver: oneshot::Receiver<Ending>,
}

impl Waiter {
    /// Waits for its turn.
    pub(super) async fn turn(mut self) -> Result<Pass, Refusal> {
        let grant = (&mut self.receiver).await.expect("every place gets its event")?;
        Ok(Pass::new(self.workspace.clone(), grant))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver.close();
        let told = self.receiver.try_recv();
        self.workspace.with(|core, now| {
            core.waiting.remove(&self.place);
            match told {
                // Its turn came in the same moment.
                Ok(Ok(grant)) => core.settle(grant, Settlement::NothingSent, now),
                Ok(Err(_)) => {}
                Err(_) => {
                    core.quota.leave(self.place);
                }
            }
        });
    }
}
