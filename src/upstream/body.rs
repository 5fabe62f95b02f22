//! The answer's body on its way through: bounded in time, its length kept, its trailers dropped,
//! its socket given back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
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
        // Its head says that there is none.
        bodiless: bool,
        lease: Lease,
    }
}

/// The vendor stopped in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the vendor's answer did not come to its end in time")]
struct Stalled;

/// hyper ends a body without a word when its stream is reset with NO_ERROR, which says that no more
/// of the request is wanted, and should follow a whole answer.
#[derive(Debug, thiserror::Error)]
#[error("the vendor's answer is shorter than it said")]
struct Short;

/// Only HTTP/2 can bring one; over HTTP/1.1 such octets belong to no answer, and end the socket.
#[derive(Debug, thiserror::Error)]
#[error("the vendor sent a body where there can be none")]
struct Unexpected;

impl Answer {
    /// `bodiless`: no octet may come; `idle` bounds each pause of the vendor, `total` the whole
    /// body.
    pub(super) fn new(
        inner: Incoming,
        bodiless: bool,
        (idle, total): (Duration, Duration),
        mut lease: Lease,
    ) -> Self {
        if inner.is_end_stream() {
            lease.finished();
        }
        let now = Instant::now();
        let end = now + total;
        let timer = tokio::time::sleep_until(end.min(now + idle));
        Self { inner, timer, idle, end, waiting: false, bodiless, lease }
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
        loop {
            let Poll::Ready(frame) = this.inner.as_mut().poll_frame(cx) else {
                // Only the vendor's pauses count: a client that reads slowly is the server's
                // matter.
                if !*this.waiting {
                    *this.waiting = true;
                    this.timer.as_mut().reset((*this.end).min(Instant::now() + *this.idle));
                }
                ready!(this.timer.as_mut().poll(cx));
                return Poll::Ready(Some(Err(Stalled.into())));
            };
            *this.waiting = false;
            if frame.is_none() || this.inner.is_end_stream() {
                this.lease.finished();
            }
            return Poll::Ready(match frame.map(|frame| frame.map(Frame::into_data)) {
                // Trailers belong to the hop; nobody could look at them before the answer is given.
                Some(Ok(Err(_trailers))) => continue,
                Some(Ok(Ok(data))) if *this.bodiless && !data.is_empty() => {
                    Some(Err(Unexpected.into()))
                }
                Some(Ok(Ok(data))) => Some(Ok(Frame::data(data))),
                Some(Err(cause)) => Some(Err(cause.into())),
                None if this.inner.size_hint().lower() > 0 && !*this.bodiless => {
                    Some(Err(Short.into()))
                }
                None => None,
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.inner.size_hint() {
            _ if self.bodiless => SizeHint::with_exact(0),
            // Nobody would look whether more comes over HTTP/2 than the nothing that was announced.
            hint if hint.exact() == Some(0) && !self.inner.is_end_stream() => SizeHint::default(),
            hint => hint,
        }
    }
}
