//! The line of a finished call.

use std::time::Duration;

use opentelemetry::trace::TraceId;
use serde::{Serialize, Serializer};
use tracing::Level;

use super::form::{self, Form};
use crate::clock::Rfc3339;
use crate::error::Code;
use crate::headers::Sdk;
use crate::record::{Cached, Denied, Marks, Record, Unkept};
use crate::telemetry::{code, method};

/// The room for a line at first, in bytes; most lines are shorter.
const USUAL: usize = 768;

/// A value that is written by its `Display`, without a string of its own.
struct Shown<T>(T);

impl<T: std::fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The request's id: the client's own, or else the call's.
struct RequestId<'a>(&'a Record, &'a Marks);

impl std::fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.1.request.id {
            Some(id) => f.write_str(id),
            None => self.0.call_id.fmt(f),
        }
    }
}

/// A call in a few words: method, operation, status. None of them was written by a caller.
struct Said<'a>(&'a Marks);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operation = self.0.operation.as_ref().map_or("-", |row| &*row.id);
        write!(f, "{} {operation} ", method(&self.0.request.method))?;
        match self.0.status {
            Some(status) => write!(f, "{}", status.as_u16()),
            None => f.write_str("-"),
        }
    }
}

/// Appends the members of an object, each with a comma before it. Their names are known at compile
/// time, so only values are searched for characters to escape.
macro_rules! members {
    ($line:ident, $($name:ident: $value:expr,)*) => {$(
        $line.extend_from_slice(concat!(",\"", stringify!($name), "\":").as_bytes());
        serde_json::to_writer(&mut $line, &$value).expect("strings and numbers are always JSON");
    )*};
}

/// A warning for what an operator may have to look at: a 5xx, an answer that was cut, and the
/// vendor's own refusals. All else is information, because it is the caller's business; so is the
/// 504 that `only-if-cached` asked for. That includes the gateway's refusals, which are the quota
/// at work.
pub(super) fn level(marks: &Marks) -> Level {
    let failed = marks.status.is_some_and(|status| status.is_server_error());
    let asked_for = marks.code == Some(Code::NotCached);
    let throttled = marks.quota.throttled || marks.code == Some(Code::VendorThrottled);
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
        Form::Json => form::tame(json(level, record, marks, trace)),
        Form::Human { colours } => human(level, colours, record, marks).into_bytes(),
    };
    line.push(b'\n');
    line
}

fn json(level: Level, record: &Record, marks: &Marks, trace: Option<TraceId>) -> Vec<u8> {
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let taken = marks.ended().saturating_duration_since(record.started);
    let (time, attempts) = (marks.breakdown(record.started), marks.timeline.attempts());
    let mut line = Vec::with_capacity(USUAL);
    members! { line,
        ts: Shown(Rfc3339(record.started_at + taken)),
        level: level.as_str(),
        target: "access",
        message: Shown(Said(marks)),
        call_id: Shown(record.call_id),
        request_id: Shown(RequestId(record, marks)),
        trace_id: trace.map(Shown),
        tenant: marks.caller.tenant.as_ref().map(|id| id.as_str()),
        app: marks.caller.app.as_ref().map(|id| id.as_str()),
        key_id: marks.caller.key.as_ref().map(|id| id.as_str()),
        key_detail: marks.caller.denied.map(Denied::as_str),
        connection: marks.caller.connection.as_ref().map(|id| id.as_str()),
        operation: marks.operation.as_ref().map(|row| &*row.id),
        method: method(&marks.request.method),
        status: marks.status.map(|status| status.as_u16()),
        code: code(marks),
        outcome: marks.outcome.map(|outcome| outcome.as_str()),
        lane: marks.quota.lane.map(|lane| lane.as_str()),
        queue_ms: ms(time.queue),
        vendor_ms: (attempts > 0).then_some(ms(time.vendor)),
        total_ms: ms(time.total()),
        attempts: attempts,
        cache: marks.cached.map(Cached::as_str),
        cache_detail: marks.cached.and_then(Cached::unkept).map(Unkept::as_str),
        bytes_in: marks.bytes_in,
        bytes_out: marks.bytes_out,
        sdk: marks.request.sdk.as_ref().map(Sdk::name),
    }
    line[0] = b'{';
    line.push(b'}');
    line
}

/// The line for people: time, status, method, operation, app, total, queue, cache, code. It holds
/// nothing that a caller wrote.
fn human(level: Level, colours: bool, record: &Record, marks: &Marks) -> String {
    let status = marks.status.map_or_else(|| "---".into(), |status| status.as_u16().to_string());
    let taken = marks.ended().saturating_duration_since(record.started);
    let time = marks.breakdown(record.started);
    format!(
        "{}  {}  {:<7}  {:<26}  {:<14}  {:>8}  queue {:>7}  {:<11}  {}{}",
        form::time_of_day(record.started_at + taken),
        form::painted(&status, level, colours),
        method(&marks.request.method),
        marks.operation.as_ref().map_or("-", |row| &*row.id),
        marks.caller.app.as_ref().map_or("-", |id| id.as_str()),
        short(time.total()),
        short(time.queue),
        marks.cached.map_or("-", Cached::as_str),
        code(marks),
        marks.caller.denied.map_or_else(String::new, |denied| format!(" ({})", denied.as_str())),
    )
}

/// A time in at most seven characters.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0..=9_999 => format!("{}ms", time.as_millis()),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}
