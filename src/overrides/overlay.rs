//! What the overrides that hold make of the configuration. Pure.

use std::collections::HashMap;
use std::time::Duration;

use super::act::{Act, Forced};
use super::set::{OverrideSet, WallMs};
use crate::catalog::Lane;
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::quota::Mode;
use crate::telemetry::logs::{Level, Target};

/// What stands before the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// By connection.
    pub connections: HashMap<ConnectionId, ConnectionOverlay>,
    /// By app.
    pub apps: HashMap<(TenantId, AppId), AppOverlay>,
    /// Operations that are paused, where, and until when.
    pub operations: Vec<(std::sync::Arc<str>, Option<ConnectionId>, WallMs)>,
    /// Levels of log lines.
    pub levels: Vec<(Target, Level)>,
}

/// What stands before the configuration of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOverlay {
    /// Calls in its window.
    pub calls: Option<u32>,
    /// Whether calls are held back.
    pub mode: Option<Mode>,
    /// No call until then.
    pub paused: Option<WallMs>,
    /// No copy is read or made until then.
    pub bypass: Option<WallMs>,
    /// Its breaker, until then.
    pub breaker: Option<(Forced, WallMs)>,
}

/// What stands before the configuration of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppOverlay {
    /// Its own limit.
    pub limit: Option<(u32, Duration)>,
    /// The lane of its calls.
    pub lane: Option<Lane>,
    /// No call until then.
    pub paused: Option<WallMs>,
}

impl Overlay {
    /// What holds at `now`. An act that names an app without its tenant changes nothing: whoever
    /// makes it says which.
    #[must_use]
    pub fn of(set: &OverrideSet, now: WallMs) -> Self {
        let mut overlay = Self::default();
        // The newest is the last one that is put in.
        let mut held: Vec<_> = set.in_force(now).collect();
        held.reverse();
        for known in held {
            overlay.put(&known.act, known.until);
        }
        overlay
    }

    fn put(&mut self, act: &Act, until: WallMs) {
        match act {
            Act::Limit { connection, calls } => self.of_connection(connection).calls = Some(*calls),
            Act::Mode { connection, mode } => self.of_connection(connection).mode = Some(*mode),
            Act::PauseConnection { connection } => {
                self.of_connection(connection).paused = Some(until);
            }
            Act::Bypass { connection } => self.of_connection(connection).bypass = Some(until),
            Act::Breaker { connection, state } => {
                self.of_connection(connection).breaker = Some((*state, until));
            }
            Act::AppLimit { tenant: Some(tenant), app, calls, window_ms } => {
                let window = Duration::from_millis(*window_ms);
                self.of_app(tenant, app).limit = Some((*calls, window));
            }
            Act::PauseApp { tenant: Some(tenant), app } => {
                self.of_app(tenant, app).paused = Some(until);
            }
            Act::Lane { tenant: Some(tenant), app, lane } => {
                self.of_app(tenant, app).lane = Some(*lane);
            }
            Act::PauseOperation { operation, connection } => {
                self.operations.push((operation.clone(), connection.clone(), until));
            }
            Act::LogLevel { target, level } => self.levels.push((*target, *level)),
            Act::AppLimit { .. } | Act::PauseApp { .. } | Act::Lane { .. } | Act::Purge { .. } => {}
        }
    }

    fn of_connection(&mut self, connection: &ConnectionId) -> &mut ConnectionOverlay {
        self.connections.entry(connection.clone()).or_default()
    }

    fn of_app(&mut self, tenant: &TenantId, app: &AppId) -> &mut AppOverlay {
        self.apps.entry((tenant.clone(), app.clone())).or_default()
    }
}
