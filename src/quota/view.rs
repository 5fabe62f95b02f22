//! What can be seen of a quota: figures, slots for the state file, what an app could do now.

use std::time::Duration;

use super::Quota;
use super::app::AppSettings;
use super::exhausted::exhausted;
use super::ledgers::LoanView;
use super::moment::Moment;
use super::pools::{PoolId, Pools};
use super::queue::Lane;
use super::queue_position::QueuePosition;
use super::scheduler::Scheduler;
use super::settings::Mode;
use super::slots::{NOBODY, SlotState};
use super::ticket::{
    AdmissionRequest, AppNo, ConnectionNo, Grant, Headroom, PriceNo, QuotaRefusal,
};

/// The figures of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Calls per window that it allows now.
    pub limit: u32,
    /// Slots that could be taken.
    pub free: u32,
    /// Slots whose call runs.
    pub in_use: u32,
    /// Slots that rest.
    pub resting: u32,
    /// Closed by the vendor until then, if that is to come.
    pub closed_until: Moment,
}

/// The figures of an app on one connection, in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppGauge {
    /// Calls that wait.
    pub waiting: u32,
    /// Slots of the connection's pool in use or resting.
    pub held: u32,
}

/// What a call of an app would meet now.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionPreview {
    /// The app, as the operator describes it.
    pub settings: AppSettings,
    /// An operator has paused it.
    pub paused: bool,
    /// Its calls that wait, in both lanes.
    pub waiting: u32,
    /// Slots of the connection's pool that it uses or that rest for it.
    pub held: u32,
    /// Calls per window of the connection's pool.
    pub calls: u32,
    /// The window.
    pub window: Duration,
    /// How the pool stands with its ledger, if it has one.
    pub loan: Option<LoanView>,
    /// What it could start at once.
    pub room: Headroom,
    /// A call that came now: `None` if it could start, where it would stand, or why not.
    pub start: Result<Option<QueuePosition>, QuotaRefusal>,
}

impl Quota {
    /// What a call of that price would meet now. Whoever is refused later is told the same time as
    /// if nobody had looked.
    pub fn preview(
        &mut self,
        connection: ConnectionNo,
        app: AppNo,
        price: PriceNo,
        now: Moment,
    ) -> Option<AdmissionPreview> {
        self.preview_in((connection, app), price, false, now)
    }

    /// The same; the operation may be `bulk` by nature.
    pub fn preview_in(
        &mut self,
        (connection, app): (ConnectionNo, AppNo),
        price: PriceNo,
        bulk: bool,
        now: Moment,
    ) -> Option<AdmissionPreview> {
        let main = self.own_pool(connection)?;
        let room = self.room(connection, app, main, now)?;
        let before = self.line(connection)?.app(app.0)?.memory();
        let latest = Moment::NEVER;
        let ticket = AdmissionRequest {
            connection,
            app,
            price,
            bulk,
            latest,
            by_caller: false,
            asked: false,
        };
        let start = self.ask(now, &ticket);
        let loan = self.loan_view(main, now);
        let pool = self.pools.get(main)?;
        let (calls, window) = (pool.reach(), pool.slots.rest().window);
        let app = self.line_mut(connection)?.put_back(app, before)?;
        Some(AdmissionPreview {
            settings: app.settings.clone(),
            paused: app.paused,
            waiting: app.lanes.iter().map(|lane| lane.waiting).sum(),
            held: app.lanes.iter().map(|lane| lane.held).sum(),
            calls,
            window,
            loan,
            room,
            start,
        })
    }

    /// Whether calls are held back on a connection.
    #[must_use]
    pub fn mode(&self, connection: ConnectionNo) -> Mode {
        self.line(connection).map_or_else(Mode::default, |line| line.settings().mode)
    }

    /// Calls of a lane that wait on a connection.
    #[must_use]
    pub fn waiting(&self, connection: ConnectionNo, lane: Lane) -> u32 {
        self.line(connection).map_or(0, |line| line.waiting(lane))
    }

    /// The figures of a pool, as of the last call of anything that takes a time.
    #[must_use]
    pub fn gauge(&self, pool: PoolId) -> Option<Gauge> {
        let pool = self.pools.get(pool)?;
        Some(Gauge {
            limit: pool.slots.limit(),
            free: pool.slots.free(),
            in_use: pool.slots.in_use(),
            resting: pool.slots.resting(),
            closed_until: pool.closed_until(),
        })
    }

    /// The figures of an app.
    #[must_use]
    pub fn app_gauge(&self, connection: ConnectionNo, app: AppNo, lane: Lane) -> AppGauge {
        let app = self.line(connection).and_then(|line| line.app(app.0));
        app.map_or_else(AppGauge::default, |app| AppGauge {
            waiting: app.lanes[lane.index()].waiting,
            held: app.lanes[lane.index()].held,
        })
    }

    /// Calls that took their slots since the connection has its number, in each lane.
    #[must_use]
    pub fn started(&self, connection: ConnectionNo) -> [u64; 2] {
        self.line(connection).map_or([0; 2], Scheduler::started)
    }

    /// When no slot of a pool will be free, if `rate` calls a second start from now on; `None` if
    /// that is not to be seen.
    #[must_use]
    pub fn exhausted(&self, pool: PoolId, rate: f64, now: Moment) -> Option<Duration> {
        let slots = &self.pools.get(pool)?.slots;
        let back = |within| slots.back_by(now + within);
        exhausted(rate, slots.free(), slots.rest().window, back)
    }

    /// What the slots of a pool do, and for which app; `most` of them at most, free ones last.
    #[must_use]
    pub fn slots(&self, pool: PoolId, most: usize) -> Vec<(SlotState, Option<AppNo>)> {
        let Some(pool) = self.pools.get(pool) else { return Vec::new() };
        let mut held: Vec<_> = pool.slots.held().take(most).collect();
        let free = (most - held.len()).min(pool.slots.free() as usize);
        held.extend(std::iter::repeat_n((SlotState::Free, NOBODY), free));
        let named = |owner| (owner != NOBODY).then_some(AppNo(owner / 2));
        held.into_iter().map(|(state, owner)| (state, named(owner))).collect()
    }

    /// Time between two starts in a lane of a connection that its pace leaves in the long run,
    /// bulk's where interactive calls are to be expected; `None` where slots alone decide.
    #[must_use]
    pub fn pace(&self, connection: ConnectionNo, lane: Lane) -> Option<Duration> {
        self.line(connection)?.period(lane)
    }

    /// How long the vendor usually takes to the first byte on a connection: a call must start that
    /// much before its caller's deadline to be of use.
    #[must_use]
    pub fn usual_answer(&self, connection: ConnectionNo) -> Duration {
        self.line(connection).map_or(Duration::ZERO, Scheduler::usual_answer)
    }

    /// The slots that a running call holds, for the state file: pool and number.
    pub fn slots_of(&self, grant: &Grant) -> impl Iterator<Item = (PoolId, u32)> {
        grant.paid().parts().flat_map(|(id, held)| {
            let ids = self.pools.get(id).map(|pool| pool.slots.ids(held));
            ids.into_iter().flatten().map(move |slot| (id, slot))
        })
    }

    /// What a slot is doing, for the state file.
    #[must_use]
    pub fn slot(&self, pool: PoolId, slot: u32) -> SlotState {
        let pool = self.pools.get(pool);
        pool.map_or(SlotState::Absent, |pool| pool.slots.state(slot))
    }

    /// The pools of the workspace: the named ones in their order, then each connection's own.
    #[must_use]
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// A connection's own pool.
    #[must_use]
    pub fn own_pool(&self, connection: ConnectionNo) -> Option<PoolId> {
        self.line(connection).map(|line| line.own_pool())
    }

    /// What an app could do now with a pool: `r` and `t` of the `RateLimit` field.
    pub fn room(
        &mut self,
        connection: ConnectionNo,
        app: AppNo,
        pool: PoolId,
        now: Moment,
    ) -> Option<Headroom> {
        let now = self.release_expired(now);
        let line = self.lines.get_mut(usize::from(connection.0))?;
        let shared = self.pools.get(pool)?;
        let (slots, opens) = (&shared.slots, shared.opens_at(now));
        let mut calls = shared.free(now);
        if pool == line.own_pool() {
            calls = calls.min(line.room(&self.pools, app.0, now));
        }
        if opens > now {
            calls = 0;
        }
        let next = slots.next_release().map_or(Duration::ZERO, |ripe| ripe.max(opens).since(now));
        Some(Headroom { calls, next })
    }
}

#[cfg(test)]
impl Quota {
    /// What the apps' books say is what their slots do, and nobody is forgotten who is looked at
    /// only when there is something to do.
    pub(crate) fn assert_balance(&self) {
        let waiting = (0..self.lines.len()).filter(|at| !self.lines[*at].is_empty());
        assert!(self.waiting.iter().copied().eq(waiting), "{:?} do not wait", self.waiting);
        self.pools.assert_due();
        for line in &self.lines {
            line.assert_balance(&self.pools, self.now);
        }
    }

    /// Breaks the quota on purpose: no guard.
    pub(crate) fn drop_guard(&mut self) {
        for at in 0..self.owners.len() {
            let id = PoolId(u16::try_from(at).unwrap());
            self.pools.get_mut(id).unwrap().slots.drop_guard();
        }
    }
}
