//! A fresh copy answers here, before anything is spent; identical reads under way are one vendor
//! call; a write clears what it changes, before it is sent and again before its caller is answered.

mod by_headers;
mod fetch;
mod read;
#[cfg(test)]
mod tests;
mod turn;

use std::future::{Ready, ready};
use std::sync::Arc;

use http::StatusCode;
use tokio_util::either::Either;

use crate::cache::generations::{Clearing, End};
use crate::cache::replicas::Telling;
use crate::cache::{RowKind, Shelf, accept};
use crate::call::{BoxFuture, BufferedCall, Next, Notes, Reply, Result, Stage, StageLayer, Staged};
use crate::clock::Instant;
use crate::detached::Flights;
use crate::error::Error;
use crate::proof::SendProof;
use crate::record::{Cached, Kept, Record};
use read::{Found, Read};

/// Answers reads from copies.
pub struct Caching {
    shelf: Arc<Shelf>,
    flights: Flights,
}

/// Where it is said what the cache did for a call.
struct Says {
    notes: Arc<Notes>,
    record: Arc<Record>,
}

/// A write under way: closed whatever becomes of it.
struct Write {
    clearing: Option<Clearing>,
    /// Where other replicas are told of it.
    telling: Option<Telling>,
    record: Arc<Record>,
    shelf: Arc<Shelf>,
    proof: Arc<SendProof>,
}

// === impl Caching ===

impl Caching {
    /// `shelf` knows what is kept; a fetch that its caller leaves goes on among `flights`.
    #[must_use]
    pub fn layer(shelf: Arc<Shelf>, flights: Flights) -> StageLayer<Self> {
        StageLayer::new(Self { shelf, flights })
    }
}

// === impl Says ===

impl Says {
    /// For the answer to `call`, and for telemetry.
    fn of(call: &BufferedCall) -> Self {
        Self { notes: call.notes.clone(), record: call.record.clone() }
    }

    /// The cache did something.
    fn cached(&self, cached: Cached) {
        self.notes.cached(cached);
        self.record.cached(cached);
    }

    /// What became of the answer that the cache let pass.
    fn kept(&self, became: Kept) {
        self.notes.kept(became);
        self.record.mark(|marks| {
            if let Some(Cached::Missed { kept, .. }) = &mut marks.cached {
                *kept = became;
            }
        });
    }
}

// === impl Write ===

impl Write {
    /// It is about to be sent: other replicas are told, if they can be in time.
    async fn open(&self) {
        if let Some(telling) = &self.telling {
            let told = telling.open(self.shelf.hard_limit()).await;
            self.record.mark(|marks| marks.untold = !told);
        }
    }

    /// Waits for its answer, and clears before it is given.
    async fn ends_with(mut self, answer: impl Future<Output = Result>) -> Result {
        let result = answer.await;
        let end = self.end(&result);
        self.close(end).await;
        result
    }

    /// It ended, and its caller is not answered yet.
    async fn close(&mut self, end: End) {
        if let Some(telling) = self.telling.take() {
            // It waits to be told from here on, whoever leaves.
            let told = telling.close(end).await;
            let matters = !told && end != End::Refused;
            self.record.mark(|marks| marks.untold &= matters);
        }
        self.close_here(end);
    }

    fn close_here(&mut self, end: End) {
        if let Some(clearing) = self.clearing.take() {
            clearing.close(end, Instant::now());
        }
    }

    /// What `result` says of the copies. It is the whole truth unless an earlier attempt may still
    /// be done.
    fn end(&self, result: &Result) -> End {
        match result {
            _ if !self.proof.was_sent() => End::Refused,
            Ok(reply) if self.proof.sent() == 1 => match reply.status() {
                StatusCode::REQUEST_TIMEOUT => self.shelf.unknown(),
                StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => self.shelf.done(),
                status if status.is_client_error() => End::Refused,
                status if status.is_server_error() => self.shelf.unknown(),
                _ => self.shelf.done(),
            },
            _ => self.shelf.unknown(),
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let sent = self.proof.was_sent();
        let end = if sent { self.shelf.unknown() } else { End::Refused };
        if let Some(telling) = self.telling.take() {
            telling.close_later(end);
        }
        self.close_here(end);
    }
}

impl<S: Next<BufferedCall>> Stage<S> for Caching {
    type Call = BufferedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, Either<Ready<Result>, BoxFuture>>;

    fn call(this: &Staged<Self, S>, mut call: BufferedCall) -> Self::Future {
        let Self { shelf, flights } = &**this.stage();
        let Some(row) = shelf.row(&call) else {
            return Either::Left(this.pass(call));
        };
        let future: BoxFuture = if let RowKind::Write = row.kind {
            call.record.mark(|marks| marks.clears = true);
            let write = Write {
                clearing: Some(shelf.open(call.caller.ix, row)),
                telling: shelf.telling(call.caller.ix, row),
                record: call.record.clone(),
                shelf: shelf.clone(),
                proof: call.proof.clone(),
            };
            if write.telling.is_none() {
                let answer = this.pass(call);
                Box::pin(write.ends_with(answer))
            } else {
                let mut next = this.next();
                Box::pin(async move {
                    write.open().await;
                    let answer = next.call(call);
                    write.ends_with(answer).await
                })
            }
        } else {
            accept::normalise(&mut call.headers);
            // Most copies answer here, and cost nothing of what a wait needs.
            let found = Found::at_once(shelf, row, &call);
            if let Some(reply) = found.as_ref().and_then(|found| found.hit(&call)) {
                return Either::Right(Either::Left(ready(Ok(reply))));
            }
            let (shelf, flights, row) = (shelf.clone(), flights.clone(), row.clone());
            Box::pin(Read { shelf, flights, row, inner: this.next() }.answer(call, found))
        };
        Either::Right(Either::Right(future))
    }
}
