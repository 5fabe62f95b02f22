//! A collector that asks for a pause gets it. Nothing is sent before its `Retry-After` is over;
//! then the request that it refused goes again. Meanwhile spans wait in the queue, as many as fit.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use opentelemetry_http::HttpError;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Instant};
use crate::quota::feedback;

/// The longest that one request is held. A request that is refused for longer is dropped and makes
/// room.
const HELD: Duration = feedback::LONGEST;

/// The time until which the collector wants nothing.
#[derive(Debug, Default)]
pub(super) struct Pause(
    /// std, not tokio: never held across an await.
    Mutex<Option<Instant>>,
);

impl Pause {
    /// Calls `ask`, and calls it again after each pause that an answer asks for. It stops at an
    /// answer that asks for none, or when the request was held for [`HELD`]. Once `end` is
    /// cancelled, no pause is waited out.
    ///
    /// # Errors
    /// The errors of `ask`, and an error if `end` was cancelled during a pause.
    pub(super) async fn kept<F>(
        &self,
        ask: impl Fn() -> F,
        end: &CancellationToken,
    ) -> Result<Response<Bytes>, HttpError>
    where
        F: Future<Output = Result<Response<Bytes>, HttpError>>,
    {
        let begun = Instant::now();
        loop {
            if let Some(until) = self.until().filter(|until| *until > Instant::now()) {
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = end.cancelled() => return Err("the collector asked for a pause".into()),
                }
            }
            let answer = ask().await?;
            let ours = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let Some(asked) = asked(answer.status(), answer.headers(), ours) else {
                self.set(None);
                return Ok(answer);
            };
            let now = Instant::now();
            if self.set(Some(now + asked)).is_none() {
                let seconds = asked.as_secs();
                tracing::warn!(seconds, "the collector asks for a pause; spans wait in the queue");
            }
            if now + asked > begun + HELD {
                return Ok(answer);
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the time; returns the one before.
    fn set(&self, until: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), until)
    }
}

/// The pause that an answer asks for: at least a second, and at most [`HELD`].
fn asked(status: StatusCode, headers: &HeaderMap, ours: Duration) -> Option<Duration> {
    let throttles =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let field = |name| headers.get(name).map(http::HeaderValue::as_bytes);
    // A date is read by the clock that wrote it (RFC 9110 section 10.2.3).
    let sent = feedback::date(field(header::DATE)).unwrap_or(ours);
    feedback::retry_after(field(header::RETRY_AFTER), sent).filter(|_| throttles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Response<Bytes> {
        let mut answer = Response::builder().status(status);
        if let Some(value) = retry_after {
            answer = answer.header("retry-after", value);
        }
        answer.body(Bytes::new()).unwrap()
    }

    /// Sends to a collector that gives `answers` in turn and then 200, until the pauses are over.
    /// Returns when the collector was asked, in seconds, and the last status.
    async fn asked_at(pause: &Pause, answers: &[(u16, Option<&str>)]) -> (Vec<u64>, u16) {
        let (begun, times) = (Instant::now(), Mutex::new(Vec::new()));
        let ask = || {
            let mut times = times.lock().unwrap();
            times.push(begun.elapsed().as_secs());
            let (status, after) = answers.get(times.len() - 1).copied().unwrap_or((200, None));
            std::future::ready(Ok(answer(status, after)))
        };
        let last = pause.kept(ask, &CancellationToken::new()).await.unwrap();
        (times.into_inner().unwrap(), last.status().as_u16())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_was_asked_for_is_kept_and_the_request_goes_again() {
        let pause = Pause::default();
        let answers = [(429, Some("60")), (503, Some("7"))];
        assert_eq!(asked_at(&pause, &answers).await, (vec![0, 60, 67], 200));
        assert_eq!(asked_at(&pause, &[]).await, (vec![0], 200), "it is over");
        // Without a time in the answer, the exporter itself waits.
        assert_eq!(asked_at(&pause, &[(429, None)]).await, (vec![0], 429));
        assert_eq!(asked_at(&pause, &[(500, Some("60"))]).await, (vec![0], 500));
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_is_held_for_more_than_five_minutes_and_the_next_one_keeps_the_pause() {
        let pause = Pause::default();
        let always = [(429, Some("100")); 9];
        assert_eq!(asked_at(&pause, &always).await, (vec![0, 100, 200, 300], 429));
        assert_eq!(asked_at(&pause, &[]).await, (vec![100], 200));
        assert_eq!(asked_at(&pause, &[(503, Some("86400"))]).await, (vec![0, 300], 200));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_no_pause() {
        let (pause, end) = (Pause::default(), CancellationToken::new());
        pause.set(Some(Instant::now() + HELD));
        end.cancel();
        let (begun, ask) = (Instant::now(), || std::future::ready(Ok(answer(200, None))));
        assert!(pause.kept(ask, &end).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_date_counts_on_the_collectors_clock() {
        let mut headers = HeaderMap::new();
        headers.insert("date", "Wed, 25 Nov 2026 10:00:00 GMT".parse().unwrap());
        headers.insert("retry-after", "Wed, 25 Nov 2026 10:00:30 GMT".parse().unwrap());
        let pause = asked(StatusCode::TOO_MANY_REQUESTS, &headers, Duration::ZERO);
        assert_eq!(pause, Some(Duration::from_secs(30)));
    }
}
