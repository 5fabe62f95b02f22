//! `tollgate explain`: asks the admin port of a running gateway why a call was slow.

mod calls;

use std::fmt::Write as _;
use std::process::ExitCode;

use super::admin::{AdminArgs, Question, tell};
use crate::history::{CallDocument, CallEvent};
use crate::ids::RandomId;
use calls::WantedCalls;

/// Columns of the longest bar.
const BAR: f64 = 30.0;

/// The arguments of the command.
#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// The Tollgate-Call-Id of the call; without it the slowest of the last calls are listed.
    #[arg(conflicts_with_all = ["WantedCalls", "under_way"])]
    id: Option<RandomId>,
    /// List the calls that are under way.
    #[arg(long, conflicts_with = "WantedCalls")]
    under_way: bool,
    #[command(flatten)]
    calls: WantedCalls,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Prints one call, or some.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    match args.id {
        Some(id) => {
            tell(&args.admin, &Question::get(format!("/api/calls/{id}")), |call| one(&call))
        }
        None if args.under_way => calls::under_way(&args.admin),
        None => calls::list(&args.admin, &args.calls),
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
