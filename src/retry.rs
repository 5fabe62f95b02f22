//! Further attempts, while proof, deadline and budget allow. Above admission: each attempt pays.
//!
//! Which call may be tried again is the table in `decide`; how often, `budget`.

mod book;
mod budget;
mod decide;

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::sleep;

pub use book::{Budgets, ConnectionBudgets};
use decide::{Course, Decision, Known, Repeatable, decide, is_inconclusive};

use crate::admission::Desk;
use crate::call::{
    self, Attempt, BoxFuture, BufferedCall, Collects, Gathered, Next, Rejected, Reply, Result,
    SHORT, Stage, StageLayer, Staged, gather,
};
use crate::catalog::KeySupport;
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};
use crate::numbers::{ConnectionIx, Table};

/// The field that carries a key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells the vendor's SDKs, and us, whether to try again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Tries again.
pub struct Retry {
    budgets: Table<ConnectionIx, Arc<ConnectionBudgets>>,
    pauses: Arc<Budgets>,
    desk: Arc<Desk>,
}

// === impl Retry ===

impl Retry {
    /// `budgets` are those of `pauses`, which throws the dice; `desk` is asked whether a call that
    /// the vendor refused has time to wait in its line again.
    #[must_use]
    pub fn layer(
        budgets: Table<ConnectionIx, Arc<ConnectionBudgets>>,
        pauses: Arc<Budgets>,
        desk: Arc<Desk>,
    ) -> StageLayer<Self> {
        StageLayer::new(Self { budgets, pauses, desk })
    }

    /// The pause before one more attempt of `call`, if there may be one: paid from the budget.
    fn grant(&self, call: &BufferedCall, nth: u32, time: Duration) -> Option<Duration> {
        let keyed = kind(call) == Repeatable::Keyed;
        let pause = time.max(self.pauses.pause(nth));
        let now = Instant::now();
        let fits = now + pause < call.deadline && self.budgets[call.caller.ix].take(keyed, now);
        fits.then_some(pause)
    }

    /// Whether the call of `attempt` goes back to its line. Where only our token was at fault it
    /// does, and hears there if its time does not suffice.
    fn goes_back(&self, attempt: &Attempt, known: Known) -> bool {
        known != Known::Throttled || self.desk.preview(attempt, attempt.back_since).0.is_ok()
    }

    async fn attempts(&self, mut inner: impl Next<Attempt>, call: BufferedCall) -> Result {
        let mut since = Instant::now();
        let call = Arc::new(call);
        let mut attempt = Attempt::first(call.clone());
        let kind = kind(&call);
        let keyed = kind == Repeatable::Keyed;
        self.budgets[call.caller.ix].call(keyed, since);
        let mut course = Course::default();
        // What the call ends with if a further attempt says nothing about it.
        let mut earlier: Option<Result> = None;
        loop {
            let result = inner.call(attempt.clone()).await;
            let (known, result) = look(result, call.collects.as_ref(), keyed).await;
            let declined = declines(&result);
            if proves_idle(known) {
                call.proof.not_done();
            }
            let last = match earlier.take() {
                Some(earlier) if is_inconclusive(known, course) => earlier,
                _ => result,
            };
            let verdict = match decide(kind, known, course) {
                _ if declined => Decision::Done,
                verdict => verdict,
            };
            match verdict {
                Decision::Done => return honest(last, &call),
                Decision::Again(time) => {
                    let pause = self.grant(&call, course.attempts + 1, time);
                    let Some(pause) = pause else { return honest(last, &call) };
                    earlier = Some(set_aside(last).await);
                    attempt.back_since = None;
                    sleep(pause).await;
                    // What Courier took over the attempt before was no waiting for a turn.
                    since = Instant::now();
                }
                Decision::Back => {
                    attempt.back_since = Some(since);
                    if !self.goes_back(&attempt, known) {
                        return honest(last, &call);
                    }
                    let last = set_aside(last).await;
                    earlier = course.open.then_some(last);
                }
            }
            course = course.then(known);
        }
    }
}

/// An answer that may be needed yet, without the socket that it came on: the next attempt may need
/// that one.
async fn set_aside(result: Result) -> Result {
    whole(result?, Some(SHORT)).await
}

/// How `call` may be repeated.
fn kind(call: &BufferedCall) -> Repeatable {
    let honoured = call.operation.idempotency != KeySupport::None;
    Repeatable::of(&call.method, honoured && call.headers.contains_key(KEY))
}

/// The vendor's word that it did nothing.
fn proves_idle(known: Known) -> bool {
    match known {
        Known::Answered(status, _) => status == http::StatusCode::TOO_MANY_REQUESTS,
        Known::Throttled | Known::Rejected { .. } => true,
        Known::NotSent | Known::NoAnswer | Known::Refused => false,
    }
}

/// The vendor's word that a further attempt is of no use, which its SDKs obey.
fn declines(result: &Result) -> bool {
    let word = result.as_ref().ok().and_then(|reply| reply.headers().get(SHOULD_RETRY));
    word.is_some_and(|word| word == "false")
}

/// An error that says "not sent" speaks of its own attempt; the caller is told of all of them.
fn honest(result: Result, call: &BufferedCall) -> Result {
    result.map_err(|error| match error.outcome {
        Outcome::NotSent => error.with_outcome(call.proof.outcome()),
        Outcome::Unknown => error,
    })
}

/// What an attempt taught. The answer to a call with a key is read whole before it counts, and so
/// is one that the call collects: nothing of it has reached the caller, so one that is cut can
/// still be asked for again.
async fn look(result: Result, collects: Option<&Collects>, keyed: bool) -> (Known, Result) {
    let limit = |reply: &Reply| {
        let collects = collects.filter(|collects| collects.wants(reply));
        collects.map(|collects| collects.limit).or(keyed.then_some(SHORT))
    };
    let limit = result.as_ref().ok().and_then(limit);
    match result {
        Ok(reply) if reply.facts().rejected.is_some() => (answered(&reply), Err(rejected())),
        Ok(reply) => match whole(reply, limit).await {
            Ok(reply) => (answered(&reply), Ok(reply)),
            Err(error) => (Known::NoAnswer, Err(error)),
        },
        Err(error) => (failed(&error), Err(error)),
    }
}

/// The vendor did nothing, and will do nothing, until an operator has mended the token.
fn rejected() -> Error {
    let detail = "Courier refuses the token of this connection: its operator has to replace it";
    Error::refused(Code::VendorCredentialRejected, detail)
        .with_header(SHOULD_RETRY, HeaderValue::from_static("false"))
}

fn answered(reply: &Reply) -> Known {
    let facts = reply.facts();
    if let Some(Rejected { changed }) = facts.rejected {
        return Known::Rejected { changed };
    }
    let throttled = reply.status() == http::StatusCode::TOO_MANY_REQUESTS;
    let Some(closed) = &facts.throttled else {
        let seconds = reply.headers().get(RETRY_AFTER).and_then(seconds);
        return Known::Answered(reply.status(), seconds);
    };
    if throttled && closed.held {
        return Known::Throttled;
    }
    Known::Answered(reply.status(), Some(Duration::from_secs(closed.seconds())))
}

/// The vendor's time to come back, in seconds.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn failed(error: &Error) -> Known {
    match (error.code, error.outcome) {
        (Code::VendorUnreachable | Code::VendorTimeout, Outcome::NotSent) => Known::NotSent,
        (Code::VendorUnreachable | Code::VendorTimeout | Code::VendorMalformed, _) => {
            Known::NoAnswer
        }
        _ => Known::Refused,
    }
}

/// `reply`, read to its end if that is within `limit` octets.
async fn whole(reply: Reply, limit: Option<usize>) -> Result {
    let Some(limit) = limit else { return Ok(reply) };
    let (head, body) = reply.into_parts();
    let body = match gather(body, limit).await? {
        Gathered::Whole(bytes) => call::full(bytes),
        Gathered::Long(body) => body,
    };
    Ok(Reply::from_parts(head, body))
}

impl<S: Next<Attempt>> Stage<S> for Retry {
    type Call = BufferedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn call(this: &Staged<Self, S>, call: BufferedCall) -> BoxFuture {
        let this = this.clone();
        Box::pin(async move { this.stage().attempts(this.next(), call).await })
    }
}

#[cfg(test)]
mod tests;
