//! A request body that nobody finished reading.
//!
//! A client that is refused in the middle of an upload often writes all of it before it reads. To
//! close on unread octets resets the connection, and with it the answer: the client would see a
//! broken socket instead of its 413. So what is left is read and thrown away, within bounds; the
//! answer goes out meanwhile, and the socket stays usable.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// Octets that are thrown away at most: what Courier itself would take, and some.
const MOST: usize = 8 << 20;

/// Time for them.
const LONGEST: Duration = Duration::from_secs(10);

/// The body of a request, as the server hands it on.
pub struct RequestBody {
    /// `None` only while it is dropped.
    inner: Option<Incoming>,
    lingers: bool,
}

impl RequestBody {
    /// HTTP/2 ends one stream without harm to the others, and a client that waits for
    /// `100 Continue` has sent nothing yet: reading would ask for it.
    pub(super) fn of<T>(request: &http::Request<T>, inner: Incoming) -> Self {
        let waits = request.headers().contains_key(http::header::EXPECT);
        let lingers = request.version() < http::Version::HTTP_2 && !waits;
        Self { inner: Some(inner), lingers }
    }
}

/// Reads `body` to its end or the bounds.
async fn throw_away(mut body: Incoming) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > MOST {
                return;
            }
        }
    };
    // Time or octets are over: the connection is closed when the body is dropped.
    let _ = timeout(LONGEST, reading).await;
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(cx),
            None => Poll::Ready(None),
        }
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
        let unread = self.inner.take().filter(|inner| self.lingers && !inner.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, tokio::runtime::Handle::try_current()) {
            runtime.spawn(throw_away(body));
        }
    }
}
