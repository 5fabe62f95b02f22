//! Which lines are written: a level for all, and levels of single targets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::metadata::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::LogSettings;
use crate::targets;

/// Levels by target.
pub(super) type Map = BTreeMap<Target, Level>;

/// The least weighty lines that are written.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// None.
    Off,
    /// Somebody has to act.
    Error,
    /// Something went wrong.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What helps to find a cause.
    Debug,
    /// Everything.
    Trace,
}

/// A name that lines carry as their target, or the beginning of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
pub enum Target {
    /// The line of each finished call.
    #[serde(rename = "access")]
    Access,
    /// What operators did, and what was refused to them.
    #[serde(rename = "audit")]
    Audit,
    /// All else that the gateway says.
    #[serde(rename = "tollgate")]
    Tollgate,
    /// Slots kept over a restart.
    #[serde(rename = "tollgate::admission")]
    Admission,
    /// Start and stop.
    #[serde(rename = "tollgate::app")]
    App,
    /// Signals and reloads.
    #[serde(rename = "tollgate::cli")]
    Cli,
    /// Why calls failed.
    #[serde(rename = "tollgate::edge")]
    Edge,
    /// The Redis that replicas share.
    #[serde(rename = "tollgate::shared")]
    Shared,
    /// Client sockets.
    #[serde(rename = "tollgate::server")]
    Server,
    /// Courier and its tokens.
    #[serde(rename = "tollgate::stage")]
    Stage,
    /// Usage files and the log itself.
    #[serde(rename = "tollgate::telemetry")]
    Telemetry,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 11] = [
        Self::Access,
        Self::Audit,
        Self::Tollgate,
        Self::Admission,
        Self::App,
        Self::Cli,
        Self::Edge,
        Self::Shared,
        Self::Server,
        Self::Stage,
        Self::Telemetry,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Audit => targets::AUDIT,
            Self::Tollgate => "tollgate",
            Self::Admission => "tollgate::admission",
            Self::App => "tollgate::app",
            Self::Cli => "tollgate::cli",
            Self::Edge => "tollgate::edge",
            Self::Shared => "tollgate::shared",
            Self::Server => "tollgate::server",
            Self::Stage => "tollgate::stage",
            Self::Telemetry => "tollgate::telemetry",
        }
    }
}

impl Level {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::OFF,
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// What `wanted` lets through. Libraries see what callers and the vendor send. So they log no more
/// than warnings, whatever the level.
pub(super) fn targets(wanted: &LogSettings) -> Targets {
    let own =
        [Target::Access, Target::Audit, Target::Tollgate].map(|target| (target, wanted.level));
    let listed = wanted.levels.iter().map(|(target, level)| (*target, *level));
    let pairs = own.into_iter().chain(listed);
    Targets::new()
        .with_default(wanted.level.min(Level::Warn))
        .with_targets(pairs.map(|(target, level)| (target.as_str(), LevelFilter::from(level))))
}

/// The lowest level of access lines that `targets` let through.
pub(super) fn access(targets: &Targets) -> LevelFilter {
    let levels = [tracing::Level::INFO, tracing::Level::WARN];
    let passes = |level: &tracing::Level| targets.would_enable(Target::Access.as_str(), level);
    levels.into_iter().find(passes).map_or(LevelFilter::OFF, LevelFilter::from_level)
}
