//! The slowest calls of the last minutes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::ids::{AppId, ConnectionId, RandomId};
use crate::record::{Marks, Record, micros};
use crate::telemetry::code;

/// So many are shown, and kept of each minute.
pub const SLOWEST: usize = 5;
/// Minutes that are looked back on.
const MINUTES: usize = 15;

/// One call.
#[derive(Clone, Debug)]
pub struct SlowCall {
    /// Its id.
    pub id: RandomId,
    /// When it came.
    pub at: SystemTime,
    /// Its operation.
    pub operation: Option<std::sync::Arc<str>>,
    /// Who called.
    pub app: AppId,
    /// Through which connection.
    pub connection: Option<ConnectionId>,
    /// How long it took for its caller.
    pub total: Duration,
    /// How long of that it waited for its turn.
    pub queue: Duration,
    /// How it ended.
    pub code: &'static str,
}

/// The slowest ones of each minute.
#[derive(Debug, Default)]
pub(super) struct Slowest {
    /// A call that took no more microseconds is none of this minute's slowest: most calls end here.
    floor: AtomicU64,
    /// std, not tokio: a few moves, and only for a call that is slow.
    minutes: Mutex<[Vec<SlowCall>; MINUTES]>,
}

impl Slowest {
    pub(super) fn note(&self, record: &Record, marks: &Marks) {
        let total = micros(record.started, marks.over());
        let length = u64::try_from(total.as_micros()).unwrap_or(u64::MAX);
        if length <= self.floor.load(Ordering::Relaxed) {
            return;
        }
        let Some(app) = marks.caller.app.clone() else { return };
        let call = SlowCall {
            id: record.call_id,
            at: record.started_at,
            operation: marks.operation.as_ref().map(|row| row.id.clone()),
            app,
            connection: marks.caller.connection.clone(),
            total,
            queue: marks.breakdown(record.started).queue,
            code: code(marks),
        };
        let mut minutes = self.minutes();
        let minute = &mut minutes[0];
        let at = minute.partition_point(|other| other.total >= total);
        minute.insert(at, call);
        minute.truncate(SLOWEST);
        if let Some(last) = minute.get(SLOWEST - 1) {
            let floor = u64::try_from(last.total.as_micros()).unwrap_or(u64::MAX);
            self.floor.store(floor, Ordering::Relaxed);
        }
    }

    /// A minute is over.
    pub(super) fn turn(&self) {
        let mut minutes = self.minutes();
        minutes.rotate_right(1);
        let gone = std::mem::take(&mut minutes[0]);
        self.floor.store(0, Ordering::Relaxed);
        drop(minutes);
        drop(gone);
    }

    /// The slowest one first.
    pub(super) fn all(&self) -> Vec<SlowCall> {
        let mut all: Vec<SlowCall> = self.minutes().iter().flatten().cloned().collect();
        all.sort_by_key(|call| std::cmp::Reverse(call.total));
        all.truncate(SLOWEST);
        all
    }

    fn minutes(&self) -> MutexGuard<'_, [Vec<SlowCall>; MINUTES]> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
