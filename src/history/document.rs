//! A kept call as it is shown: the form of `/api/calls/<id>`, `/.tollgate/me?call=<id>` and
//! `tollgate explain --json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Entry;
use super::parts::parts;
use super::sentence::sentence;
use crate::clock::{self, Instant};
use crate::record::{Cached, KeyUse, Step, Try, Wait, micros};
use crate::telemetry::method;

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallDocument {
    /// Its id, 32 hex digits.
    pub call_id: String,
    /// When its head had arrived (RFC 3339).
    pub at: String,
    /// Why it took as long as it did.
    pub why: String,
    /// Milliseconds that it took for its caller, to the end of the answer.
    pub total_ms: f64,
    /// The organisation.
    pub tenant: String,
    /// The application.
    pub app: String,
    /// The public part of its key.
    pub key_id: Option<String>,
    /// The connection.
    pub connection: Option<String>,
    /// The operation; none if the call was refused before that was known.
    pub operation: Option<String>,
    /// The method.
    pub method: String,
    /// The lane.
    pub lane: Option<String>,
    /// The status that the client was given.
    pub status: Option<u16>,
    /// How it ended: `ok`, `client-gone`, `cut`, or a code of the gateway's own.
    pub code: String,
    /// What is known of a call that the gateway answered itself: `not-sent` or `unknown`.
    pub outcome: Option<String>,
    /// What the cache did for it.
    pub cache: Option<String>,
    /// Where its idempotency key comes from.
    pub key: Option<String>,
    /// True if the answer was given before, under the same key.
    pub replayed: bool,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer body.
    pub bytes_out: u64,
    /// What happened, in order.
    pub timeline: Vec<CallEvent>,
    /// Where the time went: the sum is the total.
    pub parts: Vec<Share>,
}

/// Something that happened to a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallEvent {
    /// Milliseconds from the start.
    pub at_ms: f64,
    /// `received`, `read`, `asked`, `started`, `refused`, `left`, `connecting`, `sent`,
    /// `first-byte`, `failed`, `head`, `end`.
    pub event: String,
    /// Which attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<usize>,
    /// Calls before it in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u32>,
    /// Those of them that belong to its own app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead_own: Option<u32>,
    /// Apps that have calls before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead_apps: Option<u32>,
    /// The rule that kept it longest: `slot`, `share`, `pace`, `vendor`, `app-limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// The pool of that rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The wait that was expected, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<f64>,
    /// The vendor's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A code of the gateway's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// After how many milliseconds it was told to come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<f64>,
}

/// A part of the time of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// `request`, `queue`, `pause`, `connect`, `vendor`, `another-call`, `gateway`, `answer`.
    pub part: String,
    /// Its length in milliseconds.
    pub ms: f64,
    /// Its share of the total, 0 to 1.
    pub share: f64,
}

/// `time` in milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Entry {
    /// The call as it is shown.
    #[must_use]
    pub fn document(&self) -> CallDocument {
        let total = self.total();
        let share = |time: Duration| time.as_secs_f64() / total.as_secs_f64();
        let parts = parts(self).into_iter().map(|(part, time)| Share {
            part: part.as_str().into(),
            ms: ms(time),
            share: (share(time) * 1e4).round() / 1e4,
        });
        CallDocument {
            call_id: self.call_id.to_string(),
            at: clock::rfc3339(self.started_at),
            why: sentence(self),
            total_ms: ms(total),
            tenant: self.tenant.to_string(),
            app: self.app.to_string(),
            key_id: self.key.as_ref().map(|id| id.as_str().into()),
            connection: self.connection.as_ref().map(ToString::to_string),
            operation: self.operation.as_ref().map(|row| row.id.to_string()),
            method: method(&self.method).into(),
            lane: self.lane.map(|lane| lane.as_str().into()),
            status: self.status.map(|status| status.as_u16()),
            code: self.end.into(),
            outcome: self.outcome.map(|outcome| outcome.as_str().into()),
            cache: self.cached.map(|cached| Cached::as_str(cached).into()),
            key: self.key_use.map(|key| KeyUse::as_str(key).into()),
            replayed: self.replayed,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            timeline: self.events(),
            parts: parts.collect(),
        }
    }

    /// Why a refused call was refused, when, and when it was told to come back.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let told = self.refusal().and_then(|wait| wait.retry_after);
        Refused {
            at: clock::rfc3339(self.started_at),
            call_id: self.call_id.to_string(),
            code: self.end.into(),
            operation: self.operation.as_ref().map(|row| row.id.to_string()),
            retry_after_ms: told.map(ms),
        }
    }

    fn events(&self) -> Vec<CallEvent> {
        let mut events = vec![self.event(self.started, "received")];
        let body = self.timeline.uploaded_at().filter(|_| self.bytes_in > 0);
        events.extend(body.map(|at| self.event(at, "read")));
        let mut tries = 0;
        for step in self.timeline.steps() {
            match step {
                Step::Wait(wait) => events.extend(self.of_wait(wait)),
                Step::Try(tried) => {
                    tries += 1;
                    events.extend(self.of_try(tries, tried));
                }
            }
        }
        events.extend(self.timeline.head_at().map(|at| self.event(at, "head")));
        events.push(self.event(self.ended, "end"));
        // The sort is stable, so events of one moment stay in the order of their steps.
        events.sort_by(|one, other| one.at_ms.total_cmp(&other.at_ms));
        events
    }

    fn event(&self, at: Instant, event: &str) -> CallEvent {
        let at_ms = ms(micros(self.started, at));
        CallEvent { at_ms, event: event.into(), ..CallEvent::default() }
    }

    fn of_wait(&self, wait: &Wait) -> [CallEvent; 2] {
        let mut asked = self.event(wait.entered, "asked");
        if let Some(stood) = &wait.stood {
            let standing = stood.standing;
            asked.ahead = Some(standing.ahead);
            asked.ahead_own = Some(standing.own);
            asked.ahead_apps = Some(standing.apps);
            asked.bound = Some(standing.bound.as_str().into());
            asked.pool = stood.pool.as_deref().map(Into::into);
            asked.expected_ms = Some(ms(standing.expected));
        }
        let how = match (wait.refused, wait.left_early) {
            (Some(_), _) => "refused",
            (None, true) => "left",
            (None, false) => "started",
        };
        let mut left = self.event(wait.left, how);
        left.code = wait.refused.map(|rule| rule.code().into());
        left.retry_after_ms = wait.retry_after.map(ms);
        [asked, left]
    }

    fn of_try(&self, nth: usize, tried: &Try) -> impl Iterator<Item = CallEvent> {
        let step = |at: Option<Instant>, event: &str| {
            at.map(|at| CallEvent { attempt: Some(nth), ..self.event(at, event) })
        };
        let how = if tried.status.is_some() { "first-byte" } else { "failed" };
        let ended = step(tried.ended, how).map(|ended| CallEvent {
            status: tried.status.map(|status| status.as_u16()),
            code: tried.code.map(|code| code.as_str().into()),
            ..ended
        });
        let steps = [step(Some(tried.began), "connecting"), step(tried.sent, "sent"), ended];
        steps.into_iter().flatten()
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// When it was refused (RFC 3339).
    pub at: String,
    /// The call.
    pub call_id: String,
    /// Why it was refused: a code.
    pub code: String,
    /// The operation, if that was known.
    pub operation: Option<String>,
    /// After how many milliseconds it was told to come back.
    pub retry_after_ms: Option<f64>,
}
