//! The line of a finished call.

use std::time::Duration;

use opentelemetry::trace::TraceId;
use serde::Serialize;
use tracing::Level;

use super::form::{self, Form};
use crate::clock;
use crate::error::Code;
use crate::record::{Cached, Marks, Record};
use crate::telemetry::{code, method};

/// One call in the access log.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    level: &'a str,
    target: &'a str,
    call_id: String,
    request_id: &'a str,
    trace_id: Option<String>,
    tenant: Option<&'a str>,
    app: Option<&'a str>,
    key_id: Option<&'a str>,
    connection: Option<&'a str>,
    operation: Option<&'a str>,
    method: &'a str,
    status: Option<u16>,
    code: &'a str,
    outcome: Option<&'a str>,
    lane: Option<&'a str>,
    queue_ms: f64,
    vendor_ms: Option<f64>,
    total_ms: f64,
    attempts: u32,
    cache: Option<&'a str>,
    bytes_in: u64,
    bytes_out: u64,
    sdk: Option<&'a str>,
}

/// A warning for what an operator may have to look at: a 5xx, whoever made it, an answer that was
/// cut, and the vendor's own refusals. What is the caller's business is information, the gateway's
/// refusals included: they are the quota at work.
pub(super) fn level(marks: &Marks) -> Level {
    let failed = marks.status.is_some_and(|status| status.is_server_error());
    let asked_for = marks.code == Some(Code::NotCached);
    let throttled = marks.throttled || marks.code == Some(Code::VendorThrottled);
    if (failed && !asked_for) || marks.broken || throttled { Level::WARN } else { Level::INFO }
}

/// The line with its line feed.
pub(super) fn of(
    form: Form,
    level: Level,
    record: &Record,
    marks: &Marks,
    trace: Option<TraceId>,
) -> Vec<u8> {
    let mut line = match form {
        Form::Json => {
            let line = Line::of(level, record, marks, trace);
            form::tame(serde_json::to_vec(&line).expect("strings and numbers are always JSON"))
        }
        Form::Human { colours } => human(level, colours, record, marks).into_bytes(),
    };
    line.push(b'\n');
    line
}

impl<'a> Line<'a> {
    fn of(level: Level, record: &Record, marks: &'a Marks, trace: Option<TraceId>) -> Self {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let taken = record.started.elapsed();
        Self {
            ts: clock::rfc3339(record.started_at + taken),
            level: level.as_str(),
            target: "access",
            call_id: record.call_id.to_string(),
            request_id: &marks.request_id,
            trace_id: trace.map(|id| id.to_string()),
            tenant: marks.tenant.as_ref().map(|id| id.as_str()),
            app: marks.app.as_ref().map(|id| id.as_str()),
            key_id: marks.key.as_ref().map(|id| id.as_str()),
            connection: marks.connection.as_ref().map(|id| id.as_str()),
            operation: marks.operation.as_ref().map(|row| &*row.id),
            method: method(&marks.method),
            status: marks.status.map(|status| status.as_u16()),
            code: code(marks),
            outcome: marks.outcome.map(|outcome| outcome.as_str()),
            lane: marks.lane.map(|lane| lane.as_str()),
            queue_ms: ms(marks.queued),
            vendor_ms: marks.vendor_time().map(ms),
            total_ms: ms(taken),
            attempts: marks.attempts,
            cache: marks.cached.map(Cached::as_str),
            bytes_in: marks.bytes_in,
            bytes_out: marks.bytes_out,
            sdk: marks.sdk.as_deref(),
        }
    }
}

/// Time, status, method, operation, app, total, queue, cache, code: nothing that a caller wrote.
fn human(level: Level, colours: bool, record: &Record, marks: &Marks) -> String {
    let status = marks.status.map_or_else(|| "---".into(), |status| status.as_u16().to_string());
    let taken = record.started.elapsed();
    format!(
        "{}  {}  {:<7}  {:<26}  {:<14}  {:>8}  queue {:>7}  {:<11}  {}",
        form::time_of_day(record.started_at + taken),
        form::painted(&status, level, colours),
        method(&marks.method),
        marks.operation.as_ref().map_or("-", |row| &*row.id),
        marks.app.as_ref().map_or("-", |id| id.as_str()),
        short(taken),
        short(marks.queued),
        marks.cached.map_or("-", Cached::as_str),
        code(marks),
    )
}

/// A time in at most seven characters.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0..=9_999 => format!("{}ms", time.as_millis()),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}
