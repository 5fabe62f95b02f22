//! The faults: what is done when, and what holds nevertheless.
//!
//! Times are in windows from the first call on.

use std::time::Duration;

use crate::acts::Act::{self, *};
use crate::answers::Answers;
use crate::clients::Load;
use crate::form::Form;
use crate::store::Sharing;

/// By when a fleet calls as much as it may again, after the last deed.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// So many windows.
    Windows(f64),
    /// The longest rest of a slot whose owner is gone, and half a window; and the longest pause before
    /// the store is tried again.
    Rested,
}

#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    pub sharing: Sharing,
    pub load: Load,
    pub answers: Answers,
    pub acts: &'static [(f64, Act)],
    /// How long the clients call.
    pub windows: f64,
    /// The least share of what could be called that was called.
    pub used: f64,
    pub back: Option<Back>,
}

/// Between two tries to reach the store that is away, with the time that one takes.
const PAUSE: Duration = Duration::from_secs(6);

/// Nothing happens.
const NONE: Fault = Fault {
    name: "steady flood",
    sharing: Sharing::Redis,
    load: Load::Always,
    answers: Answers::Quick,
    acts: &[],
    windows: 4.2,
    used: 0.0,
    back: None,
};

/// A fault that costs nothing.
const FREE: Fault = Fault { load: Load::Spread, used: 0.9, back: Some(Back::Windows(0.5)), ..NONE };

/// Slots have to rest.
const COSTLY: Fault = Fault { load: Load::Spread, windows: 6.5, back: Some(Back::Rested), ..NONE };

pub const FAULTS: &[Fault] = &[
    Fault { used: 0.97, ..NONE },
    Fault {
        name: "steady flood, a cluster of three nodes",
        sharing: Sharing::Cluster,
        used: 0.97,
        ..NONE
    },
    Fault {
        name: "bursts after pauses of two windows",
        load: Load::Pulses { every: 2.2, on: 0.2 },
        windows: 5.0,
        ..NONE
    },
    Fault {
        name: "bursts at the edges of windows",
        load: Load::Pulses { every: 0.9, on: 0.2 },
        windows: 5.0,
        ..NONE
    },
    Fault { name: "slow vendor", answers: Answers::Slow, windows: 5.0, used: 0.9, ..NONE },
    Fault {
        name: "one gateway killed, started again a window later",
        acts: &[(1.2, Kill(0)), (2.2, Start(0))],
        used: 0.6,
        ..COSTLY
    },
    Fault {
        name: "all gateways killed and started again",
        acts: &[
            (1.2, Kill(0)),
            (1.2, Kill(1)),
            (1.2, Kill(2)),
            (1.2, Start(0)),
            (1.2, Start(1)),
            (1.2, Start(2)),
        ],
        used: 0.5,
        ..COSTLY
    },
    Fault {
        name: "rolling restart",
        acts: &[(1.2, Renew(0)), (1.6, Renew(1)), (2.0, Renew(2))],
        used: 0.9,
        ..COSTLY
    },
    Fault {
        name: "one gateway frozen for a window and a half",
        acts: &[(1.2, Freeze(0)), (2.7, Thaw(0))],
        used: 0.75,
        ..COSTLY
    },
    Fault {
        name: "one gateway cut off from Redis for a window",
        acts: &[(1.2, Cut(0, true)), (2.2, Cut(0, false))],
        used: 0.85,
        ..COSTLY
    },
    Fault {
        name: "the clock of one gateway an hour ahead, then an hour back",
        acts: &[(1.2, SetClock(0, "+3600")), (2.2, SetClock(0, "-3600")), (2.7, SetClock(0, "+0"))],
        ..FREE
    },
    Fault {
        name: "reload of a broken file, then of a good one",
        acts: &[(1.2, Reload(0, false)), (1.4, Reload(0, true)), (1.6, Reload(1, true))],
        ..FREE
    },
    Fault { name: "FLUSHALL", acts: &[(1.2, Flush)], ..FREE },
    Fault { name: "Redis restarted, empty", acts: &[(1.2, KillStore), (1.25, StartStore)], ..FREE },
    Fault {
        name: "Redis down for half a window, then empty",
        acts: &[(1.2, KillStore), (1.7, StartStore)],
        used: 0.5,
        ..COSTLY
    },
    Fault {
        name: "Redis hangs for half a window",
        acts: &[(1.2, FreezeStore), (1.7, ThawStore)],
        used: 0.85,
        ..COSTLY
    },
    Fault {
        name: "Redis answers 800 ms late for a window and a half",
        acts: &[(1.2, Delay(800)), (2.7, Delay(0))],
        ..FREE
    },
    Fault {
        name: "failover to an empty replica",
        sharing: Sharing::Sentinels,
        acts: &[(1.0, HoldReplica), (1.1, EmptyReplica), (1.2, KillStore)],
        used: 0.8,
        ..COSTLY
    },
    Fault {
        name: "failover to a replica that lags",
        sharing: Sharing::Sentinels,
        acts: &[(0.8, HoldReplica), (1.2, KillStore)],
        used: 0.7,
        ..COSTLY
    },
    Fault { name: "fixed shares: steady flood", sharing: Sharing::Shares, used: 0.97, ..NONE },
    Fault {
        name: "fixed shares: one gateway killed, started again",
        sharing: Sharing::Shares,
        acts: &[(1.2, Kill(0)), (1.3, Start(0))],
        ..COSTLY
    },
    Fault {
        name: "fixed shares: rolling restart",
        sharing: Sharing::Shares,
        acts: &[(1.2, Renew(0)), (1.6, Renew(1)), (2.0, Renew(2))],
        ..COSTLY
    },
];

impl Back {
    pub fn of(self, form: &Form) -> Duration {
        match self {
            Self::Windows(number) => form.windows(number),
            Self::Rested => form.longest_rest() + form.windows(0.5) + PAUSE,
        }
    }
}

impl Fault {
    /// Whether a wall clock is set.
    pub fn sets_clocks(&self) -> bool {
        self.acts.iter().any(|(_, act)| matches!(act, SetClock(..)))
    }
}
