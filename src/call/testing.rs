//! Calls for the tests of single layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tower::Service;

use super::{
    BoxFuture, Buffered, BufferedCall, Call, Caller, Notes, Reply, Request, Result, StreamBody,
    Unread,
};
use crate::catalog::{Catalog, Match};
use crate::clock::Instant;
use crate::error::{Cause, Error};
use crate::headers::Habits;
use crate::numbers::{AppIx, ConnectionIx};
use crate::proof::SendProof;
use crate::record::layer::Opened;
use crate::record::{Marks, Observer, Record};

/// Hears nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn finished(&self, _: &Record, _: &Marks) {}
}

/// A call of Courier's catalogue without a body, with 50 s to its deadline.
pub(crate) fn call(method: Method, target: &'static str) -> Call {
    let catalog = Catalog::courier();
    let path = target.split('?').next().unwrap_or_default();
    let Match::Operation(operation) = catalog.find(&method, path) else {
        panic!("no operation: {method} {path}")
    };
    let operation = operation.clone();
    Call {
        caller: Caller {
            tenant: "acme".parse().unwrap(),
            app: "billing".parse().unwrap(),
            key: "k1".to_owned().try_into().unwrap(),
            connection: "acme-prod".parse().unwrap(),
            ix: ConnectionIx::default(),
            app_ix: AppIx::default(),
            makes_keys: true,
            asks_cache: true,
        },
        operation,
        method,
        target: target.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Unread(None),
        deadline: Instant::now() + Duration::from_secs(50),
        own_deadline: false,
        wait_until: None,
        collects: None,
        before_send: None,
        habits: Habits::default(),
        proof: Arc::new(SendProof::default()),
        notes: Arc::new(Notes::default()),
        record: Record::open(Arc::new(Nobody)),
    }
}

/// The same once its body, which is empty, is here.
pub(crate) fn buffered(method: Method, target: &'static str) -> BufferedCall {
    call(method, target).with_body(Buffered::default()).1
}

/// A request as it is before its route is known.
pub(crate) fn opened(request: Request) -> Opened {
    Opened {
        request,
        request_id: Some(HeaderValue::from_static("r1")),
        habits: Habits::default(),
        record: Record::open(Arc::new(Nobody)),
        proof: Arc::default(),
        notes: Arc::default(),
    }
}

/// What lies below a layer: answers as it was told, and counts. Clones share the count.
pub(crate) struct Leaf<C> {
    answer: Arc<Answers<C>>,
    asked: Arc<AtomicU32>,
}

/// The answer to a call, which is the n-th, from 0.
type Answers<C> = dyn Fn(C, u32) -> BoxFuture + Send + Sync;

impl<C> Leaf<C> {
    pub(crate) fn new(answer: impl Fn(C, u32) -> BoxFuture + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl<C> Clone for Leaf<C> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), asked: self.asked.clone() }
    }
}

impl<C> Service<C> for Leaf<C> {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: C) -> BoxFuture {
        (self.answer)(call, self.asked.fetch_add(1, Ordering::SeqCst))
    }
}

/// An answer of `status` with `body`.
pub(crate) fn reply(status: u16, body: &'static str) -> Reply {
    let mut reply = Reply::new(super::full(body));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap();
    reply
}

/// `result`, at once.
pub(crate) fn now(result: Result) -> BoxFuture {
    Box::pin(std::future::ready(result))
}

/// A body in `pieces`, whose length nobody announces; `None` cuts it off.
pub(crate) fn pieces<const N: usize>(pieces: [Option<&'static str>; N]) -> StreamBody {
    let frame = |piece: Option<&'static str>| match piece {
        Some(piece) => Ok(Frame::data(piece.into())),
        None => Err(Cause::from("cut")),
    };
    let frames = pieces.into_iter().map(frame);
    super::stream(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
}

/// All of the answer's body, as text.
pub(crate) async fn text(reply: Reply) -> std::result::Result<String, Cause> {
    let octets = reply.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(octets.into()).unwrap())
}
