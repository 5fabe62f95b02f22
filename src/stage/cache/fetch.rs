//! One vendor call for a read: its answer is kept, handed to those who wait, or passed on.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tower::Service;

use super::read::mark_stored;
use crate::cache::generations::Moment;
use crate::cache::key::Key;
use crate::cache::policy::{self, Life};
use crate::cache::store::Copy;
use crate::cache::{Landed, Row, Shelf};
use crate::call::{self, BoxFuture, Call, Collects, Gathered, Reply, Result, gather};
use crate::clock;
use crate::error::Error;
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

/// How the answer to one request is judged.
struct Judge {
    keep: Keep,
    dice: u8,
    stale: Duration,
    request: HeaderMap,
}

/// A copy that is handed round and never kept.
pub(super) const NO_LIFE: Life =
    Life { fresh: Duration::ZERO, stale: Duration::ZERO, age: Duration::ZERO };

impl<S> Fetch<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Send + 'static,
{
    pub(super) async fn run(mut self, call: Call) -> Result {
        let result = self.answer(call).await;
        // Who still waits asks for himself: what came is for its caller alone.
        self.land(Landed::Alone);
        result
    }

    async fn answer(&mut self, mut call: Call) -> Result {
        let record = call.record.clone();
        let connection = call.caller.connection.clone();
        let judge = Arc::new(self.judge(&call));
        let (limit, judges) = (self.shelf.largest(), judge.clone());
        call.collects = Some(Collects::new(limit, move |reply| judges.life(reply).is_some()));
        let reply = self.inner.call(call).await?;
        let Some(life) = judge.life(&reply) else { return Ok(reply) };
        let head = head(&reply);
        let (parts, body) = reply.into_parts();
        let body = match gather(body, limit).await? {
            Gathered::Long(body) => return Ok(Reply::from_parts(parts, body)),
            Gathered::Whole(body) => body,
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

    fn judge(&self, call: &Call) -> Judge {
        Judge {
            keep: self.keep,
            dice: self.key.dice(),
            stale: self.shelf.stale_if_error(),
            request: call.headers.clone(),
        }
    }

    fn land(&mut self, landed: Landed) {
        if let Some(lead) = self.lead.take() {
            lead.finish(landed);
        }
    }
}

impl Judge {
    /// How long an answer lives; `None`: it is its caller's alone.
    fn life(&self, reply: &Reply) -> Option<Life> {
        let cookie = reply.extensions().get::<HadCookie>().is_some();
        match self.keep {
            Keep::For(seconds) if !cookie => {
                let row = policy::Rule { seconds, dice: self.dice, stale: self.stale };
                policy::life(row, &self.request, &head(reply), clock::wall())
            }
            Keep::Share if !cookie && reply.status() == StatusCode::OK => Some(NO_LIFE),
            Keep::For(_) | Keep::Share | Keep::Nothing => None,
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
