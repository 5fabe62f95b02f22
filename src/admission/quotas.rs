//! One tenant's quotas with their waiters and their clock.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::journal::{NotedSlots, SlotJournal};
use super::lending::{LedgerPlace, Lending};
use super::members::Members;
use super::store::SlotStore;
use super::timebase::{Sleep, instant, moment};
use crate::call::Throttled;
use crate::clock::Instant;
use crate::quota::{
    AdmissionPreview, AdmissionRequest, AppNo, ConnectionNo, Grant, Headroom, Mode, Moment, PoolId,
    PriceNo, QueueEvent, QueuePlace, Quota, QuotaRefusal, Settlement,
};

/// How often a task looks that has nothing to do; it is woken as soon as it has.
const NOTHING_TO_DO: Duration = Duration::from_secs(3600);

/// How waiting ends: with slots, whose take is to be written before the call is sent.
pub(super) type Ending = Result<(Grant, NotedSlots), QuotaRefusal>;

/// The quotas of one tenant: all its connections, whatever their workspaces, so that a connection
/// that changes workspace, and a call that pays pools of it, stay where they are.
pub struct Quotas {
    /// std, not tokio: each section is a few map and heap operations. No file is written under it.
    core: Mutex<Core>,
    base: Instant,
    news: Arc<Notify>,
    /// Tells those who ask the ledgers.
    sync_news: Arc<Notify>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// A tenant's quotas as one configuration knows them. As long as it lives, what it knows by a
/// number keeps that number: it is held by the desk, by every call that waits and by every call
/// that runs.
pub struct Edition(Arc<Quotas>);

/// The pool with the least room for an app among those that its call pays: the first one of
/// several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tightest {
    /// Which of them.
    pub(super) at: usize,
    pub(super) room: Headroom,
}

/// An app on a connection, and the pools that its call pays.
pub(super) struct AppPools<'a> {
    pub(super) connection: ConnectionNo,
    pub(super) app: AppNo,
    pub(super) pools: &'a [PoolId],
    /// What the app can do is asked for, even if its call is let in.
    pub(super) asks_room: bool,
}

pub(super) struct Core {
    pub(super) quota: Quota,
    pub(super) members: Members,
    pub(super) waiting: HashMap<QueuePlace, oneshot::Sender<Ending>>,
    /// What the usual call pays.
    pub(super) plain: PriceNo,
    pub(super) journal: Option<SlotJournal>,
    /// What lends the slots of the pools, and where the ledger of each is.
    pub(super) lending: Option<Arc<Lending>>,
    pub(super) ledgers: HashMap<PoolId, LedgerPlace>,
    /// The sleep of the machine, in which no lease ends by itself.
    sleep: Sleep,
    /// When the clock task looks next, and when a ledger is asked next.
    planned: Moment,
    next_sync: Moment,
}

impl Deref for Edition {
    type Target = Quotas;

    fn deref(&self) -> &Quotas {
        &self.0
    }
}

impl Edition {
    pub(super) fn of(quotas: &Arc<Quotas>) -> Arc<Self> {
        Arc::new(Self(quotas.clone()))
    }
}

impl Quotas {
    /// Quotas without a connection, on the clock that began at `base`.
    ///
    /// Must be called inside the runtime.
    pub(super) fn start(
        base: Instant,
        store: Option<&SlotStore>,
        lending: Option<&Arc<Lending>>,
    ) -> Arc<Self> {
        let core = Core {
            quota: Quota::empty(moment(base, Instant::now())),
            members: Members::default(),
            waiting: HashMap::new(),
            plain: PriceNo(0),
            journal: store.map(|store| SlotJournal::new(store.clone(), base)),
            lending: lending.cloned(),
            ledgers: HashMap::new(),
            sleep: Sleep::default(),
            planned: Moment::NEVER,
            next_sync: Moment::NEVER,
        };
        let quotas = Arc::new(Self {
            core: Mutex::new(core),
            base,
            news: Arc::default(),
            sync_news: Arc::default(),
            tasks: Mutex::default(),
        });
        let ticking = tick(Arc::downgrade(&quotas), quotas.news.clone());
        quotas.keeps(tokio::spawn(ticking).abort_handle());
        quotas
    }

    /// Ends `task` with itself.
    pub(super) fn keeps(&self, task: AbortHandle) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Tells when a ledger is to be asked sooner than was thought.
    pub(super) fn sync_news(&self) -> Arc<Notify> {
        self.sync_news.clone()
    }

    /// Whether a call would be refused now, and what its app can do; see [`Edition::enter`].
    pub(super) fn preview(
        &self,
        of: &AppPools<'_>,
        ticket: impl FnOnce(Duration) -> AdmissionRequest,
        since: Option<Instant>,
    ) -> (Result<(), QuotaRefusal>, Option<Tightest>) {
        let since = since.map(|since| self.moment_of(since));
        self.with(|core, now| {
            let ticket = ticket(core.quota.usual_answer(of.connection));
            let answer = core.quota.ask_again(now, &ticket, since.unwrap_or(now)).map(drop);
            let room = core.room_after(&answer, of, now);
            (answer, room)
        })
    }

    /// Accounts for the slots of a call that is over. Says what its app can do after it.
    pub(super) fn settle(
        &self,
        of: &AppPools<'_>,
        grant: Grant,
        how: Option<Settlement>,
    ) -> Option<Tightest> {
        let settle = |core: &mut Core, now| {
            core.settle(grant, how.unwrap_or(Settlement::FirstByteAt(now)), now);
        };
        self.with_room(of, settle).1
    }

    /// Accounts for the slots of a call that nobody waits for any more.
    pub(super) fn abandon(&self, grant: Grant, how: Settlement) {
        self.with(|core, now| core.settle(grant, how, now));
    }

    /// The vendor refused the call of `grant`: what that did.
    pub(super) fn vendor_refused(
        &self,
        grant: &mut Grant,
        asked: Option<Duration>,
    ) -> Option<Throttled> {
        self.with(|core, now| {
            let (pool, until) = core.quota.vendor_refused(grant, asked, now)?;
            let name = core.quota.pools().get(pool)?.name.to_string();
            let held = core.quota.mode(grant.connection()) == Mode::Enforce;
            Some(Throttled { pool: name, pause: until.since(now), held })
        })
    }

    /// What an app could do now with the pools that a call of it pays.
    pub(super) fn room(&self, of: &AppPools<'_>) -> Option<Tightest> {
        self.with_room(of, |_, _| ()).1
    }

    /// What a call of an app would meet now.
    pub(super) fn app_preview(
        &self,
        connection: ConnectionNo,
        app: AppNo,
    ) -> Option<AdmissionPreview> {
        self.with(|core, now| core.quota.preview(connection, app, core.plain, now))
    }

    /// Looks at all of it as it is now: what is over by now is over in it.
    pub(super) fn look<T>(&self, see: impl FnOnce(&mut Core, Moment) -> T) -> T {
        self.with(|core, now| {
            core.pump(now);
            see(core, now)
        })
    }

    pub(super) fn moment_of(&self, instant: Instant) -> Moment {
        moment(self.base, instant)
    }

    /// `moment` on the clock of the process; `None` if that does not reach so far.
    pub(super) fn instant_of(&self, moment: Moment) -> Option<Instant> {
        instant(self.base, moment)
    }

    pub(super) fn close(&self) {
        let logs = self.core().journal.as_ref().map(SlotJournal::logs);
        logs.into_iter().flatten().for_each(|(_, log)| log.close());
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, then all that follows from it: calls whose waiting is over, the next look,
    /// what is to be written.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core, Moment) -> T) -> T {
        let mut core = self.core();
        let now = moment(self.base, Instant::now());
        if core.lending.is_some() && core.sleep.is_over(self.base) {
            core.quota.slept(now);
        }
        let result = act(&mut core, now);
        core.pump(now);
        let next = core.quota.next_wake(now).unwrap_or(Moment::NEVER);
        let sooner = next < core.planned;
        core.planned = next;
        let next = core.quota.next_sync();
        let asks_sooner = next < core.next_sync;
        core.next_sync = next;
        let noted = core.journal.as_mut().map(SlotJournal::take_noted);
        drop(core);
        if sooner {
            self.news.notify_one();
        }
        if asks_sooner {
            self.sync_news.notify_one();
        }
        if let Some(noted) = noted {
            noted.have_written();
        }
        result
    }

    /// Does something, and all that follows from it; says what an app can do after it, under the
    /// same lock.
    pub(super) fn with_room<T>(
        &self,
        of: &AppPools<'_>,
        act: impl FnOnce(&mut Core, Moment) -> T,
    ) -> (T, Option<Tightest>) {
        self.with(|core, now| {
            let result = act(core, now);
            core.pump(now);
            (result, core.tightest(of, now))
        })
    }

    /// When the clock task shall look.
    fn next_look(&self) -> Instant {
        self.look_at(self.core().planned)
    }

    /// When a ledger is to be asked.
    pub(super) fn next_sync(&self) -> Instant {
        self.look_at(self.core().next_sync)
    }

    fn look_at(&self, planned: Moment) -> Instant {
        let latest = Instant::now() + NOTHING_TO_DO;
        self.instant_of(planned).map_or(latest, |at| at.min(latest))
    }
}

impl Drop for Quotas {
    fn drop(&mut self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Looks at the computed times, as long as the quotas are there.
async fn tick(quotas: Weak<Quotas>, news: Arc<Notify>) {
    while let Some(look) = quotas.upgrade().map(|quotas| quotas.next_look()) {
        tokio::select! {
            () = sleep_until(look) => {}
            () = news.notified() => {}
        }
        if let Some(quotas) = quotas.upgrade() {
            quotas.with(|_, _| ());
        }
    }
}

// === impl Core ===

impl Core {
    /// The pool with the least room for an app.
    fn tightest(&mut self, of: &AppPools<'_>, now: Moment) -> Option<Tightest> {
        let room = |(at, pool): (usize, &PoolId)| {
            Some(Tightest { at, room: self.quota.room(of.connection, of.app, *pool, now)? })
        };
        let rooms = of.pools.iter().enumerate().filter_map(room);
        rooms.min_by_key(|tightest| tightest.room.calls)
    }

    /// The same after all that follows from what was done, if `done` is a refusal or somebody asks.
    pub(super) fn room_after<T>(
        &mut self,
        done: &Result<T, QuotaRefusal>,
        of: &AppPools<'_>,
        now: Moment,
    ) -> Option<Tightest> {
        if done.is_ok() && !of.asks_room {
            return None;
        }
        self.pump(now);
        self.tightest(of, now)
    }

    /// What follows from what was done: calls whose waiting is over.
    fn pump(&mut self, now: Moment) {
        while let Some(event) = self.quota.poll(now) {
            match event {
                QueueEvent::Start { place, grant, .. } => {
                    let noted = self.taken(&grant);
                    let waiter = self.waiting.remove(&place).expect("every place has its waiter");
                    // Its caller left in this moment: nothing was sent.
                    if let Err(Ok((grant, _))) = waiter.send(Ok((grant, noted))) {
                        self.settle(grant, Settlement::NothingSent, now);
                    }
                }
                QueueEvent::Refused { place, refusal, .. } => {
                    if let Some(waiter) = self.waiting.remove(&place) {
                        let _ = waiter.send(Err(refusal));
                    }
                }
            }
        }
        self.quota.want(now);
    }

    pub(super) fn settle(&mut self, grant: Grant, how: Settlement, now: Moment) {
        let slots: Vec<(PoolId, u32)> = match self.journal {
            Some(_) => self.quota.slots_of(&grant).collect(),
            None => Vec::new(),
        };
        self.quota.settle(grant, how, now);
        if let Some(journal) = &mut self.journal {
            journal.note_for_later(&self.quota, slots);
        }
    }

    /// Notes what was just taken; it is to be written before the call of `grant` is sent.
    pub(super) fn taken(&self, grant: &Grant) -> NotedSlots {
        let journal = self.journal.as_ref();
        journal.map_or_else(NotedSlots::default, |journal| {
            journal.note(&self.quota, self.quota.slots_of(grant))
        })
    }
}
