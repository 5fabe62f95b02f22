//! Opens the record of a request and lets the answer's body carry it to the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tower::Service;

use crate::call::{Reply, Request, Stage, StageLayer, Staged, StreamBody};
use crate::error::Cause;
use crate::headers::{self, Sdk};
use crate::record::{Marks, Observer, Record};
use crate::waiter::Waiter;

/// Longest client request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

/// A request with its record.
pub struct Opened {
    /// As the server read it.
    pub request: Request,
    /// Where marks are written.
    pub record: Arc<Record>,
}

/// Opens records.
pub struct OpenRecord {
    observer: Arc<dyn Observer>,
}

pin_project! {
    /// Puts the record into the answer's body.
    pub struct Recording<F> {
        // Dropped before the client: what can no longer be sent is in no doubt.
        #[pin]
        inner: F,
        client: Option<Client>,
    }
}

pin_project! {
    /// Counts what is handed over, and holds the record until it is dropped.
    struct Recorded {
        #[pin]
        inner: StreamBody,
        client: Client,
    }
}

/// Whoever waits for the answer, until it was handed over whole or nobody wants it any more.
struct Client(Arc<Record>);

// === impl OpenRecord ===

impl OpenRecord {
    /// `observer` gets each record when its call is over.
    #[must_use]
    pub fn layer(observer: Arc<dyn Observer>) -> StageLayer<Self> {
        StageLayer::new(Self { observer })
    }
}

impl<S> Stage<S> for OpenRecord
where
    S: Service<Opened, Response = Reply, Error = Infallible, Future: Send> + Clone,
{
    type Call = Request;
    type Reply = http::Response<StreamBody>;
    type Error = Infallible;
    type Future = Recording<S::Future>;

    fn call(this: &Staged<Self, S>, request: Request) -> Self::Future {
        let told = request.extensions().get::<Arc<Waiter>>().cloned();
        let record = Record::open_for(told, this.stage().observer.clone());
        record.mark(|marks| {
            first_marks(marks, &request);
            if marks.request_id.is_empty() {
                marks.request_id = record.call_id.to_string();
            }
        });
        let inner = this.pass(Opened { request, record: record.clone() });
        Recording { inner, client: Some(Client(record)) }
    }
}

/// What the head tells before anything is decided.
fn first_marks(marks: &mut Marks, request: &Request) {
    let headers = request.headers();
    marks.method = request.method().clone();
    let request_id = headers::word(headers, "x-request-id", REQUEST_ID_MAX);
    marks.request_id = request_id.unwrap_or_default().to_owned();
    marks.version = Some(request.version());
    marks.came_with(headers);
    let count = headers::word(headers, "x-stainless-retry-count", 4);
    marks.sdk_retry = count.and_then(|count| count.parse().ok());
    marks.sdk = Sdk::of(headers);
}

// === impl Recording ===

impl<F> Future for Recording<F>
where
    F: Future<Output = Result<Reply, Infallible>>,
{
    type Output = Result<http::Response<StreamBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        let client = this.client.take().expect("a future that is over is not polled");
        // An empty body may never be polled: it is complete as it is.
        if reply.body().is_end_stream() && !client.0.client_left() {
            client.0.mark(Marks::completed);
        }
        let response = reply.into_response();
        Poll::Ready(Ok(response.map(|inner| Recorded { inner, client }.boxed_unsync())))
    }
}

// === impl Client ===

impl Drop for Client {
    fn drop(&mut self) {
        self.0.mark(|marks| {
            if !marks.complete {
                marks.doubted();
            }
        });
    }
}

// === impl Recorded ===

impl Body for Recorded {
    type Data = Bytes;
    type Error = Cause;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cause>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let ended = frame.is_none() || this.inner.is_end_stream();
        let octets =
            frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        let left = this.client.0.client_left();
        this.client.0.mark(|marks| {
            marks.bytes_out += octets.unwrap_or_default() as u64;
            marks.broken = matches!(frame, Some(Err(_)));
            if ended && !marks.broken && !left {
                marks.completed();
            }
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
