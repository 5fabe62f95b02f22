//! `tollgate audit`: who did what on the admin port, and what was refused. `tollgate reload` is one
//! of these acts.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::reason;
use super::admin::{AdminArgs, Question, tell};
use super::text::{clean, moment};

/// The arguments of `audit`.
#[derive(clap::Args)]
pub(super) struct AuditArgs {
    /// The newest so many.
    #[arg(long, value_name = "N", default_value = "50")]
    limit: u32,
    #[command(flatten)]
    admin: AdminArgs,
}

/// The arguments of `reload`.
#[derive(clap::Args)]
pub(super) struct ReloadArgs {
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    because: String,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Acts {
    acts: Vec<Line>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    at_ms: u64,
    outcome: String,
    key: Option<String>,
    peer: Option<String>,
    act: String,
    what: Option<String>,
    because: Option<String>,
    before: Option<String>,
    after: Option<String>,
    detail: Option<String>,
}

/// Prints the newest acts, the oldest of them first.
pub(super) fn run(args: &AuditArgs) -> ExitCode {
    let question = Question::get("/api/audit").with([("limit", Some(args.limit.to_string()))]);
    tell(&args.admin, &question, |found: Acts| match found.acts.is_empty() {
        true => "nothing was done".into(),
        false => found.acts.iter().rev().map(line).collect::<Vec<_>>().join("\n"),
    })
}

fn line(act: &Line) -> String {
    let or = |value: &Option<String>| value.as_deref().map_or_else(|| "–".into(), clean);
    let mut text = format!(
        "{}  {}  {} from {}  {}",
        moment(act.at_ms),
        clean(&act.outcome),
        or(&act.key),
        or(&act.peer),
        clean(&act.act)
    );
    let what = act.what.as_deref().filter(|what| !what.is_empty());
    text += &what.map(|what| format!("  {}", clean(what))).unwrap_or_default();
    if let (Some(before), Some(after)) = (&act.before, &act.after) {
        text += &format!("  ({} → {})", clean(before), clean(after));
    }
    for said in [&act.because, &act.detail].into_iter().flatten().filter(|said| !said.is_empty()) {
        text += &format!("  {}", clean(said));
    }
    text
}

/// Has the gateway read its configuration again.
pub(super) fn reload(args: &ReloadArgs) -> ExitCode {
    let question = Question::post("/api/reload", json!({ "because": args.because }));
    tell(&args.admin, &question, |done: Value| {
        let warnings = done["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(Value::as_str).map(|text| format!("\n{}", clean(text)));
        format!("reloaded{}", warnings.collect::<String>())
    })
}
