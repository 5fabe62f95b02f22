//! A fresh copy answers here, before anything is spent; identical reads under way are one vendor
//! call; a write clears what it changes, before it is sent and again before its caller is answered.

mod by_headers;
mod fetch;
mod read;

use std::sync::Arc;
use std::task::{Context, Poll};

use http::StatusCode;
use tower::{Layer, Service};

use crate::cache::generations::{Clearing, End};
use crate::cache::{Kind, Shelf};
use crate::call::{BoxFuture, Call, Reply, Result};
use crate::clock::Instant;
use crate::detached::Flights;
use crate::error::Error;
use crate::record::Record;
use read::Read;

/// Answers reads from copies.
#[derive(Clone)]
pub struct CacheLayer {
    shelf: Arc<Shelf>,
    flights: Flights,
}

/// See [`CacheLayer`].
#[derive(Clone)]
pub struct Cache<S> {
    rules: CacheLayer,
    inner: S,
}

/// A write under way: closed whatever becomes of it.
struct Write {
    clearing: Option<Clearing>,
    shelf: Arc<Shelf>,
    record: Arc<Record>,
}

// === impl CacheLayer ===

impl CacheLayer {
    /// `shelf` knows what is kept; a fetch that its caller leaves goes on among `flights`.
    #[must_use]
    pub fn new(shelf: Arc<Shelf>, flights: Flights) -> Self {
        Self { shelf, flights }
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cache<S>;

    fn layer(&self, inner: S) -> Cache<S> {
        Cache { rules: self.clone(), inner }
    }
}

// === impl Write ===

impl Write {
    fn close(&mut self, end: End) {
        if let Some(clearing) = self.clearing.take() {
            clearing.close(end, Instant::now());
        }
    }

    /// What `result` says of the copies. It is the whole truth unless an earlier attempt may still be
    /// done.
    fn end(&self, result: &Result) -> End {
        let attempts = self.record.read(|marks| marks.attempts);
        if attempts == 0 {
            return End::Refused;
        }
        match result {
            Ok(reply) if self.record.maybe_done() <= 1 => match reply.status() {
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
        let unsent = self.record.read(|marks| marks.attempts) == 0;
        self.close(if unsent { End::Refused } else { self.shelf.unknown() });
    }
}

// === impl Cache ===

impl<S> Service<Call> for Cache<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Clone + Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> BoxFuture {
        let CacheLayer { shelf, flights } = &self.rules;
        let Some(row) = shelf.row(&call) else {
            return self.inner.call(call);
        };
        let mut inner = self.inner.clone();
        let (shelf, flights) = (shelf.clone(), flights.clone());
        if let Kind::Write = row.kind {
            let clearing = Some(shelf.open(&call.caller.connection, &row));
            let record = call.record.clone();
            record.mark(|marks| marks.clears = true);
            let mut write = Write { clearing, shelf, record };
            return Box::pin(async move {
                let result = inner.call(call).await;
                let end = write.end(&result);
                write.close(end);
                result
            });
        }
        Box::pin(Read { shelf, flights, row, inner }.answer(call))
    }
}
