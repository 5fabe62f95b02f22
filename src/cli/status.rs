//! `tollgate status`: every connection on one screen, in words.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use super::admin::{AdminArgs, Question, tell};
use super::documents::{Seen, SeenConnection};
use super::overrides;
use super::text::{bar, clean, long, moment};

/// Columns of a bar.
const BAR: usize = 30;

/// Prints what goes on.
pub(super) fn run(args: &AdminArgs) -> ExitCode {
    let coloured = is_coloured();
    tell(args, &Question::get("/api/overview"), |seen: Seen| screen(&seen, coloured))
}

/// True if standard output is a terminal, and nobody wants it without colours.
fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb
}

fn screen(seen: &Seen, coloured: bool) -> String {
    let mut lines = vec![head(seen)];
    for connection in &seen.connections {
        lines.push(String::new());
        lines.extend(one(connection, coloured));
    }
    if seen.connections.is_empty() {
        lines.push("no connections".into());
    }
    let mut part = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(rows.into_iter().map(|row| format!("  {row}")));
        }
    };
    part("overrides", seen.overrides.iter().map(overrides::line).collect());
    let expiring = seen.expiring.iter();
    part(
        "expiring",
        expiring.map(|it| format!("{}: {}", clean(&it.what), moment(it.at_ms))).collect(),
    );
    lines.join("\n")
}

/// The gateway itself: which one it is, and whether it serves.
pub(super) fn head(seen: &Seen) -> String {
    let up = long(seen.at_ms.saturating_sub(seen.started_at_ms));
    let ready = seen.ready.as_deref().map_or_else(|| "ready".into(), clean);
    let mut text = format!("{} {}, up {up}, {ready}", clean(&seen.instance), clean(&seen.version));
    if let Some(replicas) = &seen.replicas {
        text += &format!(", shared store {}", clean(&replicas.store));
        if replicas.store != "connected" {
            text += &format!(" for {}", long(seen.at_ms.saturating_sub(replicas.since_ms)));
        }
    }
    text
}

fn one(connection: &SeenConnection, coloured: bool) -> Vec<String> {
    let slots = connection.slots;
    let (bold, plain) = if coloured { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    let name = format!("{bold}{}{plain}", clean(&connection.connection));
    let mut lines = vec![format!("{name}  {}", clean(&connection.words))];
    let bar = bar(slots.in_use, slots.resting, slots.limit, BAR);
    lines.push(format!(
        "  slots    {bar}  {} in use, {} resting, {} free of {} in {}",
        slots.in_use,
        slots.resting,
        slots.free,
        slots.limit,
        long(slots.window_ms)
    ));
    let lane = |name: &str, waiting: u64, wait: Option<u64>| {
        let wait = wait.map_or_else(|| "is refused".into(), |ms| format!("waits {}", long(ms)));
        format!("{waiting} {name} (a call now {wait})")
    };
    lines.push(format!(
        "  waiting  {}, {}",
        lane("interactive", connection.waiting.interactive, connection.wait_ms.interactive),
        lane("bulk", connection.waiting.bulk, connection.wait_ms.bulk)
    ));
    lines.extend(odd(connection).map(|text| {
        let (yellow, plain) = if coloured { ("\u{1b}[33m", "\u{1b}[0m") } else { ("", "") };
        format!("  {yellow}note     {text}{plain}")
    }));
    lines
}

/// What is not as it should be and is not in the words, in one line.
pub(super) fn odd(connection: &SeenConnection) -> Option<String> {
    let mut notes = Vec::new();
    if connection.mode == "shadow" {
        notes.push("shadow: nothing is held back".into());
    }
    if !matches!(&*connection.breaker, "" | "closed") {
        notes.push(format!("breaker {}", clean(&connection.breaker)));
    }
    if !matches!(&*connection.token, "" | "ok") {
        notes.push(format!("token {}", clean(&connection.token)));
    }
    match connection.exhausted_in_ms {
        Some(0) => notes.push("no slot is free".into()),
        Some(ms) => notes.push(format!("no slot is free in {}", long(ms))),
        None => {}
    }
    (!notes.is_empty()).then(|| notes.join(", "))
}
