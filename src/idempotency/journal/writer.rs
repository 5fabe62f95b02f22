//! Writes rows on a thread that may block. So a folder that stalls holds up no thread and no lock
//! that calls need. The thread exists only while rows wait, and there is never more than one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::super::made::Remembered;
use super::lines::{QueuedRow, WriteLines};
use crate::clock::Instant;

/// A write that takes longer counts as stalled. Nobody waits longer for a write, and no new row is
/// taken meanwhile.
pub(in super::super) const STALL: Duration = Duration::from_secs(1);

/// Where rows go.
pub(in super::super) trait RowSink: Send + 'static {
    /// Writes a row; false if that failed. May block.
    fn write(&mut self, number: u32, known: &Remembered) -> bool;
}

/// What became of a row: true if its write succeeded. For a row that was never tried the channel
/// closes without a value.
pub(in super::super) type RowOutcome = oneshot::Receiver<bool>;

/// Writes rows of the connections in turn, those of one connection in the order in which they came.
pub(in super::super) struct JournalWriter {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    /// std, not tokio: a few map operations each.
    queue: Mutex<Queue>,
    idle: Condvar,
    /// std, not tokio: only the thread that writes has it.
    rows: Mutex<Box<dyn RowSink>>,
}

struct Queue {
    lines: WriteLines<oneshot::Sender<bool>>,
    /// Since when the thread has been writing its row; `None` if there is no thread.
    busy: Option<Instant>,
}

/// The work of the thread. However it ends, another thread may begin.
struct Drain {
    shared: Arc<Shared>,
    over: bool,
}

impl JournalWriter {
    /// Must be called inside the runtime.
    pub(in super::super) fn new(rows: Box<dyn RowSink>) -> Self {
        let queue = Queue { lines: WriteLines::new(), busy: None };
        let shared =
            Shared { queue: Mutex::new(queue), idle: Condvar::new(), rows: Mutex::new(rows) };
        Self { shared: Arc::new(shared), runtime: Handle::current() }
    }

    /// Queues a row to be written. Never blocks. `None` while the write under way stalls, or if too
    /// many rows of the connection wait. The caller calls [`run`](Self::run) next.
    pub(in super::super) fn push(&self, number: u32, known: Remembered) -> Option<RowOutcome> {
        let mut queue = self.shared.queue();
        if queue.busy.is_some_and(|since| since.elapsed() >= STALL) {
            return None;
        }
        let (waiter, outcome) = oneshot::channel();
        queue.lines.push(QueuedRow { number, known, waiter }).then_some(outcome)
    }

    /// Makes sure that a thread writes the rows that wait. It is apart from [`push`](Self::push),
    /// whose caller holds a lock.
    pub(in super::super) fn run(&self) {
        let mut queue = self.shared.queue();
        if queue.busy.is_none() {
            queue.busy = Some(Instant::now());
            drop(queue);
            let drain = Drain { shared: self.shared.clone(), over: false };
            self.runtime.spawn_blocking(move || drain.run());
        }
    }
}

impl Drop for JournalWriter {
    /// Waits until all rows are written, unless that stalls.
    fn drop(&mut self) {
        let queue = self.shared.queue();
        let busy = |queue: &mut Queue| queue.busy.is_some();
        drop(self.shared.idle.wait_timeout_while(queue, STALL, busy));
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drain {
    fn run(mut self) {
        let shared = self.shared.clone();
        let mut rows = shared.rows.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(QueuedRow { number, known, waiter }) = self.next() {
            let went_well = rows.write(number, &known);
            // The call may have left.
            let _ = waiter.send(went_well);
        }
    }

    fn next(&mut self) -> Option<QueuedRow<oneshot::Sender<bool>>> {
        let mut queue = self.shared.queue();
        let row = queue.lines.pop();
        queue.busy = row.is_some().then(Instant::now);
        if row.is_none() {
            self.over = true;
            self.shared.idle.notify_all();
        }
        row
    }
}

impl Drop for Drain {
    /// If it ended early, the runtime ended or a row made it panic.
    fn drop(&mut self) {
        if !self.over {
            self.shared.queue().busy = None;
            self.shared.idle.notify_all();
        }
    }
}
