//! The commands that change something for a time: `limit`, `pause`, `resume`, `lane`, `mode`,
//! `breaker`, `log-level`. Each change has a time and a reason, and undoes itself.

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgGroup;
use serde_json::{Map, Value, json};

use super::admin::{AdminArgs, Question, tell};
use super::documents::SeenOverride;
use super::overrides::{self, line};
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::units::Span;

/// The longest time of a change.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a change lasts, and why it is made.
#[derive(clap::Args)]
pub(super) struct Temporary {
    /// How long it lasts, such as 10m, 2h or 3d; 30d at most. Then it is undone by itself.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Span,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    because: String,
    #[command(flatten)]
    admin: AdminArgs,
}

/// The arguments of `limit`.
#[derive(clap::Args)]
#[command(allow_missing_positional = true)]
pub(super) struct LimitArgs {
    /// The connection.
    #[arg(required_unless_present = "app", conflicts_with = "app")]
    connection: Option<ConnectionId>,
    /// Calls in the connection's window; with --app, in --window.
    calls: u32,
    /// Limit an app in place of a connection.
    #[arg(long)]
    app: Option<AppId>,
    /// The app's tenant, if several have an app of that name.
    #[arg(long, requires = "app")]
    tenant: Option<TenantId>,
    /// The window of the app's limit.
    #[arg(long, requires = "app", value_name = "TIME", value_parser = time, default_value = "60s")]
    window: Span,
    #[command(flatten)]
    change: Temporary,
}

/// What is paused.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("what").args(["app", "operation", "connection"]).required(true).multiple(true)))]
pub(super) struct Paused {
    /// The app.
    #[arg(conflicts_with_all = ["operation", "connection"])]
    app: Option<AppId>,
    /// The app's tenant, if several have an app of that name.
    #[arg(long, requires = "app")]
    tenant: Option<TenantId>,
    /// An operation, such as profiles.get; with --connection, of that one only.
    #[arg(long, value_name = "O")]
    operation: Option<String>,
    /// A connection.
    #[arg(long, value_name = "C")]
    connection: Option<ConnectionId>,
}

/// The arguments of `pause`.
#[derive(clap::Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    what: Paused,
    #[command(flatten)]
    change: Temporary,
}

/// The arguments of `resume`.
#[derive(clap::Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    what: Paused,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    because: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// The arguments of `lane`.
#[derive(clap::Args)]
pub(super) struct LaneArgs {
    /// The app.
    app: AppId,
    /// The lane that its calls take.
    #[arg(value_parser = ["bulk", "interactive"])]
    lane: String,
    /// The app's tenant, if several have an app of that name.
    #[arg(long)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    change: Temporary,
}

/// The arguments of `mode`.
#[derive(clap::Args)]
pub(super) struct ModeArgs {
    /// The connection.
    connection: ConnectionId,
    /// `shadow` only watches; `enforce` holds calls back.
    #[arg(value_parser = ["shadow", "enforce"])]
    mode: String,
    #[command(flatten)]
    change: Temporary,
}

/// The arguments of `breaker`.
#[derive(clap::Args)]
pub(super) struct BreakerArgs {
    /// The connection.
    connection: ConnectionId,
    /// `open` refuses its calls, `closed` lets them go whatever fails; `auto` ends such a change.
    #[command(subcommand)]
    state: BreakerState,
}

#[derive(clap::Subcommand)]
enum BreakerState {
    /// Refuse its calls.
    Open(Temporary),
    /// Let its calls go, whatever fails.
    Closed(Temporary),
    /// End such a change.
    Auto {
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        because: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

/// The arguments of `log-level`.
#[derive(clap::Args)]
pub(super) struct LogLevelArgs {
    /// The target, as in `logs.levels`, such as access.
    target: String,
    /// The level.
    #[arg(value_parser = ["trace", "debug", "info", "warn", "error", "off"])]
    level: String,
    #[command(flatten)]
    change: Temporary,
}

/// Time of a change, or of a window.
pub(super) fn time(text: &str) -> Result<Span, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let written = days.map_or_else(|| text.to_owned(), |days| format!("{}h", u64::from(days) * 24));
    match Span::try_from(written) {
        Ok(span) if span.get().is_zero() => Err("it must be more than 0".into()),
        Ok(span) if span.get() <= LONGEST => Ok(span),
        _ => Err(format!(
            "'{text}' is no time of a change: write a whole number and s, m, h or d, such as 10m; 30d at most"
        )),
    }
}

/// A reason as the gateway takes it.
pub(super) fn reason(text: &str) -> Result<String, String> {
    match text.trim().chars().count() {
        1..=200 => Ok(text.trim().to_owned()),
        _ => Err("a reason has 1 to 200 characters".into()),
    }
}

/// The document of `POST /api/overrides`.
fn document(act: &Value, lasts: Span, because: &str) -> Value {
    let ms = u64::try_from(lasts.get().as_millis()).unwrap_or(u64::MAX);
    json!({ "act": act, "for_ms": ms, "because": because })
}

/// The question that makes an override, from what somebody typed.
///
/// # Errors
/// What is wrong with it.
pub(super) fn making(act: &Value, lasts: &str, because: &str) -> Result<Question, String> {
    Ok(Question::post("/api/overrides", document(act, time(lasts.trim())?, &reason(because)?)))
}

/// An object of `kind` with the members that have a value.
fn act<const N: usize>(kind: &str, members: [(&str, Option<Value>); N]) -> Value {
    let mut act = Map::new();
    act.insert("kind".into(), kind.into());
    act.extend(members.into_iter().filter_map(|(name, value)| Some((name.into(), value?))));
    act.into()
}

fn text(id: Option<&impl ToString>) -> Option<Value> {
    id.map(|id| id.to_string().into())
}

impl Temporary {
    fn make(&self, act: &Value) -> ExitCode {
        let question = Question::post("/api/overrides", document(act, self.lasts, &self.because));
        tell(&self.admin, &question, |made: SeenOverride| line(&made))
    }
}

impl Paused {
    fn act(&self) -> Value {
        let connection = ("connection", text(self.connection.as_ref()));
        if let Some(app) = &self.app {
            return act(
                "pause-app",
                [("tenant", text(self.tenant.as_ref())), ("app", text(Some(app)))],
            );
        }
        match &self.operation {
            Some(operation) => {
                act("pause-operation", [("operation", text(Some(operation))), connection])
            }
            None => act("pause-connection", [connection]),
        }
    }
}

pub(super) fn limit(args: &LimitArgs) -> ExitCode {
    let calls = ("calls", Some(args.calls.into()));
    let act = match &args.app {
        Some(app) => act(
            "app-limit",
            [
                ("tenant", text(args.tenant.as_ref())),
                ("app", text(Some(app))),
                calls,
                ("window_ms", u64::try_from(args.window.get().as_millis()).ok().map(Value::from)),
            ],
        ),
        None => act("limit", [("connection", text(args.connection.as_ref())), calls]),
    };
    args.change.make(&act)
}

pub(super) fn pause(args: &PauseArgs) -> ExitCode {
    args.change.make(&args.what.act())
}

pub(super) fn resume(args: &ResumeArgs) -> ExitCode {
    overrides::end_matching(&args.admin, &args.what.act(), args.because.as_deref())
}

pub(super) fn lane(args: &LaneArgs) -> ExitCode {
    let tenant = ("tenant", text(args.tenant.as_ref()));
    let (app, lane) = (("app", text(Some(&args.app))), ("lane", text(Some(&args.lane))));
    args.change.make(&act("lane", [tenant, app, lane]))
}

pub(super) fn mode(args: &ModeArgs) -> ExitCode {
    let connection = ("connection", text(Some(&args.connection)));
    args.change.make(&act("mode", [connection, ("mode", text(Some(&args.mode)))]))
}

pub(super) fn breaker(args: &BreakerArgs) -> ExitCode {
    let connection = ("connection", text(Some(&args.connection)));
    let (state, change) = match &args.state {
        BreakerState::Open(change) => ("open", change),
        BreakerState::Closed(change) => ("closed", change),
        BreakerState::Auto { because, admin } => {
            let act = act("breaker", [connection]);
            return overrides::end_matching(admin, &act, because.as_deref());
        }
    };
    change.make(&act("breaker", [connection, ("state", Some(state.into()))]))
}

pub(super) fn log_level(args: &LogLevelArgs) -> ExitCode {
    let target = ("target", text(Some(&args.target)));
    args.change.make(&act("log-level", [target, ("level", text(Some(&args.level)))]))
}

/// Reads that go to the vendor: `cache bypass`.
pub(super) fn bypass(connection: &ConnectionId, change: &Temporary) -> ExitCode {
    change.make(&act("bypass", [("connection", text(Some(connection)))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_lasts_thirty_days_at_most_and_says_why() {
        assert_eq!(time("30d").unwrap().get(), LONGEST);
        assert_eq!(time("10m").unwrap(), Span::secs(600));
        for wrong in ["31d", "0s", "10", "", "d", "-1d", "721h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert!(making(&json!({}), "10m", "  ").is_err());
        assert!(making(&json!({}), "10m", &"x".repeat(201)).is_err());
        assert!(making(&json!({}), " 10m ", "too much load").is_ok());
    }
}
