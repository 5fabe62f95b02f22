//! Further attempts, while proof, deadline and budget allow. Above admission: each attempt pays.
//!
//! Which call may be tried again is the table in `decide`; how often, `budget`.

mod book;
mod budget;
mod decide;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::sleep;
use tower::{Layer, Service};

pub use book::Book;
use decide::{Course, Kind, Known, Verdict, decide, is_inconclusive};

use crate::admission::{Desk, Throttled};
use crate::call::Rejected;
use crate::call::{self, BoxFuture, Call, Collects, Gathered, Reply, Result, SHORT, gather};
use crate::catalog::Idempotency;
use crate::clock::Instant;
use crate::error::{Code, Error, Outcome};

/// The field that carries a key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells the vendor's SDKs, and us, whether to try again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Tries again.
#[derive(Clone)]
pub struct RetryLayer {
    book: Arc<Book>,
    desk: Arc<Desk>,
}

/// See [`RetryLayer`].
#[derive(Clone)]
pub struct Retry<S> {
    rules: RetryLayer,
    inner: S,
}

// === impl RetryLayer ===

impl RetryLayer {
    /// `book` has the budgets; `desk` is asked whether a call that the vendor refused has time to wait
    /// in its line again.
    #[must_use]
    pub fn new(book: Arc<Book>, desk: Arc<Desk>) -> Self {
        Self { book, desk }
    }

    /// The pause before one more attempt of `call`, if there may be one: paid from the budget.
    fn grant(&self, call: &Call, nth: u32, time: Duration) -> Option<Duration> {
        let keyed = kind(call) == Kind::Keyed;
        let pause = time.max(self.book.pause(nth));
        let now = Instant::now();
        let fits =
            now + pause < call.deadline && self.book.take(&call.caller.connection, keyed, now);
        fits.then_some(pause)
    }

    /// Whether `call` goes back to its line. Where only our token was at fault it does, and hears there
    /// if its time does not suffice.
    fn goes_back(&self, call: &Call, known: Known) -> bool {
        known != Known::Throttled || self.desk.ask(call).is_ok()
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { rules: self.clone(), inner }
    }
}

// === impl Retry ===

impl<S> Retry<S>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    async fn attempts(mut self, mut call: Call) -> Result {
        let mut since = Instant::now();
        let kind = kind(&call);
        let keyed = kind == Kind::Keyed;
        self.rules.book.call(&call.caller.connection, keyed, Instant::now());
        let mut course = Course::default();
        // What the call ends with if a further attempt says nothing about it.
        let mut earlier: Option<Result> = None;
        loop {
            let attempt = call.again().expect("intake has read the body");
            let result = self.inner.call(attempt).await;
            let (known, result) = look(result, call.collects.as_ref(), keyed).await;
            let declined = declines(&result);
            if proves_idle(known) {
                call.record.not_done();
            }
            let last = match earlier.take() {
                Some(earlier) if is_inconclusive(known, course) => earlier,
                _ => result,
            };
            let verdict = match decide(kind, known, course) {
                _ if declined => Verdict::Done,
                verdict => verdict,
            };
            match verdict {
                Verdict::Done => return honest(last, &call),
                Verdict::Again(time) => {
                    let pause = self.rules.grant(&call, course.attempts + 1, time);
                    let Some(pause) = pause else { return honest(last, &call) };
                    earlier = Some(set_aside(last).await);
                    call.back_since = None;
                    sleep(pause).await;
                    // What Courier took over the attempt before was no waiting for a turn.
                    since = Instant::now();
                }
                Verdict::Back => {
                    call.back_since = Some(since);
                    if !self.rules.goes_back(&call, known) {
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
fn kind(call: &Call) -> Kind {
    let honoured = call.operation.idempotency != Idempotency::None;
    Kind::of(&call.method, honoured && call.headers.contains_key(KEY))
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
fn honest(result: Result, call: &Call) -> Result {
    result.map_err(|error| match error.outcome {
        Outcome::NotSent => error.with_outcome(call.record.outcome()),
        Outcome::Unknown => error,
    })
}

/// What an attempt taught. The answer to a call with a key is read whole before it counts, and so is
/// one that the call collects: nothing of it has reached the caller, so one that is cut can still be
/// asked for again.
async fn look(result: Result, collects: Option<&Collects>, keyed: bool) -> (Known, Result) {
    let limit = |reply: &Reply| {
        let collects = collects.filter(|collects| collects.wants(reply));
        collects.map(|collects| collects.limit).or(keyed.then_some(SHORT))
    };
    let limit = result.as_ref().ok().and_then(limit);
    match result {
        Ok(reply) if reply.extensions().get::<Rejected>().is_some() => {
            (answered(&reply), Err(rejected()))
        }
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
    if let Some(Rejected { changed }) = reply.extensions().get() {
        return Known::Rejected { changed: *changed };
    }
    let throttled = reply.status() == http::StatusCode::TOO_MANY_REQUESTS;
    let closed = reply.extensions().get::<Throttled>();
    if throttled && closed.is_some_and(|closed| closed.held) {
        return Known::Throttled;
    }
    let seconds = reply.headers().get(RETRY_AFTER).and_then(seconds);
    Known::Answered(reply.status(), seconds)
}

/// A time in seconds: admission has put the vendor's into them where it closed a pool.
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

impl<S> Service<Call> for Retry<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> BoxFuture {
        Box::pin(self.clone().attempts(call))
    }
}
