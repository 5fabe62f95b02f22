//! What the gateway tells about itself, made from finished records: the stages know none of it.

pub mod explain;
pub mod exposition;
pub mod logs;
pub mod metrics;
pub mod usage;

use std::sync::Arc;

use logs::AccessLog;
use metrics::Metrics;

use crate::record::{Marks, Observer, Record};

/// Turns each finished record into an access line and metrics.
pub struct Telemetry {
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// Where access lines go.
    pub access: AccessLog,
}

impl Observer for Telemetry {
    fn opened(&self) {
        self.metrics.in_flight.inc();
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        self.metrics.in_flight.dec();
        self.metrics.observe(record, marks);
        self.access.write(record, marks);
    }
}

/// Two that each get every record.
pub struct Both<A, B>(pub Arc<A>, pub Arc<B>);

impl<A: Observer, B: Observer> Observer for Both<A, B> {
    fn opened(&self) {
        self.0.opened();
        self.1.opened();
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        self.0.finished(record, marks);
        self.1.finished(record, marks);
    }
}

/// Why a call ended as it did, in one word: a code of the gateway's own, `ok` for an answer of the
/// vendor's that was handed over whole, `client-gone` for a client that did not wait for it.
#[must_use]
pub fn code(marks: &Marks) -> &'static str {
    match (marks.code, marks.complete) {
        (Some(code), _) => code.as_str(),
        (None, true) => "ok",
        (None, false) if marks.broken => "cut",
        (None, false) => "client-gone",
    }
}
