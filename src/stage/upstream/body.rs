//! The answer's body on its way through: bounded in time, its length kept, its socket given back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::pool::Lease;
use crate::clock::Instant;
use crate::error::Cause;

pin_project! {
    /// A vendor's body. An error cuts the client's answer off, so that it is never taken for whole.
    pub(super) struct Answer {
        #[pin]
        inner: Incoming,
        #[pin]
        timer: Sleep,
        idle: Duration,
        end: Instant,
        waiting: bool,
        lease: Lease,
    }
}

/// The vendor stopped in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the vendor's answer did not come to its end in time")]
struct Stalled;

impl Answer {
    /// `idle` bounds each pause of the vendor, `total` the whole body.
    pub(super) fn new(inner: Incoming, idle: Duration, total: Duration, mut lease: Lease) -> Self {
        if inner.is_end_stream() {
            lease.finished();
        }
        let now = Instant::now();
        let end = now + total;
        let timer = tokio::time::sleep_until(end.min(now + idle));
        Self { inner, timer, idle, end, waiting: false, lease }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let mut this = self.project();
        let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) else {
            // Only the vendor's pauses count: a client that reads slowly is the server's matter.
            if !*this.waiting {
                *this.waiting = true;
                this.timer.as_mut().reset((*this.end).min(Instant::now() + *this.idle));
            }
            ready!(this.timer.poll(cx));
            return Poll::Ready(Some(Err(Stalled.into())));
        };
        *this.waiting = false;
        if frame.is_none() || this.inner.is_end_stream() {
            this.lease.finished();
        }
        Poll::Ready(frame.map(|result| result.map_err(Cause::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
