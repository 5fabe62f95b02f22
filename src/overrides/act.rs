//! What an operator can change for a time.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Lane, MOST_CALLS};
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::quota::Mode;
use crate::telemetry::logs::{Level, Target};

/// One change. While it lasts it stands before what the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Other calls in the window of a connection.
    Limit {
        /// Whose.
        connection: ConnectionId,
        /// Calls in its window, at least 1.
        calls: u32,
    },
    /// A limit of an app's own, on each of its connections.
    AppLimit {
        /// Whose app.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
        /// The app.
        app: AppId,
        /// Calls in the window, at least 1.
        calls: u32,
        /// The window.
        #[serde(default = "minute")]
        window_ms: u64,
    },
    /// No call of an app.
    PauseApp {
        /// Whose app.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
        /// The app.
        app: AppId,
    },
    /// No call on a connection.
    PauseConnection {
        /// The connection.
        connection: ConnectionId,
    },
    /// No call of an operation.
    PauseOperation {
        /// Its id in the catalogue.
        operation: Arc<str>,
        /// On this connection; on all without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ConnectionId>,
    },
    /// Another lane for an app.
    Lane {
        /// Whose app.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<TenantId>,
        /// The app.
        app: AppId,
        /// The lane of its calls.
        lane: Lane,
    },
    /// Calls are held back, or only watched.
    Mode {
        /// The connection.
        connection: ConnectionId,
        /// Which.
        mode: Mode,
    },
    /// Every read goes to the vendor, and nothing of it is kept.
    Bypass {
        /// The connection.
        connection: ConnectionId,
    },
    /// The breaker stays as it is put.
    Breaker {
        /// The connection.
        connection: ConnectionId,
        /// How.
        state: Forced,
    },
    /// Another level of log lines.
    LogLevel {
        /// Which lines.
        target: Target,
        /// The level.
        level: Level,
    },
    /// Copies are forgotten: done once, by every replica.
    Purge {
        /// The connection.
        connection: ConnectionId,
        /// Copies that are built from this collection; all copies without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Arc<str>>,
        /// Copies that are built from what this operation reads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<Arc<str>>,
    },
}

/// A breaker that an operator put in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Forced {
    /// No call goes to the vendor.
    Open,
    /// Calls go to the vendor, however it answers.
    Closed,
}

/// The longest window of an app's own limit: a day.
pub const LONGEST_WINDOW_MS: u64 = 24 * 3600 * 1000;

const fn minute() -> u64 {
    60_000
}

impl Act {
    /// Whether its numbers are ones that a quota can have.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Limit { calls, .. } => (1..=MOST_CALLS).contains(calls),
            Self::AppLimit { calls, window_ms, .. } => {
                (1..=MOST_CALLS).contains(calls) && (1..=LONGEST_WINDOW_MS).contains(window_ms)
            }
            _ => true,
        }
    }

    /// Whether it is done once, and does not last.
    #[must_use]
    pub const fn is_instant(&self) -> bool {
        matches!(self, Self::Purge { .. })
    }

    /// Whether both change the same of the same: then the later one counts.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        !self.is_instant() && self.target() == other.target()
    }

    /// What of whom it changes.
    fn target(&self) -> (&'static str, String) {
        match self {
            Self::Limit { connection, .. } => ("limit", connection.to_string()),
            Self::AppLimit { tenant, app, .. } => ("app-limit", of(tenant.as_ref(), app)),
            Self::PauseApp { tenant, app } => ("pause-app", of(tenant.as_ref(), app)),
            Self::PauseConnection { connection } => ("pause-connection", connection.to_string()),
            Self::PauseOperation { operation, connection } => {
                let on = connection.as_ref().map(ToString::to_string).unwrap_or_default();
                ("pause-operation", format!("{operation} {on}"))
            }
            Self::Lane { tenant, app, .. } => ("lane", of(tenant.as_ref(), app)),
            Self::Mode { connection, .. } => ("mode", connection.to_string()),
            Self::Bypass { connection } => ("bypass", connection.to_string()),
            Self::Breaker { connection, .. } => ("breaker", connection.to_string()),
            Self::LogLevel { target, .. } => ("log-level", target.as_str().to_owned()),
            Self::Purge { connection, .. } => ("purge", connection.to_string()),
        }
    }
}

fn of(tenant: Option<&TenantId>, app: &AppId) -> String {
    match tenant {
        Some(tenant) => format!("{tenant}/{app}"),
        None => app.to_string(),
    }
}

impl Forced {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// In words, such as `acme-prod: 50 calls in its window`.
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { connection, calls } => {
                write!(f, "{connection}: {calls} calls in its window")
            }
            Self::AppLimit { tenant, app, calls, window_ms } => {
                let seconds = *window_ms as f64 / 1000.0;
                write!(f, "{}: {calls} calls in {seconds} s", of(tenant.as_ref(), app))
            }
            Self::PauseApp { tenant, app } => write!(f, "{}: paused", of(tenant.as_ref(), app)),
            Self::PauseConnection { connection } => write!(f, "{connection}: paused"),
            Self::PauseOperation { operation, connection: None } => {
                write!(f, "{operation}: paused")
            }
            Self::PauseOperation { operation, connection: Some(connection) } => {
                write!(f, "{operation} on {connection}: paused")
            }
            Self::Lane { tenant, app, lane } => {
                write!(f, "{}: in the {} lane", of(tenant.as_ref(), app), lane.as_str())
            }
            Self::Mode { connection, mode: Mode::Shadow } => {
                write!(f, "{connection}: calls are only watched")
            }
            Self::Mode { connection, mode: Mode::Enforce } => {
                write!(f, "{connection}: calls are held back")
            }
            Self::Bypass { connection } => write!(f, "{connection}: no read from a copy"),
            Self::Breaker { connection, state } => {
                write!(f, "{connection}: breaker {}", state.as_str())
            }
            Self::LogLevel { target, level } => {
                write!(f, "log lines of {}: {}", target.as_str(), level.as_str())
            }
            Self::Purge { connection, tag: Some(tag), .. } => {
                write!(f, "{connection}: copies of {tag} forgotten")
            }
            Self::Purge { connection, operation: Some(operation), .. } => {
                write!(f, "{connection}: copies of what {operation} reads forgotten")
            }
            Self::Purge { connection, .. } => write!(f, "{connection}: all copies forgotten"),
        }
    }
}
