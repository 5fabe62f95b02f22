//! The outermost layer that can fail: errors and panics become problem documents (RFC 9457), and
//! every answer gets the fields that come from the record.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BufMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use pin_project_lite::pin_project;

use crate::call::{self, Next, Notes, RateLimit, Reply, Stage, StageLayer, Staged, Throttled};
use crate::clock::Instant;
use crate::digits;
use crate::error::{Code, Error, Outcome, chain, millis};
use crate::headers::{FieldTexts, Habits, REQUEST_ID};
use crate::local_reply;
use crate::proof::SendProof;
use crate::record::layer::Opened;
use crate::record::{Breakdown, Cached, KeyUse, Record};
use crate::targets;

const CALL_ID: HeaderName = HeaderName::from_static("tollgate-call-id");
const OUTCOME: HeaderName = HeaderName::from_static("tollgate-outcome");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Milliseconds beside the whole seconds of `Retry-After`; Courier's SDKs read it first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The longest time to come back that Courier's Python SDK heeds.
const A_MINUTE: Duration = Duration::from_secs(60);

/// Answers whatever happens below.
#[derive(Debug)]
pub struct Finish;

pin_project! {
    /// An answer that comes whatever happens.
    pub struct Finishing<F> {
        #[pin]
        answer: F,
        asked: Asked,
    }
}

/// What is known of a request whatever becomes of it.
struct Asked {
    method: Method,
    request_id: Option<HeaderValue>,
    habits: Habits,
    record: Arc<Record>,
    proof: Arc<SendProof>,
    notes: Arc<Notes>,
}

/// Why the gateway answered by itself.
#[derive(Clone, Copy)]
struct Own {
    code: Code,
    outcome: Outcome,
    /// When the client was told to come back.
    after: Option<Duration>,
}

impl Finish {
    /// See the module text.
    #[must_use]
    pub fn layer() -> StageLayer<Self> {
        StageLayer::new(Self)
    }
}

impl<S: Next<Opened>> Stage<S> for Finish {
    type Call = Opened;
    type Reply = Reply;
    type Error = Infallible;
    type Future = Finishing<S::Future>;

    fn call(this: &Staged<Self, S>, opened: Opened) -> Self::Future {
        let asked = Asked {
            method: opened.request.method().clone(),
            request_id: opened.request_id.clone(),
            habits: opened.habits,
            record: opened.record.clone(),
            proof: opened.proof.clone(),
            notes: opened.notes.clone(),
        };
        Finishing { answer: this.pass(opened), asked }
    }
}

impl<F: Future<Output = call::Result>> Future for Finishing<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let asked = this.asked;
        // A record and handles cross the unwind; neither is left half changed by a panic.
        let polled = catch_unwind(AssertUnwindSafe(|| this.answer.poll(cx)));
        let result = std::task::ready!(polled.unwrap_or_else(|_| {
            let error =
                Error::refused(Code::Internal, "an unexpected condition was met; it is logged");
            Poll::Ready(Err(error.with_outcome(asked.proof.outcome())))
        }));
        let mut texts = FieldTexts::empty();
        let (reply, own) = match result {
            Ok(reply) => (reply, None),
            Err(mut error) => {
                // Fields, document and whoever asks later are told the same.
                error.retry_after = error.retry_after.map(|after| asked.heeded(after));
                let Error { code, outcome, retry_after: after, .. } = error;
                (asked.problem(error, &mut texts), Some(Own { code, outcome, after }))
            }
        };
        let mut reply = reply.framed(&asked.method, &mut texts);
        asked.finish(&mut reply, own, &mut texts);
        Poll::Ready(Ok(reply))
    }
}

impl Asked {
    /// The document for `error`, which is logged here, once.
    fn problem(&self, error: Error, texts: &mut FieldTexts) -> Reply {
        let (code, record) = (error.code, &self.record);
        if let Some(cause) = &error.cause {
            let cause = chain(cause.as_ref());
            tracing::warn!(target: targets::EDGE, call_id = %record.call_id, code = code.as_str(), cause, "call failed");
        }
        record.mark(|marks| {
            marks.code = Some(code);
            marks.outcome = Some(error.outcome);
            if let Some(after) = error.retry_after {
                marks.timeline.told(Duration::from_millis(millis(after)));
            }
        });
        let (outcome, after) = (error.outcome, error.retry_after);
        let mut reply = local_reply::problem(error, Some(record.call_id), self.media_type());
        let headers = reply.headers_mut();
        headers.insert(OUTCOME, HeaderValue::from_static(outcome.as_str()));
        headers.insert(PROXY_STATUS, HeaderValue::from_static(code.proxy_status()));
        if let Some(after) = after {
            say_when(headers, texts, after);
        }
        reply
    }

    /// A problem document, or plain JSON for the SDKs that look for no message in anything else.
    fn media_type(&self) -> &'static str {
        match self.habits.reads_plain_json_only {
            true => local_reply::JSON,
            false => local_reply::PROBLEM,
        }
    }

    /// Fields that every answer has.
    fn finish(&self, reply: &mut Reply, own: Option<Own>, texts: &mut FieldTexts) {
        let (now, record, noted) = (Instant::now(), &self.record, self.notes.all());
        let status = reply.status();
        let throttled = reply.facts_mut().throttled.take();
        let headers = reply.headers_mut();
        if let Some(throttled) = throttled {
            say_throttled(headers, status, &throttled);
        }
        let when = match own {
            Some(own) => own.after,
            None => self.come_back(headers, texts),
        };
        let time = record.mark(|marks| {
            marks.timeline.answered(now);
            marks.status = Some(status);
            marks.timeline.breakdown(record.started, now)
        });
        put(headers, SERVER_TIMING, texts.written(|field| server_timing(&time, field)));
        if let Some(rate_limit) = noted.rate_limit {
            let field = texts.written(|field| no_later(&rate_limit, when, field));
            put(headers, RATE_LIMIT, field);
            headers.insert(RATE_LIMIT_POLICY, rate_limit.policy);
        }
        if status.is_server_error() || own.is_some_and(|own| own.outcome == Outcome::Unknown) {
            self.proof.doubted();
        }
        if let Some(cached) = noted.cached {
            say_cached(headers, texts, cached);
        }
        let call_id = texts.value(record.call_id);
        let request_id = self.request_id.as_ref().or(call_id.as_ref()).cloned();
        put(headers, REQUEST_ID, request_id);
        put(headers, CALL_ID, call_id);
        let for_good = own.is_some_and(|own| own.code.is_for_good());
        if for_good || self.may_do_it_twice(status, own, noted.key) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }

    /// When an answer, the vendor's own among them, tells its client to come back: a time that it heeds.
    fn come_back(&self, headers: &mut HeaderMap, texts: &mut FieldTexts) -> Option<Duration> {
        let said = said_when(headers)?;
        let heeded = self.heeded(said);
        if heeded != said {
            say_when(headers, texts, heeded);
        }
        Some(heeded)
    }

    /// A time to come back that the client's SDK heeds. One that heeds no more than a minute would
    /// come back at once: it is told 45 to 60 s, by chance, so that those who are told so don't
    /// come together.
    fn heeded(&self, after: Duration) -> Duration {
        if after <= A_MINUTE || !self.habits.heeds_a_minute {
            return after;
        }
        let spread = self.record.call_id.number() % 15_001;
        A_MINUTE - Duration::from_millis(u64::try_from(spread).unwrap_or_default())
    }

    /// True for a failed POST or PATCH without a key of the client's that may have been acted on:
    /// its SDK must not send it again by itself. A 429 is Courier's word that it did nothing.
    fn may_do_it_twice(&self, status: StatusCode, own: Option<Own>, key: Option<KeyUse>) -> bool {
        let changes = self.method == Method::POST || self.method == Method::PATCH;
        let failed = status.is_client_error() || status.is_server_error();
        let idle = match own {
            Some(own) => own.outcome == Outcome::NotSent,
            None => status == StatusCode::TOO_MANY_REQUESTS,
        };
        changes && failed && !idle && key != Some(KeyUse::Given)
    }
}

/// Says of the vendor's own refusal when its pool opens again, within the bounds of the gateway, and
/// that the status is the vendor's (RFC 9209 section 2.1.5).
fn say_throttled(headers: &mut HeaderMap, status: StatusCode, throttled: &Throttled) {
    headers.insert(header::RETRY_AFTER, HeaderValue::from(throttled.seconds()));
    let text = format!("tollgate; received-status={}", status.as_u16());
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(PROXY_STATUS, value);
    }
}

/// Says when to come back: `Retry-After` in whole seconds and `retry-after-ms`, both rounded up.
fn say_when(headers: &mut HeaderMap, texts: &mut FieldTexts, after: Duration) {
    let millis = millis(after).max(1);
    put(headers, header::RETRY_AFTER, texts.number(millis.div_ceil(1000)));
    put(headers, RETRY_AFTER_MS, texts.number(millis));
}

/// What an answer says of when to come back, in its most precise words.
fn said_when(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &HeaderName| headers.get(name)?.to_str().ok()?.parse().ok();
    let seconds = || number(&header::RETRY_AFTER).map(Duration::from_secs);
    number(&RETRY_AFTER_MS).map(Duration::from_millis).or_else(seconds)
}

/// `RateLimit` with a `t` that is no later than `Retry-After`: who reads both must not wait longer
/// for the one than for the other. It is often earlier, since the refused are spread over what
/// comes back.
fn no_later(rate_limit: &RateLimit, when: Option<Duration>, field: &mut impl BufMut) {
    rate_limit.within(when.map(|when| millis(when).max(1).div_ceil(1000)), field);
}

/// `Cache-Status` (RFC 9211), behind those of caches nearer to the vendor; `Age` on reuse.
fn say_cached(headers: &mut HeaderMap, texts: &mut FieldTexts, cached: Cached) {
    if let Some(value) = texts.value(cached.status()) {
        headers.append(CACHE_STATUS, value);
    }
    if let Some(age) = cached.age() {
        put(headers, header::AGE, texts.number(age.as_secs()));
    }
}

/// `Server-Timing`: its parts are the time to the head, in milliseconds.
fn server_timing(time: &Breakdown, field: &mut impl BufMut) {
    for (at, (word, time)) in time.told().enumerate() {
        field.put_slice(if at == 0 { b"" } else { b", " });
        field.put_slice(word.as_bytes());
        field.put_slice(b";dur=");
        digits::thousandth(field, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_told_no_later_than_the_time_to_come_back() {
        let policy = HeaderValue::from_static("\"connection\";q=100;w=60");
        let limit = RateLimit { policy, pool: "connection".into(), left: 0, seconds: 44 };
        let told = |after: Option<u64>| {
            let mut field = Vec::new();
            no_later(&limit, after.map(Duration::from_millis), &mut field);
            String::from_utf8(field).unwrap()
        };
        let text = "\"connection\";r=0;t=44";
        assert_eq!(told(None), text);
        assert_eq!(told(Some(44_000)), text);
        assert_eq!(told(Some(60_000)), text, "the refused are spread behind it");
        assert_eq!(told(Some(43_001)), text, "the second that it is in");
        assert_eq!(told(Some(43_000)), "\"connection\";r=0;t=43");
    }
}
