//! One connection: its apps, its queue, its paces, and who holds what.
//!
//! This file and those below it keep the books, which nobody else can change. `choose`, `estimate`,
//! `position` and `bulk` are the rules: functions over a [`View`], which can only be read.

mod apps;
mod arrival;
#[cfg(test)]
mod balance;
mod demand;
mod order;
mod steer;
mod wants;

use std::collections::BTreeSet;
use std::time::Duration;

use super::app::AppBooks;
use super::books::Books;
use super::forecast::Forecast;
use super::moment::Moment;
use super::paces::Paces;
use super::pools::{PoolId, Pools, Price};
use super::queue::{FifoKey, Lane, Queue};
use super::scheduler_view::View;
use super::settings::{ConnectionSettings, Mode};
use super::shares::{Claims, Division};
use super::slots::{RestRule, Settlement};
use super::ticket::{ConnectionNo, Grant, Would};
use super::waiting_apps::WaitingApps;

/// One connection of a workspace.
#[derive(Debug)]
pub(crate) struct Scheduler {
    number: ConnectionNo,
    /// Its own pool.
    main: PoolId,
    settings: ConnectionSettings,
    rest: RestRule,
    /// Prices as this connection pays them, by number, and what each takes of its own pool.
    prices: Vec<Price>,
    costs: Vec<u32>,
    apps: Vec<AppBooks>,
    /// Apps that were removed, and whose numbers are nobody else's yet.
    removed: BTreeSet<u32>,
    /// Apps of the interactive lane that hold or want something; a superset.
    listed: Vec<u32>,
    /// Apps of which calls wait, per lane: by their tag, then by the call that waits longest.
    order: [BTreeSet<(u64, Moment, u32)>; 2],
    /// Apps that have a limit of their own.
    limited: Vec<u32>,
    /// Apps whose claim may not be what `claims` says.
    changed: Vec<u32>,
    queue: Queue,
    books: Books,
    paces: Paces,
    /// Calls that took their slots, in each lane.
    started: [u64; 2],
    /// When it began to see calls.
    began: Moment,
    /// What is kept for calls to come.
    forecast: Forecast,
    /// Paused apps whose waiting calls are to be sent away; nobody else's number is here.
    paused: Vec<u32>,
    /// As of the last decision: claims, who waits, shares, and room per price.
    claims: Claims,
    waiting_apps: WaitingApps,
    shares: Division,
    rooms: Vec<u32>,
}

impl Scheduler {
    pub(crate) fn new(
        number: ConnectionNo,
        main: PoolId,
        settings: ConnectionSettings,
        prices: Vec<Price>,
        now: Moment,
    ) -> Self {
        let rest = RestRule::of(settings.pool.window, settings.pool.hard_limit);
        Self {
            number,
            main,
            rest,
            costs: prices.iter().map(|price| price.of(main)).collect(),
            queue: Queue::new(prices.len()),
            rooms: vec![u32::MAX; prices.len()],
            paces: Paces::new(&settings, now),
            prices,
            settings,
            apps: Vec::new(),
            removed: BTreeSet::new(),
            listed: Vec::new(),
            order: Default::default(),
            limited: Vec::new(),
            changed: Vec::new(),
            books: Books::default(),
            started: [0; 2],
            began: now,
            forecast: Forecast::default(),
            paused: Vec::new(),
            claims: Claims::default(),
            waiting_apps: WaitingApps::default(),
            shares: Division::default(),
        }
    }

    /// What the rules look at. Nothing is worked out here: a call that starts at once needs little
    /// of it.
    #[inline]
    pub(crate) fn view<'a>(&'a self, pools: &'a Pools, now: Moment) -> View<'a> {
        View {
            pools,
            main: self.main,
            settings: &self.settings,
            rest: &self.rest,
            prices: &self.prices,
            costs: &self.costs,
            apps: &self.apps,
            queue: &self.queue,
            paces: &self.paces,
            forecast: &self.forecast,
            books: &self.books,
            began: self.began,
            order: &self.order,
            limited: &self.limited,
            waiting_apps: &self.waiting_apps,
            shares: &self.shares,
            rooms: &self.rooms,
            now,
        }
    }

    /// The connection's own pool.
    pub(crate) const fn own_pool(&self) -> PoolId {
        self.main
    }

    /// What the operator set.
    pub(crate) const fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// What calls of a price pay.
    pub(crate) fn price(&self, number: u16) -> Option<&Price> {
        self.prices.get(usize::from(number))
    }

    /// Whether nobody waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Calls of a lane that wait.
    pub(crate) const fn waiting(&self, lane: Lane) -> u32 {
        self.queue.lane_len(lane)
    }

    /// Calls that took their slots since the connection has its number, in each lane.
    pub(crate) const fn started(&self) -> [u64; 2] {
        self.started
    }

    /// The usual time to the first byte.
    pub(crate) const fn usual_answer(&self) -> Duration {
        self.books.usual_answer()
    }

    /// Time between two starts in a lane in the long run, if a pace spreads them.
    pub(crate) fn period(&self, lane: Lane) -> Option<Duration> {
        self.paces.period(lane)
    }

    /// Makes the paces anew for the pool's calls.
    fn set_paces(&mut self, now: Moment) {
        self.paces = Paces::new(&self.settings, now);
    }

    /// What calls of the price `number` pay from now on.
    pub(crate) fn set_price(&mut self, number: usize, price: Price) {
        if number >= self.prices.len() {
            let count = number + 1;
            self.prices.resize(count, Price::NOTHING);
            self.costs.resize(count, 0);
            self.rooms.resize(count, u32::MAX);
            self.queue.grow(count);
        }
        self.prices[number] = price;
        self.costs[number] = price.of(self.main);
        self.touch_all();
    }

    /// An app's books.
    pub(crate) fn app(&self, number: u32) -> Option<&AppBooks> {
        self.apps.get(number as usize)
    }

    /// What a call takes of the own pool.
    fn cost(&self, key: FifoKey) -> u32 {
        self.costs[usize::from(key.price)]
    }

    /// Starts a call: pays, spends cells, moves the tags.
    pub(crate) fn start(
        &mut self,
        pools: &mut Pools,
        key: FifoKey,
        would: Would,
        now: Moment,
    ) -> Option<Grant> {
        let price = &self.prices[usize::from(key.price)];
        let owner = key.app * 2 + u32::from(key.lane == Lane::Bulk);
        let paid = match self.settings.mode {
            Mode::Enforce => pools.pay(price, owner, now)?,
            Mode::Shadow => pools.force(price, owner, now),
        };
        let cost = self.cost(key);
        let lane = key.lane.index();
        let clock = self.books.clock(key.lane);
        self.started[lane] += 1;
        let app = &mut self.apps[key.app as usize];
        if let Some(pace) = &mut app.pace {
            pace.spend();
        }
        if key.lane == Lane::Interactive && cost > 0 {
            app.told.missed.served();
        }
        let stretch = app.stretch(cost);
        let in_lane = &mut app.lanes[lane];
        let start = match in_lane.waiting {
            0 => in_lane.finish.max(clock),
            _ => in_lane.start,
        };
        in_lane.finish = start.saturating_add(stretch);
        in_lane.start = in_lane.finish;
        in_lane.held += cost;
        let waits = in_lane.waiting > 0;
        self.books.started(key.lane, cost, start);
        if cost > 0 {
            if key.lane == Lane::Interactive {
                self.list(key.app);
            }
            self.paces.spend(key.lane, now);
        }
        if waits {
            self.touch(key.app);
            self.reorder(key.app, key.lane);
        }
        Some(Grant { connection: self.number, key, paid, taken: now, would, refused: false })
    }

    /// The vendor refused a call that was sent: its app has its turn back.
    pub(crate) fn refused(&mut self, key: FifoKey) {
        let cost = self.cost(key);
        let app = &mut self.apps[key.app as usize];
        let stretch = app.stretch(cost);
        let lane = &mut app.lanes[key.lane.index()];
        lane.start = lane.start.saturating_sub(stretch);
        lane.finish = lane.finish.saturating_sub(stretch);
        self.touch(key.app);
        self.reorder(key.app, key.lane);
    }

    /// Slots of the own pool were settled.
    pub(crate) fn settled(&mut self, key: FifoKey, until: Moment) {
        if key.lane == Lane::Interactive {
            for _ in 0..self.cost(key) {
                self.apps[key.app as usize].rest(until);
            }
        }
    }

    /// A slot of the own pool came back.
    pub(crate) fn slot_released(&mut self, owner: u32, now: Moment) {
        let lane = Lane::ALL[(owner % 2) as usize];
        if let Some(app) = self.apps.get_mut((owner / 2) as usize) {
            app.slot_released(lane, now);
            if !std::mem::replace(&mut app.changed, true) {
                self.changed.push(owner / 2);
            }
            self.books.released(lane);
            self.forecast.came_back(self.settings.pool.calls);
        }
    }

    /// Learns how long an answer takes.
    pub(crate) fn answered(&mut self, taken: Moment, how: Settlement) {
        if let Settlement::FirstByteAt(at) = how {
            self.books.answered(at.since(taken).min(self.rest.hard_limit));
        }
    }
}
