//! The operator's commands: what a running gateway is asked and told through its admin port.

use std::process::ExitCode;

use super::acts::{self, BreakerArgs, LaneArgs, LimitArgs, LogLevelArgs, ModeArgs, PauseArgs};
use super::admin::AdminArgs;
use super::audit::{self, AuditArgs, ReloadArgs};
use super::cache::{self, CacheArgs};
use super::overrides::{self, OverridesArgs};
use super::top::{self, TopArgs};
use super::whatif::{self, WhatifArgs};
use super::{acts::ResumeArgs, status};

#[derive(clap::Subcommand)]
pub(super) enum Operate {
    /// Show every connection of a running gateway on one screen: who waits, and why.
    Status(AdminArgs),
    /// The same, live: sort, select, pause an app.
    Top(TopArgs),
    /// Change the limit of a connection or an app for a time.
    Limit(LimitArgs),
    /// Refuse the calls of an app, an operation or a connection for a time.
    Pause(PauseArgs),
    /// End a pause.
    Resume(ResumeArgs),
    /// Move the calls of an app to another lane for a time.
    Lane(LaneArgs),
    /// Only watch the quota of a connection for a time, or enforce it.
    Mode(ModeArgs),
    /// Open or close the breaker of a connection for a time.
    Breaker(BreakerArgs),
    /// Show the cache, throw copies away, or go past it for a time.
    Cache(CacheArgs),
    /// List the changes for a time that are in force, or end one.
    Overrides(OverridesArgs),
    /// Log more or less of one target for a time.
    LogLevel(LogLevelArgs),
    /// Have the gateway read its configuration again.
    Reload(ReloadArgs),
    /// Show what the last hour would have been with another limit.
    Whatif(WhatifArgs),
    /// Show who did what on the admin port, and what was refused.
    Audit(AuditArgs),
}

pub(super) fn run(command: Operate) -> ExitCode {
    match command {
        Operate::Status(args) => status::run(&args),
        Operate::Top(args) => top::run(&args),
        Operate::Limit(args) => acts::limit(&args),
        Operate::Pause(args) => acts::pause(&args),
        Operate::Resume(args) => acts::resume(&args),
        Operate::Lane(args) => acts::lane(&args),
        Operate::Mode(args) => acts::mode(&args),
        Operate::Breaker(args) => acts::breaker(&args),
        Operate::Cache(args) => cache::run(&args),
        Operate::Overrides(args) => overrides::run(&args),
        Operate::LogLevel(args) => acts::log_level(&args),
        Operate::Reload(args) => audit::reload(&args),
        Operate::Whatif(args) => whatif::run(&args),
        Operate::Audit(args) => audit::run(&args),
    }
}
