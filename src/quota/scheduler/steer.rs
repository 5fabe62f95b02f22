//! What operators change on one connection while calls run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::app::AppSettings;
use super::super::moment::Moment;
use super::super::pools::{PoolId, Price};
use super::super::settings::{ConnectionSettings, Mode};
use super::super::slots::RestRule;
use super::super::ticket::AppNo;
use super::Scheduler;

impl Scheduler {
    /// The calls per window of its own pool.
    pub(crate) fn set_calls(&mut self, calls: u32, now: Moment) {
        if self.settings.pool.calls != calls {
            self.settings.pool.calls = calls;
            self.set_paces(now);
        }
    }

    /// How long slots rest from now on; those that rest do so for so much `longer`.
    pub(crate) fn set_rest(&mut self, rest: RestRule, longer: Duration, now: Moment) {
        let rests = self.apps.iter_mut().flat_map(|app| &mut app.rests);
        rests.for_each(|until| *until = *until + longer);
        let repace = self.settings.pool.window != rest.window;
        self.rest = rest;
        self.settings.pool.window = rest.window;
        self.settings.pool.hard_limit = rest.hard_limit;
        if repace {
            self.set_paces(now);
        }
    }

    /// Whether calls are held back from now on; says whether they were.
    pub(crate) const fn set_mode(&mut self, mode: Mode) -> Mode {
        std::mem::replace(&mut self.settings.mode, mode)
    }

    /// The pools that its calls pay.
    pub(crate) fn paid_pools(&self) -> BTreeSet<PoolId> {
        self.prices.iter().flat_map(Price::parts).map(|(pool, _)| pool).collect()
    }

    /// Everything else; the pool and the mode stay as they are.
    pub(crate) fn configure(&mut self, settings: &ConnectionSettings, now: Moment) {
        let mut settings = settings.clone();
        std::mem::swap(&mut settings.pool, &mut self.settings.pool);
        settings.mode = self.settings.mode;
        let repace = (settings.burst, settings.bulk_floor)
            != (self.settings.burst, self.settings.bulk_floor);
        self.settings = settings;
        if repace {
            self.set_paces(now);
        }
    }

    /// An app's lane, weight and limit.
    pub(crate) fn configure_app(&mut self, app: AppNo, settings: AppSettings, now: Moment) {
        if let Some(books) = self.apps.get_mut(app.0 as usize) {
            books.configure(settings, now);
            self.touch(app.0);
            self.note_limit(app.0);
        }
    }

    /// Whether an app may call; what waits of it is sent away at the next poll.
    pub(crate) fn pause(&mut self, app: AppNo, paused: bool) {
        let Some(books) = self.apps.get_mut(app.0 as usize) else { return };
        books.paused = paused;
        self.paused.retain(|number| *number != app.0);
        if paused {
            self.paused.push(app.0);
        }
    }

    /// Pauses an app for good.
    pub(crate) fn remove_app(&mut self, app: AppNo) {
        self.pause(app, true);
        if let Some(books) = self.apps.get_mut(app.0 as usize) {
            books.removed = true;
            self.removed.insert(app.0);
        }
    }
}
