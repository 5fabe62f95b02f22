//! What can be seen of a quota: figures, slots for the state file, what an app could do now.

use std::time::Duration;

use super::Quota;
use super::app::AppSettings;
use super::moment::Moment;
use super::pools::{PoolId, Pools};
use super::queue::Lane;
use super::queue_position::QueuePosition;
use super::rate_limit::RateLimiter;
use super::scheduler::Scheduler;
use super::settings::Mode;
use super::slots::SlotState;
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
    /// What it could start at once.
    pub room: Headroom,
    /// A call that came now: `None` if it could start, where it would stand, or why not.
    pub start: Result<Option<QueuePosition>, QuotaRefusal>,
}

impl Quota {
    /// What a call of that price would meet now. Whoever is refused later is told the same time as if
    /// nobody had looked.
    pub fn preview(
        &mut self,
        connection: ConnectionNo,
        app: AppNo,
        price: PriceNo,
        now: Moment,
    ) -> Option<AdmissionPreview> {
        let main = self.own_pool(connection)?;
        let room = self.room(connection, app, main, now)?;
        let books = self.line(connection)?.app(app.0)?;
        let (told, promises) = (books.told, books.promises.clone());
        let latest = Moment::NEVER;
        let ticket = AdmissionRequest {
            connection,
            app,
            price,
            bulk: false,
            latest,
            by_caller: false,
            asked: false,
        };
        let start = self.ask(now, &ticket);
        let slots = &self.pools.get(main)?.slots;
        let (calls, window) = (slots.limit(), slots.rest().window);
        let app = self.line_mut(connection)?.apps.get_mut(app.0 as usize)?;
        (app.told, app.promises) = (told, promises);
        Some(AdmissionPreview {
            settings: app.settings.clone(),
            paused: app.paused,
            waiting: app.lanes.iter().map(|lane| lane.waiting).sum(),
            held: app.lanes.iter().map(|lane| lane.held).sum(),
            calls,
            window,
            room,
            start,
        })
    }

    /// Whether the pool is some connection's own.
    #[must_use]
    pub fn is_own_pool(&self, pool: PoolId) -> bool {
        self.owners.get(usize::from(pool.0)).is_some_and(Option::is_some)
    }

    /// Whether calls are held back on a connection.
    #[must_use]
    pub fn mode(&self, connection: ConnectionNo) -> Mode {
        self.line(connection).map_or_else(Mode::default, |line| line.settings.mode)
    }

    /// Calls of a lane that wait on a connection.
    #[must_use]
    pub fn waiting(&self, connection: ConnectionNo, lane: Lane) -> u32 {
        self.line(connection).map_or(0, |line| line.queue.lane_len(lane))
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

    /// Time between two starts in a lane of a connection that its pace leaves in the long run, bulk's
    /// where interactive calls are to be expected; `None` where slots alone decide.
    #[must_use]
    pub fn pace(&self, connection: ConnectionNo, lane: Lane) -> Option<Duration> {
        let line = self.line(connection)?;
        let bulk = line.bulk.as_ref().filter(|_| lane == Lane::Bulk);
        bulk.into_iter().chain(&line.burst).map(RateLimiter::period).max()
    }

    /// How long the vendor usually takes to the first byte on a connection: a call must start that
    /// much before its caller's deadline to be of use.
    #[must_use]
    pub fn usual_answer(&self, connection: ConnectionNo) -> Duration {
        self.line(connection).map_or(Duration::ZERO, |line| line.answer)
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
        self.line(connection).map(|line| line.main)
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
        let slots = &self.pools.get(pool)?.slots;
        let opens = self.pools.get(pool)?.opens_at(now);
        let mut calls = slots.free();
        if pool == line.main {
            calls = calls.min(line.room(&self.pools, app.0, now));
        }
        if opens > now {
            calls = 0;
        }
        let next = slots.next_release().map_or(Duration::ZERO, |ripe| ripe.max(opens).since(now));
        Some(Headroom { calls, next })
    }
}

impl Scheduler {
    /// Slots that an app could take at once if it wanted as many as there are.
    fn room(&mut self, pools: &Pools, app: u32, now: Moment) -> u32 {
        if self.app(app).is_none_or(|app| app.paused) {
            return 0;
        }
        self.list(app, Lane::Interactive);
        let called = self.set_called(app, true);
        // By way of trial it wants everything.
        let lane = &mut self.apps[app as usize].lanes[0];
        let held = lane.held;
        lane.held += 1;
        self.snapshot(pools, now);
        self.apps[app as usize].lanes[0].held = held;
        let unseen = self.forecast.unseen;
        self.set_called(app, called);
        let Some(at) = self.listed[0].iter().position(|other| *other == app) else {
            return 0;
        };
        let limit = self.settings.pool.calls;
        let slots = f64::from(limit.saturating_sub(self.held[Lane::Bulk.index()]));
        self.claims[at].held = f64::from(held);
        self.claims[at].waiting = slots;
        super::shares::divide((slots - unseen).max(0.0), &mut self.claims);
        let others = self.claims.iter().enumerate().filter(|(other, _)| *other != at);
        let kept: f64 = others.map(|(_, claim)| claim.shortfall()).sum();
        let kept = kept + unseen;
        let promises = &mut self.apps[app as usize].promises;
        promises.forget(self.rest.window, now);
        let owed = promises.others(now, self.rest.window, now);
        let free = pools.get(self.main).map_or(0, |pool| pool.slots.free());
        // Below its target it may go on, though by less than a whole slot.
        let below = (self.claims[at].shortfall() - 1e-9).ceil();
        (0..=free.saturating_sub(owed))
            .rev()
            .find(|calls| f64::from(*calls) <= (f64::from(free) - kept).max(below) + 1e-9)
            .unwrap_or(0)
    }
}

#[cfg(test)]
impl Quota {
    /// What the apps' books say is what their slots do.
    pub(crate) fn assert_balance(&self) {
        for line in &self.lines {
            let slots = &self.pools.get(line.main).unwrap().slots;
            let mut held = vec![[0_u32; 2]; line.apps.len()];
            for owner in slots.owners() {
                held[(owner / 2) as usize][(owner % 2) as usize] += 1;
            }
            for lane in Lane::ALL.map(Lane::index) {
                for (app, held) in line.apps.iter().zip(&held) {
                    assert_eq!(app.lanes[lane].held, held[lane]);
                    let waiting = app.lanes[lane].waiting;
                    assert!(app.lanes[lane].listed || (lane == 1 || held[0] == 0) && waiting == 0);
                }
                let all: u32 = held.iter().map(|held| held[lane]).sum();
                assert_eq!(line.held[lane], all);
                let waiting: u32 = line.apps.iter().map(|app| app.lanes[lane].waiting).sum();
                assert_eq!(line.queue.lane_len(Lane::ALL[lane]), waiting);
            }
            for app in &line.apps {
                assert!(app.rests.len() <= app.lanes[0].held as usize);
                assert!(app.rests.iter().is_sorted());
            }
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
