//! Watches one connection for three things: no first request, nothing to do, or a client that does
//! not read.
//!
//! No request has a timer. The connection looks at its watch when the earliest limit could be over.
//! Each limit is set when something changes, and is at least `shortest` long. So a look that comes
//! no later than `shortest` is never too late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Limits, TooSlow};
use crate::clock::Instant;
use crate::proof::SendProof;

/// The watch of one connection.
pub(super) struct Activity {
    head_time: Duration,
    keep_alive: Duration,
    stalled_reader: Duration,
    /// The shortest of all limits that can apply.
    shortest: Duration,
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
}

/// One request on a connection, until its answer is over.
pub(super) struct Answering {
    activity: Arc<Activity>,
    name: u64,
}

/// A request whose body is still on its way, until this is dropped.
pub(super) struct Arriving(Arc<Activity>);

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
        };
        let Limits { head_time, keep_alive, stalled_reader, .. } = *limits;
        let shortest = head_time.min(keep_alive).min(stalled_reader);
        Self { head_time, keep_alive, stalled_reader, shortest, state: Mutex::new(state) }
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

    pub(super) fn verdict(&self) -> ActivityVerdict {
        match self.limit(&self.state()) {
            Some((at, verdict)) if at <= Instant::now() => verdict,
            _ => ActivityVerdict::Fine,
        }
    }

    /// The limit that is over first.
    fn limit(&self, state: &State) -> Option<(Instant, ActivityVerdict)> {
        if state.open == 0 {
            let rests = state.last.map(|last| (state.idle_since + last, ActivityVerdict::Idle));
            return rests.or(Some(match state.requests {
                0 => (state.idle_since + self.head_time, ActivityVerdict::Slow(TooSlow::NoRequest)),
                _ => (state.idle_since + self.keep_alive, ActivityVerdict::Idle),
            }));
        }
        let oldest = state.owed.values().min()?;
        Some((*oldest + self.stalled_reader, ActivityVerdict::Slow(TooSlow::AnswerUnread)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Answering ===

impl Answering {
    /// A request came; `stream` ends its stream alone, if it has one.
    pub(super) fn begin(activity: Arc<Activity>, stream: Option<CancellationToken>) -> Self {
        let name = {
            let mut state = activity.state();
            if state.open == 0 {
                state.arriving_since = Instant::now();
            }
            state.requests += 1;
            state.open += 1;
            let name = state.requests;
            state.streams.extend(stream.map(|stream| (name, stream)));
            name
        };
        Self { activity, name }
    }

    /// A part of the request is still on its way.
    pub(super) fn arriving(&self) -> Arriving {
        self.activity.state().arriving += 1;
        Arriving(self.activity.clone())
    }

    /// The call that waits for the head of the answer; `None` once it is here. HTTP/1 has one at a
    /// time.
    pub(super) fn waits(&self, waiter: Option<Arc<SendProof>>) {
        self.activity.state().waiting = waiter;
    }

    /// True if the connection was told to end, so that it takes no request after this one.
    pub(super) fn is_last(&self) -> bool {
        self.activity.state().last.is_some()
    }

    /// The connection asks for the next piece: it has room again.
    pub(super) fn asked(&self) {
        self.activity.state().owed.remove(&self.name);
    }

    /// The connection has a piece to write.
    pub(super) fn gave(&self) {
        self.activity.state().owed.insert(self.name, Instant::now());
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.owed.remove(&self.name);
        state.streams.remove(&self.name);
        state.open -= 1;
        let now = Instant::now();
        state.arriving_since = now;
        if state.open == 0 {
            state.idle_since = now;
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.state().arriving -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::new(&super::super::tests::limits()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_asks_is_closed_after_the_time_for_a_head() {
        let activity = activity();
        advance(Duration::from_millis(9_999)).await;
        assert_eq!(activity.verdict(), ActivityVerdict::Fine);
        advance(Duration::from_millis(1)).await;
        assert!(matches!(activity.verdict(), ActivityVerdict::Slow(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_as_long_as_it_may_after_its_last_answer() {
        let activity = activity();
        let first = Answering::begin(activity.clone(), None);
        let second = Answering::begin(activity.clone(), None);
        drop(first);
        advance(Duration::from_secs(100)).await;
        assert_eq!(activity.verdict(), ActivityVerdict::Fine, "one answer is still being made");
        drop(second);
        advance(Duration::from_secs(59)).await;
        assert_eq!(activity.verdict(), ActivityVerdict::Fine);
        advance(Duration::from_secs(1)).await;
        assert_eq!(activity.verdict(), ActivityVerdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_served_from_the_last_octet_of_a_request_on() {
        let activity = activity();
        let opened = Instant::now();
        assert_eq!(activity.doing(), Doing::Rests(opened));
        advance(Duration::from_secs(1)).await;
        let begun = Instant::now();
        let first = Answering::begin(activity.clone(), None);
        let body = first.arriving();
        assert_eq!(activity.doing(), Doing::Arrives(begun));
        let second = Answering::begin(activity.clone(), None);
        assert_eq!(activity.doing(), Doing::Served, "the second has no body");
        advance(Duration::from_secs(1)).await;
        drop(second);
        assert_eq!(activity.doing(), Doing::Arrives(Instant::now()), "and is answered");
        drop(body);
        assert_eq!(activity.doing(), Doing::Served);
        drop(first);
        assert_eq!(activity.doing(), Doing::Rests(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_closes_the_connection() {
        let activity = activity();
        let answering = Answering::begin(activity.clone(), None);
        answering.gave();
        advance(Duration::from_secs(29)).await;
        answering.asked();
        answering.gave();
        advance(Duration::from_secs(29)).await;
        assert_eq!(activity.verdict(), ActivityVerdict::Fine);
        advance(Duration::from_secs(1)).await;
        assert!(matches!(activity.verdict(), ActivityVerdict::Slow(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_never_later_than_a_limit_that_is_set_after_it_was_planned() {
        let activity = activity();
        let answering = Answering::begin(activity.clone(), None);
        let planned = activity.next_look();
        answering.gave();
        assert!(planned <= activity.next_look());
        drop(answering);
        assert!(planned <= activity.next_look());
    }
}
