//! Watches one connection for four things: no first request, a short rest, nothing to do for too
//! long, or a client that does not read.
//!
//! No request has a timer. The connection looks at its watch when the earliest limit could be over.
//! Each limit is set when something changes, and is at least `shortest` long. So a look that comes
//! no later than `shortest` is never too late. A rest may begin sooner; the connection asks for that
//! by itself.

mod answering;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use answering::{Answering, Arriving};
use tokio_util::sync::CancellationToken;

use super::{Limits, TooSlow};
use crate::clock::Instant;
use crate::proof::SendProof;

/// For so long after an answer, what was built for its HTTP/1 connection is kept. A client that has
/// more to ask mostly does so at once.
pub(super) const KEPT: Duration = Duration::from_millis(50);

/// The watch of one connection.
pub(super) struct Activity {
    head_time: Duration,
    keep_alive: Duration,
    stalled_reader: Duration,
    /// The shortest of all limits that can apply.
    shortest: Duration,
    /// Something was written, and the socket has not taken all of it.
    unwritten: AtomicBool,
    /// std, not tokio: each section is a few assignments and never awaits.
    state: Mutex<State>,
}

struct State {
    /// Requests that came so far; also the name of the next one.
    requests: u64,
    /// Requests without a whole answer.
    open: usize,
    /// Requests whose body has not come whole.
    arriving: usize,
    /// When `open` last became 0, or the connection was opened.
    idle_since: Instant,
    /// Since when every request of the connection has been arriving.
    arriving_since: Instant,
    /// Answers of which the connection took a piece and has not asked for the next, with the time
    /// when it took it.
    owed: HashMap<u64, Instant>,
    /// The token that ends the stream of a request, in HTTP/2.
    streams: HashMap<u64, CancellationToken>,
    /// The call that waits for an answer's head, in HTTP/1.
    waiting: Option<Arc<SendProof>>,
    /// Set when the connection was told to end: how long it may still be idle.
    last: Option<Duration>,
    head: Head,
}

/// Whether an HTTP/1 connection is between two requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    /// No request has come since the connection woke.
    First,
    /// One has come, and is read and answered, or is not.
    Came,
    /// The one before was read to its end and answered, and the next one may come.
    Awaited,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It rests: no request has been under way since then.
    Rests(Instant),
    /// No request of it has arrived whole since then, so nothing was done for it.
    Arrives(Instant),
    /// A call is under way.
    Served,
}

/// What the watch says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ActivityVerdict {
    /// Go on.
    Fine,
    /// Nothing to do, and all is written: what was built for the connection can go.
    Rests,
    /// Nothing to do for too long.
    Idle,
    /// The client broke a limit.
    Slow(TooSlow),
}

// === impl Activity ===

impl Activity {
    pub(super) fn new(limits: &Limits) -> Self {
        let state = State {
            requests: 0,
            open: 0,
            arriving: 0,
            idle_since: Instant::now(),
            arriving_since: Instant::now(),
            owed: HashMap::new(),
            streams: HashMap::new(),
            waiting: None,
            last: None,
            head: Head::First,
        };
        let Limits { head_time, keep_alive, stalled_reader, .. } = *limits;
        let shortest = head_time.min(keep_alive).min(stalled_reader);
        let (unwritten, state) = (AtomicBool::new(false), Mutex::new(state));
        Self { head_time, keep_alive, stalled_reader, shortest, unwritten, state }
    }

    /// Whether something was written that the socket has not taken whole.
    pub(super) fn unwritten(&self, is: bool) {
        self.unwritten.store(is, Ordering::Relaxed);
    }

    /// hyper waits for the head of a request. It does so only if it may take one: nothing of the
    /// request before is left to be read or answered.
    pub(super) fn awaits_head(&self) {
        let mut state = self.state();
        if state.head == Head::Came {
            state.head = Head::Awaited;
        }
    }

    /// The connection woke. It rests no more before a request has come.
    pub(super) fn wakes(&self) {
        self.state().head = Head::First;
    }

    /// The connection was told to end. Without a request under way it has `last` more.
    pub(super) fn ends(&self, last: Duration) {
        let mut state = self.state();
        state.last = Some(last);
        state.idle_since = Instant::now();
    }

    /// Ends the streams whose answers were left unread for too long; false if one answer can't be
    /// ended alone.
    pub(super) fn end_unread(&self) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let late = state.owed.iter().filter(|(_, since)| **since + self.stalled_reader <= now);
        let late: Vec<u64> = late.map(|(name, _)| *name).collect();
        late.into_iter().all(|name| {
            state.owed.remove(&name);
            state.streams.get(&name).map(CancellationToken::cancel).is_some()
        })
    }

    /// The client shut its side. True if it counts as gone. It does not while a request of it may
    /// still have to be read, or while a call that was sent is to be answered.
    pub(super) fn client_left(&self) -> bool {
        let (waiter, arriving) = {
            let state = self.state();
            (state.waiting.clone(), state.arriving)
        };
        // Not under the lock, because this tells the call.
        waiter.is_some_and(|waiter| {
            waiter.leaves();
            arriving == 0 && waiter.sent() == 0
        })
    }

    /// What the connection is doing.
    pub(super) fn doing(&self) -> Doing {
        let state = self.state();
        match state.open {
            0 => Doing::Rests(state.idle_since),
            open if open == state.arriving => Doing::Arrives(state.arriving_since),
            _ => Doing::Served,
        }
    }

    /// When to ask for a verdict next.
    pub(super) fn next_look(&self) -> Instant {
        let latest = Instant::now() + self.shortest;
        self.limit(&self.state()).map_or(latest, |(at, _)| at.min(latest))
    }

    /// True if the connection is to rest sooner than at `look`.
    pub(super) fn rests_before(&self, look: Instant) -> bool {
        let state = self.state();
        self.may_rest(&state) && state.idle_since + KEPT < look
    }

    /// When a connection that rests is over.
    pub(super) fn rests_until(&self) -> Instant {
        self.idle_limit(&self.state()).0
    }

    pub(super) fn verdict(&self) -> ActivityVerdict {
        match self.limit(&self.state()) {
            Some((at, verdict)) if at <= Instant::now() => verdict,
            _ => ActivityVerdict::Fine,
        }
    }

    /// The limit that is over first.
    fn limit(&self, state: &State) -> Option<(Instant, ActivityVerdict)> {
        if state.open == 0 {
            let (ends, rests) = (self.idle_limit(state), state.idle_since + KEPT);
            let rests_first = self.may_rest(state) && rests < ends.0;
            return Some(if rests_first { (rests, ActivityVerdict::Rests) } else { ends });
        }
        let oldest = state.owed.values().min()?;
        Some((*oldest + self.stalled_reader, ActivityVerdict::Slow(TooSlow::AnswerUnread)))
    }

    /// The limit of a connection without a request under way.
    fn idle_limit(&self, state: &State) -> (Instant, ActivityVerdict) {
        let (time, verdict) = match (state.last, state.requests) {
            (Some(last), _) => (last, ActivityVerdict::Idle),
            (None, 0) => (self.head_time, ActivityVerdict::Slow(TooSlow::NoRequest)),
            (None, _) => (self.keep_alive, ActivityVerdict::Idle),
        };
        (state.idle_since + time, verdict)
    }

    /// Whether nothing is lost with what was built for the connection.
    fn may_rest(&self, state: &State) -> bool {
        let between = state.open == 0 && state.head == Head::Awaited;
        between && state.last.is_none() && !self.unwritten.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "activity/tests.rs"]
mod tests;
