//! The calls that are open now. A call is noted when its record opens and forgotten when it ends:
//! each costs one look-up in a part of the table that is hardly ever locked by another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;

use super::documents::{epoch_ms, ms};
use crate::ids::RandomId;
use crate::record::{Marks, Record};

/// Parts of the table, each with a lock of its own.
const PARTS: usize = 64;
/// Calls that are shown.
pub(super) const MOST: usize = 1000;

/// As many as there are requests at a time, which the sockets bound.
pub(super) struct OpenCalls(
    /// std, not tokio: one look-up, or a copy of the part when somebody looks.
    [Mutex<HashMap<RandomId, Weak<Record>>>; PARTS],
);

/// A call that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenCall {
    /// Its id.
    pub call_id: String,
    /// When it came.
    pub started_at_ms: u64,
    /// How long ago that was.
    pub since_ms: u64,
    /// `waiting` for its turn or its body, `connecting`, `at-courier` or `answering`.
    pub state: &'static str,
    /// Whose it is.
    pub tenant: String,
    /// Who called.
    pub app: String,
    /// Through which connection, if that is known yet.
    pub connection: Option<String>,
    /// Its operation, if that is known yet.
    pub operation: Option<String>,
}

impl Default for OpenCalls {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl OpenCalls {
    pub(super) fn opened(&self, record: &Arc<Record>) {
        self.part(record.call_id).insert(record.call_id, Arc::downgrade(record));
    }

    pub(super) fn ended(&self, id: RandomId) {
        self.part(id).remove(&id);
    }

    /// Those of apps, the one that came first before the others.
    pub(super) fn list(&self) -> Vec<OpenCall> {
        let mut all = Vec::new();
        for part in &self.0 {
            let open: Vec<Weak<Record>> = lock(part).values().cloned().collect();
            // One at a time: a call that ends meanwhile ends when this lets go of it.
            all.extend(open.iter().filter_map(|record| shown(&*record.upgrade()?)));
        }
        all.sort_by(|one, other| {
            (one.started_at_ms, &one.call_id).cmp(&(other.started_at_ms, &other.call_id))
        });
        all.truncate(MOST);
        all
    }

    fn part(&self, id: RandomId) -> MutexGuard<'_, HashMap<RandomId, Weak<Record>>> {
        lock(&self.0[(id.number() % PARTS as u128) as usize])
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// None for a request without a valid key: a stranger is not shown.
fn shown(record: &Record) -> Option<OpenCall> {
    record.read(|marks| {
        let (tenant, app) = (marks.caller.tenant.as_ref()?, marks.caller.app.as_ref()?);
        Some(OpenCall {
            call_id: record.call_id.to_string(),
            started_at_ms: epoch_ms(record.started_at),
            since_ms: ms(record.started.elapsed()),
            state: state(marks),
            tenant: tenant.to_string(),
            app: app.to_string(),
            connection: marks.caller.connection.as_ref().map(ToString::to_string),
            operation: marks.operation.as_ref().map(|row| row.id.to_string()),
        })
    })
}

fn state(marks: &Marks) -> &'static str {
    let running = marks.timeline.tries().last().filter(|last| last.ended.is_none());
    match running {
        Some(attempt) if attempt.sent.is_some() => "at-courier",
        Some(_) => "connecting",
        None if marks.timeline.head_at().is_some() => "answering",
        None => "waiting",
    }
}
