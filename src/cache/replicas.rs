//! Reads that stay fresh while several replicas write: what a call asks of the log in Redis.
//!
//! One task asks Redis for all calls (`clerk`). A call waits for it for [`BUDGET`] at most, and not
//! at all while an earlier question has taken longer than that.

mod clerk;
mod outbox;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::generations::{End, Generations, TagPlace};
use super::versions::entry::{Item, WriteStep};
use super::versions::{ReadStanding, Versions};
use crate::clock::Instant;
use crate::ids::RandomId;
use crate::shared::SharedStore;
use clerk::Clerk;
use outbox::Outbox;

/// How long a call waits for Redis: a read, and a write before it is sent and before it is answered.
pub const BUDGET: Duration = Duration::from_millis(20);

/// How old what is read may be where copies are not confirmed one by one.
pub const BOUND: Duration = Duration::from_secs(1);

/// What one replica tells the others, and hears from them. Clones share it.
#[derive(Clone)]
pub struct Replicas {
    desk: Arc<Desk>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// Where calls meet the task.
struct Desk {
    start: Instant,
    /// std, not tokio: held for one change.
    outbox: Mutex<Outbox>,
    /// There is something to do.
    wake: Notify,
    progress: watch::Sender<Progress>,
    /// When it was in step, in nanoseconds from the start and one more; 0: never.
    in_step: AtomicU64,
    /// Since when Redis is being asked, in the same form; 0: it is not.
    asking: AtomicU64,
    /// Somebody read since the last look.
    used: AtomicBool,
    /// How long effects may follow a write, in milliseconds.
    settle: AtomicU64,
    writes: AtomicU64,
}

/// How far the task has come.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// When the last question was asked that has ended, and the last that ended badly.
    ended: Option<Instant>,
    failed: Option<Instant>,
    /// How many items were told.
    told: u64,
}

/// One write, as others are told of it.
pub struct Telling {
    desk: Arc<Desk>,
    write: u64,
    places: Box<[TagPlace]>,
}

// === impl Replicas ===

impl Replicas {
    /// Begins to listen to the writes of others, which end copies of `generations`. Must be called
    /// inside a tokio runtime.
    #[must_use]
    pub fn open(store: SharedStore, generations: Arc<Generations>) -> Self {
        let desk = Arc::new(Desk {
            start: Instant::now(),
            outbox: Mutex::default(),
            wake: Notify::new(),
            progress: watch::Sender::default(),
            in_step: AtomicU64::new(0),
            asking: AtomicU64::new(0),
            used: AtomicBool::new(false),
            settle: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        let versions = Versions::new(RandomId::new(), generations);
        let clerk = Clerk::new(store, desk.clone(), versions);
        let task = AbortOnDropHandle::new(tokio::spawn(clerk.run()));
        Self { desk, _task: Arc::new(task) }
    }

    /// How long effects may follow a write.
    pub(super) fn settle(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.desk.settle.store(millis, Ordering::Relaxed);
    }

    /// How a read that begins now stands, if that needs no question.
    #[must_use]
    pub fn known(&self, bound: Duration) -> Option<ReadStanding> {
        if bound.is_zero() {
            return None;
        }
        self.desk.note_use();
        let standing = self.desk.standing(Instant::now(), bound);
        standing.confirmed.then_some(standing)
    }

    /// How a read that begins now stands. Redis is asked if need be.
    pub async fn standing(&self, bound: Duration) -> ReadStanding {
        let desk = &self.desk;
        if !bound.is_zero() {
            desk.note_use();
        }
        let now = Instant::now();
        let standing = desk.standing(now, bound);
        // Without a bound this read has its own question.
        if (standing.confirmed && !bound.is_zero()) || desk.is_stuck(now) {
            return standing;
        }
        desk.wait(|progress| progress.ended.is_some_and(|asked| asked >= now)).await;
        desk.standing(now, bound)
    }

    /// A write of `places` that is about to be made.
    #[must_use]
    pub fn write(&self, places: Box<[TagPlace]>) -> Telling {
        let write = self.desk.writes.fetch_add(1, Ordering::Relaxed);
        Telling { desk: self.desk.clone(), write, places }
    }
}

// === impl Telling ===

impl Telling {
    /// It is about to be sent, and may be under way for `limit`. False: Redis could not be told in
    /// time.
    pub async fn open(&self, limit: Duration) -> bool {
        self.tell(WriteStep::Open(limit)).await
    }

    /// It ended. False: Redis could not be told in time, and will be later.
    pub async fn close(&self, end: End) -> bool {
        self.tell(step(end)).await
    }

    /// The same for a caller that does not wait.
    pub fn close_later(&self, end: End) {
        self.put(step(end));
    }

    fn put(&self, step: WriteStep) -> u64 {
        let item = Item { write: self.write, step, places: self.places.clone() };
        let nth = self.desk.outbox().put(item);
        self.desk.wake.notify_one();
        nth
    }

    async fn tell(&self, step: WriteStep) -> bool {
        let now = Instant::now();
        let nth = self.put(step);
        if self.desk.is_stuck(now) {
            return false;
        }
        let told = |progress: &Progress| progress.told >= nth;
        let enough = |progress: &Progress| {
            told(progress) || progress.failed.is_some_and(|asked| asked >= now)
        };
        self.desk.wait(enough).await;
        let progress = *self.desk.progress.borrow();
        told(&progress)
    }
}

fn step(end: End) -> WriteStep {
    match end {
        End::Refused => WriteStep::Refused,
        End::Done(settle) => WriteStep::Done(settle),
        End::Unknown(limit) => WriteStep::Unknown(limit),
    }
}

// === impl Desk ===

impl Desk {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody reads: Redis is asked from time to time, so that the next one need not wait.
    fn note_use(&self) {
        // Most find it set: a line that nobody writes is cheap to read.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Wakes the task and waits for it, within the budget.
    async fn wait(&self, enough: impl FnMut(&Progress) -> bool) {
        let mut seen = self.progress.subscribe();
        self.wake.notify_one();
        let _ = timeout(BUDGET, seen.wait_for(enough)).await;
    }

    fn standing(&self, now: Instant, bound: Duration) -> ReadStanding {
        ReadStanding::of(self.time(&self.in_step), now, bound)
    }

    /// True while a question takes so long that nobody should wait for it.
    fn is_stuck(&self, now: Instant) -> bool {
        self.time(&self.asking).is_some_and(|since| since + BUDGET <= now)
    }

    fn settle(&self) -> Duration {
        Duration::from_millis(self.settle.load(Ordering::Relaxed))
    }

    fn time(&self, cell: &AtomicU64) -> Option<Instant> {
        let nanos = cell.load(Ordering::Acquire).checked_sub(1)?;
        Some(self.start + Duration::from_nanos(nanos))
    }

    fn set_time(&self, cell: &AtomicU64, time: Option<Instant>) {
        let nanos = |time: Instant| {
            let since = time.saturating_duration_since(self.start).as_nanos();
            u64::try_from(since).map_or(u64::MAX, |nanos| nanos.saturating_add(1))
        };
        cell.store(time.map_or(0, nanos), Ordering::Release);
    }
}
