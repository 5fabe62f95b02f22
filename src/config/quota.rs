//! The quota of each connection in the form that `quota` needs, and what can be wrong with it.

use super::Settings;
use super::settings::{AppTable, Connection, QuotaTable};
use crate::quota::{AppSettings, ConnectionSettings, static_share};
use crate::units::Span;

impl Settings {
    /// The quota of `connection`. Its own keys come before those of `[quota]`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn quota_of(&self, connection: &Connection) -> Result<ConnectionSettings, Vec<String>> {
        let (own, all) = (&connection.quota, &self.quota);
        let calls = own.calls.or(all.calls).unwrap_or(100);
        let window = own.window.or(all.window).unwrap_or(Span::secs(60)).get();
        // The name holds a slash. No pool of the catalogue has one, so they can't be confused.
        let name = format!("connection/{}", connection.id);
        let (calls, mut problems) = match share(own, all, calls) {
            Ok(part) => (part, Vec::new()),
            Err(problem) => (calls, vec![problem]),
        };
        if self.shared.redis.is_some() && own.static_share.or(all.static_share).is_some() {
            problems.push("static_share and shared.redis exclude each other: with Redis the replicas share the whole quota; leave one of them out".into());
        }
        let mut settings = ConnectionSettings::of(&name, calls, window);
        settings.pool.hard_limit = self.vendor.hard_limit.get();
        let span = |own: Option<Span>, all: Option<Span>| own.or(all).map(Span::get);
        settings.mode = own.mode.or(all.mode).unwrap_or_default();
        settings.max_wait = span(own.max_wait, all.max_wait).unwrap_or(settings.max_wait);
        settings.max_wait_bulk =
            span(own.max_wait_bulk, all.max_wait_bulk).unwrap_or(self.server.deadline.get());
        settings.depth = own.depth.or(all.depth).unwrap_or(settings.depth);
        settings.app_depth = own.app_depth.or(all.app_depth).unwrap_or(settings.depth.div_ceil(2));
        settings.burst = own.burst.or(all.burst).unwrap_or(settings.burst);
        settings.bulk_floor = own.bulk_floor.or(all.bulk_floor).unwrap_or(settings.bulk_floor);
        problems.extend(settings.problems());
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }
}

impl Settings {
    /// What is legal but most likely not meant in the quota of `connection`. Returns the key,
    /// whether it is the connection's own, and the text.
    pub(super) fn advice_of(&self, connection: &Connection) -> Vec<(&'static str, bool, String)> {
        let (own, all) = (&connection.quota, &self.quota);
        let deadline = self.server.deadline;
        let mut advice = Vec::new();
        let waits = [
            ("max_wait", own.max_wait, all.max_wait),
            ("max_wait_bulk", own.max_wait_bulk, all.max_wait_bulk),
        ];
        for (name, own, all) in waits {
            if let Some(wait) = own.or(all).filter(|wait| *wait > deadline) {
                let message = format!(
                    "{name} = \"{wait}\" is beyond server.deadline = \"{deadline}\", which ends the wait first: write at most \"{deadline}\""
                );
                advice.push((name, own.is_some(), message));
            }
        }
        let calls = own.calls.or(all.calls).unwrap_or(100);
        if let Some(burst) = own.burst.or(all.burst).filter(|burst| *burst > calls) {
            let message = format!(
                "burst = {burst} is above calls = {calls} and does nothing: write at most {calls}, or leave it out"
            );
            advice.push(("burst", own.burst.is_some(), message));
        }
        advice
    }
}

impl Settings {
    /// How many replicas have a fixed part of the quota of `connection` each, and which of them this
    /// is.
    #[must_use]
    pub fn share_of(&self, connection: &Connection) -> Option<(u32, u32)> {
        let share = connection.quota.static_share.or(self.quota.static_share)?;
        share.seat().ok()
    }
}

impl QuotaTable {
    /// True if no key is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            mode,
            calls,
            window,
            max_wait,
            max_wait_bulk,
            depth,
            app_depth,
            burst,
            bulk_floor,
            static_share,
        } = self;
        let numbers = [calls, depth, app_depth, burst, bulk_floor];
        let spans = [window, max_wait, max_wait_bulk];
        mode.is_none()
            && static_share.is_none()
            && numbers.iter().all(|key| key.is_none())
            && spans.iter().all(|key| key.is_none())
    }
}

fn share(own: &QuotaTable, all: &QuotaTable, calls: u32) -> Result<u32, String> {
    match own.static_share.or(all.static_share) {
        Some(share) if calls > 0 => {
            let (replicas, index) = share.seat()?;
            static_share(calls, replicas, index)
        }
        _ => Ok(calls),
    }
}

impl AppTable {
    /// Lane, weight and limit in the form that the quota needs.
    #[must_use]
    pub fn quota(&self) -> AppSettings {
        AppSettings {
            name: self.id.as_str().into(),
            lane: self.lane,
            weight: self.weight,
            limit: self.limit.map(|limit| (limit.calls, limit.window.get())),
        }
    }
}
