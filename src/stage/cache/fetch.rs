//! One vendor call for a read: its answer is kept, handed to those who wait, or passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, BodyStream};
use tower::Service;

use super::read::mark_stored;
use crate::cache::generations::Moment;
use crate::cache::key::Key;
use crate::cache::policy::{self, Life};
use crate::cache::store::Copy;
use crate::cache::{Landed, Row, Shelf};
use crate::call::{self, BoxFuture, Call, Reply, Result, StreamBody};
use crate::clock;
use crate::error::{Cause, Error};
use crate::flight::Lead;
use crate::headers::HadCookie;

/// The duty to tell those who wait.
pub(super) type Leads = Lead<(Key, Moment), Landed>;

/// What becomes of the answer.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    /// It is kept for the row's time, and handed round.
    For(Duration),
    /// It is handed round, and not kept.
    Share,
    /// It is its caller's alone.
    Nothing,
}

/// One vendor call.
pub(super) struct Fetch<S> {
    pub(super) shelf: Arc<Shelf>,
    pub(super) row: Arc<Row>,
    pub(super) inner: S,
    pub(super) key: Key,
    pub(super) moment: Moment,
    pub(super) keep: Keep,
    pub(super) lead: Option<Leads>,
}

/// A body that was read as far as a copy may be long.
pub(super) enum Collected {
    Whole(Bytes),
    /// It is longer, or broke: this is all of it again.
    Passing(StreamBody),
}

/// A copy that is handed round and never kept.
pub(super) const NO_LIFE: Life =
    Life { fresh: Duration::ZERO, stale: Duration::ZERO, age: Duration::ZERO };

impl<S> Fetch<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Send + 'static,
{
    pub(super) async fn run(mut self, call: Call) -> Result {
        let record = call.record.clone();
        let connection = call.caller.connection.clone();
        let request = call.headers.clone();
        let result = self.inner.call(call).await;
        let life = result.as_ref().ok().and_then(|reply| self.life(&request, reply));
        let (Ok(reply), Some(life)) = (&result, life) else {
            self.land(Landed::Alone);
            return result;
        };
        let head = head(reply);
        let Ok(reply) = result else { return result };
        let (parts, body) = reply.into_parts();
        let body = match collect(body, self.shelf.largest()).await {
            Collected::Passing(body) => {
                self.land(Landed::Alone);
                return Ok(Reply::from_parts(parts, body));
            }
            Collected::Whole(body) => body,
        };
        let copy = Arc::new(Copy::new(&head, &body, life, self.moment.generation));
        if let Keep::For(_) = self.keep {
            let now = self.shelf.moment(&connection, &self.row);
            if self.shelf.keep(self.key, copy.clone(), self.moment, now).await {
                mark_stored(&record);
            }
        }
        self.land(Landed::Copy(copy));
        Ok(Reply::from_parts(parts, call::full(body)))
    }

    /// How long an answer lives; `None`: it is its caller's alone.
    fn life(&self, request: &HeaderMap, reply: &Reply) -> Option<Life> {
        let cookie = reply.extensions().get::<HadCookie>().is_some();
        match self.keep {
            Keep::For(seconds) if !cookie => {
                let stale = self.shelf.stale_if_error();
                let row = policy::Rule { seconds, dice: self.key.dice(), stale };
                policy::life(row, request, &head(reply), clock::wall())
            }
            Keep::Share if !cookie && reply.status() == StatusCode::OK => Some(NO_LIFE),
            Keep::For(_) | Keep::Share | Keep::Nothing => None,
        }
    }

    fn land(&mut self, landed: Landed) {
        if let Some(lead) = self.lead.take() {
            lead.finish(landed);
        }
    }
}

/// Status and fields of `reply`.
pub(super) fn head(reply: &Reply) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = reply.status();
    head.headers_mut().clone_from(reply.headers());
    head
}

/// Reads `body` unless it is longer than `limit`.
pub(super) async fn collect(mut body: StreamBody, limit: usize) -> Collected {
    if body.size_hint().lower() > limit as u64 {
        return Collected::Passing(body);
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => read.extend_from_slice(&piece),
            Ok(Err(_)) => {}
            Err(cause) => {
                return Collected::Passing(behind(read, stream::once(async { Err(cause) })));
            }
        }
        if read.len() > limit {
            return Collected::Passing(behind(read, BodyStream::new(body)));
        }
    }
    Collected::Whole(read.freeze())
}

/// What was read, and then the rest.
fn behind(
    read: BytesMut,
    rest: impl stream::Stream<Item = std::result::Result<Frame<Bytes>, Cause>> + Send + 'static,
) -> StreamBody {
    let first = stream::once(async { Ok(Frame::data(read.freeze())) });
    http_body_util::StreamBody::new(first.chain(rest)).boxed_unsync()
}
