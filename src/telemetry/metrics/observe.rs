//! A finished call becomes counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use opentelemetry::trace::TraceId;

use super::handles::{CLASSES, HandleRow, OfOperation, resolved};
use super::labels::{Example, Labels, Value};
use super::{Metrics, Seconds};
use crate::catalog::{CONNECTION_POOL, Operation};
use crate::clock::Instant;
use crate::error::Code;
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::quota::Would;
use crate::record::{Breakdown, Cached, Forward, Kept, KeyUse, Marks, Record, TokenNews, Try};
use crate::telemetry::code;

/// The label of a call without an operation: it was refused before the route was known.
const NO_OPERATION: &str = "none";

impl Metrics {
    /// The token of `connection` was loaded.
    pub fn token_loaded(&self, connection: &ConnectionId) {
        if let Some(handles) = self.handles.connections.known(connection) {
            handles.token_refused.store(false, Ordering::Relaxed);
        }
    }

    /// What the cache did for the calls of each operation since the start: the counts of
    /// [`Cached::WORDS`].
    #[must_use]
    pub fn cached(&self) -> Vec<(Arc<str>, [u64; Cached::WORDS.len()])> {
        let mut all = Vec::new();
        self.handles.operations.each(|id, handles| {
            let mut counts = [0; Cached::WORDS.len()];
            for (count, counter) in counts.iter_mut().zip(&handles.cache.0) {
                *count = counter.get().map_or(0, prometheus_client::metrics::counter::Counter::get);
            }
            if counts.iter().any(|count| *count > 0) {
                all.push((id.clone(), counts));
            }
        });
        all.sort();
        all
    }

    /// Whether the vendor refused the token of `connection` the last time.
    #[must_use]
    pub fn token_refused(&self, connection: &ConnectionId) -> bool {
        let handles = self.handles.connections.known(connection);
        handles.is_some_and(|known| known.token_refused.load(Ordering::Relaxed))
    }

    /// Shows whether the vendor takes the token of each of `connections`.
    pub fn show_tokens<'a>(&self, connections: impl Iterator<Item = &'a ConnectionId>) {
        self.token_good.clear();
        for connection in connections {
            let good = !self.token_refused(connection);
            self.token_good.get_or_create(&Labels([of(connection)])).set(good.into());
        }
    }

    /// Counts a finished call, whose parts took `time` and which can be found in `trace`.
    pub fn observe(
        &self,
        record: &Record,
        marks: &Marks,
        time: &Breakdown,
        trace: Option<TraceId>,
    ) {
        let call = Seen::of(record, marks, *time, trace);
        let id = marks.operation.as_ref().map(|row| &row.id);
        let key = || id.map_or(NO_OPERATION.into(), Arc::clone);
        let handles = self.handles.operations.get(id.map_or(NO_OPERATION, |id| id), key);
        self.observe_call(&call, &handles);
        self.observe_cache(&call, &handles);
        if let (Some(tenant), Some(app)) = (&marks.caller.tenant, &marks.caller.app) {
            self.observe_app(&call, &(tenant.clone(), app.clone()));
        }
        if let Some(connection) = &marks.caller.connection {
            self.observe_connection(&call, connection);
        }
        if let Some(denied) = marks.caller.denied {
            let reason = ("reason", Value::Word(denied.as_str()));
            self.keys_refused.get_or_create(&Labels([reason])).inc();
        }
        let replayed = marks.replayed.then_some("replayed");
        for outcome in marks.key_use.map(KeyUse::as_str).into_iter().chain(replayed) {
            self.keys.get_or_create(&Labels([("outcome", Value::Word(outcome))])).inc();
        }
    }

    fn observe_call(&self, call: &Seen<'_>, handles: &OfOperation) {
        let class = class(call.marks.status);
        let (number, word) = (code_number(call.marks), code(call.marks));
        let labels = || [call.operation(), of_class(class), ("code", Value::Word(word))];
        let requests = handles.requests.0[class].get_or_init(HandleRow::default);
        resolved(&requests.0[number], &self.requests, labels).inc();
        let labels = || [call.operation(), of_class(class)];
        let server = resolved(&handles.server.0[class], &self.server_duration, labels);
        call.observe(server, call.time.total());
        if call.attempts > 0 {
            let attempts = resolved(&handles.attempts, &self.attempts, || [call.operation()]);
            attempts.inc_by(call.attempts.into());
        }
        for (took, class) in call.tries() {
            let labels = || [call.operation(), of_class(class)];
            call.observe(resolved(&handles.client.0[class], &self.client_duration, labels), took);
        }
        let octets = [("in", call.marks.bytes_in), ("out", call.marks.bytes_out)];
        for (slot, (word, octets)) in self.handles.octets.0.iter().zip(octets) {
            let labels = || [("direction", Value::Word(word))];
            resolved(slot, &self.body_bytes, labels).inc_by(octets);
        }
    }

    fn observe_app(&self, call: &Seen<'_>, app: &(TenantId, AppId)) {
        let apps = self.handles.apps.load();
        let app = apps.get(app).map_or(&self.handles.others, |app| app);
        let labels = || {
            let Labels([tenant, app]) = app.labels();
            [tenant, app, ("code", Value::Word(code(call.marks)))]
        };
        resolved(&app.codes.0[code_number(call.marks)], &self.app_requests, labels).inc();
    }

    /// What the call did on its connection: waits, attempts, refusals, the token.
    fn observe_connection(&self, call: &Seen<'_>, id: &ConnectionId) {
        let (marks, handles) = (call.marks, self.handles.connections.get(id, || id.clone()));
        if let Some(lane) = marks.quota.lane {
            let labels = || [of(id), ("lane", Value::Word(lane.as_str()))];
            let wait = resolved(&handles.waits.0[lane.index()], &self.queue_wait, labels);
            call.observe(wait, call.time.queue);
        }
        for (_, class) in call.tries() {
            let labels = || [of(id), of_class(class)];
            resolved(&handles.answers.0[class], &self.answers, labels).inc();
        }
        let tries = marks.timeline.tries();
        for before in tries.iter().take(tries.len().saturating_sub(1)) {
            let reason = ("reason", Value::Word(reason(before)));
            self.retries.get_or_create(&Labels([of(id), reason])).inc();
        }
        if tries.last().is_some_and(|last| last.status.is_some()) {
            let refused = marks.token == Some(TokenNews::Refused);
            handles.token_refused.store(refused, Ordering::Relaxed);
        }
        if marks.token == Some(TokenNews::Replaced) {
            self.token_replaced.get_or_create(&Labels([of(id)])).inc();
        }
        if marks.quota.throttled {
            self.throttled.get_or_create(&Labels([of(id)])).inc();
        }
        if let Some(shortage) = marks.shortage {
            let reason = ("reason", Value::Word(shortage.as_str()));
            self.shortages.get_or_create(&Labels([of(id), reason])).inc();
        }
        match marks.code {
            Some(Code::VendorCredentialRejected) => {
                self.rejected.get_or_create(&Labels([of(id)])).inc();
            }
            Some(code) if is_rule(code) => {
                let labels = || [of(id), ("rule", Value::Word(code.as_str()))];
                resolved(&handles.refusals.0[code as usize], &self.refusals, labels).inc();
            }
            _ => {}
        }
        let would = match marks.quota.would {
            None | Some(Would::Start) => None,
            Some(Would::Wait(_)) => Some("wait"),
            Some(Would::Refuse(rule)) => Some(rule.code()),
        };
        if let Some(outcome) = would {
            let outcome = ("outcome", Value::Word(outcome));
            self.shadow.get_or_create(&Labels([of(id), outcome])).inc();
        }
    }

    fn observe_cache(&self, call: &Seen<'_>, handles: &OfOperation) {
        if call.marks.clears {
            self.cleared.get_or_create(&Labels([call.operation()])).inc();
        }
        if call.marks.untold {
            self.untold.get_or_create(&Labels([call.operation()])).inc();
        }
        let Some(cached) = call.marks.cached else { return };
        if let Cached::Missed { why: Forward::Unconfirmed, .. } = cached {
            self.unconfirmed.get_or_create(&Labels([call.operation()])).inc();
        }
        let labels = || [call.operation(), ("outcome", Value::Word(cached.as_str()))];
        resolved(&handles.cache.0[outcome_number(cached)], &self.cache, labels).inc();
        let saves = cached.saves_quota() && call.attempts == 0;
        if let Some(row) = call.marks.operation.as_ref().filter(|_| saves) {
            let saved = resolved(&handles.saved, &self.quota_saved, || [call.operation()]);
            saved.inc_by(slots(row).into());
        }
    }
}

/// A finished call, and what makes it an example.
struct Seen<'a> {
    marks: &'a Marks,
    started: Instant,
    time: Breakdown,
    attempts: u32,
    example: Example,
    ended_at: SystemTime,
}

impl<'a> Seen<'a> {
    fn of(record: &Record, marks: &'a Marks, time: Breakdown, trace: Option<TraceId>) -> Self {
        let started = record.started;
        Self {
            marks,
            started,
            time,
            attempts: marks.timeline.attempts(),
            example: Example::of(record, trace),
            ended_at: record.started_at + marks.ended().saturating_duration_since(started),
        }
    }

    fn operation(&self) -> (&'static str, Value) {
        let id = self.marks.operation.as_ref().map(|row| row.id.clone());
        ("operation", id.map_or(Value::Word(NO_OPERATION), Value::Id))
    }

    /// The attempts that were sent: how long each took, and the class of its answer.
    fn tries(&self) -> impl Iterator<Item = (Duration, usize)> + use<'a> {
        let answers = self.marks.timeline.answers(self.started);
        answers.map(|(one, took)| (took, class(one.status)))
    }

    fn observe(&self, histogram: &Seconds, time: Duration) {
        histogram.observe(time.as_secs_f64(), Some(self.example), Some(self.ended_at));
    }
}

/// The slots of its connection's pool that a call of `row` takes.
fn slots(row: &Operation) -> u32 {
    row.pools.get(CONNECTION_POOL).copied().unwrap_or(0)
}

/// The label of a connection.
#[must_use]
pub fn of(connection: &ConnectionId) -> (&'static str, Value) {
    ("connection", Value::id(connection.as_str()))
}

/// Seconds since 1970.
#[must_use]
pub fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn of_class(class: usize) -> (&'static str, Value) {
    ("status_class", Value::Word(CLASSES[class]))
}

fn class(status: Option<StatusCode>) -> usize {
    status.map_or(0, |status| usize::from(status.as_u16() / 100)).min(CLASSES.len() - 1)
}

/// The index of [`code`] among all codes.
fn code_number(marks: &Marks) -> usize {
    let ours = Code::ALL.len();
    match (marks.code, marks.complete) {
        (Some(code), _) => code as usize,
        (None, true) => ours,
        (None, false) if marks.broken => ours + 1,
        (None, false) => ours + 2,
    }
}

const fn outcome_number(cached: Cached) -> usize {
    match cached {
        Cached::Hit { .. } => 0,
        Cached::Stale { .. } => 1,
        Cached::Shared => 2,
        Cached::Revalidated => 3,
        Cached::Missed { kept: Kept::Stored, .. } => 4,
        Cached::Missed { why: Forward::Bypass, .. } => 5,
        Cached::Missed { .. } => 6,
    }
}

/// The values of [`reason`].
pub(super) const REASONS: [&str; 6] =
    ["throttled", "conflict", "token", "server-error", "no-answer", "not-sent"];

/// Why there was another attempt after this one.
fn reason(one: &Try) -> &'static str {
    match one.status.map(|status| status.as_u16()) {
        Some(429) => "throttled",
        Some(409) => "conflict",
        Some(401 | 403) => "token",
        Some(_) => "server-error",
        None if one.sent.is_some() => "no-answer",
        None => "not-sent",
    }
}

/// True for a code by which the quota refuses.
#[must_use]
pub const fn is_rule(code: Code) -> bool {
    matches!(
        code,
        Code::QuotaExhausted
            | Code::QueueFull
            | Code::DeadlineTooNear
            | Code::VendorThrottled
            | Code::AppLimited
            | Code::AppPaused
            | Code::LedgerAway
    )
}
