//! An answer's body that tells the connection's watch when the client owes it a read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::activity::Answering;
use crate::error::Cause;

/// Most bytes of an HTTP/2 frame, unless a client asks for more (RFC 9113 section 6.5.2).
const FRAME: usize = 16 << 10;

pin_project! {
    /// The body; see the top of this file.
    pub(super) struct Watched<B> {
        #[pin]
        inner: B,
        answering: Answering,
        // The most bytes of a piece, and what is left of a longer one.
        most: usize,
        rest: Bytes,
    }
}

impl<B> Watched<B> {
    /// HTTP/2 takes a piece whole, whatever the client's window, and what it took can't be seen
    /// here. So a piece is no larger than a frame, and no more of an answer than that is held
    /// unseen.
    pub(super) fn new(inner: B, answering: Answering, version: Version) -> Self {
        let most = if version == Version::HTTP_2 { FRAME } else { usize::MAX };
        Self { inner, answering, most, rest: Bytes::new() }
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Cause>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.answering.asked();
        let frame = if this.rest.is_empty() {
            ready!(this.inner.poll_frame(cx))
        } else {
            Some(Ok(Frame::data(std::mem::take(this.rest))))
        };
        this.answering.gave();
        let most = *this.most;
        Poll::Ready(frame.map(|frame| {
            Ok(frame?.map_data(|mut data| {
                if data.len() > most {
                    *this.rest = data.split_off(most);
                }
                data
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
