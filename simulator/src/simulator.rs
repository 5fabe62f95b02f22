//! The pure core: it takes a request and the time, and returns an answer. It has no task, lock or
//! I/O.

use std::collections::BTreeMap;

use crate::clock::{self, Clock};
use crate::counters::{Counters, Report};
use crate::faults::Faults;
use crate::idempotency::Memory;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::lagging::LaggingState;
use crate::limits::{LimitRule, Limits};
use crate::options::Options;
use crate::time::{Micros, Wall};

/// The Courier stand-in. It is pure: equal options, calls and times give equal answers.
pub struct Simulator {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    pub(crate) environments: BTreeMap<String, LaggingState>,
    pub(crate) memory: Memory,
    pub(crate) ids: Ids,
}

impl Simulator {
    /// Creates a simulator without data.
    pub fn new(options: Options) -> Self {
        Self {
            clock: Clock::new(&options.clock),
            journal: Journal::new(&options.journal),
            counters: Counters::new(&options.counters),
            limits: Limits::new(options.limits.clone()),
            faults: Faults::new(&options.faults, options.seed),
            environments: BTreeMap::new(),
            memory: Memory::new(options.capacity.keys),
            ids: Ids::new(options.seed),
            options,
        }
    }

    /// The journal.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The active faults, to add some or remove all.
    pub const fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// The vendor's clock, to step it or change its drift.
    pub const fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// The options, to change switches while it runs.
    pub const fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    /// The largest counts of a token up to `now`, over all its calls or those of one operation.
    pub fn largest(&mut self, now: Micros, token: &str, operation: Option<&str>) -> Report {
        let at = self.counting(now);
        self.counters.report(token, operation, at.0)
    }

    /// How often each collection of an environment was changed.
    ///
    /// An environment is called `workspace/production` or `workspace/test`. That of an unlisted
    /// token is `<token>/production`.
    pub fn versions(&self, environment: &str) -> Option<&BTreeMap<String, u64>> {
        self.environments.get(environment).map(|e| &e.current().versions)
    }

    /// Replaces the limits. Their windows are empty.
    pub fn set_limits(&mut self, rules: Vec<LimitRule>) {
        self.options.limits.clone_from(&rules);
        self.limits = Limits::new(rules);
    }

    /// Forgets all data. The options stay, and the caller's time goes on.
    pub fn reset(&mut self) {
        *self = Self::new(self.options.clone());
    }

    /// The time that the counters use.
    ///
    /// It is the vendor's time. In step mode that stands still, so there it is the caller's time.
    pub(crate) fn counting(&self, now: Micros) -> Micros {
        match self.clock.mode() {
            clock::Mode::Running => self.clock.at(now),
            clock::Mode::Step => now,
        }
    }

    /// The vendor's wall time at `now`.
    pub fn wall(&self, now: Micros) -> Wall {
        self.clock.wall(now)
    }
}
