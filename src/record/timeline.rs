//! What happened to a call, and when: its body, each wait for its turn, each try at the vendor, the
//! head of its answer. Nothing else knows a time of its way.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::micros;
use super::steps::Steps;
use crate::clock::Instant;
use crate::error::Code;
use crate::quota::{QueuePosition, QuotaRefusal, QuotaRule};

/// The steps of one call, in their order.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    upload: Option<Instant>,
    uploaded: Option<Instant>,
    waits: Steps<Wait>,
    tries: Steps<Try>,
    cached: Option<Instant>,
    head: Option<Instant>,
}

/// A step of either kind.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A wait for a turn.
    Wait(&'a Wait),
    /// A try at the vendor.
    Try(&'a Try),
}

/// One wait for a turn.
#[derive(Clone, Debug)]
pub struct Wait {
    /// When the call asked for its turn.
    pub entered: Instant,
    /// When it had it, or was refused.
    pub left: Instant,
    /// The rule by which it was refused.
    pub refused: Option<QuotaRule>,
    /// When it was told to come back, if it was refused.
    pub retry_after: Option<Duration>,
    /// Where it stood when it asked, if it could not start at once.
    pub stood: Option<Stood>,
    /// It had a place in the queue; else it was let in or refused as it came.
    pub queued: bool,
    /// Its caller left before its turn came.
    pub left_early: bool,
}

/// Where a call stood when it could not start at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// Who was before it, and what it waited for.
    pub standing: QueuePosition,
    /// The name of the pool that it waited for, as callers know it.
    pub pool: Option<Arc<str>>,
}

/// One try at the vendor.
#[derive(Clone, Debug)]
pub struct Try {
    /// When it asked for a socket.
    pub began: Instant,
    /// When it was handed to one.
    pub sent: Option<Instant>,
    /// When the head of its answer came, or it was known that none will.
    pub ended: Option<Instant>,
    /// The status of its answer.
    pub status: Option<StatusCode>,
    /// What it failed by.
    pub code: Option<Code>,
}

impl Wait {
    /// A wait that begins now.
    #[must_use]
    pub fn begins(entered: Instant, stood: Option<Stood>) -> Self {
        Self {
            entered,
            left: entered,
            refused: None,
            retry_after: None,
            stood,
            queued: false,
            left_early: false,
        }
    }

    /// It was refused.
    pub fn refused(&mut self, refusal: &QuotaRefusal) {
        self.refused = Some(refusal.rule);
        self.retry_after = Some(refusal.after);
    }
}

impl Timeline {
    /// The waits, the first one first.
    #[must_use]
    pub fn waits(&self) -> &Steps<Wait> {
        &self.waits
    }

    /// The tries, the first one first.
    #[must_use]
    pub fn tries(&self) -> &Steps<Try> {
        &self.tries
    }

    /// Waits and tries in their order; in one moment the wait for a try comes before it.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let mut waits = (0_usize..).zip(self.waits.iter()).peekable();
        let mut tries = (0_usize..).zip(self.tries.iter()).peekable();
        std::iter::from_fn(move || {
            let wait = match (waits.peek(), tries.peek()) {
                (Some((w, wait)), Some((t, tried))) => (wait.entered, *w) <= (tried.began, *t),
                (wait, _) => wait.is_some(),
            };
            if wait {
                waits.next().map(|(_, wait)| Step::Wait(wait))
            } else {
                tries.next().map(|(_, tried)| Step::Try(tried))
            }
        })
    }

    /// Tries that were handed to a socket.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.tries.iter().filter(|tried| tried.sent.is_some()).fold(0, |sum, _| sum + 1)
    }

    /// The tries of the call that `started` then which were sent and have ended, and how long each
    /// took: as a whole, also where it outlasted its caller.
    pub fn answers(&self, started: Instant) -> impl Iterator<Item = (&Try, Duration)> {
        let at = move |when| micros(started, when);
        let took = move |tried: &Try| Some(at(tried.ended?).saturating_sub(at(tried.sent?)));
        self.tries.iter().filter_map(move |tried| Some((tried, took(tried)?)))
    }

    /// When the request's body was there as a whole.
    #[must_use]
    pub fn uploaded_at(&self) -> Option<Instant> {
        self.uploaded
    }

    /// When the cache decided.
    #[must_use]
    pub fn cached_at(&self) -> Option<Instant> {
        self.cached
    }

    /// When the answer's head was handed over.
    #[must_use]
    pub fn head_at(&self) -> Option<Instant> {
        self.head
    }

    /// When the call that `ended` then was over for its caller: at the head, if the gateway
    /// answered it by itself.
    #[must_use]
    pub fn over(&self, by_itself: bool, ended: Instant) -> Instant {
        self.head.filter(|_| by_itself).unwrap_or(ended)
    }

    /// The reading of the request's body, as far as it got before `head`.
    pub(super) fn upload(&self, head: Instant) -> Option<(Instant, Instant)> {
        Some((self.upload?, self.uploaded.unwrap_or(head)))
    }

    /// The request's body is being read from now on.
    pub fn upload_begins(&mut self, now: Instant) {
        self.upload = Some(now);
    }

    /// The request's body is there.
    pub fn upload_ends(&mut self, now: Instant) {
        self.uploaded = Some(now);
    }

    /// A wait is over, however it ended.
    pub fn waited(&mut self, wait: Wait) {
        self.waits.push(wait);
    }

    /// The call that was refused last is told to come back after `when`, whatever the quota said.
    pub fn told(&mut self, when: Duration) {
        if let Some(last) = self.waits.last_mut().filter(|wait| wait.refused.is_some()) {
            last.retry_after = Some(when);
        }
    }

    /// A try begins.
    pub fn try_begins(&mut self, began: Instant) {
        self.tries.push(Try { began, sent: None, ended: None, status: None, code: None });
    }

    /// The try was handed to a socket, or given back by it.
    pub(super) fn try_sent(&mut self, sent: Option<Instant>) {
        if let Some(last) = self.running() {
            last.sent = sent;
        }
    }

    /// The try was handed to a socket at `sent`.
    #[cfg(test)]
    pub(crate) fn try_sent_at(&mut self, sent: Instant) {
        self.try_sent(Some(sent));
    }

    /// How the try ended.
    pub fn try_ends(&mut self, ended: Instant, with: Result<StatusCode, Code>) {
        if let Some(last) = self.running() {
            last.ended = Some(ended);
            last.status = with.ok();
            last.code = with.err();
        }
    }

    /// The cache decided what it does for the call.
    pub fn cache_decided(&mut self, now: Instant) {
        self.cached = Some(now);
    }

    /// The answer's head is handed over.
    pub fn answered(&mut self, now: Instant) {
        self.head = Some(now);
    }

    fn running(&mut self) -> Option<&mut Try> {
        self.tries.last_mut().filter(|last| last.ended.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::super::steps::STEPS;
    use super::*;

    #[test]
    fn a_try_that_has_ended_is_not_changed_by_what_comes_after_it() {
        let (mut timeline, now) = (Timeline::default(), Instant::now());
        timeline.try_begins(now);
        timeline.try_sent(Some(now));
        timeline.try_ends(now, Ok(StatusCode::OK));
        timeline.try_sent(None);
        timeline.try_ends(now, Err(Code::Internal));
        let only = timeline.tries().last().unwrap();
        assert_eq!((only.sent, only.status, only.code), (Some(now), Some(StatusCode::OK), None));
    }

    #[test]
    fn more_steps_than_are_kept_cost_nothing_and_change_no_earlier_one() {
        let (mut timeline, now) = (Timeline::default(), Instant::now());
        for _ in 0..100 {
            timeline.try_begins(now);
            timeline.try_ends(now, Ok(StatusCode::OK));
            timeline.waited(Wait::begins(now, None));
        }
        assert_eq!((timeline.tries().len(), timeline.waits().len()), (STEPS, STEPS));
    }
}
