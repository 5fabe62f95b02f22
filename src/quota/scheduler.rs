//! One connection: its apps, its queue, its paces, and who holds what.
//!
//! This file keeps the books; `choose` decides who is next, `judge` what a call is told that can't
//! start at once.

use std::time::Duration;

use super::app::{AppBooks, AppSettings, InLane};
use super::forecast::Forecast;
use super::moment::Moment;
use super::pools::{PoolId, Pools, Price};
use super::queue::{FifoKey, Lane, Queue, QueuedCall};
use super::rate_limit::{MinimumRate, RateLimiter};
use super::settings::{ConnectionSettings, MOST_APPS, Mode};
use super::shares::Claim;
use super::slots::{RestRule, Settlement};
use super::ticket::{AdmissionRequest, AppNo, ConnectionNo, Grant, Would};

/// How long a short answer takes, before any was seen.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// The operator's pace is this part below the quota's rate: at the rate itself a vendor that counts
/// by two weighted buckets still refuses more than one call in a hundred.
const PACED_BELOW: u32 = 50;

/// Apps that have numbers at a time: those of a configuration, and those that earlier ones had and of
/// which a call waits, runs or rests.
const MOST_NUMBERS: usize = 4 * MOST_APPS as usize;

/// One connection of a workspace.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) number: ConnectionNo,
    /// Its own pool.
    pub(crate) main: PoolId,
    pub(crate) settings: ConnectionSettings,
    pub(crate) rest: RestRule,
    /// Prices as this connection pays them, by number, and what each takes of its own pool.
    pub(crate) prices: Vec<Price>,
    pub(crate) costs: Vec<u32>,
    pub(crate) apps: Vec<AppBooks>,
    /// Apps to look at, per lane: those that hold or want something; a superset.
    pub(crate) listed: [Vec<u32>; 2],
    pub(crate) queue: Queue,
    /// Start tag of the last call sent, per lane.
    pub(crate) clock: [u64; 2],
    /// Slots of the own pool in use or resting, per lane.
    pub(crate) held: [u32; 2],
    pub(crate) bulk: Option<RateLimiter>,
    pub(crate) burst: Option<RateLimiter>,
    pub(crate) floor: MinimumRate,
    /// When it began to see calls.
    pub(crate) began: Moment,
    /// What is kept for calls to come.
    pub(crate) forecast: Forecast,
    /// Usual time to the first byte.
    pub(crate) answer: Duration,
    /// Paused apps whose waiting calls are to be sent away; nobody else's number is here.
    pub(crate) paused: Vec<u32>,
    /// Scratch for decisions: claims of `listed[0]`, and room per price.
    pub(crate) claims: Vec<Claim>,
    pub(crate) rooms: Vec<u32>,
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
        let mut line = Self {
            number,
            main,
            rest,
            costs: prices.iter().map(|price| price.of(main)).collect(),
            queue: Queue::new(prices.len()),
            rooms: vec![u32::MAX; prices.len()],
            prices,
            settings,
            apps: Vec::new(),
            listed: Default::default(),
            clock: [0; 2],
            held: [0; 2],
            bulk: None,
            burst: None,
            floor: MinimumRate::default(),
            began: now,
            forecast: Forecast::default(),
            answer: FIRST_GUESS,
            paused: Vec::new(),
            claims: Vec::new(),
        };
        line.set_paces(now);
        line
    }

    /// Makes the paces anew for the pool's calls.
    pub(crate) fn set_paces(&mut self, now: Moment) {
        let ConnectionSettings { ref pool, burst, bulk_floor, .. } = self.settings;
        self.bulk = RateLimiter::new(pool.calls, pool.window, 1, now);
        let refill = pool.calls - pool.calls.div_ceil(PACED_BELOW);
        self.burst = (burst < pool.calls)
            .then(|| RateLimiter::new(refill, pool.window, burst, now))
            .flatten();
        self.floor = MinimumRate::new(bulk_floor.min(pool.calls), pool.window, now);
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

    pub(crate) fn key_of(&self, ticket: &AdmissionRequest) -> Option<FifoKey> {
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

    pub(crate) fn left(&mut self, key: FifoKey) {
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
            if let Some(burst) = &mut self.burst {
                burst.spend();
            }
            if key.lane == Lane::Bulk {
                if let Some(bulk) = &mut self.bulk {
                    bulk.spend();
                }
                self.floor.spend(now);
            }
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
            self.came_back();
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
