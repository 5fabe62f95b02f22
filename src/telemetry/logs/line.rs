//! The line of a finished call.

use std::time::Duration;

use opentelemetry::trace::TraceId;
use tracing::Level;

use super::form::{self, Form};
use super::member::{LineMember, Millis, Text, Word};
use crate::digits;
use crate::error::Code;
use crate::record::{Breakdown, Cached, Marks, Record};
use crate::telemetry::{code, method};

/// The room for a line at first, in bytes; most lines are shorter.
const USUAL: usize = 768;

/// A call in a few words: method, operation, status. None of them was written by a caller.
struct Said<'a>(&'a Marks);

impl LineMember for Said<'_> {
    fn write(&self, line: &mut Vec<u8>) {
        line.push(b'"');
        line.extend_from_slice(method(&self.0.request.method).as_bytes());
        line.push(b' ');
        match &self.0.operation {
            Some(row) => inside(line, &row.id),
            None => line.push(b'-'),
        }
        line.push(b' ');
        match self.0.status {
            Some(status) => digits::number(line, status.as_u16()),
            None => line.push(b'-'),
        }
        line.push(b'"');
    }
}

/// Appends `text` as a part of a string.
fn inside(line: &mut Vec<u8>, text: &str) {
    let at = line.len();
    Text(text).write(line);
    line.remove(at);
    line.pop();
}

/// Appends the members of an object, each with a comma before it. Their names are known at compile
/// time, so only values are searched for characters to escape.
macro_rules! members {
    ($line:ident, $($name:ident: $value:expr,)*) => {$(
        $line.extend_from_slice(concat!(",\"", stringify!($name), "\":").as_bytes());
        $value.write($line);
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

/// What a line tells of.
pub(super) struct AccessLine<'a> {
    pub(super) level: Level,
    pub(super) record: &'a Record,
    pub(super) marks: &'a Marks,
    pub(super) time: &'a Breakdown,
    pub(super) trace: Option<TraceId>,
}

/// Writes the line, with its line feed, over what `line` holds.
pub(super) fn write(line: &mut Vec<u8>, form: Form, what: &AccessLine<'_>) {
    line.clear();
    match form {
        Form::Json => {
            line.reserve(USUAL);
            json(line, what);
            form::tame(line);
        }
        Form::Human { colours } => *line = human(colours, what).into_bytes(),
    }
    line.push(b'\n');
}

fn json(line: &mut Vec<u8>, what: &AccessLine<'_>) {
    let AccessLine { level, record, marks, time, trace } = *what;
    let taken = marks.ended().saturating_duration_since(record.started);
    let attempts = marks.timeline.attempts();
    let id = marks.request.id.as_deref();
    members! { line,
        ts: record.started_at + taken,
        level: Word(level.as_str()),
        target: Word("access"),
        message: Said(marks),
        call_id: record.call_id,
        request_id: Text(id.unwrap_or(record.call_id.digits().as_str())),
        trace_id: trace,
        tenant: marks.caller.tenant.as_ref().map(|id| Word(id.as_str())),
        app: marks.caller.app.as_ref().map(|id| Word(id.as_str())),
        key_id: marks.caller.key.as_ref().map(|id| Word(id.as_str())),
        key_detail: marks.caller.denied.map(|denied| Word(denied.as_str())),
        connection: marks.caller.connection.as_ref().map(|id| Word(id.as_str())),
        operation: marks.operation.as_ref().map(|row| Text(&row.id)),
        method: Word(method(&marks.request.method)),
        status: marks.status.map(|status| u64::from(status.as_u16())),
        code: Word(code(marks)),
        outcome: marks.outcome.map(|outcome| Word(outcome.as_str())),
        lane: marks.quota.lane.map(|lane| Word(lane.as_str())),
        queue_ms: Millis(time.queue),
        vendor_ms: (attempts > 0).then_some(Millis(time.vendor)),
        total_ms: Millis(time.total()),
        attempts: u64::from(attempts),
        cache: marks.cached.map(|cached| Word(cached.as_str())),
        cache_detail: marks.cached.and_then(Cached::detail).map(Word),
        bytes_in: marks.bytes_in,
        bytes_out: marks.bytes_out,
        sdk: marks.request.sdk.as_ref().map(|sdk| Text(sdk.name())),
    }
    line[0] = b'{';
    line.push(b'}');
}

/// The line for people: time, status, method, operation, app, total, queue, cache, code. It holds
/// nothing that a caller wrote.
fn human(colours: bool, what: &AccessLine<'_>) -> String {
    let AccessLine { level, record, marks, time, .. } = *what;
    let status = marks.status.map_or_else(|| "---".into(), |status| status.as_u16().to_string());
    let taken = marks.ended().saturating_duration_since(record.started);
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
