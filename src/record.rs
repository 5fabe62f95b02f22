//! The record: what the gateway will say about one call, and how telemetry stays out of the stages.
//!
//! Each call carries one `Arc<Record>`. Layers write marks into it and know nothing of logs,
//! metrics or traces; the answer's body carries it to the end. When the last holder lets go, the
//! [`Observer`] gets it: so a line is written also when the client left, a stage failed or a sent
//! call went on without its caller.

mod breakdown;
mod cached;
mod context;
mod denied;
pub mod layer;
mod marks;
mod shortage;
mod steps;
mod timeline;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::{self, Instant};
use crate::ids::RandomId;
pub use breakdown::Breakdown;
pub use cached::{Cached, Forward, Kept, Unkept};
pub use context::{ClientTrace, Remote, Sampling, SpanIds, Trace, Trust};
pub use denied::Denied;
pub use marks::{CallerMarks, KeyUse, Marks, QuotaMarks, RequestMarks, TokenNews};
pub use shortage::Shortage;
pub use steps::Steps;
pub use timeline::{Step, Stood, Timeline, Try, Wait};

/// The whole microseconds from `started` to `at`. All times are cut in this way before they are
/// subtracted: so sums of parts are exact.
#[must_use]
pub fn micros(started: Instant, at: Instant) -> Duration {
    let passed = at.saturating_duration_since(started);
    passed - Duration::from_nanos((passed.subsec_nanos() % 1000).into())
}

/// Gets each record once, when its call is over. Must not block.
pub trait Observer: Send + Sync {
    /// `record` was opened.
    fn opened(&self, _record: &Arc<Record>) {}

    /// `record` has no holder left.
    fn finished(&self, record: &Record, marks: &Marks);
}

/// One call, from the first look at its head until its last octet or the end of its flight.
pub struct Record {
    /// The gateway's own name for the call.
    pub call_id: RandomId,
    /// When the head was there.
    pub started: Instant,
    /// The same on the wall clock.
    pub started_at: SystemTime,
    /// The ids of its spans, whether or not they will be kept.
    pub spans: SpanIds,
    /// std, not tokio: each section is a few assignments and never awaits.
    marks: Mutex<Marks>,
    observer: Arc<dyn Observer>,
}

impl Record {
    /// Opens the record of a call whose head has just been read.
    #[must_use]
    pub fn open(observer: Arc<dyn Observer>) -> Arc<Self> {
        let (call_id, more) = RandomId::with_more();
        let record = Arc::new(Self {
            call_id,
            spans: SpanIds::new(more),
            started: Instant::now(),
            started_at: clock::wall(),
            marks: Mutex::default(),
            observer,
        });
        record.observer.opened(&record);
        record
    }

    /// Writes marks.
    pub fn mark<T>(&self, write: impl FnOnce(&mut Marks) -> T) -> T {
        write(&mut self.marks())
    }

    /// Reads marks.
    pub fn read<T>(&self, read: impl FnOnce(&Marks) -> T) -> T {
        read(&self.marks())
    }

    /// An attempt is being handed to a socket: from here on the vendor may be working.
    pub fn sending(&self) {
        let now = Instant::now();
        self.mark(|marks| marks.timeline.try_sent(Some(now)));
    }

    /// The cache did something for the call.
    pub fn cached(&self, cached: Cached) {
        let now = Instant::now();
        self.mark(|marks| {
            marks.cached = Some(cached);
            marks.timeline.cache_decided(now);
        });
    }

    /// The transport proved that nothing of the last attempt left the gateway.
    pub fn not_sent(&self) {
        self.mark(|marks| marks.timeline.try_sent(None));
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut marks = std::mem::take(&mut *self.marks());
        marks.ended_at = Some(Instant::now());
        self.observer.finished(self, &marks);
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({})", self.call_id)
    }
}

#[cfg(test)]
mod tests;
