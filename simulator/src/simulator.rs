//! The pure core: a request and the time in, an answer out. No clock, task, lock or I/O.

use std::collections::BTreeMap;

use crate::admin;
use crate::caller::Caller;
use crate::catalogue::CATALOGUE;
use crate::clock::{self, Clock};
use crate::counters::{Counters, Report};
use crate::faults::Faults;
use crate::idempotency::Memory;
use crate::ids::Ids;
use crate::journal::{Ending, Entry, Journal};
use crate::limits::{LimitRule, Limits};
use crate::options::Options;
use crate::pipeline::Trace;
use crate::reply::Reply;
use crate::request::Request;
use crate::state::State;
use crate::target;
use crate::time::{Micros, Wall};

/// The largest body, 6 MB inclusive (GS).
pub const MAX_BODY: u64 = 6 * 1024 * 1024;

/// One environment, and for a while what it looked like before a late write.
pub(crate) struct Environment {
    pub(crate) state: State,
    /// Reads before this caller's time see the copy.
    pub(crate) lagging: Option<(Micros, Box<State>)>,
}

impl Environment {
    /// The data for a call at `now`. A write that is to take effect late leaves a copy of what was, which reads see until then.
    pub(crate) fn view(&mut self, now: Micros, read: bool, late_ms: Option<u64>) -> &mut State {
        self.lagging.take_if(|(until, _)| *until <= now);
        if let (Some(ms), false) = (late_ms, read) {
            let until = now + Micros::from_millis(ms);
            match &mut self.lagging {
                Some((end, _)) => *end = until.max(*end),
                none => *none = Some((until, Box::new(self.state.clone()))),
            }
        }
        match &mut self.lagging {
            Some((_, old)) if read => old,
            _ => &mut self.state,
        }
    }
}

/// The Courier stand-in. Pure: equal options and equal calls at equal times give equal answers.
pub struct Simulator {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    pub(crate) environments: BTreeMap<String, Environment>,
    pub(crate) memory: Memory,
    pub(crate) ids: Ids,
}

impl Simulator {
    /// A simulator as new.
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

    /// Answers one request that is whole at `now`.
    pub fn handle(&mut self, now: Micros, request: Request) -> Reply {
        if let Some(path) = request.target.strip_prefix("/__admin/") {
            return admin::handle(self, now, path, &request);
        }
        let mut trace = Trace::default();
        let arrived = self.clock.wall(now);
        let mut reply = self.answer(now, &request, &mut trace);
        let mut entry = Entry::new(request, now, arrived);
        entry.operation = trace.operation;
        entry.environment = trace.environment;
        entry.committed = trace.committed.then_some(now);
        entry.replayed = trace.replayed;
        entry.sends = trace.sends;
        entry.status = reply.status;
        entry.answer_due = Some(now + reply.delivery.first_byte);
        reply.entry = Some(self.journal.add(entry));
        reply
    }

    /// Notes a request that never became whole: a broken head, or a client that left within its body.
    ///
    /// A vendor may count it all the same, so it is counted, if a call of an accepted token can be seen in it.
    pub fn note_broken(&mut self, now: Micros, request: Request) {
        let (path, _) = target::split(&request.target);
        let row = CATALOGUE.find(&request.method, path).map_or("", |(row, _)| &row.id);
        if let Ok(caller) = Caller::of(&request, row, &self.options) {
            let at = self.counting(now);
            self.counters.record(&caller.token, row, at.0, at.0);
        }
        let entry = Entry::new(request, now, self.clock.wall(now));
        self.journal.add(entry);
    }

    /// Notes how an exchange ended, by [`Reply::entry`].
    pub fn note_end(&mut self, now: Micros, entry: u64, ending: Ending, written: u64) {
        if let Some(e) = self.journal.get_mut(entry) {
            (e.ended, e.written) = (Some((now, ending)), written);
        }
    }

    /// The journal.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The faults in force, to add some or end all.
    pub const fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// The vendor's clock, to step it or change its drift.
    pub const fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// The options, to turn switches while it runs.
    pub const fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    /// The largest counts of a token up to `now`, over all its calls or those of one operation.
    pub fn largest(&mut self, now: Micros, token: &str, operation: Option<&str>) -> Report {
        let at = self.counting(now);
        self.counters.report(token, operation, at.0)
    }

    /// How often each collection of an environment was changed. Its name is `workspace/production` or `workspace/test`;
    /// for an unlisted token `<token>/production`.
    pub fn versions(&self, environment: &str) -> Option<&BTreeMap<String, u64>> {
        self.environments.get(environment).map(|e| &e.state.versions)
    }

    /// Puts limits in force, with empty windows.
    pub fn set_limits(&mut self, rules: Vec<LimitRule>) {
        self.options.limits.clone_from(&rules);
        self.limits = Limits::new(rules);
    }

    /// As new, with the same options and the caller's time running on.
    pub fn reset(&mut self) {
        *self = Self::new(self.options.clone());
    }

    /// The time that counters go by: the vendor's, but in step mode, where that stands still, the caller's.
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
