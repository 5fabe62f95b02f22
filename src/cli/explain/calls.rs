//! Lists of calls: the slowest, the last, those that were refused, those that are under way.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::cli::admin::{AdminArgs, Question, tell};
use crate::cli::text::{clean, long};
use crate::history::CallDocument;
use crate::ids::{AppId, ConnectionId, TenantId};

/// Which calls are listed.
#[derive(clap::Args)]
pub(super) struct WantedCalls {
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
    /// Calls that were refused only, of the last 200.
    #[arg(long, conflicts_with = "code")]
    refused: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u8).range(1..=200))]
    limit: u8,
}

#[derive(Deserialize, Serialize)]
struct Listed {
    kept: String,
    calls: Vec<CallDocument>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UnderWay {
    calls: Vec<OpenCallLine>,
}

/// A call that is not over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OpenCallLine {
    call_id: String,
    since_ms: u64,
    state: String,
    tenant: String,
    app: String,
    connection: Option<String>,
    operation: Option<String>,
    caller: bool,
}

impl WantedCalls {
    fn question(&self) -> Question {
        let text = |value: Option<&dyn ToString>| value.map(ToString::to_string);
        let names = [
            text(self.tenant.as_ref().map(|id| id as _)),
            text(self.app.as_ref().map(|id| id as _)),
            text(self.connection.as_ref().map(|id| id as _)),
            self.operation.clone(),
            self.code.clone(),
        ];
        let chosen = self.refused || names.iter().any(Option::is_some);
        let slowest = self.slowest || !chosen;
        let [tenant, app, connection, operation, code] = names;
        Question::get("/api/calls").with([
            ("tenant", tenant),
            ("app", app),
            ("connection", connection),
            ("operation", operation),
            ("code", code),
            ("sort", slowest.then(|| "slowest".into())),
            ("refused", self.refused.then(|| "1".into())),
            ("limit", Some(self.limit.to_string())),
        ])
    }
}

/// Prints the calls that are wanted, one line for each.
pub(super) fn list(admin: &AdminArgs, wanted: &WantedCalls) -> ExitCode {
    tell(admin, &wanted.question(), |listed: Listed| {
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
    })
}

/// Prints the calls that are under way, the longest first.
pub(super) fn under_way(admin: &AdminArgs) -> ExitCode {
    tell(admin, &Question::get("/api/calls/under-way"), |mut found: UnderWay| {
        found.calls.sort_by_key(|call| std::cmp::Reverse(call.since_ms));
        let lines = found.calls.iter().map(|call| {
            let named = |name: &Option<String>| clean(name.as_deref().unwrap_or("–"));
            let (tenant, app) = (clean(&call.tenant), clean(&call.app));
            let alone = if call.caller { "" } else { ", goes on without its caller" };
            format!(
                "{:>8}  {}  {tenant} / {app} through {}  {}  {}{alone}",
                long(call.since_ms),
                clean(&call.call_id),
                named(&call.connection),
                named(&call.operation),
                clean(&call.state),
            )
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { "no call is under way".into() } else { lines.join("\n") }
    })
}
