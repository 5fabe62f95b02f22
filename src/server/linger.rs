//! A request body that nobody finished reading.
//!
//! A client that is refused in the middle of an upload often writes all of it before it reads. A
//! close with unread bytes resets the connection, and the answer is lost. In HTTP/2 a reset of the
//! stream does the same, though it must not (RFC 9113 section 8.1). The client would see a broken
//! socket instead of its 413. So the rest is read and thrown away, within bounds, while the answer
//! goes out. The connection stays usable; if it can't, the answer says so.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::activity::{Answering, Arriving};

/// The most bytes that are thrown away: ten times what Courier itself would take.
const MOST: u64 = 64 << 20;

/// Time for them.
const LONGEST: Duration = Duration::from_secs(10);

/// The body of a request, as the server hands it on.
pub struct RequestBody {
    /// `None` after its end.
    inner: Option<Incoming>,
    rest: Rest,
    /// Until its last byte is here.
    arriving: Option<Arriving>,
}

/// What becomes of the rest of a body, once the body was dropped and its request was answered.
#[derive(Clone)]
pub(super) struct Rest(
    /// `None` if there was no body.
    Option<Arc<Mutex<Left>>>,
);

struct Left {
    version: Version,
    /// The client waits for `100 Continue`. It has sent nothing yet, and a read would ask for the
    /// body.
    waits: bool,
    answered: bool,
    body: Option<Incoming>,
}

// === impl RequestBody ===

impl RequestBody {
    /// The body of `request`, and its rest when it is dropped unread.
    pub(super) fn of<T>(
        request: &http::Request<T>,
        inner: Incoming,
        answering: &Answering,
    ) -> (Self, Rest) {
        if inner.is_end_stream() {
            return (Self { inner: None, rest: Rest(None), arriving: None }, Rest(None));
        }
        let left = Left {
            version: request.version(),
            waits: request.headers().contains_key(header::EXPECT),
            answered: false,
            body: None,
        };
        let rest = Rest(Some(Arc::new(Mutex::new(left))));
        let arriving = Some(answering.arriving());
        (Self { inner: Some(inner), rest: rest.clone(), arriving }, rest)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        if frame.is_none() || inner.is_end_stream() {
            self.arriving = None;
        }
        if frame.is_none() {
            // A body in a transfer coding shows its end only here.
            self.inner = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        let Some(mut left) = self.rest.left() else { return };
        if !left.answered {
            left.body = Some(body);
        } else if !left.waits {
            linger(body);
        }
    }
}

// === impl Rest ===

impl Rest {
    /// The request is answered by `response`. If the connection must end after it, `response` is
    /// made to say so.
    pub(super) fn answered<B>(&self, response: &mut Response<B>) {
        let Some(mut left) = self.left() else { return };
        left.answered = true;
        let Some(body) = left.body.take() else { return };
        // A client that was too slow is not waited for (RFC 9110 section 15.5.9).
        let late = response.status() == StatusCode::REQUEST_TIMEOUT;
        let endless = body.size_hint().lower() > MOST;
        // hyper takes no request after a body that it may not ask for.
        if (late || endless || left.waits) && left.version < Version::HTTP_2 {
            let closes = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, closes);
        }
        let whole = left.version < Version::HTTP_2 || !endless;
        if !late && !left.waits && whole {
            linger(body);
        }
    }

    /// std, not tokio: each section is a few assignments and never awaits.
    fn left(&self) -> Option<MutexGuard<'_, Left>> {
        let left = self.0.as_ref()?;
        Some(left.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads `body` in a task of its own, to its end or to the bounds.
fn linger(body: Incoming) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(throw_away(body));
    }
}

async fn throw_away(mut body: Incoming) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > MOST {
                return;
            }
        }
    };
    // Time or bytes are over: the connection or the stream ends when the body is dropped.
    let _ = timeout(LONGEST, reading).await;
}
