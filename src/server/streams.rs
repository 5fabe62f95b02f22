//! The streams of an HTTP/2 connection, each of which can be ended without harm to the others.
//!
//! hyper hands each stream to an executor, as a future of its own, right after it has called the
//! service for its request. This executor drops a stream's future when it is told to, and the drop
//! resets the stream.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

/// Runs the streams of one connection. Clones share their state.
#[derive(Clone, Default)]
pub(super) struct Streams {
    /// The token that ends the stream for whose request the service was just called. std, not
    /// tokio: each section is one assignment.
    next: Arc<Mutex<Option<CancellationToken>>>,
}

impl Streams {
    /// The token that ends the stream whose request is being handed over.
    pub(super) fn begin(&self) -> CancellationToken {
        let end = CancellationToken::new();
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.clone());
        end
    }

    fn take(&self) -> Option<CancellationToken> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        match self.take() {
            Some(end) => tokio::spawn(async move {
                tokio::select! {
                    _ = stream => {}
                    () = end.cancelled() => {}
                }
            }),
            None => tokio::spawn(async move {
                stream.await;
            }),
        };
    }
}
