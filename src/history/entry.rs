//! What is kept of one call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};

use crate::catalog::{Lane, Operation};
use crate::clock::Instant;
use crate::error::{Code, Outcome};
use crate::ids::{AppId, ConnectionId, KeyId, RandomId, TenantId};
use crate::record::{Breakdown, Cached, KeyUse, Marks, Record, Timeline, Wait, micros};

/// A call that took this long is eventful.
const SLOW: Duration = Duration::from_secs(1);

/// One call: names that it shares with others, times and counts. It takes some 500 bytes, and more
/// only if the call waited or had several attempts.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) call_id: RandomId,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    pub(super) ended: Instant,
    pub(super) tenant: TenantId,
    pub(super) app: AppId,
    pub(super) key: Option<KeyId>,
    pub(super) connection: Option<ConnectionId>,
    pub(super) operation: Option<Arc<Operation>>,
    pub(super) method: Method,
    pub(super) status: Option<StatusCode>,
    /// The word that says how it ended.
    pub(super) end: &'static str,
    pub(super) code: Option<Code>,
    pub(super) outcome: Option<Outcome>,
    pub(super) lane: Option<Lane>,
    pub(super) cached: Option<Cached>,
    pub(super) key_use: Option<KeyUse>,
    pub(super) replayed: bool,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) timeline: Timeline,
}

/// Which places a call competes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Eventful,
    Quiet,
    Refused,
}

impl Entry {
    /// What is kept of a call that ended at `ended`, and its kind. `None` for a request without a
    /// valid key, and for a question about calls.
    pub(super) fn of(record: &Record, marks: &Marks, ended: Instant) -> Option<(Self, EntryKind)> {
        let (tenant, app) = (marks.caller.tenant.clone()?, marks.caller.app.clone()?);
        if marks.operation.is_none() && marks.code.is_none_or(|code| code == Code::UnknownCall) {
            return None;
        }
        let entry = Self {
            call_id: record.call_id,
            started: record.started,
            started_at: record.started_at,
            ended,
            tenant,
            app,
            key: marks.caller.key.clone(),
            connection: marks.caller.connection.clone(),
            operation: marks.operation.clone(),
            method: marks.request.method.clone(),
            status: marks.status,
            end: crate::telemetry::code(marks),
            code: marks.code,
            outcome: marks.outcome,
            lane: marks.quota.lane,
            cached: marks.cached,
            key_use: marks.key_use,
            replayed: marks.replayed,
            bytes_in: marks.bytes_in,
            bytes_out: marks.bytes_out,
            timeline: marks.timeline.clone(),
        };
        let kind = entry.kind();
        Some((entry, kind))
    }

    /// Which places it competes for.
    pub(super) fn kind(&self) -> EntryKind {
        let unsent = self.outcome == Some(Outcome::NotSent) && self.timeline.tries().is_empty();
        let waited = self.timeline.waits().iter().any(|wait| wait.queued);
        let failed = self.code.is_some() || self.end != "ok";
        if unsent {
            EntryKind::Refused
        } else if failed || waited || self.timeline.tries().len() > 1 || self.total() >= SLOW {
            EntryKind::Eventful
        } else {
            EntryKind::Quiet
        }
    }

    /// True if the call is of `app` of `tenant`.
    #[must_use]
    pub fn is_of(&self, tenant: &TenantId, app: &AppId) -> bool {
        self.tenant == *tenant && self.app == *app
    }

    /// When the call was over for its caller.
    fn over(&self) -> Instant {
        self.timeline.over(self.code.is_some(), self.ended)
    }

    /// Where its time went, for its caller.
    pub(super) fn time(&self) -> Breakdown {
        self.timeline.breakdown(self.started, self.over())
    }

    /// The time it took for its caller.
    #[must_use]
    pub fn total(&self) -> Duration {
        micros(self.started, self.over())
    }

    /// The wait that took longest.
    pub(super) fn longest_wait(&self) -> Option<&Wait> {
        let time = |wait: &&Wait| wait.left.saturating_duration_since(wait.entered);
        // The first of equal ones, because its position is that of the arrival.
        self.timeline.waits().iter().fold(None, |best, wait| match best {
            Some(best) if time(&best) >= time(&wait) => Some(best),
            _ => Some(wait),
        })
    }

    /// The refusal of its last wait, if that is how it ended.
    pub(super) fn refusal(&self) -> Option<&Wait> {
        self.timeline.waits().last().filter(|wait| wait.refused.is_some())
    }
}
