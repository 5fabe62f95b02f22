//! What the calls of the last hour would have met under another limit: the same quota, in virtual
//! time. Pure.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::arrivals::ArrivalSecond;
use crate::catalog::Lane;
use crate::ids::AppId;
use crate::quota::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, Moment, Past, PriceNo, PriceSettings, QueueEvent, QueuePlace, Quota, Settlement,
};

/// The most calls that are looked at: the latest ones.
pub const MOST: usize = 200_000;
/// No two looks at the queue are nearer than this.
const STEP: Duration = Duration::from_millis(1);

/// What became of the calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayFigures {
    /// Calls that started.
    pub started: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// The part of all slots that was used.
    pub r#use: f64,
    /// By lane.
    pub lanes: ReplayLanes,
    /// By app.
    pub apps: Vec<ReplayApp>,
}

/// Both lanes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayLanes {
    /// Where somebody waits for the answer.
    pub interactive: ReplayWaits,
    /// Where nobody does.
    pub bulk: ReplayWaits,
}

/// How long calls waited that started, and how many were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayWaits {
    /// Half of them waited no longer; none if none started.
    pub wait_ms_p50: Option<u64>,
    /// 99 of 100 waited no longer.
    pub wait_ms_p99: Option<u64>,
    /// Calls that were refused.
    pub refused: u64,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplayApp {
    /// The tenant.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// Calls that started.
    pub started: u64,
    /// How they waited.
    #[serde(flatten)]
    pub waits: ReplayWaits,
}

/// What the calls meet.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The quota.
    pub settings: ConnectionSettings,
    /// Its apps.
    pub apps: HashMap<AppId, AppSettings>,
    /// The tenant of all of them.
    pub tenant: String,
    /// From a start to the head of the answer.
    pub latency: Duration,
}

#[derive(Default)]
struct Counts {
    waits: Vec<Duration>,
    refused: u64,
}

/// One replay under way.
struct Run {
    quota: Quota,
    /// Answers to come.
    answers: BinaryHeap<Reverse<(Moment, u64)>>,
    grants: HashMap<u64, Grant>,
    /// Whose call waits where, and what it costs.
    waiting: HashMap<QueuePlace, (AppId, bool, u32)>,
    latency: Duration,
    /// Apps whose calls are bulk.
    bulk: HashSet<AppId>,
    next: u64,
    slots: u64,
    counts: HashMap<(AppId, bool), Counts>,
}

/// Calls in order, with what each costs.
type Call = (Moment, AppId, bool, PriceNo);

/// What becomes of `hour` under `scenario`. `None` if no quota could be like that.
#[must_use]
pub fn replay(hour: &[ArrivalSecond], scenario: &Scenario) -> Option<ReplayFigures> {
    let mut costs: Vec<u32> =
        hour.iter().flat_map(|second| second.counts.iter().map(|(kind, _)| kind.cost)).collect();
    costs.sort_unstable();
    costs.dedup();
    let price = |cost: &u32| PriceSettings { connection: *cost, named: Vec::new() };
    let prices: Vec<_> = costs.iter().map(price).collect();
    let mut settings = scenario.settings.clone();
    settings.pool.past = Past::Fresh;
    let (calls, window) = (settings.pool.calls, settings.pool.window);
    let mut quota = Quota::new(&[], &prices, &[settings], Moment::ZERO).ok()?;
    let mut numbers = HashMap::new();
    for (app, settings) in &scenario.apps {
        numbers
            .insert(app.clone(), quota.add_app(ConnectionNo(0), settings.clone(), Moment::ZERO)?);
    }
    let list = calls_of(hour, &costs);
    let mut run = Run {
        quota,
        answers: BinaryHeap::new(),
        grants: HashMap::new(),
        waiting: HashMap::new(),
        latency: scenario.latency,
        bulk: scenario.bulk_apps(),
        next: 0,
        slots: 0,
        counts: HashMap::new(),
    };
    let span = list.last().map_or(Duration::ZERO, |last| last.0.since(Moment::ZERO));
    run.go(&list, (&numbers, &costs));
    let windows = span.max(window).as_secs_f64() / window.as_secs_f64();
    Some(run.figures(&scenario.tenant, f64::from(calls) * windows))
}

fn calls_of(hour: &[ArrivalSecond], costs: &[u32]) -> Vec<Call> {
    let first = hour.first().map_or(0, |second| second.second);
    let calls = hour.iter().flat_map(ArrivalSecond::calls);
    calls
        .map(|(when, kind)| {
            let price = costs.iter().position(|cost| *cost == kind.cost).unwrap_or(0);
            let price = PriceNo(u16::try_from(price).unwrap_or(u16::MAX));
            let when = Moment::ZERO + when.saturating_sub(Duration::from_secs(first));
            (when, kind.app.clone(), kind.bulk, price)
        })
        .collect()
}

impl Scenario {
    fn bulk_apps(&self) -> HashSet<AppId> {
        let bulk = self.apps.iter().filter(|(_, settings)| settings.lane == Lane::Bulk);
        bulk.map(|(app, _)| app.clone()).collect()
    }
}

impl Run {
    fn go(&mut self, calls: &[Call], (numbers, costs): (&HashMap<AppId, AppNo>, &[u32])) {
        let (mut now, mut at) = (Moment::ZERO, 0);
        loop {
            while let Some(Reverse((due, id))) = self.answers.peek().copied()
                && due <= now
            {
                self.answers.pop();
                if let Some(grant) = self.grants.remove(&id) {
                    self.quota.settle(grant, Settlement::FirstByteAt(now), now);
                }
            }
            while let Some((when, app, bulk, price)) = calls.get(at)
                && *when <= now
            {
                at += 1;
                // An app that is gone by now.
                let Some(number) = numbers.get(app) else { continue };
                let cost = costs.get(usize::from(price.0)).copied().unwrap_or(1);
                self.arrive((*number, app, *bulk), (*price, cost), now);
            }
            self.pump(now);
            let arrival = calls.get(at).map(|call| call.0);
            let answer = self.answers.peek().map(|Reverse((due, _))| *due);
            let wake = self.quota.next_wake(now).map(|wake| wake.max(now + STEP));
            match [arrival, answer, wake].into_iter().flatten().min() {
                Some(next) => now = next,
                None => return,
            }
        }
    }

    fn arrive(
        &mut self,
        (number, app, bulk): (AppNo, &AppId, bool),
        (price, cost): (PriceNo, u32),
        now: Moment,
    ) {
        let request = AdmissionRequest {
            connection: ConnectionNo(0),
            app: number,
            price,
            bulk,
            latest: Moment::NEVER,
            by_caller: false,
            asked: false,
        };
        let lane = bulk || self.bulk.contains(app);
        match self.quota.enter(now, &request) {
            AdmissionVerdict::Start(grant) => {
                self.started((app.clone(), lane), grant, Duration::ZERO, (now, cost));
            }
            AdmissionVerdict::Wait(place, _) => {
                self.waiting.insert(place, (app.clone(), lane, cost));
            }
            AdmissionVerdict::Refused(_) => self.refused((app.clone(), lane)),
        }
    }

    fn pump(&mut self, now: Moment) {
        while let Some(event) = self.quota.poll(now) {
            match event {
                QueueEvent::Start { place, grant, since } => {
                    if let Some((app, bulk, cost)) = self.waiting.remove(&place) {
                        self.started((app, bulk), grant, now.since(since), (now, cost));
                    }
                }
                QueueEvent::Refused { place, .. } => {
                    if let Some((app, bulk, _)) = self.waiting.remove(&place) {
                        self.refused((app, bulk));
                    }
                }
            }
        }
    }

    fn started(&mut self, who: (AppId, bool), grant: Grant, waited: Duration, at: (Moment, u32)) {
        let (now, cost) = at;
        self.slots += u64::from(cost);
        self.counts.entry(who).or_default().waits.push(waited);
        self.next += 1;
        self.grants.insert(self.next, grant);
        self.answers.push(Reverse((now + self.latency, self.next)));
    }

    fn refused(&mut self, who: (AppId, bool)) {
        self.counts.entry(who).or_default().refused += 1;
    }

    fn figures(self, tenant: &str, all_slots: f64) -> ReplayFigures {
        let mut lanes = [Counts::default(), Counts::default()];
        let mut apps: HashMap<AppId, Counts> = HashMap::new();
        for ((app, bulk), counts) in self.counts {
            for sum in [&mut lanes[usize::from(bulk)], apps.entry(app).or_default()] {
                sum.waits.extend(&counts.waits);
                sum.refused += counts.refused;
            }
        }
        let mut apps: Vec<ReplayApp> = apps
            .into_iter()
            .map(|(app, counts)| ReplayApp {
                tenant: tenant.to_owned(),
                app: app.to_string(),
                started: counts.waits.len() as u64,
                waits: counts.waits(),
            })
            .collect();
        apps.sort_by(|one, other| (other.started, &one.app).cmp(&(one.started, &other.app)));
        let [interactive, bulk] = lanes;
        ReplayFigures {
            started: (interactive.waits.len() + bulk.waits.len()) as u64,
            refused: interactive.refused + bulk.refused,
            r#use: (self.slots as f64 / all_slots).min(1.0),
            lanes: ReplayLanes { interactive: interactive.waits(), bulk: bulk.waits() },
            apps,
        }
    }
}

impl Counts {
    fn waits(mut self) -> ReplayWaits {
        self.waits.sort_unstable();
        let at = |percent: usize| {
            let last = self.waits.len().checked_sub(1)?;
            let wait = self.waits[(self.waits.len() * percent / 100).min(last)];
            Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        };
        ReplayWaits { wait_ms_p50: at(50), wait_ms_p99: at(99), refused: self.refused }
    }
}

/// What `then` would have changed, in a sentence.
#[must_use]
pub fn words(calls: u32, window: Duration, now: &ReplayFigures, then: &ReplayFigures) -> String {
    let all = then.started + then.refused;
    if all == 0 {
        return "no call came in the last hour".into();
    }
    let waits = |name: &str, lane: &ReplayWaits| {
        let wait = Duration::from_millis(lane.wait_ms_p99?);
        Some(format!("{name} calls would have waited up to {:.1} s", wait.as_secs_f64()))
    };
    let lanes = [waits("interactive", &then.lanes.interactive), waits("bulk", &then.lanes.bulk)];
    let lanes: Vec<String> = lanes.into_iter().flatten().collect();
    let limit = format!("with {calls} calls in {} s", window.as_secs_f64());
    let refused = format!(
        "{} of {all} calls would have been refused, in place of {}",
        then.refused, now.refused
    );
    format!("{limit} {refused}; {}", lanes.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arrivals::ArrivalKind;
    use super::*;

    fn scenario(calls: u32) -> Scenario {
        let settings = ConnectionSettings::of("c", calls, Duration::from_secs(60));
        let apps = ["a", "b"].map(|app| (app.parse().unwrap(), AppSettings::default()));
        Scenario {
            settings,
            apps: apps.into(),
            tenant: "acme".into(),
            latency: Duration::from_millis(100),
        }
    }

    fn second(second: u64, app: &str, count: u32) -> ArrivalSecond {
        let kind = ArrivalKind { app: app.parse().unwrap(), bulk: false, cost: 1 };
        ArrivalSecond { second, counts: vec![(kind, count)] }
    }

    #[test]
    fn where_there_is_room_nobody_waits_and_nobody_is_refused() {
        let hour: Vec<_> = (0..600).map(|at| second(at, "a", 1)).collect();
        let figures = replay(&hour, &scenario(100)).unwrap();
        assert_eq!((figures.started, figures.refused), (600, 0));
        assert_eq!(figures.lanes.interactive.wait_ms_p99, Some(0));
        assert!((0.55..0.65).contains(&figures.r#use), "{}", figures.r#use);
    }

    #[test]
    fn half_the_limit_refuses_what_does_not_fit() {
        let hour: Vec<_> = (0..600).map(|at| second(at, "a", 2)).collect();
        let [now, then] = [120, 60].map(|calls| replay(&hour, &scenario(calls)).unwrap());
        assert!(now.refused < 60, "{}", now.refused);
        assert!((500..700).contains(&then.refused), "{}", then.refused);
        assert!(then.r#use > 0.9, "{}", then.r#use);
        let told = words(60, Duration::from_secs(60), &now, &then);
        assert!(told.starts_with("with 60 calls in 60 s "), "{told}");
    }

    #[test]
    fn an_app_that_is_gone_counts_no_more() {
        let hour = [second(0, "gone", 5), second(1, "a", 2)];
        let figures = replay(&hour, &scenario(100)).unwrap();
        assert_eq!((figures.started, figures.apps.len()), (2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_call_ends_and_no_more_start_than_may(
            calls in 1..50_u32,
            counts in prop::collection::vec((0..3_u32, 0..8_u32), 1..120),
        ) {
            let hour: Vec<_> = counts
                .iter()
                .enumerate()
                .map(|(at, (app, count))| second(at as u64, ["a", "b", "a"][*app as usize], *count))
                .collect();
            let all: u64 = counts.iter().map(|(_, count)| u64::from(*count)).sum();
            let figures = replay(&hour, &scenario(calls)).unwrap();
            prop_assert_eq!(figures.started + figures.refused, all);
            // Two minutes, and what waited on after them for at most its longest wait.
            prop_assert!(figures.started <= u64::from(calls) * 4);
        }
    }
}
