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

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, StatusCode, Version};

use crate::catalog::{Lane, Operation};
use crate::clock::{self, Instant};
use crate::error::{Code, Outcome};
use crate::headers::Sdk;
use crate::ids::{AppId, ConnectionId, KeyId, RandomId, TenantId};
use crate::quota::Would;
use crate::waiter::{Hears, Waiter};
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

/// Is told what a client got of an answer. Must not block.
pub trait Acceptance: Send + Sync + std::fmt::Debug {
    /// It was given a good one whole; perhaps said more than once.
    fn accepted(&self);
    /// It heard of none, though the vendor may have acted; said once, and of a client that left at
    /// once, though its call may go on.
    fn doubted(&self);
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
    /// Who waits for its answer, where the server has told.
    told: Option<Arc<Waiter>>,
    /// The same where it has not.
    untold: Waiter,
    /// The same send is under way, or was, under another record.
    shared: AtomicBool,
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
    /// The vendor refused the connection's token, and its source has no other; true when this call found
    /// another one there.
    pub token_refused: Option<bool>,
    /// What the cache did for it, on a row that is cached or shared.
    pub cached: Option<Cached>,
    /// When it did.
    pub cached_at: Option<Instant>,
    /// It cleared what is kept of the collections that it changes.
    pub clears: bool,
    /// What the caller is told of its quota: `RateLimit-Policy` and `RateLimit`.
    pub rate_limit: Option<(HeaderValue, HeaderValue)>,
    /// `X-Stainless-Retry-Count`: how often the SDK has sent this before.
    pub sdk_retry: Option<u32>,
    /// The key under which the call is one send.
    pub key_use: Option<KeyUse>,
    /// The answer was given before, under the same key.
    pub replayed: bool,
    /// Who is told whether a good answer was handed over whole.
    pub acceptance: Option<Arc<dyn Acceptance>>,
    /// The answer's body was handed over to its end.
    pub complete: bool,
    /// When the record was let go.
    pub ended_at: Option<Instant>,
    /// The answer's body ended in an error of the vendor's side.
    pub broken: bool,
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
        Self::open_for(None, observer)
    }

    /// The same for a waiter of whom the server has `told`.
    #[must_use]
    pub fn open_for(told: Option<Arc<Waiter>>, observer: Arc<dyn Observer>) -> Arc<Self> {
        observer.opened();
        let (call_id, more) = RandomId::with_more();
        let record = Arc::new(Self {
            call_id,
            spans: SpanIds::new(more),
            started: Instant::now(),
            started_at: clock::wall(),
            told,
            untold: Waiter::default(),
            shared: AtomicBool::new(false),
            marks: Mutex::default(),
            observer,
        });
        if let Some(told) = &record.told {
            let weak = Arc::downgrade(&record);
            told.heard_by(weak);
        }
        record
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
        self.waiter().sending();
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

    /// The transport proved that nothing of the last attempt left the gateway. What earlier
    /// attempts did stays as unknown as it was.
    pub fn not_sent(&self) {
        self.not_done();
        self.mark(|marks| {
            marks.attempts = marks.attempts.saturating_sub(1);
            marks.sent_at = None;
            marks.timeline.try_sent(None);
        });
    }

    /// The vendor's answer proved that it did nothing for the last attempt.
    pub fn not_done(&self) {
        self.waiter().not_done();
    }

    /// `acceptance` is told what the client gets; at once, if it has left by now.
    pub fn tells(&self, acceptance: Arc<dyn Acceptance>) {
        self.mark(|marks| marks.acceptance = Some(acceptance));
        if self.client_left() {
            self.mark(Marks::doubted);
        }
    }

    /// From here on, until `false`, the fate of this call is that of another one's send.
    pub fn share(&self, shared: bool) {
        self.shared.store(shared, Ordering::Release);
    }

    /// Attempts of this call that the vendor may have acted on.
    #[must_use]
    pub fn maybe_done(&self) -> u32 {
        self.waiter().sent()
    }

    /// True when the vendor may have acted on an attempt of this call.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.waiter().sent() > 0
    }

    /// True when the client shut its side before it was answered. Whether it is there to read its
    /// answer nobody can tell: that is not handed over.
    #[must_use]
    pub fn client_left(&self) -> bool {
        self.waiter().left()
    }

    /// What is known when the call ends without the vendor's answer.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.was_sent() || self.shared.load(Ordering::Acquire) {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        }
    }

    /// Sees to it that a client that has left by now counts as such, and is heard of.
    pub fn look_for_client(&self) {
        self.waiter().look();
    }

    fn waiter(&self) -> &Waiter {
        self.told.as_deref().unwrap_or(&self.untold)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hears for Record {
    /// Not at the call's end: a retry may come while the call goes on.
    fn client_leaves(&self) {
        self.mark(|marks| {
            if !marks.complete {
                marks.doubted();
            }
        });
    }
}

impl Marks {
    /// The answer was handed over to its end.
    pub fn completed(&mut self) {
        self.complete = true;
        let good = self.status.is_some_and(|status| status.is_success());
        if let Some(acceptance) = self.acceptance.as_ref().filter(|_| good) {
            acceptance.accepted();
        }
    }

    /// The client hears that the call failed, or has left.
    pub fn doubted(&mut self) {
        if let Some(acceptance) = self.acceptance.take() {
            acceptance.doubted();
        }
    }

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
    use std::sync::atomic::AtomicU32;

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
        assert_eq!(record.outcome(), Outcome::NotSent);
        record.sending();
        assert_eq!(record.outcome(), Outcome::Unknown);
        record.not_sent();
        assert_eq!(record.outcome(), Outcome::NotSent);
        assert_eq!(record.read(|marks| marks.attempts), 0);
    }

    #[derive(Debug, Default)]
    struct Doubts(AtomicU32);

    impl Acceptance for Doubts {
        fn accepted(&self) {}

        fn doubted(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_client_that_left_is_told_of_at_once_and_once_whenever_its_key_was_found() {
        for key_first in [true, false] {
            let (waiter, doubts) = (Arc::new(Waiter::default()), Arc::new(Doubts::default()));
            let observer = Arc::new(Seen(Mutex::default()));
            let record = Record::open_for(Some(waiter.clone()), observer);
            if key_first {
                record.tells(doubts.clone());
                assert_eq!(doubts.0.load(Ordering::SeqCst), 0);
                waiter.leaves();
            } else {
                waiter.leaves();
                record.tells(doubts.clone());
            }
            assert_eq!(doubts.0.load(Ordering::SeqCst), 1, "{key_first}");
            waiter.leaves();
            record.mark(Marks::doubted);
            assert_eq!(doubts.0.load(Ordering::SeqCst), 1, "a retry may have taken it up");
        }
    }

    #[derive(Debug)]
    struct Gone;

    impl crate::waiter::Looks for Gone {
        fn has_left(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_look_at_a_client_that_left_unnoticed_counts_as_its_leaving() {
        let (waiter, doubts) =
            (Arc::new(Waiter::seen_by(Arc::new(Gone))), Arc::new(Doubts::default()));
        let record = Record::open_for(Some(waiter), Arc::new(Seen(Mutex::default())));
        record.tells(doubts.clone());
        assert!(!record.client_left());
        record.look_for_client();
        assert!(record.client_left());
        assert_eq!(doubts.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_an_earlier_attempt_did_stays_unknown_when_a_later_one_was_not_sent() {
        let record = Record::open(Arc::new(Seen(Mutex::default())));
        record.sending();
        record.sending();
        record.not_sent();
        assert_eq!(record.outcome(), Outcome::Unknown);
        record.not_done();
        assert_eq!(record.outcome(), Outcome::NotSent);
        record.share(true);
        assert_eq!((record.outcome(), record.was_sent()), (Outcome::Unknown, false));
    }
}
