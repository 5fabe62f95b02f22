//! Whole quotas of several gateways, before one ledger, in virtual time.

use std::collections::HashMap;
use std::time::Duration;

use super::super::super::tests::random::Random;
use super::super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, Lane, Moment, Past, PoolId, Price, PriceNo, QueueEvent, QueuePlace, Quota, Settlement,
};
use super::super::{Sighting, SyncReply};
use super::ledger::Ledger;
use super::mutation::Mutation;
use super::safety::most;

/// Time goes on in these steps. A request takes one to the ledger and back.
const STEP: Duration = Duration::from_millis(10);
/// Who was refused comes again after this.
const AGAIN: Duration = Duration::from_millis(500);
pub(super) const CALLS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// What an app does at one gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Habit {
    /// So many calls a minute, at random.
    Random(f64),
    /// So many calls always wait.
    Saturating(u32),
}

/// An app at a gateway, and what became of its calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) gate: usize,
    name: &'static str,
    lane: Lane,
    weight: u32,
    habit: Habit,
    next: Moment,
    again: Moment,
    waiting: u32,
    pub(super) sent: u32,
    pub(super) refused: u32,
    pub(super) waits: Vec<Duration>,
}

struct Gate {
    quota: Quota,
    pool: PoolId,
    apps: Vec<(usize, AppNo)>,
    sighting: Sighting,
    waiting: HashMap<QueuePlace, (usize, Moment)>,
    running: Vec<(Moment, Grant)>,
    replies: Vec<SyncReply>,
}

pub(super) struct Fleet {
    now: Moment,
    ledger: Ledger,
    gates: Vec<Gate>,
    pub(super) callers: Vec<Caller>,
    /// Taken and ended.
    sent: Vec<(Moment, Moment)>,
    dice: Random,
}

impl Caller {
    pub(super) fn new(gate: usize, name: &'static str, lane: Lane, habit: Habit) -> Self {
        Self {
            gate,
            name,
            lane,
            weight: 1,
            habit,
            next: Moment::ZERO,
            again: Moment::ZERO,
            waiting: 0,
            sent: 0,
            refused: 0,
            waits: Vec::new(),
        }
    }

    pub(super) fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// The wait that so many of a hundred calls did not exceed; a refused one waited for longer.
    pub(super) fn percentile(&self, of: usize) -> Duration {
        let mut waits = self.waits.clone();
        waits.extend((0..self.refused).map(|_| Duration::from_secs(60)));
        waits.sort_unstable();
        waits[(waits.len() * of / 100).min(waits.len() - 1)]
    }
}

impl Gate {
    fn new(number: usize, callers: &[Caller], now: Moment) -> Self {
        let mut quota = Quota::empty(now);
        let mut settings = ConnectionSettings::of("acme", CALLS, WINDOW);
        settings.pool.past = Past::Lent;
        let connection = quota.add_connection(settings, None, now);
        let pool = quota.own_pool(connection).unwrap();
        quota.set_price(connection, PriceNo(0), Price::new(&[(pool, 1)]).unwrap());
        let mut apps = Vec::new();
        for (at, caller) in callers.iter().enumerate().filter(|(_, c)| c.gate == number) {
            let Caller { name, lane, weight, .. } = *caller;
            let settings = AppSettings { name: name.into(), lane, weight, limit: None };
            apps.push((at, quota.add_app(connection, settings, now).unwrap()));
        }
        let name = format!("gate{number}");
        quota.lend(pool, (&name, Duration::from_secs(20), false), (CALLS, 1), now);
        Self {
            quota,
            pool,
            apps,
            sighting: Sighting::default(),
            waiting: HashMap::new(),
            running: Vec::new(),
            replies: Vec::new(),
        }
    }
}

impl Fleet {
    pub(super) fn new(seed: u64, gates: usize, callers: Vec<Caller>, mutation: Mutation) -> Self {
        let now = Moment::from(Duration::from_secs(24 * 3600));
        let mut ledger = Ledger::new(mutation);
        ledger.create("run", milliseconds(now));
        Self {
            now,
            ledger,
            gates: (0..gates).map(|number| Gate::new(number, &callers, now)).collect(),
            callers,
            sent: Vec::new(),
            dice: Random::new(seed),
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + STEP;
            for gate in 0..self.gates.len() {
                self.hear(gate);
                self.settle(gate);
                self.call(gate);
                self.serve(gate);
                self.ask(gate);
            }
        }
    }

    /// No window met more calls than the limit.
    pub(super) fn assert_safe(&self) {
        let all = (Moment::ZERO, Moment::NEVER.before(Duration::from_nanos(1)));
        let running = self.gates.iter().flat_map(|gate| &gate.running);
        let running = running.map(|(_, grant)| (grant.taken(), self.now));
        let calls: Vec<_> = self.sent.iter().copied().chain(running).collect();
        assert!(most(&calls, WINDOW, all.0, all.1) <= CALLS as usize);
    }

    /// Forgets what was counted, after a beginning that is not of interest.
    pub(super) fn begin_to_count(&mut self) {
        for caller in &mut self.callers {
            (caller.sent, caller.refused) = (0, 0);
            caller.waits.clear();
        }
    }

    fn hear(&mut self, gate: usize) {
        let Gate { quota, pool, replies, .. } = &mut self.gates[gate];
        for reply in replies.drain(..) {
            quota.end_sync(*pool, Some(&reply), 0.5, self.now);
        }
    }

    fn settle(&mut self, gate: usize) {
        let Gate { quota, running, .. } = &mut self.gates[gate];
        let (over, rest) = running.drain(..).partition(|(end, _)| *end <= self.now);
        *running = rest;
        for (end, grant) in over {
            self.sent.push((grant.taken(), end));
            quota.settle(grant, Settlement::FirstByteAt(end), self.now);
        }
    }

    fn call(&mut self, gate: usize) {
        for (at, app) in self.gates[gate].apps.clone() {
            loop {
                let caller = &mut self.callers[at];
                match caller.habit {
                    Habit::Random(rate) if caller.next <= self.now => {
                        let gap = Duration::from_secs_f64(self.dice.exponential(60.0 / rate));
                        caller.next = caller.next.max(self.now) + gap;
                    }
                    Habit::Saturating(many)
                        if caller.waiting < many && caller.again <= self.now => {}
                    Habit::Random(_) | Habit::Saturating(_) => break,
                }
                if !self.enter(gate, (at, app)) {
                    break;
                }
            }
        }
    }

    /// `false` if the call was refused.
    fn enter(&mut self, gate: usize, (at, app): (usize, AppNo)) -> bool {
        let ticket = AdmissionRequest {
            connection: ConnectionNo(0),
            app,
            price: PriceNo(0),
            bulk: false,
            latest: Moment::NEVER,
            by_caller: false,
            asked: false,
        };
        match self.gates[gate].quota.enter(self.now, &ticket) {
            AdmissionVerdict::Start(grant) => self.start(gate, (at, self.now), grant),
            AdmissionVerdict::Wait(place, _) => {
                self.callers[at].waiting += 1;
                self.gates[gate].waiting.insert(place, (at, self.now));
            }
            AdmissionVerdict::Refused(_) => {
                let caller = &mut self.callers[at];
                caller.refused += 1;
                caller.again = self.now + AGAIN;
                return false;
            }
        }
        true
    }

    fn start(&mut self, gate: usize, (at, since): (usize, Moment), grant: Grant) {
        let answer = Duration::from_secs_f64(self.dice.between(0.15, 0.6));
        self.callers[at].sent += 1;
        self.callers[at].waits.push(self.now.since(since));
        self.gates[gate].running.push((self.now + answer, grant));
    }

    fn serve(&mut self, gate: usize) {
        while let Some(event) = self.gates[gate].quota.poll(self.now) {
            let (QueueEvent::Start { place, .. } | QueueEvent::Refused { place, .. }) = &event;
            let (at, since) = self.gates[gate].waiting.remove(place).unwrap();
            self.callers[at].waiting -= 1;
            match event {
                QueueEvent::Start { grant, .. } => self.start(gate, (at, since), grant),
                QueueEvent::Refused { .. } => self.callers[at].refused += 1,
            }
        }
        self.gates[gate].quota.want(self.now);
    }

    fn ask(&mut self, gate: usize) {
        let gate = &mut self.gates[gate];
        let clock = milliseconds(self.now);
        while let Some(pool) = gate.quota.due_sync(self.now) {
            let incarnation = self.ledger.look("nonce", clock, "run");
            gate.sighting.sees(&incarnation, self.now, self.now);
            let nonce = format!("{:x}", self.dice.next());
            let request = gate.quota.begin_sync(pool, &gate.sighting, nonce, self.now).unwrap();
            gate.replies.push(self.ledger.run(&request, clock, "run"));
        }
    }
}

fn milliseconds(at: Moment) -> i64 {
    i64::try_from(at.as_nanos() / 1_000_000).unwrap()
}
