//! Logs: JSON lines on standard output, written by a thread of their own. A reader that does not
//! keep up costs lines, which are counted, never a call.

use std::sync::Arc;

use serde::Serialize;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use super::code;
use crate::clock;
use crate::record::{Cached, Marks, Record};

/// Lines that wait for the writer thread.
const LINES_WAITING: usize = 16_384;

/// Where access lines go.
#[derive(Clone)]
pub struct AccessLog {
    write: Arc<dyn Fn(Vec<u8>) + Send + Sync>,
    dropped: Option<ErrorCounter>,
}

/// The log of the process; the last lines are written when it is dropped.
pub struct Logs {
    writer: NonBlocking,
    _flush: WorkerGuard,
}

/// One call in the access log.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    level: &'a str,
    target: &'a str,
    call_id: String,
    request_id: &'a str,
    trace_id: Option<&'a str>,
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

impl Logs {
    /// Starts the writer thread and makes it the place where `tracing` events go. `RUST_LOG`
    /// chooses levels; `info` is the default.
    #[must_use]
    pub fn start() -> Self {
        let (writer, flush) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES_WAITING)
            .finish(std::io::stdout());
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_env_filter(filter)
            .with_writer(writer.clone());
        // A second start in one process (tests) keeps the first subscriber.
        let _ = subscriber.try_init();
        Self { writer, _flush: flush }
    }

    /// Access lines into the same output.
    #[must_use]
    pub fn access(&self) -> AccessLog {
        let writer = self.writer.clone();
        let write = move |line: Vec<u8>| {
            // Never fails: what finds no place is dropped and counted.
            let _ = std::io::Write::write(&mut writer.clone(), &line);
        };
        AccessLog { write: Arc::new(write), dropped: Some(self.writer.error_counter()) }
    }
}

impl AccessLog {
    /// Gives each line, with its line feed, to `write`, which must not block.
    pub fn new(write: impl Fn(Vec<u8>) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write), dropped: None }
    }

    /// No access log.
    #[must_use]
    pub fn none() -> Self {
        Self::new(drop)
    }

    /// Lines that found no place so far, of this log and of the process's own events.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.as_ref().map_or(0, |count| count.dropped_lines() as u64)
    }

    /// Writes the line of a finished call.
    pub fn write(&self, record: &Record, marks: &Marks) {
        let mut line = serde_json::to_vec(&Line::of(record, marks)).unwrap_or_default();
        line.push(b'\n');
        (self.write)(line);
    }
}

impl<'a> Line<'a> {
    fn of(record: &Record, marks: &'a Marks) -> Self {
        let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            ts: clock::rfc3339(clock::wall()),
            level: "INFO",
            target: "access",
            call_id: record.call_id.to_string(),
            request_id: &marks.request_id,
            trace_id: marks.trace_id.as_deref(),
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
            total_ms: ms(record.started.elapsed()),
            attempts: marks.attempts,
            cache: marks.cached.map(Cached::as_str),
            bytes_in: marks.bytes_in,
            bytes_out: marks.bytes_out,
            sdk: marks.sdk.as_deref(),
        }
    }
}

/// A client may send any word as its method: only the known ones are repeated.
fn method(method: &http::Method) -> &str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    if known.contains(&method.as_str()) { method.as_str() } else { "_OTHER" }
}
