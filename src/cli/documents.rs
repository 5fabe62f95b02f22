//! What the operator's commands read of the admin port's documents. A member that is missing has no
//! value: the gateway may be older or newer than this program.

use serde::Deserialize;
use serde_json::Value;

/// The gateway at a glance.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    pub(super) at_ms: u64,
    pub(super) version: String,
    pub(super) instance: String,
    pub(super) started_at_ms: u64,
    pub(super) ready: Option<String>,
    pub(super) replicas: Option<SeenReplicas>,
    pub(super) connections: Vec<SeenConnection>,
    pub(super) overrides: Vec<SeenOverride>,
    pub(super) expiring: Vec<SeenExpiry>,
    pub(super) slowest: Vec<SeenCall>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenReplicas {
    pub(super) store: String,
    pub(super) since_ms: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenConnection {
    pub(super) connection: String,
    pub(super) tenant: String,
    pub(super) mode: String,
    pub(super) slots: SeenSlots,
    pub(super) waiting: Lanes<u64>,
    pub(super) wait_ms: Lanes<Option<u64>>,
    pub(super) rates: SeenRates,
    pub(super) exhausted_in_ms: Option<u64>,
    pub(super) words: String,
    pub(super) breaker: String,
    pub(super) paused: bool,
    pub(super) token: String,
    pub(super) apps: Vec<SeenApp>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenSlots {
    pub(super) limit: u64,
    pub(super) in_use: u64,
    pub(super) resting: u64,
    pub(super) free: u64,
    pub(super) window_ms: u64,
}

/// A value for each lane.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lanes<T: Default> {
    pub(super) interactive: T,
    pub(super) bulk: T,
}

/// Per second, over the last minute.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenRates {
    pub(super) started: f64,
    pub(super) refused: f64,
    pub(super) saved: f64,
    pub(super) vendor_429: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenApp {
    pub(super) tenant: String,
    pub(super) app: String,
    pub(super) lane: String,
    pub(super) paused: bool,
    pub(super) waiting: u64,
    pub(super) held: u64,
    pub(super) room: u64,
    pub(super) wait_ms: Option<u64>,
    pub(super) refused: Option<String>,
}

/// A change for a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenOverride {
    pub(super) id: String,
    pub(super) act: Value,
    pub(super) words: String,
    pub(super) because: String,
    pub(super) by: String,
    pub(super) left_ms: u64,
    pub(super) ended: Option<String>,
    pub(super) everywhere: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenExpiry {
    pub(super) what: String,
    pub(super) at_ms: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenCall {
    pub(super) id: String,
    pub(super) operation: Option<String>,
    pub(super) app: String,
    pub(super) connection: Option<String>,
    pub(super) total_ms: f64,
    pub(super) queue_ms: f64,
    pub(super) code: String,
}

/// The answer of `/api/overrides`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SeenOverrides {
    pub(super) overrides: Vec<SeenOverride>,
}

impl SeenConnection {
    /// Calls that wait, of both lanes.
    pub(super) fn all_waiting(&self) -> u64 {
        self.waiting.interactive.saturating_add(self.waiting.bulk)
    }

    /// Slots that can't be taken.
    pub(super) fn taken(&self) -> u64 {
        self.slots.in_use.saturating_add(self.slots.resting)
    }
}
