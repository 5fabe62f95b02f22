//! One connection: its apps, its queue, its paces, and who holds what.
//!
//! This file and those below it keep the books, which nobody else can change. `choose`, `estimate`,
//! `position` and `bulk` are the rules: functions over a [`View`], which can only be read.

mod arrival;
mod demand;
mod steer;

use std::time::Duration;

use super::app::{AppBooks, AppMemory, AppSettings, InLane};
use super::forecast::{Forecast, Frame};
use super::moment::Moment;
use super::paces::Paces;
use super::pools::{PoolId, Pools, Price};
use super::queue::{FifoKey, Lane, Queue, QueuedCall};
use super::scheduler_view::View;
use super::settings::{ConnectionSettings, MOST_APPS, Mode};
use super::shares::Claim;
use super::slots::{RestRule, Settlement};
use super::ticket::{AdmissionRequest, AppNo, ConnectionNo, Grant, Would};

/// How long a short answer takes, before any was seen.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// Apps that have numbers at a time: those of a configuration, and those that earlier ones had and of
/// which a call waits, runs or rests.
const MOST_NUMBERS: usize = 4 * MOST_APPS as usize;

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
    /// Apps to look at, per lane: those that hold or want something; a superset.
    listed: [Vec<u32>; 2],
    queue: Queue,
    /// Start tag of the last call sent, per lane.
    clock: [u64; 2],
    /// Slots of the own pool in use or resting, per lane.
    held: [u32; 2],
    paces: Paces,
    /// When it began to see calls.
    began: Moment,
    /// What is kept for calls to come.
    forecast: Forecast,
    /// Usual time to the first byte.
    answer: Duration,
    /// Paused apps whose waiting calls are to be sent away; nobody else's number is here.
    paused: Vec<u32>,
    /// Scratch for decisions: claims of `listed[0]`, and room per price.
    claims: Vec<Claim>,
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
            listed: Default::default(),
            clock: [0; 2],
            held: [0; 2],
            began: now,
            forecast: Forecast::default(),
            answer: FIRST_GUESS,
            paused: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// What the rules look at.
    pub(crate) fn view<'a>(&'a self, pools: &'a Pools, now: Moment) -> View<'a> {
        View {
            pools,
            main: self.main,
            settings: &self.settings,
            rest: &self.rest,
            prices: &self.prices,
            costs: &self.costs,
            apps: &self.apps,
            listed: &self.listed,
            queue: &self.queue,
            paces: &self.paces,
            forecast: &self.forecast,
            frame: self.frame(pools),
            answer: self.answer,
            claims: &self.claims,
            rooms: &self.rooms,
            now,
        }
    }

    /// What a forecast is made of.
    fn frame(&self, pools: &Pools) -> Frame {
        let limit = pools.get(self.main).map_or(0, |pool| pool.slots.limit());
        Frame {
            window: self.rest.window,
            began: self.began,
            calls: self.settings.pool.calls,
            // What bulk holds comes back at its time; the shares are over the others.
            slots: f64::from(limit.saturating_sub(self.held[Lane::Bulk.index()])),
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

    /// The usual time to the first byte.
    pub(crate) const fn usual_answer(&self) -> Duration {
        self.answer
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
    }

    pub(crate) fn add_app(&mut self, settings: AppSettings, now: Moment) -> Option<AppNo> {
        let app = AppBooks::new(settings, now);
        let gone = self.apps.iter().position(|a| a.removed && a.is_idle());
        let at = match gone {
            Some(at) => {
                // The number is another app's from now on, which nobody paused.
                self.paused.retain(|number| *number as usize != at);
                self.apps[at] = AppBooks {
                    lanes: [0, 1].map(|l: usize| InLane {
                        listed: self.apps[at].lanes[l].listed,
                        ..InLane::default()
                    }),
                    ..app
                };
                at
            }
            None if self.apps.len() < MOST_NUMBERS => {
                self.apps.push(app);
                self.apps.len() - 1
            }
            None => return None,
        };
        u32::try_from(at).ok().map(AppNo)
    }

    /// Apps that could be added now.
    pub(crate) fn spare_apps(&self) -> usize {
        let vacant = self.apps.iter().filter(|app| app.removed && app.is_idle()).count();
        MOST_NUMBERS.saturating_sub(self.apps.len()) + vacant
    }

    pub(crate) fn app(&self, number: u32) -> Option<&AppBooks> {
        self.apps.get(number as usize)
    }

    /// An app as it remembers calls and promises, before somebody looks by way of trial.
    pub(crate) fn put_back(&mut self, app: AppNo, memory: AppMemory) -> Option<&AppBooks> {
        let app = self.apps.get_mut(app.0 as usize)?;
        app.recall(memory);
        Some(app)
    }

    fn key_of(&self, ticket: &AdmissionRequest) -> Option<FifoKey> {
        let app = self.app(ticket.app.0)?;
        let known = usize::from(ticket.price.0) < self.prices.len();
        let lane = if ticket.bulk { Lane::Bulk } else { app.settings.lane };
        known.then_some(FifoKey { app: ticket.app.0, lane, price: ticket.price.0 })
    }

    pub(crate) fn cost(&self, key: FifoKey) -> u32 {
        self.costs[usize::from(key.price)]
    }

    /// Puts an app in the list of those to look at.
    pub(crate) fn list(&mut self, app: u32, lane: Lane) {
        let listed = &mut self.apps[app as usize].lanes[lane.index()].listed;
        if !std::mem::replace(listed, true) {
            self.listed[lane.index()].push(app);
        }
    }

    /// Lets a call wait.
    pub(crate) fn push(&mut self, call: QueuedCall) -> super::queue::FifoPlace {
        let FifoKey { app, lane, .. } = call.key;
        let now = self.clock[lane.index()];
        let in_lane = &mut self.apps[app as usize].lanes[lane.index()];
        if in_lane.waiting == 0 {
            in_lane.start = in_lane.finish.max(now);
        }
        in_lane.waiting += 1;
        self.list(app, lane);
        self.queue.push(call)
    }

    /// Takes a waiting call out that left; `false` if it waits no more.
    pub(crate) fn leave(&mut self, place: super::queue::FifoPlace) -> bool {
        let call = self.queue.leave(place);
        call.inspect(|call| self.left(call.key)).is_some()
    }

    fn left(&mut self, key: FifoKey) {
        self.apps[key.app as usize].lanes[key.lane.index()].waiting -= 1;
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
        let clock = self.clock[lane];
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
        self.clock[lane] = clock.max(start);
        if cost > 0 {
            self.held[lane] += cost;
            self.list(key.app, key.lane);
            self.paces.spend(key.lane, now);
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
            self.held[lane.index()] = self.held[lane.index()].saturating_sub(1);
            self.forecast.came_back(self.settings.pool.calls);
        }
    }

    /// Learns how long an answer takes.
    pub(crate) fn answered(&mut self, taken: Moment, how: Settlement) {
        if let Settlement::FirstByteAt(at) = how {
            let took = at.since(taken).min(self.rest.hard_limit);
            self.answer = (self.answer * 7 + took) / 8;
        }
    }
}

#[cfg(test)]
impl Scheduler {
    /// What the apps' books say is what their slots do.
    pub(crate) fn assert_balance(&self, pools: &Pools) {
        let slots = &pools.get(self.main).unwrap().slots;
        let mut held = vec![[0_u32; 2]; self.apps.len()];
        for owner in slots.owners() {
            held[(owner / 2) as usize][(owner % 2) as usize] += 1;
        }
        for lane in Lane::ALL.map(Lane::index) {
            for (app, held) in self.apps.iter().zip(&held) {
                assert_eq!(app.lanes[lane].held, held[lane]);
                let waiting = app.lanes[lane].waiting;
                assert!(app.lanes[lane].listed || (lane == 1 || held[0] == 0) && waiting == 0);
            }
            let all: u32 = held.iter().map(|held| held[lane]).sum();
            assert_eq!(self.held[lane], all);
            let waiting: u32 = self.apps.iter().map(|app| app.lanes[lane].waiting).sum();
            assert_eq!(self.queue.lane_len(Lane::ALL[lane]), waiting);
        }
        for app in &self.apps {
            assert!(app.rests.len() <= app.lanes[0].held as usize);
            assert!(app.rests.iter().is_sorted());
        }
    }
}
