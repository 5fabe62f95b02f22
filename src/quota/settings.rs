//! What the operator says about a connection's quota, and what can be wrong with it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::slots::{RestRule, Slots};

/// The most slots of one pool.
pub use crate::catalog::MOST_CALLS;
/// The most quotas of one tenant: those of its connections, and for each workspace the named ones.
pub const MOST_QUOTAS: usize = 16_000;
/// The most apps of one connection.
pub const MOST_APPS: u32 = 10_000;

/// Whether the quota holds calls back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Calls wait or are refused.
    #[default]
    Enforce,
    /// Every call starts at once; what would have happened is only reported.
    Shadow,
}

impl Mode {
    /// The word in configurations and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// What is known of the calls before this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// Nobody called within the last window.
    #[default]
    Fresh,
    /// Nothing: the pool rests for the hard limit and the window.
    Unknown,
    /// These slots are not free before these moments.
    Resting(Vec<Moment>),
    /// A ledger lends the slots: none is here yet.
    Lent,
}

/// What an operation costs: slots of the connection's own pool, and of named pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceSettings {
    /// Slots of the connection's own pool; 0 if the vendor doesn't count it there.
    pub connection: u32,
    /// Slots of named pools, by their place in the workspace's list.
    pub named: Vec<(usize, u32)>,
}

/// A pool as the operator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The policy's name, unique in the workspace.
    pub name: String,
    /// N: calls per window, at least 1. With a static share: this replica's part
    /// ([`static_share`]).
    pub calls: u32,
    /// W, more than zero.
    pub window: Duration,
    /// No call is counted by the vendor later than this after its take.
    pub hard_limit: Duration,
    /// What is known of the time before.
    pub past: Past,
}

impl PoolSettings {
    /// Its slots, as of `now`.
    #[must_use]
    pub fn slots(&self, now: Moment) -> Slots {
        let rest = RestRule::of(self.window, self.hard_limit);
        match &self.past {
            Past::Fresh => Slots::fresh(self.calls, rest),
            Past::Unknown => Slots::unknown(self.calls, rest, now),
            Past::Lent => Slots::none(0, rest),
            Past::Resting(until) => Slots::restored(self.calls, rest, until.clone(), now),
        }
    }
}

/// A connection as the operator describes it; the defaults are those of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Its own pool.
    pub pool: PoolSettings,
    /// Whether calls are held back.
    pub mode: Mode,
    /// The longest an interactive call waits.
    pub max_wait: Duration,
    /// The longest a bulk call waits.
    pub max_wait_bulk: Duration,
    /// Calls that may wait, of all apps together. Those that pay a named pool don't count: as many
    /// of them may wait as one window of that pool drains.
    pub depth: u32,
    /// Calls of one app that may wait.
    pub app_depth: u32,
    /// Calls that may start together. Below the pool's calls, calls are paced at 98 % of its rate
    /// with this burst, for vendors that count approximately (3 is advised); else it does nothing.
    pub burst: u32,
    /// Bulk calls per window that go before waiting interactive ones.
    pub bulk_floor: u32,
}

impl ConnectionSettings {
    /// The defaults for a quota of `calls` per `window`.
    #[must_use]
    pub fn of(name: &str, calls: u32, window: Duration) -> Self {
        Self {
            pool: PoolSettings {
                name: name.into(),
                calls,
                window,
                hard_limit: Duration::from_secs(60),
                past: Past::Fresh,
            },
            mode: Mode::Enforce,
            max_wait: Duration::from_secs(5),
            max_wait_bulk: Duration::from_secs(55),
            depth: calls,
            app_depth: calls.div_ceil(2),
            burst: calls,
            bulk_floor: calls / 20,
        }
    }

    /// The same with other calls; what is by default as much as them goes with them.
    #[must_use]
    pub fn with_calls(self, calls: u32) -> Self {
        let defaults = |calls| Self::of("", calls, self.pool.window);
        let (old, new) = (defaults(self.pool.calls), defaults(calls));
        let depth = if self.depth == old.depth { new.depth } else { self.depth };
        let follows = |own: u32, old: u32, new: u32| if own == old { new } else { own };
        Self {
            pool: PoolSettings { calls, ..self.pool },
            depth,
            app_depth: follows(self.app_depth, old.app_depth, new.app_depth).min(depth),
            burst: follows(self.burst, old.burst, new.burst),
            bulk_floor: follows(self.bulk_floor, old.bulk_floor, new.bulk_floor).min(calls),
            ..self
        }
    }

    /// Everything that is wrong with it, as sentences for the operator; empty if nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.pool.problems();
        let calls = self.pool.calls;
        if self.bulk_floor > calls {
            problems.push(format!(
                "bulk_floor = {} is above calls = {calls}: bulk can't have more than there is; write at most {calls}",
                self.bulk_floor
            ));
        }
        // By default it is as large as the quota, about which there is a problem already.
        if self.burst == 0 && calls > 0 {
            problems.push("burst = 0 would let no call start: write at least 1".into());
        }
        if self.app_depth > self.depth {
            problems.push(format!(
                "app_depth = {} is above depth = {}: one app can't queue more than all may; write at most as many",
                self.app_depth, self.depth
            ));
        }
        problems
    }
}

impl PoolSettings {
    /// Everything that is wrong with it, as sentences for the operator; empty if nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.calls == 0 {
            problems.push("calls = 0 would let no call start: write at least 1".into());
        }
        if self.calls > MOST_CALLS {
            problems.push(format!("calls = {} is above {MOST_CALLS}: write less", self.calls));
        }
        if self.window.is_zero() {
            problems.push("window = 0 is no window: write more, such as \"60s\"".into());
        }
        problems
    }
}

/// This replica's part of `calls` when `replicas` of them share it without talking: the parts of
/// all indices, 0 to `replicas` - 1, sum up to exactly `calls`.
///
/// # Errors
/// No replicas, an index that is not below their number, or a part of zero; the text is for the
/// operator.
pub fn static_share(calls: u32, replicas: u32, index: u32) -> Result<u32, String> {
    if index >= replicas {
        return Err(format!(
            "static_share: index = {index} is not below replicas = {replicas}: write 0 for the first, and so on"
        ));
    }
    match calls / replicas + u32::from(index < calls % replicas) {
        0 => Err(format!(
            "static_share: {calls} calls over {replicas} replicas leave none for index {index}: write fewer replicas or more calls"
        )),
        part => Ok(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_shares_sum_up_to_the_quota() {
        for calls in 1..300 {
            for replicas in 1..=calls.min(20) {
                let parts = (0..replicas).map(|i| static_share(calls, replicas, i).unwrap());
                assert_eq!(parts.sum::<u32>(), calls);
            }
        }
        assert!(static_share(100, 0, 0).is_err());
        assert!(static_share(100, 3, 3).is_err());
        assert!(static_share(2, 3, 2).is_err());
    }

    #[test]
    fn settings_that_make_no_sense_are_named_all_at_once() {
        let good = ConnectionSettings::of("acme", 100, Duration::from_secs(60));
        assert!(good.problems().is_empty());
        let mut bad = ConnectionSettings::of("acme", 0, Duration::ZERO);
        (bad.bulk_floor, bad.burst, bad.app_depth) = (1, 0, 7);
        assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
        let mut still = ConnectionSettings::of("acme", 100, Duration::from_secs(60));
        still.burst = 0;
        assert_eq!(still.problems(), ["burst = 0 would let no call start: write at least 1"]);
    }
}
