//! What is kept of one call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};

use crate::catalog::{Lane, Operation};
use crate::clock::Instant;
use crate::error::{Code, Outcome};
use crate::ids::{AppId, ConnectionId, KeyId, RandomId, TenantId};
use crate::record::{Cached, KeyUse, Marks, Record, Try, Wait};

/// A call that took so long is eventful.
const SLOW: Duration = Duration::from_secs(1);

/// One call: names that others hold, too, times and counts. Some 500 octets, and nothing beside them
/// unless it waited or was tried more than once.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) call_id: RandomId,
    pub(super) started: Instant,
    pub(super) started_at: SystemTime,
    pub(super) ended: Instant,
    pub(super) read_at: Option<Instant>,
    pub(super) head_at: Option<Instant>,
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
    pub(super) waits: Steps<Wait>,
    pub(super) tries: Steps<Try>,
}

/// Which places a call competes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Eventful,
    Quiet,
    Refused,
}

/// Steps of one kind. Hardly a call has more than one, which is then no allocation.
#[derive(Clone, Debug)]
pub(super) struct Steps<T> {
    first: Option<T>,
    more: Box<[T]>,
}

/// A step of either kind.
pub(super) enum Step<'a> {
    Wait(&'a Wait),
    Try(&'a Try),
}

impl<T: Clone> Steps<T> {
    fn of(steps: &[T]) -> Self {
        Self { first: steps.first().cloned(), more: steps.get(1..).unwrap_or_default().into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }
}

impl Entry {
    /// What is kept of a call that ended at `ended`, and where; `None` for a request without a valid
    /// key, and for questions about calls.
    pub(super) fn of(record: &Record, marks: &Marks, ended: Instant) -> Option<(Self, Kind)> {
        let (tenant, app) = (marks.tenant.clone()?, marks.app.clone()?);
        if marks.operation.is_none() && marks.code.is_none_or(|code| code == Code::UnknownCall) {
            return None;
        }
        let entry = Self {
            call_id: record.call_id,
            started: record.started,
            started_at: record.started_at,
            ended,
            read_at: marks.read_at,
            head_at: marks.head_at,
            tenant,
            app,
            key: marks.key.clone(),
            connection: marks.connection.clone(),
            operation: marks.operation.clone(),
            method: marks.method.clone(),
            status: marks.status,
            end: crate::telemetry::code(marks),
            code: marks.code,
            outcome: marks.outcome,
            lane: marks.lane,
            cached: marks.cached,
            key_use: marks.key_use,
            replayed: marks.replayed,
            bytes_in: marks.bytes_in,
            bytes_out: marks.bytes_out,
            waits: Steps::of(marks.timeline.waits()),
            tries: Steps::of(marks.timeline.tries()),
        };
        let kind = entry.kind();
        Some((entry, kind))
    }

    fn kind(&self) -> Kind {
        let unsent = self.outcome == Some(Outcome::NotSent) && self.tries.is_empty();
        let waited = self.waits.iter().any(|wait| wait.queued);
        let failed = self.code.is_some() || self.end != "ok";
        if unsent {
            Kind::Refused
        } else if failed || waited || !self.tries.more.is_empty() || self.total() >= SLOW {
            Kind::Eventful
        } else {
            Kind::Quiet
        }
    }

    /// Whose call it is.
    #[must_use]
    pub fn is_of(&self, tenant: &TenantId, app: &AppId) -> bool {
        self.tenant == *tenant && self.app == *app
    }

    /// When it was over for its caller: a call that the gateway answered by itself may go on at the
    /// vendor.
    pub(super) fn over(&self) -> Instant {
        self.head_at.filter(|_| self.code.is_some()).unwrap_or(self.ended).max(self.started)
    }

    /// The time it took for its caller.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.over().saturating_duration_since(self.started)
    }

    /// Waits and tries in their order; in one moment the wait for a try comes before it.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let waits = (0..).zip(self.waits.iter());
        let tries = (0..).zip(self.tries.iter());
        let waits = waits.map(|(nth, wait)| (wait.entered, nth * 2, Step::Wait(wait)));
        let tries = tries.map(|(nth, tried)| (tried.began, nth * 2 + 1, Step::Try(tried)));
        let mut steps: Vec<(Instant, u32, Step<'_>)> = waits.chain(tries).collect();
        steps.sort_by_key(|(at, nth, _)| (*at, *nth));
        steps.into_iter().map(|(.., step)| step).collect()
    }

    /// The wait that took longest.
    pub(super) fn longest_wait(&self) -> Option<&Wait> {
        let time = |wait: &&Wait| wait.left.saturating_duration_since(wait.entered);
        // Of equal ones the first: its position is that of the arrival.
        self.waits.iter().fold(None, |best, wait| match best {
            Some(best) if time(&best) >= time(&wait) => Some(best),
            _ => Some(wait),
        })
    }

    /// The refusal of its last wait, if that is how it ended.
    pub(super) fn refusal(&self) -> Option<&Wait> {
        self.waits.iter().last().filter(|wait| wait.refused.is_some())
    }
}
