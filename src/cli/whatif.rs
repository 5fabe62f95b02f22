//! `tollgate whatif`: what the last hour would have been with another limit.

use std::process::ExitCode;

use serde::Deserialize;

use super::admin::{AdminArgs, Question, tell};
use super::documents::Lanes;
use super::text::{clean, long, moment, table};
use crate::ids::ConnectionId;
use crate::units::Span;

/// The arguments of the command.
#[derive(clap::Args)]
pub(super) struct WhatifArgs {
    /// The connection.
    connection: ConnectionId,
    /// Calls in its window.
    #[arg(long, value_name = "N")]
    limit: u32,
    /// Another window, such as 60s.
    #[arg(long, value_name = "TIME", value_parser = window)]
    window: Option<Span>,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Compared {
    from_at_ms: u64,
    to_at_ms: u64,
    arrivals: u64,
    now: Half,
    then: Half,
    words: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Half {
    started: u64,
    refused: u64,
    r#use: f64,
    lanes: Lanes<Lane>,
    apps: Vec<App>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lane {
    wait_ms_p50: Option<u64>,
    wait_ms_p99: Option<u64>,
    refused: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct App {
    tenant: String,
    app: String,
    started: u64,
    refused: u64,
    wait_ms_p99: Option<u64>,
}

fn window(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned())
}

/// Asks and prints both halves beside each other.
pub(super) fn run(args: &WhatifArgs) -> ExitCode {
    let question = Question::get("/api/whatif").with([
        ("connection", Some(args.connection.to_string())),
        ("calls", Some(args.limit.to_string())),
        ("window_ms", args.window.map(|window| window.get().as_millis().to_string())),
    ]);
    tell(&args.admin, &question, |compared: Compared| shown(&compared))
}

fn wait(ms: Option<u64>) -> String {
    ms.map_or_else(|| "–".into(), long)
}

fn shown(compared: &Compared) -> String {
    let Compared { from_at_ms, to_at_ms, arrivals, now, then, words } = compared;
    let both = |name: &str, of: &dyn Fn(&Half) -> String| vec![name.into(), of(now), of(then)];
    let mut rows = vec![
        vec![String::new(), "as it was".into(), "as it would be".into()],
        both("started", &|half| half.started.to_string()),
        both("refused", &|half| half.refused.to_string()),
        both("slots used", &|half| format!("{:.0} %", half.r#use * 100.0)),
    ];
    let waits = |lane: &Lane| {
        let (half, most) = (wait(lane.wait_ms_p50), wait(lane.wait_ms_p99));
        format!("waits {half}, p99 {most}, {} refused", lane.refused)
    };
    rows.push(both("interactive", &|half| waits(&half.lanes.interactive)));
    rows.push(both("bulk", &|half| waits(&half.lanes.bulk)));
    for app in &then.apps {
        let name = format!("{}/{}", clean(&app.tenant), clean(&app.app));
        let found = |half: &Half| {
            let same = |it: &&App| it.tenant == app.tenant && it.app == app.app;
            half.apps.iter().find(same).map_or_else(
                || "–".into(),
                |app| {
                    let waits = wait(app.wait_ms_p99);
                    format!("{} started, {} refused, p99 {waits}", app.started, app.refused)
                },
            )
        };
        rows.push(both(&name, &found));
    }
    format!(
        "{}\n\n{arrivals} calls from {} to {}\n\n{}",
        clean(words),
        moment(*from_at_ms),
        moment(*to_at_ms),
        table(&rows)
    )
}
