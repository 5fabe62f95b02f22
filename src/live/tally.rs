//! What finished calls are counted into: relaxed atomics, which one task reads each second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::arrivals::Arrivals;
use super::histogram::{Histogram, PARTS, Quantiles, Turns};
use super::ring::{Second, SecondRing};
use crate::admission::ConnectionMeter;
use crate::ids::AppId;

/// What is counted of a connection.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) refused: AtomicU32,
    pub(super) saved: AtomicU32,
    pub(super) vendor_429: AtomicU32,
    pub(super) arrivals: Arrivals,
    /// Those of its apps that have called. They are apps of the configuration.
    pub(super) apps: ArcSwap<HashMap<AppId, Arc<AppTally>>>,
    /// std, not tokio: a push or a copy, once a second and when somebody looks.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    ring: SecondRing,
    /// Starts of which the quota knew at the last look.
    started: [u64; 2],
}

/// What is counted of an app on a connection.
#[derive(Debug, Default)]
pub(super) struct AppTally {
    pub(super) waits: Histogram,
    refused: Lately,
}

/// What is counted of a host of the vendor.
#[derive(Debug, Default)]
pub(super) struct HostTally {
    pub(super) latency: Histogram,
    statuses: [Lately; STATUSES.len()],
}

/// Kinds of answers: by their status, or that none came.
const STATUSES: [&str; 6] = ["2xx", "3xx", "4xx", "429", "5xx", "none"];

/// A count of the last [`PARTS`] turns.
#[derive(Debug, Default)]
struct Lately {
    turns: Turns,
    parts: [AtomicU32; PARTS],
}

/// How long an app's calls waited, in the last minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppTimes {
    /// Waits.
    pub waits: Quantiles,
    /// Calls that were refused in the last minute.
    pub refused: u64,
}

/// How a host answered, in the last five minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostTimes {
    /// From the send to the head of the answer.
    pub latency_ms: Quantiles,
    /// Answers by their status; `4xx` without 429.
    pub statuses: std::collections::BTreeMap<&'static str, u64>,
}

impl Lately {
    fn note(&self) {
        self.parts[self.turns.now()].fetch_add(1, Ordering::Relaxed);
    }

    fn turn(&self) {
        self.turns.turn(|next| self.parts[next].store(0, Ordering::Relaxed));
    }

    fn sum(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.load(Ordering::Relaxed))).sum()
    }
}

impl Tally {
    /// A second is over, and the quota stands like this.
    pub(super) fn tick(&self, meter: &ConnectionMeter) {
        let taken = |count: &AtomicU32| count.swap(0, Ordering::Relaxed);
        let (refused, saved, vendor_429) =
            (taken(&self.refused), taken(&self.saved), taken(&self.vendor_429));
        let mut kept = self.kept();
        let before = std::mem::replace(&mut kept.started, meter.started);
        // A connection that left the configuration and came back begins again at 0.
        let since = |lane: usize| {
            let now = meter.started[lane];
            u32::try_from(now.checked_sub(before[lane]).unwrap_or(now)).unwrap_or(u32::MAX)
        };
        kept.ring.push(Second {
            started: [since(0), since(1)],
            refused,
            saved,
            vendor_429,
            waiting: meter.waiting,
            in_use: meter.slots.in_use,
            resting: meter.slots.resting,
            limit: meter.slots.limit,
        });
    }

    /// Reads what is kept.
    pub(super) fn read<T>(&self, read: impl FnOnce(&SecondRing) -> T) -> T {
        read(&self.kept().ring)
    }

    /// The tally of one of its apps.
    pub(super) fn app(&self, app: &AppId) -> Arc<AppTally> {
        if let Some(known) = self.apps.load().get(app) {
            return known.clone();
        }
        let made = Arc::new(AppTally::default());
        self.apps.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(app.clone()).or_insert_with(|| made.clone());
            all
        });
        self.apps.load().get(app).cloned().unwrap_or(made)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AppTally {
    /// A call waited so long, and was refused or not.
    pub(super) fn note(&self, waited: Duration, refused: bool) {
        if refused {
            self.refused.note();
        } else {
            self.waits.note(waited);
        }
    }

    /// Ten seconds are over.
    pub(super) fn turn_refused(&self) {
        self.refused.turn();
    }

    pub(super) fn times(&self) -> AppTimes {
        AppTimes { waits: self.waits.quantiles(), refused: self.refused.sum() }
    }
}

impl HostTally {
    /// An attempt took so long to its answer; `None` if none came.
    pub(super) fn note(&self, took: Duration, status: Option<u16>) {
        let kind = match status {
            Some(429) => 3,
            Some(500..) => 4,
            Some(400..) => 2,
            Some(300..) => 1,
            Some(_) => 0,
            None => 5,
        };
        self.statuses[kind].note();
        if status.is_some() {
            self.latency.note(took);
        }
    }

    /// A minute is over.
    pub(super) fn turn(&self) {
        self.latency.turn();
        self.statuses.iter().for_each(Lately::turn);
    }

    pub(super) fn times(&self) -> HostTimes {
        let statuses = STATUSES.into_iter().zip(self.statuses.iter().map(Lately::sum));
        HostTimes { latency_ms: self.latency.quantiles(), statuses: statuses.collect() }
    }
}
