//! Who is told that it is paused: apps that are, whatever their number was before.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::slots::Settlement;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppNo, AppSettings, ConnectionNo, ConnectionSettings,
    Grant, Moment, PriceNo, PriceSettings, QueueEvent, QueuePlace, Quota, QuotaRule,
};

const ONE: ConnectionNo = ConnectionNo(0);

/// What an operator or an app does.
#[derive(Clone, Debug)]
enum Step {
    Add,
    Remove(usize),
    Pause(usize, bool),
    Call(usize),
    Answer,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let app = 0..4_usize;
    let step = prop_oneof![
        1 => Just(Step::Add),
        1 => app.clone().prop_map(Step::Remove),
        2 => (app.clone(), any::<bool>()).prop_map(|(app, paused)| Step::Pause(app, paused)),
        6 => app.prop_map(Step::Call),
        3 => Just(Step::Answer),
        2 => (0..40_000_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A quota of three calls whose callers wait as long as they have to, and what is known of it.
struct Office {
    quota: Quota,
    now: Moment,
    /// Each app that is there: its number, and whether it is paused.
    apps: Vec<(AppNo, bool)>,
    waiting: HashMap<QueuePlace, AppNo>,
    running: Vec<Grant>,
}

impl Office {
    fn new() -> Self {
        let patient = Duration::from_secs(100_000);
        let settings = ConnectionSettings {
            max_wait: patient,
            depth: 1_000,
            app_depth: 1_000,
            ..ConnectionSettings::of("connection", 3, Duration::from_secs(10))
        };
        let price = PriceSettings { connection: 1, named: Vec::new() };
        let now = Moment::from(Duration::from_secs(1));
        let quota = Quota::new(&[], &[price], &[settings], now).unwrap();
        Self { quota, now, apps: Vec::new(), waiting: HashMap::new(), running: Vec::new() }
    }

    fn app(&self, at: usize) -> Option<usize> {
        (!self.apps.is_empty()).then(|| at % self.apps.len())
    }

    fn is_paused(&self, app: AppNo) -> Option<bool> {
        self.apps.iter().find(|(number, _)| *number == app).map(|(_, paused)| *paused)
    }

    fn act(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Add => {
                let number = self.quota.add_app(ONE, AppSettings::default(), self.now);
                self.apps.push((number.unwrap(), false));
            }
            Step::Remove(at) => {
                if let Some(at) = self.app(at) {
                    let (number, _) = self.apps.swap_remove(at);
                    self.quota.remove_app(ONE, number);
                }
            }
            Step::Pause(at, paused) => {
                if let Some(at) = self.app(at) {
                    self.apps[at].1 = paused;
                    self.quota.pause(ONE, self.apps[at].0, paused);
                }
            }
            Step::Call(at) => {
                if let Some(at) = self.app(at) {
                    self.call(self.apps[at])?;
                }
            }
            Step::Answer => {
                if let Some(grant) = self.running.pop() {
                    self.quota.settle(grant, Settlement::FirstByteAt(self.now), self.now);
                }
            }
            Step::Wait(ms) => self.now = self.now + Duration::from_millis(ms),
        }
        self.poll()
    }

    fn call(&mut self, (app, paused): (AppNo, bool)) -> Result<(), TestCaseError> {
        let latest = Moment::NEVER;
        let ticket = AdmissionRequest {
            connection: ONE,
            app,
            price: PriceNo(0),
            bulk: false,
            latest,
            by_caller: false,
            asked: false,
        };
        match self.quota.enter(self.now, &ticket) {
            AdmissionVerdict::Refused(refusal) => {
                prop_assert_eq!((refusal.rule == QuotaRule::AppPaused, paused), (true, true));
            }
            _ if paused => prop_assert!(false, "a paused app was let in"),
            AdmissionVerdict::Start(grant) => self.running.push(grant),
            AdmissionVerdict::Wait(place, _) => drop(self.waiting.insert(place, app)),
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<(), TestCaseError> {
        while let Some(event) = self.quota.poll(self.now) {
            match event {
                QueueEvent::Start { place, grant, .. } => {
                    prop_assert!(self.waiting.remove(&place).is_some());
                    self.running.push(grant);
                }
                QueueEvent::Refused { place, refusal, .. } => {
                    let app = self.waiting.remove(&place).unwrap();
                    prop_assert_eq!(refusal.rule, QuotaRule::AppPaused);
                    prop_assert_ne!(self.is_paused(app), Some(false), "{:?} is not paused", app);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whoever_is_told_that_it_is_paused_is_paused(steps in steps()) {
        let mut office = Office::new();
        for step in &steps {
            office.act(step)?;
        }
    }
}
