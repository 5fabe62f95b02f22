//! Apps with their habits, the vendor's nature, and what became of the calls.

use std::collections::HashMap;

use super::super::{AppSettings, Lane, QuotaRule};

/// When an app calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Habit {
    /// This many calls wait at all times: whenever one starts another comes.
    Backlog(u32),
    /// This many clients: each calls again when its answer came, after thinking so many seconds.
    Clients(u32, f64),
    /// By chance, so many a minute on average.
    Poisson(f64),
    /// So many at each full minute.
    Minutely(u32),
    /// Now and then a number of calls at once: mean seconds between, most calls.
    Bursts(f64, u32),
}

/// An app and what became of its calls.
#[derive(Clone, Debug)]
pub(super) struct AppBooks {
    pub(super) habit: Habit,
    pub(super) settings: AppSettings,
    pub(super) prices: Vec<u16>,
    /// Seconds from arrival to the latest start of use; infinite if the caller doesn't say.
    pub(super) patience: (f64, f64),
    /// A refused client comes back when it was told to …
    pub(super) comes_back: bool,
    /// … or else tries again after so many seconds.
    pub(super) tries_again: f64,
    /// Calls only between these seconds.
    pub(super) awake: (f64, f64),
}

impl AppBooks {
    pub(super) fn new(habit: Habit) -> Self {
        Self {
            habit,
            settings: AppSettings::default(),
            prices: vec![0],
            patience: (f64::INFINITY, f64::INFINITY),
            comes_back: false,
            tries_again: 1.0,
            awake: (0.0, f64::INFINITY),
        }
    }

    pub(super) fn bulk(mut self) -> Self {
        self.settings.lane = Lane::Bulk;
        self
    }

    pub(super) fn weight(mut self, weight: u32) -> Self {
        self.settings.weight = weight;
        self
    }
}

/// What became of an app's calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// (arrival, wait) in seconds of every call that started.
    pub(super) waits: Vec<(f64, f64)>,
    pub(super) arrived: u32,
    /// Arrival of every call that was refused, at once or later, in seconds.
    pub(super) turned_away: Vec<f64>,
    pub(super) refused: HashMap<QuotaRule, u32>,
    pub(super) refused_on_arrival: u32,
    /// Of those, how many a slot would have been left for by their deadline.
    pub(super) servable: u32,
    /// Of those, how many beside the slots that are kept as headroom.
    pub(super) spared: u32,
    pub(super) expired: u32,
    pub(super) late: u32,
    /// Clients that came back as told, and how many of them were let in.
    pub(super) came_back: u32,
    pub(super) let_in: u32,
}

impl Tally {
    /// The wait that so many of a thousand calls didn't exceed.
    pub(super) fn wait(&self, per_mille: usize) -> f64 {
        let mut waits: Vec<f64> = self.waits.iter().map(|w| w.1).collect();
        waits.sort_unstable_by(f64::total_cmp);
        let at = waits.len() * per_mille / 1000;
        waits.get(at).or(waits.last()).copied().unwrap_or(0.0)
    }

    /// All calls started but a few that may wait at the end: without them waits say nothing.
    pub(super) fn assert_started(&self) {
        let waiting = self.arrived as usize - self.waits.len();
        assert!(waiting <= 40, "{waiting} of {} never started", self.arrived);
    }

    /// Of the calls that arrived within these seconds: how many, and how many were refused.
    pub(super) fn refused_between(&self, from: f64, to: f64) -> (usize, usize) {
        let within = |at: &f64| (from..to).contains(at);
        let refused = self.turned_away.iter().filter(|at| within(at)).count();
        (self.waits.iter().filter(|wait| within(&wait.0)).count() + refused, refused)
    }

    /// Calls that arrived and started within these seconds.
    pub(super) fn started_between(&self, from: f64, to: f64) -> usize {
        let within = |w: &&(f64, f64)| (from..to).contains(&(w.0 + w.1));
        self.waits.iter().filter(within).count()
    }
}

/// What is broken on purpose, to see that the counters notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// Slots rest from the send.
    RestFromSend,
    /// A client that leaves frees the slot of its running call.
    FreedOnDeparture,
    /// Calls without an answer rest from the moment they were given up.
    SilenceIsAnswer,
}

/// The vendor's delays and the clients' ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// Seconds to the first byte, from and to.
    pub(super) answer: (f64, f64),
    /// Part of the calls whose answer is slow (up to the hard limit).
    pub(super) slow: f64,
    /// Part of the calls that are never answered.
    pub(super) lost: f64,
    /// Part of the calls that are never sent.
    pub(super) unsent: f64,
    /// Part of the clients that leave while they wait or while their call runs.
    pub(super) leave: f64,
    pub(super) broken: Broken,
}

pub(super) const CALM: Nature = Nature {
    answer: (0.15, 0.6),
    slow: 0.0,
    lost: 0.0,
    unsent: 0.0,
    leave: 0.0,
    broken: Broken::Nothing,
};
