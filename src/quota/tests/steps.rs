//! Any sequence of anything: nothing panics, nobody is lost, the books balance.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, Lane, Mode, Moment, PoolId, PoolSettings, PriceNo, PriceSettings, QueueEvent,
    QueuePlace, QueuePosition, Quota, QuotaRefusal, QuotaRule, Settlement,
};

#[derive(Clone, Debug)]
enum Step {
    Enter {
        connection: u16,
        app: u32,
        price: u16,
        bulk: bool,
        patience: Option<u64>,
    },
    Ask {
        app: u32,
        price: u16,
    },
    Leave(usize),
    Settle(usize, u8),
    Throttled(usize, Option<u64>),
    Forget(usize),
    Passes(u64),
    /// The clock as another thread read it, a little earlier.
    Back(u64),
    Limit(u16, u32),
    Window(u16, u64, u64),
    Mode(bool),
    Pause(u32, bool),
    Remove(u32),
    Add(u32, bool),
    Weigh(u32, u32, Option<u32>),
    Configure {
        burst: u32,
        floor: u32,
        wait: u64,
    },
    Headroom(u32, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let entering = (0..3u16, 0..4u32, 0..5u16, any::<bool>(), any::<Option<u16>>());
    prop_oneof![
        12 => entering.prop_map(|(connection, app, price, bulk, patience)| Step::Enter {
            connection, app, price, bulk, patience: patience.map(u64::from),
        }),
        2 => (0..4u32, 0..4u16).prop_map(|(app, price)| Step::Ask { app, price }),
        2 => (0..30usize).prop_map(Step::Leave),
        8 => (0..30usize, 0..3u8).prop_map(|(at, how)| Step::Settle(at, how)),
        1 => (0..30usize, any::<Option<u16>>()).prop_map(|(at, s)| Step::Throttled(at, s.map(u64::from))),
        1 => (0..30usize).prop_map(Step::Forget),
        8 => (0..20_000u64).prop_map(Step::Passes),
        1 => (0..500u64).prop_map(Step::Back),
        1 => (0..4u16, 0..15u32).prop_map(|(pool, calls)| Step::Limit(pool, calls)),
        1 => (0..4u16, 1..90u64, 0..90u64).prop_map(|(pool, w, hard)| Step::Window(pool, w, hard)),
        1 => any::<bool>().prop_map(Step::Mode),
        1 => (0..4u32, any::<bool>()).prop_map(|(app, on)| Step::Pause(app, on)),
        1 => (0..4u32).prop_map(Step::Remove),
        1 => (1..4u32, any::<bool>()).prop_map(|(weight, bulk)| Step::Add(weight, bulk)),
        1 => (0..4u32, 0..4u32, any::<Option<u8>>())
            .prop_map(|(app, weight, limit)| Step::Weigh(app, weight, limit.map(u32::from))),
        1 => (1..15u32, 0..5u32, 0..100u64)
            .prop_map(|(burst, floor, wait)| Step::Configure { burst, floor, wait }),
        1 => (0..4u32, 0..4u16).prop_map(|(app, pool)| Step::Headroom(app, pool)),
    ]
}

fn settings(name: &str) -> ConnectionSettings {
    ConnectionSettings::of(name, 8, Duration::from_secs(60))
}

fn quota(now: Moment) -> Quota {
    let named = |name: &str, calls| PoolSettings { calls, ..settings(name).pool };
    let price = |connection, named| PriceSettings { connection, named };
    let prices = [
        price(1, vec![]),
        price(1, vec![(0, 1)]),
        price(0, vec![]),
        price(2, vec![(0, 1), (1, 2)]),
    ];
    let named = [named("lists.put", 4), named("brands.put", 6)];
    let mut quota = Quota::new(&named, &prices, &[settings("a"), settings("b")], now).unwrap();
    for connection in [ConnectionNo(0), ConnectionNo(1)] {
        for _ in 0..3 {
            quota.add_app(connection, AppSettings::default(), now).unwrap();
        }
    }
    quota
}

/// What the operator said of an app.
#[derive(Clone, Copy, Debug, Default)]
struct CallHistory {
    paused: bool,
    limited: bool,
}

struct Run {
    quota: Quota,
    now: Moment,
    waiting: Vec<(QueuePlace, AdmissionRequest)>,
    told: HashMap<(u16, u32), CallHistory>,
    running: Vec<Grant>,
    places: HashSet<QueuePlace>,
}

impl Run {
    fn poll(&mut self) -> Result<(), TestCaseError> {
        while let Some(event) = self.quota.poll(self.now) {
            let place = match event {
                QueueEvent::Start { place, grant, .. } => {
                    let call = self.waiting.iter().find(|(p, _)| *p == place).map(|w| w.1);
                    prop_assert!(call.is_some_and(|call| self.now <= call.latest), "late");
                    self.running.push(grant);
                    place
                }
                QueueEvent::Refused { place, refusal, .. } => {
                    let call = self.waiting.iter().find(|(p, _)| *p == place).map(|w| w.1);
                    self.is_true(&refusal, &call.unwrap())?;
                    place
                }
            };
            let before = self.waiting.len();
            self.waiting.retain(|(waits, _)| *waits != place);
            prop_assert_eq!(self.waiting.len() + 1, before, "an end for nobody");
        }
        self.quota.assert_balance();
        let wake = self.quota.next_wake(self.now);
        prop_assert_eq!(wake.is_some(), !self.waiting.is_empty());
        prop_assert!(wake.is_none_or(|wake| wake > self.now));
        Ok(())
    }

    fn enters(&mut self, ticket: &AdmissionRequest) -> Result<(), TestCaseError> {
        self.comes(ticket, self.now)
    }

    /// A call comes that came first at `since`.
    fn comes(&mut self, ticket: &AdmissionRequest, since: Moment) -> Result<(), TestCaseError> {
        match self.quota.enter_again(self.now, ticket, since) {
            AdmissionVerdict::Start(grant) => self.running.push(grant),
            AdmissionVerdict::Wait(place, standing) => {
                self.stands(Some(standing))?;
                prop_assert!(self.places.insert(place), "a place given twice");
                self.waiting.push((place, *ticket));
            }
            AdmissionVerdict::Refused(refusal) => {
                self.stands(refusal.standing)?;
                self.is_true(&refusal, ticket)?;
            }
        }
        Ok(())
    }

    /// A call is refused by a rule that there is for it.
    fn is_true(
        &self,
        refusal: &QuotaRefusal,
        ticket: &AdmissionRequest,
    ) -> Result<(), TestCaseError> {
        prop_assert!(refusal.seconds() >= 1 && refusal.millis() >= 1);
        // Of an app, connection or price that there is not, nothing was said.
        let known = ticket.price.0 < 4 && ticket.connection.0 < 2;
        let Some(told) = self.told.get(&(ticket.connection.0, ticket.app.0)).filter(|_| known)
        else {
            return Ok(());
        };
        match refusal.rule {
            QuotaRule::AppPaused => prop_assert!(told.paused, "{refusal:?}"),
            QuotaRule::AppLimited => prop_assert!(told.limited, "{refusal:?}"),
            QuotaRule::DeadlineTooNear => prop_assert!(ticket.by_caller, "{refusal:?}"),
            QuotaRule::QuotaExhausted | QuotaRule::QueueFull | QuotaRule::VendorThrottled => {}
            QuotaRule::LedgerAway => prop_assert!(false, "nothing is lent: {refusal:?}"),
        }
        let usage = refusal.usage;
        prop_assert!(usage.own <= usage.held, "{usage:?}");
        Ok(())
    }

    /// Nobody stands behind more than there are.
    fn stands(&self, standing: Option<QueuePosition>) -> Result<(), TestCaseError> {
        let Some(standing) = standing else { return Ok(()) };
        let QueuePosition { ahead, own, apps, .. } = standing;
        prop_assert!(ahead as usize <= self.waiting.len(), "{standing:?}");
        prop_assert!(own <= ahead && apps <= ahead && (apps > 0) == (ahead > 0), "{standing:?}");
        Ok(())
    }

    fn ticket(
        &self,
        connection: u16,
        app: u32,
        price: u16,
        patience: Option<u64>,
    ) -> AdmissionRequest {
        AdmissionRequest {
            connection: ConnectionNo(connection),
            app: AppNo(app),
            price: PriceNo(price),
            bulk: false,
            // Whoever wants not to wait at all was here a moment before.
            latest: patience.map_or(Moment::NEVER, |ms| {
                (self.now + Duration::from_millis(ms)).before(Duration::from_micros(5))
            }),
            by_caller: patience.is_some_and(|ms| ms % 2 == 0),
            asked: patience.is_some_and(|ms| ms % 3 == 0),
        }
    }

    fn says(&mut self, app: u32, what: impl FnOnce(&mut CallHistory)) {
        if let Some(told) = self.told.get_mut(&(0, app)) {
            what(told);
        }
    }

    fn steer(&mut self, step: &Step) {
        let (first, now) = (ConnectionNo(0), self.now);
        match *step {
            Step::Limit(pool, calls) => self.quota.set_limit(PoolId(pool), calls, now),
            Step::Window(pool, window, hard) => {
                let (window, hard) = (Duration::from_secs(window), Duration::from_secs(hard));
                self.quota.set_window(PoolId(pool), window, hard, now);
            }
            Step::Mode(shadow) => {
                let mode = if shadow { Mode::Shadow } else { Mode::Enforce };
                self.quota.set_mode(first, mode, now);
            }
            Step::Pause(app, on) => {
                self.quota.pause(first, AppNo(app), on);
                self.says(app, |told| told.paused = on);
            }
            Step::Remove(app) => {
                self.quota.remove_app(first, AppNo(app));
                self.says(app, |told| told.paused = true);
            }
            Step::Add(weight, bulk) => {
                let lane = Lane::ALL[usize::from(bulk)];
                let app = AppSettings { lane, weight, ..AppSettings::default() };
                let added = self.quota.add_app(first, app, now).unwrap();
                self.told.insert((0, added.0), CallHistory::default());
            }
            Step::Weigh(app, weight, limit) => {
                self.says(app, |told| told.limited = limit.is_some_and(|calls| calls > 0));
                let limit = limit.map(|calls| (calls, Duration::from_secs(60)));
                let settings = AppSettings { weight, limit, ..AppSettings::default() };
                self.quota.configure_app(first, AppNo(app), settings, now);
            }
            Step::Configure { burst, floor, wait } => {
                let mut settings = settings("a");
                (settings.burst, settings.bulk_floor) = (burst, floor);
                settings.max_wait = Duration::from_secs(wait);
                self.quota.configure(first, &settings, now);
            }
            Step::Headroom(app, pool) => {
                let room = self.quota.room(first, AppNo(app), PoolId(pool), now);
                assert!(room.is_none_or(|room| room.calls <= 15));
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Enter { connection, app, price, bulk, patience } => {
                let ticket = self.ticket(connection, app, price, patience);
                self.enters(&AdmissionRequest { bulk, ..ticket })?;
            }
            Step::Ask { app, price } => {
                let ticket = self.ticket(0, app, price, None);
                let asked = self.quota.ask(self.now, &ticket);
                let standing = asked.unwrap_or_else(|refusal| refusal.standing);
                self.stands(standing)?;
            }
            Step::Leave(at) if at < self.waiting.len() => {
                let (place, _) = self.waiting.swap_remove(at);
                prop_assert!(self.quota.leave(place));
                prop_assert!(!self.quota.leave(place));
            }
            Step::Settle(at, how) if at < self.running.len() => {
                let grant = self.running.swap_remove(at);
                let how = match how {
                    0 => Settlement::NothingSent,
                    1 => Settlement::NoAnswer,
                    _ => Settlement::FirstByteAt(self.now),
                };
                self.quota.settle(grant, how, self.now);
            }
            Step::Throttled(at, asked) if at < self.running.len() => {
                let pause = asked.map(Duration::from_millis);
                let mut grant = self.running.swap_remove(at);
                self.quota.vendor_refused(&mut grant, pause, self.now);
                let (connection, key, since) = (grant.connection().0, grant.key, grant.taken());
                self.quota.settle(grant, Settlement::FirstByteAt(self.now), self.now);
                if pause.is_some() {
                    let ticket = self.ticket(connection, key.app, key.price, None);
                    self.comes(
                        &AdmissionRequest { bulk: key.lane == Lane::Bulk, ..ticket },
                        since,
                    )?;
                }
            }
            Step::Forget(at) if at < self.running.len() => drop(self.running.swap_remove(at)),
            Step::Passes(ms) => self.now = self.now + Duration::from_millis(ms),
            Step::Back(ms) => {
                let earlier = self.now.before(Duration::from_millis(ms));
                let ticket = self.ticket(0, 0, 2, None);
                let _ = self.quota.ask(earlier, &ticket);
            }
            _ => self.steer(step),
        }
        self.poll()
    }
}

proptest! {
    #[test]
    fn whatever_happens_nobody_is_lost_and_the_books_balance(
        steps in proptest::collection::vec(step(), 1..150)
    ) {
        let now = Moment::from(Duration::from_secs(1000));
        let mut run = Run {
            quota: quota(now),
            now,
            waiting: Vec::new(),
            told: (0..6).map(|at| ((at % 2, u32::from(at / 2)), CallHistory::default())).collect(),
            running: Vec::new(),
            places: HashSet::new(),
        };
        for step in &steps {
            run.step(step)?;
        }
        // Long after, everything is free and nobody waits.
        run.now = run.now + Duration::from_secs(7200);
        run.poll()?;
        prop_assert!(run.waiting.is_empty());
        for (id, pool) in run.quota.pools().iter() {
            let gauge = run.quota.gauge(id).unwrap();
            prop_assert_eq!(gauge.in_use + gauge.resting, 0, "{}", &pool.name);
            prop_assert_eq!(gauge.free, gauge.limit);
        }
    }
}
