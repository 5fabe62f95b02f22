//! Opens the record of a request and lets the answer's body carry it to the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::Opened;
use crate::call::{Reply, Request, StreamBody};
use crate::error::Cause;
use crate::record::{Marks, Observer, Record};

/// Longest client request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

/// Opens records.
#[derive(Clone)]
pub struct RecordLayer {
    observer: Arc<dyn Observer>,
}

/// See [`RecordLayer`].
#[derive(Clone)]
pub struct OpenRecord<S> {
    observer: Arc<dyn Observer>,
    inner: S,
}

pin_project! {
    /// Puts the record into the answer's body.
    pub struct RecordFuture<F> {
        #[pin]
        inner: F,
        record: Arc<Record>,
    }
}

pin_project! {
    /// Counts what is handed over, and holds the record until it is dropped.
    struct Recorded {
        #[pin]
        inner: StreamBody,
        record: Arc<Record>,
    }
}

// === impl RecordLayer ===

impl RecordLayer {
    /// `observer` gets each record when its call is over.
    #[must_use]
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer }
    }
}

impl<S> Layer<S> for RecordLayer {
    type Service = OpenRecord<S>;

    fn layer(&self, inner: S) -> OpenRecord<S> {
        OpenRecord { observer: self.observer.clone(), inner }
    }
}

// === impl OpenRecord ===

impl<S> Service<Request> for OpenRecord<S>
where
    S: Service<Opened, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = RecordFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let record = Record::open(self.observer.clone());
        record.mark(|marks| {
            first_marks(marks, &request);
            if marks.request_id.is_empty() {
                marks.request_id = record.call_id.to_string();
            }
        });
        let inner = self.inner.call(Opened { request, record: record.clone() });
        RecordFuture { inner, record }
    }
}

/// What the head tells before anything is decided.
fn first_marks(marks: &mut Marks, request: &Request) {
    let headers = request.headers();
    marks.method = request.method().clone();
    marks.request_id = word(headers, "x-request-id", REQUEST_ID_MAX).unwrap_or_default();
    marks.version = Some(request.version());
    marks.came_with(headers);
    let count = word(headers, "x-stainless-retry-count", 4);
    marks.sdk_retry = count.and_then(|count| count.parse().ok());
    marks.heeds_a_minute = heeds_a_minute(headers);
    marks.sdk = word(headers, "x-stainless-lang", 16).map(|language| {
        match word(headers, "x-stainless-package-version", 16) {
            Some(version) => format!("{language}/{version}"),
            None => language,
        }
    });
}

/// Courier's Python SDK takes `Retry-After` for a slip when it is over 60 s, and uses its own short
/// pauses. Generations without `X-Stainless-Lang` are known by their user agents.
fn heeds_a_minute(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let agents = ["Courier/Python", "AsyncCourier/Python", "courier-python/"];
    text("x-stainless-lang").is_some_and(|language| language.eq_ignore_ascii_case("python"))
        || text("user-agent").is_some_and(|agent| agents.iter().any(|a| agent.starts_with(a)))
}

/// A field of visible ASCII, sent once and short: nothing else may enter a log line.
fn word(headers: &HeaderMap, name: &str, max: usize) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let plain = |b: &u8| b.is_ascii_graphic() && *b != b'"' && *b != b'\\';
    let bytes = value.as_bytes();
    let fits = !bytes.is_empty() && bytes.len() <= max && bytes.iter().all(plain);
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

// === impl RecordFuture ===

impl<F> Future for RecordFuture<F>
where
    F: Future<Output = Result<Reply, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        let record = this.record.clone();
        // An empty body may never be polled: it is complete as it is.
        if reply.body().is_end_stream() {
            record.mark(Marks::completed);
        }
        Poll::Ready(Ok(reply.map(|inner| Recorded { inner, record }.boxed_unsync())))
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
        this.record.mark(|marks| {
            marks.bytes_out += octets.unwrap_or_default() as u64;
            marks.broken = matches!(frame, Some(Err(_)));
            if ended && !marks.broken {
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
