//! A world in virtual time: apps with their habits, a vendor with its delays, and the quota driven
//! as the gateway drives it: it is only polled after something happened and at the times it asks
//! for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use super::super::slots::SlotState;
use super::super::state_file::RECORD;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, ConnectionNo, ConnectionSettings, Grant, Moment,
    PoolSettings, PriceNo, PriceSettings, QueueEvent, QueuePlace, Quota, QuotaRefusal, Settlement,
};
use super::counters::Sent;
use super::people::{AppBooks, Broken, Habit, Nature, Tally};
use super::random::Random;

const MINUTE: f64 = 60.0;

pub(super) fn at(seconds: f64) -> Moment {
    Moment::from(Duration::from_secs_f64(seconds))
}

#[derive(Debug)]
pub(super) enum Happens {
    Arrives { app: usize, back: bool },
    Counted(u64),
    Answered(u64),
    Leaves(QueuePlace),
    LeavesCall(u64),
    Wakes,
}

pub(super) struct Running {
    pub(super) grant: Grant,
    pub(super) how: Settlement,
    pub(super) app: usize,
}

pub(super) struct Queued {
    pub(super) app: usize,
    pub(super) arrived: Moment,
    pub(super) latest: Moment,
    pub(super) back: bool,
}

pub(super) struct World {
    pub(super) quota: Quota,
    pub(super) now: Moment,
    pub(super) sent: Vec<Sent>,
    pub(super) tallies: Vec<Tally>,
    pub(super) apps: Vec<AppBooks>,
    pub(super) wakes: u64,
    pub(super) vendor: Option<(super::counters::TwoBuckets, u32)>,
    pub(super) settings: (Vec<PoolSettings>, Vec<PriceSettings>, ConnectionSettings),
    pub(super) nature: Nature,
    pub(super) random: Random,
    pub(super) to_come: BinaryHeap<Reverse<(Moment, u64)>>,
    pub(super) happens: HashMap<u64, Happens>,
    /// Calls that the vendor is going to refuse.
    pub(super) throttled: HashSet<u64>,
    pub(super) running: HashMap<u64, Running>,
    pub(super) queued: HashMap<QueuePlace, Queued>,
    pub(super) serial: u64,
    /// The state file's records of the connection's own pool.
    pub(super) file: Vec<[u8; RECORD]>,
    pub(super) armed: Moment,
}

pub(super) const ONE: ConnectionNo = ConnectionNo(0);

/// A connection whose calls wait as long as they have to.
pub(super) fn patient(calls: u32) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("connection", calls, Duration::from_secs(60));
    settings.max_wait = Duration::from_secs(3600);
    settings.max_wait_bulk = Duration::from_secs(3600);
    (settings.depth, settings.app_depth) = (100_000, 100_000);
    settings
}

impl World {
    pub(super) fn new(
        settings: ConnectionSettings,
        apps: Vec<AppBooks>,
        nature: Nature,
        seed: u64,
    ) -> Self {
        let price = PriceSettings { connection: 1, named: Vec::new() };
        Self::with_pools((Vec::new(), vec![price], settings), apps, nature, seed)
    }

    pub(super) fn with_pools(
        settings: (Vec<PoolSettings>, Vec<PriceSettings>, ConnectionSettings),
        apps: Vec<AppBooks>,
        nature: Nature,
        seed: u64,
    ) -> Self {
        let start = at(1000.0);
        let quota = quota(&settings, &apps, start);
        let mut world = Self {
            quota,
            now: start,
            sent: Vec::new(),
            tallies: vec![Tally::default(); apps.len()],
            apps,
            wakes: 0,
            vendor: None,
            settings,
            nature,
            random: Random::new(seed),
            to_come: BinaryHeap::new(),
            happens: HashMap::new(),
            throttled: HashSet::new(),
            running: HashMap::new(),
            queued: HashMap::new(),
            serial: 0,
            file: Vec::new(),
            armed: Moment::NEVER,
        };
        for app in 0..world.apps.len() {
            let first = match world.apps[app].habit {
                Habit::Backlog(n) | Habit::Clients(n, _) => n,
                _ => 1,
            };
            let from = at(1000.0 + world.apps[app].awake.0);
            for _ in 0..first {
                let from = match world.apps[app].habit {
                    Habit::Backlog(_) | Habit::Clients(..) => from,
                    _ => world.next_call(app, from),
                };
                world.soon(from, Happens::Arrives { app, back: false });
            }
        }
        world
    }

    /// Seconds since the world began.
    pub(super) fn seconds(&self) -> f64 {
        self.now.since(at(1000.0)).as_secs_f64()
    }

    /// Lets the world go on until so many seconds after its beginning.
    pub(super) fn run(&mut self, until: f64) -> &mut Self {
        let until = at(1000.0 + until);
        while let Some(&Reverse((when, serial))) = self.to_come.peek()
            && when <= until
        {
            self.to_come.pop();
            self.now = when;
            let happens = self.happens.remove(&serial);
            let polls = happens.is_some_and(|happens| self.happen(happens));
            if polls {
                self.poll();
            }
        }
        self.now = until;
        let missed = self.quota.poll(self.now);
        assert!(missed.is_none(), "it asked to be woken too late: {missed:?}");
        self.quota.assert_balance();
        self
    }

    /// Does what the gateway does after every change.
    pub(super) fn poll(&mut self) {
        while let Some(event) = self.quota.poll(self.now) {
            match event {
                QueueEvent::Start { place, grant, .. } => {
                    let call = self.queued.remove(&place).expect("it waited");
                    self.started(&call, grant);
                }
                QueueEvent::Refused { place, refusal, .. } => {
                    let call = self.queued.remove(&place).expect("it waited");
                    self.tallies[call.app].expired += 1;
                    self.refused(&call, refusal);
                }
            }
        }
        if let Some(wake) = self.quota.next_wake(self.now)
            && (wake < self.armed || self.armed <= self.now)
        {
            assert!(wake > self.now, "a wake that is not to come would spin");
            self.armed = wake;
            self.soon(wake, Happens::Wakes);
        }
    }

    pub(super) fn soon(&mut self, when: Moment, happens: Happens) {
        self.serial += 1;
        self.to_come.push(Reverse((when, self.serial)));
        self.happens.insert(self.serial, happens);
    }

    fn happen(&mut self, happens: Happens) -> bool {
        match happens {
            Happens::Arrives { app, back } => self.arrives(app, back),
            Happens::Counted(serial) => {
                self.vendor_counts(serial);
                return false;
            }
            Happens::Answered(serial) => self.answered(serial),
            Happens::Leaves(place) => {
                if let Some(call) = self.queued.remove(&place) {
                    assert!(self.quota.leave(place));
                    self.again(call.app);
                }
            }
            Happens::LeavesCall(serial) => {
                if self.nature.broken == Broken::FreedOnDeparture
                    && let Some(call) = self.running.remove(&serial)
                {
                    self.quota.settle(call.grant, Settlement::NothingSent, self.now);
                    self.again(call.app);
                }
            }
            Happens::Wakes => {
                self.wakes += 1;
                // An earlier wake was armed after this one.
                return self.armed == self.now;
            }
        }
        true
    }

    fn next_call(&mut self, app: usize, after: Moment) -> Moment {
        let begin = self.apps[app].awake.0;
        match self.apps[app].habit {
            Habit::Poisson(per_minute) => {
                after + Duration::from_secs_f64(self.random.exponential(MINUTE / per_minute))
            }
            Habit::Bursts(mean, _) => {
                after + Duration::from_secs_f64(self.random.exponential(mean) + 1e-6)
            }
            Habit::Minutely(_) => {
                let since = after.since(at(1000.0 + begin)).as_secs_f64();
                at(1000.0 + begin + (since / MINUTE).floor() * MINUTE + MINUTE)
            }
            Habit::Backlog(_) | Habit::Clients(..) => after,
        }
    }

    fn arrives(&mut self, app: usize, back: bool) {
        let (from, to) = self.apps[app].awake;
        if !(from..to).contains(&self.seconds()) {
            return;
        }
        let many = match self.apps[app].habit {
            _ if back => 1,
            Habit::Minutely(n) => n,
            Habit::Bursts(_, n) => u32::try_from(1 + self.random.below(u64::from(n))).unwrap(),
            _ => 1,
        };
        let on_its_own = matches!(
            self.apps[app].habit,
            Habit::Poisson(_) | Habit::Minutely(_) | Habit::Bursts(..)
        );
        if on_its_own && !back {
            let next = self.next_call(app, self.now);
            self.soon(next, Happens::Arrives { app, back: false });
        }
        for _ in 0..many {
            self.enters(app, back);
        }
    }

    fn enters(&mut self, app: usize, back: bool) {
        let (low, high) = self.apps[app].patience;
        let latest = if low.is_finite() {
            self.now + Duration::from_secs_f64(self.random.between(low, high))
        } else {
            Moment::NEVER
        };
        let prices = &self.apps[app].prices;
        let price = *self.random.pick(prices);
        let ticket = AdmissionRequest {
            connection: ONE,
            app: AppNo(u32::try_from(app).unwrap()),
            price: PriceNo(price),
            bulk: false,
            latest,
            by_caller: low.is_finite(),
            asked: false,
        };
        self.tallies[app].arrived += 1;
        self.tallies[app].came_back += u32::from(back);
        let call = Queued { app, arrived: self.now, latest, back };
        match self.quota.enter(self.now, &ticket) {
            AdmissionVerdict::Start(grant) => self.started(&call, grant),
            AdmissionVerdict::Wait(place, _) => {
                self.queued.insert(place, call);
                if self.random.chance(self.nature.leave) {
                    let leaves = self.now + Duration::from_secs_f64(self.random.between(0.0, 20.0));
                    self.soon(leaves, Happens::Leaves(place));
                }
            }
            AdmissionVerdict::Refused(refusal) => {
                self.tallies[app].refused_on_arrival += 1;
                let left = self.left_over(latest);
                let kept = self.limit() as usize / 25;
                self.tallies[app].servable += u32::from(left > 0);
                self.tallies[app].spared += u32::from(left > kept);
                self.refused(&call, refusal);
            }
        }
        // The gateway polls after each call, and calls of one moment come one after the other.
        self.poll();
    }

    /// Slots that would be left over at `latest` if nobody came any more: by the slots alone.
    fn left_over(&self, latest: Moment) -> usize {
        let longest = self.now + self.settings.2.max_wait;
        let latest = latest.min(longest);
        let own = self.quota.own_pool(ONE).unwrap();
        let slots = &self.quota.pools().get(own).unwrap().slots;
        let ripe = |state: &SlotState| match state {
            SlotState::Free => true,
            SlotState::Resting(until) => *until <= latest,
            _ => false,
        };
        let ripe = slots.states().filter(ripe).count();
        ripe.saturating_sub(self.queued.len())
    }

    fn started(&mut self, call: &Queued, grant: Grant) {
        let tally = &mut self.tallies[call.app];
        let wait = self.now.since(call.arrived).as_secs_f64();
        let arrived = call.arrived.since(at(1000.0)).as_secs_f64();
        tally.waits.push((arrived, wait));
        tally.late += u32::from(self.now > call.latest);
        tally.let_in += u32::from(call.back);
        self.serial += 1;
        let serial = self.serial;
        let slots: Vec<_> = self.quota.slots_of(&grant).collect();
        self.write_slots(&slots);
        let (how, heard, takes) = self.fate();
        let app = call.app;
        if let Some(takes) = takes {
            let takes = Duration::from_secs_f64(takes);
            let counted = self.now + takes.mul_f64(self.random.unit());
            self.soon(counted, Happens::Counted(serial));
            self.sent.push(Sent {
                app,
                price: grant.key.price,
                taken: self.now,
                counted,
                ended: self.now + takes,
            });
            if self.random.chance(self.nature.leave) {
                let leaves = self.now + takes.mul_f64(self.random.unit());
                self.soon(leaves, Happens::LeavesCall(serial));
            }
        }
        self.soon(heard, Happens::Answered(serial));
        self.running.insert(serial, Running { grant, how, app });
        if matches!(self.apps[app].habit, Habit::Backlog(_)) {
            self.soon(self.now, Happens::Arrives { app, back: false });
        }
    }

    /// What becomes of a call that starts now: what the gateway says of it and when, and the
    /// seconds within which the vendor counts it, if it does.
    fn fate(&mut self) -> (Settlement, Moment, Option<f64>) {
        let nature = self.nature;
        let hard = self.settings.2.pool.hard_limit.as_secs_f64();
        let (low, high) = nature.answer;
        if self.random.chance(nature.unsent) {
            return (Settlement::NothingSent, self.now + Duration::from_millis(30), None);
        }
        if self.random.chance(nature.lost) {
            // The gateway may learn earlier that no answer will come.
            let gives_up = self.now + Duration::from_secs_f64(self.random.between(0.0, hard));
            let how = match nature.broken {
                Broken::SilenceIsAnswer => Settlement::FirstByteAt(gives_up),
                _ => Settlement::NoAnswer,
            };
            return (how, gives_up, Some(hard));
        }
        let takes = if self.random.chance(nature.slow) {
            self.random.between(high, hard)
        } else {
            self.random.between(low, high)
        };
        let answered = self.now + Duration::from_secs_f64(takes);
        let how = match nature.broken {
            Broken::RestFromSend => Settlement::FirstByteAt(self.now),
            _ => Settlement::FirstByteAt(answered),
        };
        (how, answered, Some(takes))
    }

    fn vendor_counts(&mut self, serial: u64) {
        let now = i128::from(self.now.as_nanos());
        if let Some((vendor, refusals)) = &mut self.vendor
            && !vendor.admits(now)
        {
            *refusals += 1;
            self.throttled.insert(serial);
        }
    }

    fn answered(&mut self, serial: u64) {
        if let Some(mut call) = self.running.remove(&serial) {
            if self.throttled.remove(&serial) {
                self.quota.vendor_refused(&mut call.grant, None, self.now);
            }
            let slots: Vec<_> = self.quota.slots_of(&call.grant).collect();
            self.quota.settle(call.grant, call.how, self.now);
            self.write_slots(&slots);
            self.again(call.app);
        }
    }

    /// A client without a call thinks and calls again.
    fn again(&mut self, app: usize) {
        if let Habit::Clients(_, thinks) = self.apps[app].habit {
            let pause = Duration::from_secs_f64(self.random.exponential(thinks) + 1e-6);
            self.soon(self.now + pause, Happens::Arrives { app, back: false });
        }
    }

    fn refused(&mut self, call: &Queued, refusal: QuotaRefusal) {
        let Queued { app, back, .. } = *call;
        let arrived = call.arrived.since(at(1000.0)).as_secs_f64();
        self.tallies[app].turned_away.push(arrived);
        *self.tallies[app].refused.entry(refusal.rule).or_default() += 1;
        assert!(refusal.seconds() >= 1);
        let told = self.now + Duration::from_secs(refusal.seconds());
        match self.apps[app].habit {
            Habit::Backlog(_) | Habit::Clients(..) if self.apps[app].comes_back => {
                self.soon(told, Happens::Arrives { app, back: true });
            }
            Habit::Backlog(_) | Habit::Clients(..) => {
                let pause = Duration::from_secs_f64(self.apps[app].tries_again);
                let later = self.now + pause;
                self.soon(later, Happens::Arrives { app, back: false });
            }
            _ if self.apps[app].comes_back && !back => {
                self.soon(told, Happens::Arrives { app, back: true });
            }
            _ => {}
        }
    }
}

pub(super) fn quota(
    settings: &(Vec<PoolSettings>, Vec<PriceSettings>, ConnectionSettings),
    apps: &[AppBooks],
    now: Moment,
) -> Quota {
    let connections = std::slice::from_ref(&settings.2);
    let mut quota = Quota::new(&settings.0, &settings.1, connections, now).unwrap();
    for app in apps {
        quota.add_app(ONE, app.settings.clone(), now).unwrap();
    }
    quota
}
