//! Opens the record of a request and lets the answer's body carry it to the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::Service;

use crate::call::{Notes, Reply, Request, Stage, StageLayer, Staged, StreamBody};
use crate::error::Cause;
use crate::headers::{self, Habits, REQUEST_ID, Sdk};
use crate::proof::SendProof;
use crate::record::{Observer, Record};

/// Longest client request id that is taken over.
const REQUEST_ID_MAX: usize = 128;

/// A request as the server hands it over.
pub struct Arrival {
    /// Its head, and its body as it is read.
    pub request: Request,
    /// What the server will know of its client.
    pub proof: Arc<SendProof>,
}

/// A request with its record.
pub struct Opened {
    /// As the server read it.
    pub request: Request,
    /// The client's own id of it, which its answer repeats.
    pub request_id: Option<HeaderValue>,
    /// What its client does by itself.
    pub habits: Habits,
    /// Where telemetry is told of it.
    pub record: Arc<Record>,
    /// Whether it may be done again.
    pub proof: Arc<SendProof>,
    /// What its answer will say beside the answer.
    pub notes: Arc<Notes>,
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
    /// Counts what is handed over, and holds the record, if there is one, until it is dropped.
    pub struct Recorded {
        #[pin]
        inner: StreamBody,
        client: Option<Client>,
    }
}

/// Whoever waits for the answer, until it was handed over whole or nobody wants it any more.
struct Client {
    record: Arc<Record>,
    proof: Arc<SendProof>,
    /// The answer is a good one.
    good: bool,
}

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
    type Call = Arrival;
    type Reply = http::Response<Recorded>;
    type Error = Infallible;
    type Future = Recording<S::Future>;

    fn call(this: &Staged<Self, S>, arrival: Arrival) -> Self::Future {
        let Arrival { request, proof } = arrival;
        let record = Record::open(this.stage().observer.clone());
        let client = Client { record: record.clone(), proof: proof.clone(), good: false };
        let inner = this.pass(open(request, record, proof));
        Recording { inner, client: Some(client) }
    }
}

/// What the head tells before anything is decided.
fn open(request: Request, record: Arc<Record>, proof: Arc<SendProof>) -> Opened {
    let headers = request.headers();
    let sdk = Sdk::of(headers);
    let habits = Habits::of(headers, sdk.as_ref());
    let id = headers::word(headers, &REQUEST_ID, REQUEST_ID_MAX);
    let request_id = id.and_then(|_| headers.get(&REQUEST_ID).cloned());
    let id = id.map(Box::from);
    record.mark(|marks| {
        marks.request.method = request.method().clone();
        marks.request.id = id;
        marks.request.version = Some(request.version());
        marks.trace.came_with(headers);
        marks.request.sdk = sdk;
    });
    Opened { request, request_id, habits, record, proof, notes: Arc::default() }
}

// === impl Recording ===

impl<F> Future for Recording<F>
where
    F: Future<Output = Result<Reply, Infallible>>,
{
    type Output = Result<http::Response<Recorded>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = ready!(this.inner.poll(cx));
        let mut client = this.client.take().expect("a future that is over is not polled");
        client.good = reply.status().is_success();
        // An empty body may never be polled: it is complete as it is.
        if reply.body().is_end_stream() && !client.proof.left() {
            client.completed();
        }
        let response = reply.into_response();
        Poll::Ready(Ok(response.map(|inner| Recorded { inner, client: Some(client) })))
    }
}

// === impl Client ===

impl Client {
    /// The answer was handed over to its end.
    fn completed(&self) {
        self.record.mark(|marks| marks.complete = true);
        self.proof.completed(self.good);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.proof.ends();
    }
}

// === impl Recorded ===

impl Recorded {
    /// A body of which nothing is recorded.
    #[must_use]
    pub fn unseen(inner: StreamBody) -> Self {
        Self { inner, client: None }
    }
}

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
        let broken = matches!(frame, Some(Err(_)));
        let Some(client) = this.client else { return Poll::Ready(frame) };
        let broken = client.record.mark(|marks| {
            marks.bytes_out += octets.unwrap_or_default() as u64;
            marks.broken |= broken;
            marks.broken
        });
        if ended && !broken && !client.proof.left() {
            client.completed();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
