//! The books of one app on one connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::count::Count;
use super::moment::Moment;
use super::promises::Promises;
use super::queue::Lane;
use super::rate_limit::RateLimiter;
use super::shares::Claim;
use super::waiting_apps::Standing;

/// The virtual time that one call of weight 1 takes.
pub(crate) const TICK: u64 = 1 << 20;

/// An app as the operator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// The name under which replicas know it.
    pub name: Arc<str>,
    /// The lane of its calls.
    pub lane: Lane,
    /// Its weight among the apps of the connection; 0 counts as 1.
    pub weight: u32,
    /// Its own limit: calls per window, at once or spread.
    pub limit: Option<(u32, Duration)>,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self { name: "".into(), lane: Lane::Interactive, weight: 1, limit: None }
    }
}

/// What one app holds and wants in one lane.
#[derive(Debug, Default)]
pub(crate) struct InLane {
    /// Virtual time at which its next call starts, if one waits.
    pub(crate) start: u64,
    /// Virtual time at which its last call ended.
    pub(crate) finish: u64,
    /// Its calls that wait.
    pub(crate) waiting: u32,
    /// Slots of the connection's pool that are in use or resting for it.
    pub(crate) held: u32,
    /// Its place in the order of the lane: its start tag, and when its oldest waiting call came.
    pub(crate) place: Option<(u64, Moment)>,
}

/// What an app's calls and refusals say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallHistory {
    /// It has called.
    pub(crate) called: bool,
    /// Its refused calls that count as demand.
    pub(crate) missed: Count,
    /// Its calls that were refused just now for want of a slot.
    pub(crate) lacked: Count,
    /// Moments at which interactive calls of it came.
    pub(crate) moments: Count,
    /// When the client that was refused last was told to come back.
    pub(crate) hint: Moment,
}

/// What an app remembers of its calls and owes its clients.
#[derive(Clone, Debug)]
pub(crate) struct AppMemory {
    told: CallHistory,
    promises: Promises,
}

/// One app.
#[derive(Debug)]
pub(crate) struct AppBooks {
    pub(crate) settings: AppSettings,
    pub(crate) paused: bool,
    pub(crate) removed: bool,
    pub(crate) lanes: [InLane; 2],
    /// Ends of the rests of its interactive slots, in order.
    pub(crate) rests: VecDeque<Moment>,
    pub(crate) pace: Option<RateLimiter>,
    /// Slots kept for its next calls.
    pub(crate) expects: f64,
    pub(crate) told: CallHistory,
    pub(crate) promises: Promises,
    /// It stands in the list of those to look at.
    pub(crate) listed: bool,
    /// Its claim may not be what was counted.
    pub(crate) changed: bool,
    /// What it holds and wants in the interactive lane, as it was counted.
    pub(crate) claim: Option<Claim>,
    /// What of it waits there, as it was counted.
    pub(crate) standing: Option<Standing>,
}

impl AppBooks {
    pub(crate) fn new(settings: AppSettings, now: Moment) -> Self {
        let mut app = Self {
            settings: AppSettings::default(),
            paused: false,
            removed: false,
            lanes: Default::default(),
            rests: VecDeque::new(),
            pace: None,
            expects: 0.0,
            told: CallHistory::default(),
            promises: Promises::default(),
            listed: false,
            changed: false,
            claim: None,
            standing: None,
        };
        app.configure(settings, now);
        app
    }

    /// Changes its settings. A limit that stays the same keeps what it counted.
    pub(crate) fn configure(&mut self, settings: AppSettings, now: Moment) {
        if settings.limit != self.settings.limit {
            self.pace = settings
                .limit
                .and_then(|(calls, window)| RateLimiter::new(calls, window, calls, now));
        }
        self.settings = settings;
    }

    /// What it remembers, to be put back after a look by way of trial.
    pub(crate) fn memory(&self) -> AppMemory {
        AppMemory { told: self.told, promises: self.promises.clone() }
    }

    /// Remembers what it did before.
    pub(crate) fn recall(&mut self, memory: AppMemory) {
        AppMemory { told: self.told, promises: self.promises } = memory;
    }

    pub(crate) fn weight(&self) -> u64 {
        u64::from(self.settings.weight.max(1))
    }

    /// Virtual time that slots cost it; a call that takes none costs as much as one.
    pub(crate) fn stretch(&self, cost: u32) -> u64 {
        (u64::from(cost.max(1)) * TICK / self.weight()).max(1)
    }

    /// Whether nothing of it is left anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|l| l.waiting == 0 && l.held == 0)
    }

    pub(crate) fn rest(&mut self, until: Moment) {
        let at = match self.rests.back() {
            Some(last) if *last > until => self.rests.partition_point(|u| *u <= until),
            _ => self.rests.len(),
        };
        self.rests.insert(at, until);
    }

    /// A slot of it came back.
    pub(crate) fn slot_released(&mut self, lane: Lane, now: Moment) {
        let held = &mut self.lanes[lane.index()].held;
        *held = held.saturating_sub(1);
        // A slot that was reclaimed while in use had no rest; one too many went before its rest
        // ended.
        let ended = self.rests.front().is_some_and(|until| *until <= now);
        if lane == Lane::Interactive && (ended || self.rests.len() > *held as usize) {
            self.rests.pop_front();
        }
    }
}
