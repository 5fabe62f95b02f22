//! What is shown, as JSON. Moments are milliseconds since 1970.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::ring::Rates;
use super::slowest::SlowCall;
use crate::admission::{AppView, SharedView, WaitingCalls};
use crate::overrides::OverrideView;

/// All of a gateway at a glance.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// When it was so.
    pub at_ms: u64,
    /// The version of the program.
    pub version: &'static str,
    /// The name of the gateway in `Via`.
    pub instance: String,
    /// When it started.
    pub started_at_ms: u64,
    /// Why it takes no new requests, if it takes none.
    pub ready: Option<&'static str>,
    /// What replicas share, if there is a store for it.
    pub replicas: Option<ReplicasView>,
    /// The connections, by their names.
    pub connections: Vec<ConnectionOverview>,
    /// Temporary changes that are in force, the newest one first.
    pub overrides: Vec<OverrideView>,
    /// What expires soon.
    pub expiring: Vec<Expiring>,
    /// The slowest calls of the last 15 minutes.
    pub slowest: Vec<Slow>,
}

/// How it stands with the store of the replicas.
#[derive(Debug, Serialize)]
pub struct ReplicasView {
    /// `connected` or `away`.
    pub store: &'static str,
    /// For how long.
    pub since_ms: u64,
}

/// A connection at a glance.
#[derive(Debug, Serialize)]
pub struct ConnectionOverview {
    /// Its name.
    pub connection: String,
    /// Whose it is.
    pub tenant: String,
    /// Whose writes it sees.
    pub workspace: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// The slots of its own pool.
    pub slots: SlotCounts,
    /// Calls that wait in each lane.
    pub waiting: WaitingCalls,
    /// How long a call that came now would wait.
    pub wait_ms: LaneWaits,
    /// What happens each second.
    pub rates: Rates,
    /// When no slot will be free.
    pub exhausted_in_ms: Option<u64>,
    /// All of it in one sentence.
    pub words: String,
    /// `closed`, `open` or `probing`.
    pub breaker: &'static str,
    /// Nobody may call.
    pub paused: bool,
    /// `ok`, `refused` or `unreadable`.
    pub token: &'static str,
    /// How it stands with the other replicas.
    pub shared: Option<SharedView>,
    /// Its apps, those with most waiting calls first.
    pub apps: Vec<TenantApp>,
}

/// The slots of a pool.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SlotCounts {
    /// All of them.
    pub limit: u32,
    /// Those whose call runs.
    pub in_use: u32,
    /// Those that rest.
    pub resting: u32,
    /// Those that could be taken.
    pub free: u32,
    /// The window.
    pub window_ms: u64,
    /// For how long Courier has closed it.
    pub closed_ms: u64,
}

/// A wait in each lane; none where a call would be refused.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LaneWaits {
    /// Where somebody waits for the answer.
    pub interactive: Option<u64>,
    /// Where nobody does.
    pub bulk: Option<u64>,
}

/// An app, and whose it is.
#[derive(Debug, Serialize)]
pub struct TenantApp {
    /// Its tenant.
    pub tenant: String,
    /// The app.
    #[serde(flatten)]
    pub app: AppView,
}

/// Something that expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiring {
    /// What it is.
    pub what: String,
    /// When.
    pub at_ms: u64,
}

/// A slow call.
#[derive(Debug, Serialize)]
pub struct Slow {
    /// Its id.
    pub id: String,
    /// When it came.
    pub at_ms: u64,
    /// Its operation.
    pub operation: Option<String>,
    /// Who called.
    pub app: String,
    /// Through which connection.
    pub connection: Option<String>,
    /// How long it took.
    pub total_ms: u64,
    /// How long of that it waited for its turn.
    pub queue_ms: u64,
    /// How it ended.
    pub code: &'static str,
}

impl Slow {
    /// The call as it is shown.
    #[must_use]
    pub fn of(call: SlowCall) -> Self {
        Self {
            id: call.id.to_string(),
            at_ms: epoch_ms(call.at),
            operation: call.operation.map(|id| id.to_string()),
            app: call.app.to_string(),
            connection: call.connection.map(|id| id.to_string()),
            total_ms: ms(call.total),
            queue_ms: ms(call.queue),
            code: call.code,
        }
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn epoch_ms(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, ms)
}

/// Whole milliseconds.
#[must_use]
pub fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
