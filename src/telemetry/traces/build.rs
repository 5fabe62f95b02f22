//! The spans of one finished call.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::SystemTime;

use http::{StatusCode, Version};
use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::Rules;
use super::table::{self, SCHEMA_URL, SpanPart};
use crate::clock::Instant;
use crate::record::{Cached, KeyUse, Marks, Record, Trace, Try, Wait};
use crate::telemetry::{code, method};

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("tollgate")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
});

/// All that the spans of one call are made from.
struct Call<'a> {
    record: &'a Record,
    marks: &'a Marks,
    trace: &'a Trace,
    rules: &'a Rules,
    end: Instant,
}

/// The call's span, then its waits, then its attempts.
pub(super) fn spans(
    record: &Record,
    marks: &Marks,
    trace: &Trace,
    rules: &Rules,
    end: Instant,
) -> Vec<SpanData> {
    let call = Call { record, marks, trace, rules, end };
    let (waits, tries) = (marks.timeline.waits().iter(), marks.timeline.tries().iter());
    let waits = waits.enumerate().map(|(n, wait)| call.wait(n, wait));
    let tries = tries.enumerate().map(|(n, attempt)| call.attempt(n, attempt));
    [call.whole()].into_iter().chain(waits).chain(tries).collect()
}

impl Call<'_> {
    fn whole(&self) -> SpanData {
        let marks = self.marks;
        let mut span = self.span(self.record.spans.call(), SpanKind::Server, self.name());
        span.parent_span_id = self.trace.parent.map_or(SpanId::INVALID, |parent| parent.span);
        span.parent_span_is_remote = self.trace.parent.is_some();
        if let Some(link) = self.trace.link {
            let flags = TraceFlags::default().with_sampled(link.sampled);
            let context =
                SpanContext::new(link.trace, link.span, flags, true, TraceState::default());
            span.links.links.push(Link::with_context(context));
        }
        span.attributes = self.call_attributes();
        let error = match (marks.status, marks.code) {
            _ if marks.broken => Some("cut".into()),
            (Some(status), Some(code)) if status.is_server_error() => Some(code.as_str().into()),
            (Some(status), None) if status.is_server_error() => Some(number(status)),
            _ => None,
        };
        failed(&mut span, error);
        if let (Some(cached), Some(at)) = (marks.cached, marks.timeline.cached_at()) {
            let age = cached.age().map(|age| table::AGE.is(age.as_secs_f64()));
            let what = [table::CACHE.is(cached.as_str())].into_iter().chain(age).collect();
            span.events.events.push(Event::new(SpanPart::Cache.name(), self.wall(at), what, 0));
        }
        span
    }

    fn call_attributes(&self) -> Vec<KeyValue> {
        let marks = self.marks;
        let row = marks.operation.as_ref();
        let always = [
            table::METHOD.is(word(method(&marks.request.method))),
            table::SCHEME.is(self.rules.scheme),
            table::CALL_ID.is(self.record.call_id.to_string()),
            table::CODE.is(code(marks)),
            table::ATTEMPTS.is(i64::from(marks.timeline.attempts())),
        ];
        let known = [
            marks.request.version.and_then(version).map(|text| table::PROTOCOL.is(text)),
            row.map(|row| table::ROUTE.is(row.path.clone())),
            row.map(|row| table::OPERATION.is(row.id.clone())),
            marks.status.map(|status| table::STATUS.is(i64::from(status.as_u16()))),
            marks.caller.tenant.as_ref().map(|id| table::TENANT.is(id.as_str().to_owned())),
            marks.caller.app.as_ref().map(|id| table::APP.is(id.as_str().to_owned())),
            marks.caller.connection.as_ref().map(|id| table::CONNECTION.is(id.as_str().to_owned())),
            marks.outcome.map(|outcome| table::OUTCOME.is(outcome.as_str())),
            marks.key_use.map(|key| table::KEY_USE.is(KeyUse::as_str(key))),
            marks.replayed.then(|| table::REPLAYED.is(true)),
            marks.quota.lane.map(|lane| table::LANE.is(lane.as_str())),
            marks.cached.map(|cached| table::CACHE.is(Cached::as_str(cached))),
        ];
        let times = marks.breakdown(self.record.started);
        let times = times.told().map(|(word, time)| table::time(word).is(time.as_secs_f64()));
        always.into_iter().chain(known.into_iter().flatten()).chain(times).collect()
    }

    fn wait(&self, n: usize, wait: &Wait) -> SpanData {
        let name = SpanPart::Wait.name().into();
        let mut span = self.span(self.record.spans.wait(n), SpanKind::Internal, name);
        span.parent_span_id = self.record.spans.call();
        (span.start_time, span.end_time) = (self.wall(wait.entered), self.wall(wait.left));
        let lane = self.marks.quota.lane.map(|lane| table::LANE.is(lane.as_str()));
        let rule = wait.refused.map(|rule| table::REFUSED.is(rule.code()));
        span.attributes = lane.into_iter().chain(rule).collect();
        span
    }

    fn attempt(&self, n: usize, attempt: &Try) -> SpanData {
        let mut span = self.span(self.record.spans.attempt(n), SpanKind::Client, self.name());
        span.parent_span_id = self.record.spans.call();
        span.start_time = self.wall(attempt.began);
        span.end_time = self.wall(attempt.ended.unwrap_or(self.end));
        let marks = self.marks;
        let place = marks.caller.connection.as_ref().and_then(|id| self.rules.hosts.get(id));
        let known = [
            Some(table::METHOD.is(word(method(&marks.request.method)))),
            marks.operation.as_ref().map(|row| table::TEMPLATE.is(row.path.clone())),
            place.map(|(host, _)| table::HOST.is(host.clone())),
            place.map(|(_, port)| table::PORT.is(i64::from(*port))),
            attempt.status.map(|status| table::STATUS.is(i64::from(status.as_u16()))),
            i64::try_from(n).ok().filter(|n| *n > 0).map(|n| table::RESENT.is(n)),
        ];
        span.attributes = known.into_iter().flatten().collect();
        let bad = attempt.status.filter(|s| s.is_client_error() || s.is_server_error());
        let error = match (attempt.code, attempt.ended) {
            (Some(code), _) => Some(code.as_str().into()),
            (None, None) => Some("abandoned".into()),
            (None, Some(_)) => bad.map(number),
        };
        failed(&mut span, error);
        if let Some(sent) = attempt.sent {
            let event = Event::new(SpanPart::Sent.name(), self.wall(sent), Vec::new(), 0);
            span.events.events.push(event);
        }
        span
    }

    /// A span over the whole call.
    fn span(&self, id: SpanId, kind: SpanKind, name: Cow<'static, str>) -> SpanData {
        let state = self.marks.trace.state();
        SpanData {
            span_context: SpanContext::new(self.trace.id, id, TraceFlags::SAMPLED, false, state),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: kind,
            name,
            start_time: self.record.started_at,
            end_time: self.wall(self.end),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: SCOPE.clone(),
        }
    }

    /// The span's name. The conventions ask for `HTTP` if the method is unknown.
    fn name(&self) -> Cow<'static, str> {
        let method = match method(&self.marks.request.method) {
            "_OTHER" => "HTTP",
            known => known,
        };
        match &self.marks.operation {
            Some(row) => format!("{method} {}", row.path).into(),
            None => method.to_owned().into(),
        }
    }

    /// Wall time, by the pair of clock readings at the call's start. So later steps of the wall
    /// clock distort no span.
    fn wall(&self, at: Instant) -> SystemTime {
        self.record.started_at + at.saturating_duration_since(self.record.started)
    }
}

fn failed(span: &mut SpanData, error: Option<Cow<'static, str>>) {
    if let Some(error) = error {
        span.attributes.push(table::ERROR.is(error));
        span.status = Status::error("");
    }
}

fn word(known: &str) -> String {
    known.to_owned()
}

fn number(status: StatusCode) -> Cow<'static, str> {
    status.as_str().to_owned().into()
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}
