//! What the gateway tells about itself. It is made from finished records; the stages know nothing
//! of it.

pub mod exposition;
pub mod logs;
pub mod metrics;
pub mod traces;

use std::sync::Arc;

use logs::AccessLog;
use metrics::Metrics;
use traces::{Counts, Traces};

use crate::record::{Marks, Observer, Record};

/// Turns each finished record into an access line, metrics and spans.
pub struct Telemetry {
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// Where access lines go.
    pub access: AccessLog,
    /// Where spans go.
    pub traces: Traces,
}

impl Telemetry {
    /// Fresh instruments, lines into `access`, and no traces until a collector is configured.
    #[must_use]
    pub fn new(access: AccessLog) -> Self {
        let metrics = Arc::new(Metrics::default());
        let spans = Counts {
            exported: metrics.spans_exported.clone(),
            dropped: metrics.spans_dropped.clone(),
        };
        Self { metrics, access, traces: Traces::new(spans) }
    }
}

impl Observer for Telemetry {
    fn opened(&self, _: &Arc<Record>) {
        self.metrics.in_flight.inc();
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        self.metrics.in_flight.dec();
        let trace = self.traces.finished(record, marks);
        let time = marks.breakdown(record.started);
        self.metrics.observe(record, marks, &time, trace);
        self.access.write(record, marks, &time, trace);
    }
}

/// Two observers, each of which gets every record.
pub struct Both<A, B>(pub Arc<A>, pub Arc<B>);

impl<A: Observer, B: Observer> Observer for Both<A, B> {
    fn opened(&self, record: &Arc<Record>) {
        self.0.opened(record);
        self.1.opened(record);
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        self.0.finished(record, marks);
        self.1.finished(record, marks);
    }
}

/// The method as telemetry names it. A client may send any word as its method, so only known ones
/// are repeated.
pub(crate) fn method(method: &http::Method) -> &str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    if known.contains(&method.as_str()) { method.as_str() } else { "_OTHER" }
}

/// The ends of a call that have no error code of the gateway's.
pub(crate) const ENDS: [&str; 3] = ["ok", "cut", "client-gone"];

/// Why a call ended as it did, in one word. It is an error code of the gateway's, or one of `ENDS`.
/// `ok` is a vendor's answer that was handed over whole, `cut` one that broke off. With
/// `client-gone` the client did not wait for the answer, or shut its side before it was there.
#[must_use]
pub fn code(marks: &Marks) -> &'static str {
    match (marks.code, marks.complete) {
        (Some(code), _) => code.as_str(),
        (None, true) => "ok",
        (None, false) if marks.broken => "cut",
        (None, false) => "client-gone",
    }
}
