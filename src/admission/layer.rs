//! Lets a call wait for its turn and for a slot of each pool that it pays; settles the slots when
//! the answer's head is here; tells the quota when the vendor says 429.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{DATE, HeaderValue, RETRY_AFTER};

use super::{Desk, Pass};
use crate::call::{
    AdmittedCall, Attempt, BoxFuture, BufferedCall, Next, Reply, Result, Stage, StageLayer, Staged,
};
use crate::clock::{self, Instant};
use crate::error::Error;
use crate::quota::{QuotaRefusal, feedback};
use crate::record::{Record, Wait};
use crate::targets;

/// Admits calls.
pub struct Admit {
    desk: Arc<Desk>,
}

impl Admit {
    /// `desk` knows where each call stands.
    #[must_use]
    pub fn layer(desk: Arc<Desk>) -> StageLayer<Self> {
        StageLayer::new(Self { desk })
    }
}

/// Accounts for the slots of a call that ended as `result`. Without an answer the pass knows
/// whether its attempt was sent.
fn settle(desk: &Desk, mut pass: Pass, mut result: Result, call: &BufferedCall) -> Result {
    if let Ok(reply) = &mut result {
        throttle(&mut pass, reply, call);
    }
    // After the slots are settled: what is left is what the caller can count on.
    call.notes.rate_limit(desk.settle(call, pass, result.is_ok()));
    result
}

/// Waits for the right to send `call`; what the waiting was like is in its record, however it ends.
fn admit(
    desk: &Desk,
    call: &Attempt,
) -> impl Future<Output = std::result::Result<Pass, QuotaRefusal>> + use<> {
    let entered = Instant::now();
    let (turn, rate_limit) = desk.enter(call);
    call.notes.rate_limit(rate_limit);
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
        self.record.mark(|marks| marks.timeline.waited(wait));
    }
}

/// A vendor's 429, or 503 with a time to come back, closes the pool that the call paid; the caller
/// gets the time within its bounds.
fn throttle(pass: &mut Pass, reply: &mut Reply, call: &BufferedCall) {
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
    tracing::warn!(target: targets::VENDOR,
        call_id = %call.record.call_id,
        connection = %call.caller.connection,
        pool = closed.pool,
        status = status.as_u16(),
        seconds = closed.seconds(),
        "the vendor throttles; the pool is closed"
    );
    call.record.mark(|marks| marks.quota.throttled = true);
    reply.facts_mut().throttled = Some(closed);
}

impl<S: Next<AdmittedCall>> Stage<S> for Admit {
    type Call = Attempt;
    type Reply = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn call(this: &Staged<Self, S>, attempt: Attempt) -> BoxFuture {
        let this = this.clone();
        Box::pin(async move {
            let desk = &this.stage().desk;
            let pass = match admit(desk, &attempt).await {
                Ok(pass) => pass.carrying(attempt.proof.clone()),
                Err(refusal) => return Err(desk.refused(&attempt, &refusal)),
            };
            record_pass(&attempt, &pass);
            let admitted = attempt.clone().admitted(pass.taken());
            let result = this.pass(admitted).await;
            settle(desk, pass, result, &attempt)
        })
    }
}

fn record_pass(call: &BufferedCall, pass: &Pass) {
    call.record.mark(|marks| {
        marks.quota.lane = Some(pass.lane());
        marks.quota.would = Some(pass.would());
    });
}

#[cfg(test)]
mod tests;
