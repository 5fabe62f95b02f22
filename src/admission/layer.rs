//! Lets a call wait for its turn and for a slot of each pool that it pays; settles the slots when the
//! answer's head is here; tells the quota when the vendor says 429.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use tower::{Layer, Service};

use crate::admission::{Desk, Pass, whole_seconds};
use crate::call::{BoxFuture, Call, Reply, Result};
use crate::clock::{self, Instant};
use crate::error::Error;
use crate::quota::{Refusal, feedback};
use crate::record::{Record, Wait};
use crate::targets;

/// Admits calls.
#[derive(Clone)]
pub struct AdmitLayer {
    desk: Arc<Desk>,
}

/// See [`AdmitLayer`].
#[derive(Clone)]
pub struct Admit<S> {
    desk: Arc<Desk>,
    inner: S,
}

// === impl AdmitLayer ===

impl AdmitLayer {
    /// `desk` knows where each call stands.
    #[must_use]
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { desk: self.desk.clone(), inner }
    }
}

// === impl Admit ===

/// Accounts for the slots of a call that ended as `result`. Without an answer the pass knows whether
/// its attempt was sent.
fn settle(mut pass: Pass, result: Result, call: &Marker) -> Result {
    let mut reply = result?;
    throttle(&mut pass, &mut reply, call);
    pass.answered();
    Ok(reply)
}

/// Waits for the right to send `call`; what the waiting was like is in its record, however it ends.
fn admit(
    desk: &Desk,
    call: &Call,
) -> impl Future<Output = std::result::Result<Pass, Refusal>> + use<> {
    let entered = Instant::now();
    let turn = desk.enter(call);
    let standing = match &turn {
        Ok(turn) => turn.standing(),
        Err(refusal) => refusal.standing,
    };
    let wait = Wait::begins(entered, desk.stood(call, standing));
    let mut waiting = Waiting { record: call.record.clone(), wait };
    waiting.wait.queued = turn.is_ok() && standing.is_some();
    waiting.wait.left_early = true;
    async move {
        let admitted = match turn {
            Ok(turn) => turn.come().await,
            Err(refusal) => Err(refusal),
        };
        waiting.wait.left_early = false;
        if let Err(refusal) = &admitted {
            waiting.wait.refused(refusal);
        }
        admitted
    }
}

/// Notes a wait when it ends, also when its caller leaves.
struct Waiting {
    record: Arc<Record>,
    wait: Wait,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = Instant::now();
        let wait = Wait { left, ..self.wait.clone() };
        self.record.mark(|marks| {
            marks.queued += left.saturating_duration_since(wait.entered);
            marks.timeline.waited(wait);
        });
    }
}

/// What is needed of a call after it was handed on.
struct Marker {
    connection: crate::ids::ConnectionId,
    record: Arc<Record>,
}

/// A vendor's 429, or 503 with a time to come back, closes the pool that the call paid; the caller
/// gets the time within its bounds. The mark on the answer tells `retry` so.
fn throttle(pass: &mut Pass, reply: &mut Reply, call: &Marker) {
    let status = reply.status();
    let told = reply.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes);
    let refused = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::SERVICE_UNAVAILABLE && told.is_some());
    if !refused {
        return;
    }
    // A date counts on the clock that wrote it (RFC 9110 section 10.2.3): ours may be an hour off.
    let sent = feedback::date(reply.headers().get(DATE).map(HeaderValue::as_bytes));
    let ours = || clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let asked = feedback::retry_after(told, sent.unwrap_or_else(ours));
    let Some(closed) = pass.vendor_refused(asked) else { return };
    reply.extensions_mut().insert(closed.clone());
    let seconds = whole_seconds(closed.pause);
    tracing::warn!(target: targets::VENDOR,
        call_id = %call.record.call_id,
        connection = %call.connection,
        pool = closed.pool,
        status = status.as_u16(),
        seconds,
        "the vendor throttles; the pool is closed"
    );
    call.record.mark(|marks| marks.throttled = true);
    let headers = reply.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    let proxy_status = format!("tollgate; received-status={}", status.as_u16());
    if let Ok(value) = HeaderValue::from_str(&proxy_status) {
        headers.append(HeaderName::from_static("proxy-status"), value);
    }
}

impl<S> Service<Call> for Admit<S>
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

    fn call(&mut self, mut call: Call) -> BoxFuture {
        let (desk, mut inner) = (self.desk.clone(), self.inner.clone());
        Box::pin(async move {
            let record = call.record.clone();
            let pass = match admit(&desk, &call).await {
                Ok(pass) => pass.carrying(record.clone()),
                Err(refusal) => {
                    let refused = desk.refused(&call, &refusal);
                    desk.show(&call.caller, &call.operation, &record);
                    return Err(refused);
                }
            };
            record.mark(|marks| {
                marks.lane = Some(pass.lane());
                marks.would = Some(pass.would());
            });
            call.taken = Some(pass.taken());
            let (caller, operation) = (call.caller.clone(), call.operation.clone());
            let marker = Marker { connection: caller.connection.clone(), record };
            let result = inner.call(call).await;
            let result = settle(pass, result, &marker);
            // After the slots are settled: what is left is what the caller can count on.
            desk.show(&caller, &operation, &marker.record);
            result
        })
    }
}
