//! The record: what the gateway will say about one call, and how telemetry stays out of the stages.
//!
//! Each call carries one `Arc<Record>`. Layers write marks into it and know nothing of logs,
//! metrics or traces; the answer's body carries it to the end. When the last holder lets go, the
//! [`Observer`] gets it: so a line is written also when the client left, a stage failed or a sent
//! call went on without its caller.

mod cached;
mod context;
mod denied;
pub mod layer;
mod shortage;
mod timeline;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, StatusCode, Version};

use crate::catalog::{Lane, Operation};
use crate::clock::{self, Instant};
use crate::error::{Code, Outcome};
use crate::headers::Sdk;
use crate::ids::{AppId, ConnectionId, KeyId, RandomId, TenantId};
use crate::quota::Would;
pub use cached::{Cached, Forward, Kept, Unkept};
pub use context::{Remote, Sampling, SpanIds, Trace, Trust};
pub use denied::Denied;
pub use shortage::Shortage;
pub use timeline::{Stood, Timeline, Try, Wait};

/// Gets each record once, when its call is over. Must not block.
pub trait Observer: Send + Sync {
    /// A record was opened.
    fn opened(&self) {}

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

/// What the layers noted. `None` and zero mean that the call did not come that far.
#[derive(Debug, Default)]
pub struct Marks {
    /// The client's request id, or the call id.
    pub request_id: String,
    /// The span that the client was in (W3C `traceparent`).
    pub remote: Option<Remote>,
    /// What came with it (W3C `tracestate`).
    pub tracestate: Option<HeaderValue>,
    /// What the client's trace context counts for, once it is known who it is.
    pub trust: Option<Trust>,
    /// The version of HTTP that the request came with.
    pub version: Option<Version>,
    /// The client library.
    pub sdk: Option<Sdk>,
    /// The method as sent.
    pub method: Method,
    /// The tenant of the key.
    pub tenant: Option<TenantId>,
    /// The app of the key.
    pub app: Option<AppId>,
    /// The key, or the id of one that was not taken.
    pub key: Option<KeyId>,
    /// Why no key was taken.
    pub denied: Option<Denied>,
    /// The connection that the call uses.
    pub connection: Option<ConnectionId>,
    /// The operation.
    pub operation: Option<Arc<Operation>>,
    /// The status that the client was given.
    pub status: Option<StatusCode>,
    /// Why the gateway answered by itself.
    pub code: Option<Code>,
    /// What is known of a call that the gateway answered by itself.
    pub outcome: Option<Outcome>,
    /// Tries at the vendor.
    pub attempts: u32,
    /// When the request was there as a whole, its body included.
    pub read_at: Option<Instant>,
    /// When the last attempt was handed to a socket.
    pub sent_at: Option<Instant>,
    /// When the last attempt's answer head came.
    pub first_byte_at: Option<Instant>,
    /// When the answer's head was handed over.
    pub head_at: Option<Instant>,
    /// Octets of the request body.
    pub bytes_in: u64,
    /// Octets of the answer body.
    pub bytes_out: u64,
    /// The queue that the call waited in.
    pub lane: Option<Lane>,
    /// Time in the queue, over all attempts.
    pub queued: Duration,
    /// Each wait and each try.
    pub timeline: Timeline,
    /// In shadow mode: what the quota would have done.
    pub would: Option<Would>,
    /// The vendor refused the call for its own quota.
    pub throttled: bool,
    /// What the gateway had too little of to send the call, in the last attempt.
    pub shortage: Option<Shortage>,
    /// What the call taught of the connection's token.
    pub token: Option<TokenNews>,
    /// What the cache did for it, on a row that is cached or shared.
    pub cached: Option<Cached>,
    /// When it did.
    pub cached_at: Option<Instant>,
    /// It cleared what is kept of the collections that it changes.
    pub clears: bool,
    /// The key under which the call is one send.
    pub key_use: Option<KeyUse>,
    /// The answer was given before, under the same key.
    pub replayed: bool,
    /// The answer's body was handed over to its end.
    pub complete: bool,
    /// When the record was let go.
    pub ended_at: Option<Instant>,
    /// The answer's body ended in an error of the vendor's side.
    pub broken: bool,
}

/// What a call taught of a connection's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// The vendor refuses it, and its source has no other.
    Refused,
    /// The vendor refuses it, and its source has another one, which is used from now on.
    Replaced,
    /// The vendor refuses one that was found in its file: the one before is used again.
    GivenUp,
    /// The vendor took one that was found in its file, for the first time.
    Proven,
}

/// Where the key of a call is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// The client gave it.
    Given,
    /// The gateway made it.
    Made,
    /// The gateway made it for an earlier request, which an SDK repeats.
    Recognised,
}

impl KeyUse {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Given, Self::Made, Self::Recognised];

    /// The word in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Made => "made",
            Self::Recognised => "recognised",
        }
    }
}

impl Record {
    /// Opens the record of a call whose head has just been read.
    #[must_use]
    pub fn open(observer: Arc<dyn Observer>) -> Arc<Self> {
        observer.opened();
        let (call_id, more) = RandomId::with_more();
        Arc::new(Self {
            call_id,
            spans: SpanIds::new(more),
            started: Instant::now(),
            started_at: clock::wall(),
            marks: Mutex::default(),
            observer,
        })
    }

    /// Writes marks.
    pub fn mark(&self, write: impl FnOnce(&mut Marks)) {
        write(&mut self.marks());
    }

    /// Reads marks.
    pub fn read<T>(&self, read: impl FnOnce(&Marks) -> T) -> T {
        read(&self.marks())
    }

    /// An attempt is being handed to a socket: from here on the vendor may be working.
    pub fn sending(&self) {
        let now = Instant::now();
        self.mark(|marks| {
            marks.attempts += 1;
            marks.sent_at = Some(now);
            marks.timeline.try_sent(Some(now));
        });
    }

    /// The cache did something for the call.
    pub fn cached(&self, cached: Cached) {
        let now = Instant::now();
        self.mark(|marks| (marks.cached, marks.cached_at) = (Some(cached), Some(now)));
    }

    /// The transport proved that nothing of the last attempt left the gateway.
    pub fn not_sent(&self) {
        self.mark(|marks| {
            marks.attempts = marks.attempts.saturating_sub(1);
            marks.sent_at = None;
            marks.timeline.try_sent(None);
        });
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// When the call was over; now, if it is not.
    #[must_use]
    pub fn ended(&self) -> Instant {
        self.ended_at.unwrap_or_else(Instant::now)
    }

    /// Time from handing the last attempt to a socket until its answer head.
    #[must_use]
    pub fn vendor_time(&self) -> Option<Duration> {
        Some(self.first_byte_at?.saturating_duration_since(self.sent_at?))
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
mod tests {
    use super::*;

    struct Seen(Mutex<Vec<u32>>);

    impl Observer for Seen {
        fn finished(&self, _: &Record, marks: &Marks) {
            self.0.lock().unwrap().push(marks.attempts);
        }
    }

    #[test]
    fn the_observer_gets_a_record_once_when_its_last_holder_lets_go() {
        let seen = Arc::new(Seen(Mutex::default()));
        let record = Record::open(seen.clone());
        let flight = record.clone();
        flight.sending();
        drop(record);
        assert!(seen.0.lock().unwrap().is_empty());
        drop(flight);
        assert_eq!(*seen.0.lock().unwrap(), [1]);
    }

    #[test]
    fn an_attempt_that_was_given_back_is_none() {
        let record = Record::open(Arc::new(Seen(Mutex::default())));
        record.sending();
        record.not_sent();
        assert_eq!(record.read(|marks| marks.attempts), 0);
    }
}
