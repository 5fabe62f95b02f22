//! `tollgate explain`: asks the admin port of a running gateway why a call was slow.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

use super::admin::{AdminArgs, Question, tell};
use super::text::clean;
use crate::history::{CallDocument, CallEvent};
use crate::ids::{AppId, ConnectionId, RandomId, TenantId};

/// Columns of the longest bar.
const BAR: f64 = 30.0;

/// The arguments of the command.
#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// The Tollgate-Call-Id of the call; without it the slowest of the last calls are listed.
    #[arg(conflicts_with_all = ["Wanted", "under_way"])]
    id: Option<RandomId>,
    /// List the calls that are under way.
    #[arg(long, conflicts_with = "Wanted")]
    under_way: bool,
    #[command(flatten)]
    calls: Wanted,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Which calls are listed.
#[derive(clap::Args)]
struct Wanted {
    /// Calls of this tenant only.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Calls of this app only.
    #[arg(long)]
    app: Option<AppId>,
    /// Calls through this connection only.
    #[arg(long)]
    connection: Option<ConnectionId>,
    /// Calls of this operation only, such as profiles.get.
    #[arg(long)]
    operation: Option<String>,
    /// Calls that ended so only, such as ok or queue-full.
    #[arg(long)]
    code: Option<String>,
    /// The slowest first; without any choice this is so, else the last calls come first.
    #[arg(long)]
    slowest: bool,
    /// Calls that were refused only.
    #[arg(long, conflicts_with = "code")]
    refused: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
}

#[derive(Deserialize)]
struct Listed {
    kept: String,
    calls: Vec<CallDocument>,
}

/// Prints one call, or some.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    match args.id {
        Some(id) => {
            tell(&args.admin, &Question::get(format!("/api/calls/{id}")), |call| one(&call))
        }
        None if args.under_way => {
            tell(&args.admin, &Question::get("/api/calls/under-way"), |found| under_way(&found))
        }
        None => tell(&args.admin, &args.calls.question(), |listed| list(&listed)),
    }
}

impl Wanted {
    fn question(&self) -> Question {
        let chosen = [&self.operation, &self.code].into_iter().any(Option::is_some)
            || self.tenant.is_some()
            || self.app.is_some()
            || self.connection.is_some()
            || self.refused;
        let slowest = self.slowest || !chosen;
        Question::get("/api/calls").with([
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
            ("app", self.app.as_ref().map(ToString::to_string)),
            ("connection", self.connection.as_ref().map(ToString::to_string)),
            ("operation", self.operation.clone()),
            ("code", self.code.clone()),
            ("refused", self.refused.then(|| "1".into())),
            ("sort", slowest.then(|| "slowest".into())),
            ("limit", Some(self.limit.to_string())),
        ])
    }
}

/// A call for people.
fn one(call: &CallDocument) -> String {
    let none = "–";
    let or = |value: &Option<String>| value.clone().unwrap_or_else(|| none.into());
    let status = call.status.map_or_else(|| none.into(), |status| status.to_string());
    let mut text = format!("{}\n\n", call.why);
    let _ = writeln!(text, "  call        {}  {}", call.call_id, call.at);
    let _ =
        writeln!(text, "  who         {} / {}, key {}", call.tenant, call.app, or(&call.key_id));
    let _ = writeln!(
        text,
        "  what        {} {} through {}, lane {}",
        call.method,
        or(&call.operation),
        or(&call.connection),
        or(&call.lane)
    );
    let _ = writeln!(
        text,
        "  ended       {status} {}{}, {} octets in, {} out",
        call.code,
        call.outcome.as_ref().map(|outcome| format!(" ({outcome})")).unwrap_or_default(),
        call.bytes_in,
        call.bytes_out
    );
    let extras = [("cache", &call.cache), ("key", &call.key)];
    for (name, value) in extras {
        let _ = value.iter().try_for_each(|value| writeln!(text, "  {name:<11} {value}"));
    }
    text.push('\n');
    for event in &call.timeline {
        let _ = writeln!(text, "{:>12.3} ms  {}", event.at_ms, step(event));
    }
    text.push('\n');
    for part in &call.parts {
        let filled = "█".repeat(columns(part.share).max(1));
        let (name, percent) = (&part.part, part.share * 100.0);
        let _ = writeln!(text, "  {name:<13}{:>12.3} ms {percent:>5.1} %  {filled}", part.ms);
    }
    text
}

/// A share of 0 to 1, in columns.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the length of the bar"
)]
fn columns(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * BAR).round() as usize
}

/// One line of the timeline.
fn step(event: &CallEvent) -> String {
    let mut words = vec![event.event.clone()];
    words.extend(event.attempt.map(|nth| format!("try {nth}")));
    words.extend(event.status.map(|status| status.to_string()));
    words.extend(event.code.clone());
    if let (Some(ahead), Some(apps)) = (event.ahead, event.ahead_apps) {
        let own = event.ahead_own.unwrap_or_default();
        words.push(format!("behind {ahead} calls ({own} of its own) of {apps} apps"));
    }
    words.extend(event.bound.as_ref().map(|bound| match &event.pool {
        Some(pool) => format!("bound by {bound} of {pool}"),
        None => format!("bound by {bound}"),
    }));
    words.extend(event.expected_ms.map(|ms| format!("expected {ms} ms")));
    words.extend(event.retry_after_ms.map(|ms| format!("told to come back in {ms} ms")));
    words.join(", ")
}

/// The slowest calls, one line for each.
fn list(listed: &Listed) -> String {
    let mut text = String::new();
    for call in &listed.calls {
        let operation = call.operation.as_deref().unwrap_or("–");
        let _ = writeln!(
            text,
            "{}  {:>11.3} ms  {} / {}  {operation}  {}\n    {}",
            call.call_id, call.total_ms, call.tenant, call.app, call.code, call.why
        );
    }
    let _ = write!(text, "{}", listed.kept);
    text
}

/// The calls that are under way, one line for each.
fn under_way(found: &Value) -> String {
    let calls = found["calls"].as_array().or(found.as_array());
    let line = |call: &Value| {
        let members = call.as_object().into_iter().flatten();
        let words = members.filter(|(_, value)| !value.is_null()).map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {}", clean(&value))
        });
        words.collect::<Vec<_>>().join("  ")
    };
    match calls {
        Some(calls) if !calls.is_empty() => calls.iter().map(line).collect::<Vec<_>>().join("\n"),
        _ => "no call is under way".into(),
    }
}
