//! A read: a copy, another caller's answer, or the vendor's.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use tokio::time::timeout_at;
use tower::Service;

use super::fetch::{Fetch, Keep, Leads};
use crate::cache::key::{self, Key};
use crate::cache::policy::Wants;
use crate::cache::store::Copy;
use crate::cache::{Kind, Landed, Row, Shelf};
use crate::call::{Body, BoxFuture, Call, Reply, Result};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::flight::{Flight, Flights, Part};
use crate::ids::ConnectionId;
use crate::record::{Cached, Forward, Record};

/// A caller whose time ends gets a stale copy so long before.
const BEFORE_DEADLINE: Duration = Duration::from_millis(100);

/// One read under way.
pub(super) struct Read<S> {
    pub(super) shelf: Arc<Shelf>,
    pub(super) flights: Flights,
    pub(super) row: Arc<Row>,
    pub(super) inner: S,
}

/// One's turn among those that ask for the same.
pub(super) enum Turn {
    /// It asks for all of them.
    Lead(Leads),
    /// Another one asked, and this came.
    Shares(Arc<Copy>),
    /// It asks for itself.
    Alone,
}

impl<S> Read<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Clone + Send + 'static,
{
    pub(super) async fn answer(self, call: Call) -> Result {
        let row = self.row.clone();
        match &row.kind {
            Kind::Kept(seconds, names) => self.kept(call, *seconds, names).await,
            Kind::Shared if call.method == Method::GET && matches!(call.body, Body::Empty) => {
                let key = self.shelf.key(&call, None);
                self.together(call, key, Keep::Share).await
            }
            Kind::Headers => self.by_headers(call).await,
            Kind::Shared | Kind::Write => self.alone(call).await,
        }
    }

    /// Past the cache.
    pub(super) async fn alone(mut self, call: Call) -> Result {
        self.inner.call(call).await
    }

    async fn kept(self, mut call: Call, seconds: Duration, names: &[HeaderName]) -> Result {
        let wants = self.shelf.wants(&call);
        let key = self.shelf.key(&call, Some(names));
        let (connection, record) = (call.caller.connection.clone(), call.record.clone());
        let copy = self.shelf.find(&key, &connection, &self.row).await;
        if let Some(reply) = copy.as_ref().and_then(|copy| hit(copy, wants, &call)) {
            return Ok(reply);
        }
        if wants.only_if_cached {
            return Err(not_cached());
        }
        call.headers = key::only(&call.headers, names);
        call.body = Body::Empty;
        // What stands in for the vendor, if it comes to that.
        let stale = copy.filter(|_| !wants.demands());
        let why = if wants.demands() || wants.no_store {
            Forward::Request
        } else if stale.is_some() {
            Forward::Stale
        } else {
            Forward::Miss
        };
        record.cached(Cached::Missed { why, stored: false });
        let (method, deadline) = (call.method.clone(), call.deadline);
        let shelf = self.shelf.clone();
        let row = self.row.clone();
        let asking = async move {
            if wants.demands() || wants.no_store || call.method == Method::HEAD {
                let keeps = !wants.no_store && call.method == Method::GET;
                let keep = if keeps { Keep::For(seconds) } else { Keep::Nothing };
                self.fetch(call, key, keep, None).await
            } else {
                self.together(call, key, Keep::For(seconds)).await
            }
        };
        let Some(copy) = stale else { return asking.await };
        let result = match deadline.checked_sub(BEFORE_DEADLINE) {
            Some(end) => timeout_at(end, asking).await,
            None => Ok(asking.await),
        };
        let answered = result.as_ref().is_ok_and(|result| !is_no_answer(result));
        let substitute = if answered { None } else { stands_in(&shelf, &row, &copy, &connection) };
        match (substitute, result) {
            (Some(cached), _) => {
                tracing::warn!(call_id = %record.call_id, "a stale copy stands in for Courier");
                record.cached(cached);
                Ok(copy.reply(&method))
            }
            (None, Ok(result)) => result,
            (None, Err(_)) => {
                let detail = "the caller's time was over before Courier answered";
                Err(Error::refused(Code::VendorTimeout, detail).with_outcome(record.outcome()))
            }
        }
    }

    /// Joins those that ask for the same, or asks for all of them.
    async fn together(self, call: Call, key: Key, keep: Keep) -> Result {
        match turn(&self.shelf, &self.row, &call.caller.connection, key).await {
            Turn::Lead(lead) => self.fetch(call, key, keep, Some(lead)).await,
            Turn::Shares(copy) => {
                call.record.cached(Cached::Shared);
                Ok(copy.reply(&call.method))
            }
            Turn::Alone => self.fetch(call, key, keep, None).await,
        }
    }

    /// Asks the vendor, as a flight: what was sent is brought home for those who wait and for the
    /// store, whoever leaves.
    fn fetch(self, call: Call, key: Key, keep: Keep, lead: Option<Leads>) -> Flight {
        let record = call.record.clone();
        let moment = match &lead {
            Some(lead) => lead.key().1,
            None => self.shelf.moment(&call.caller.connection, &self.row),
        };
        let flights = self.flights.clone();
        let fetch =
            Fetch { shelf: self.shelf, row: self.row, inner: self.inner, key, moment, keep, lead };
        Flight::new(Box::pin(fetch.run(call)), record, flights)
    }
}

/// Waits for those that ask for the same, or leads them.
pub(super) async fn turn(shelf: &Shelf, row: &Row, connection: &ConnectionId, key: Key) -> Turn {
    loop {
        let moment = shelf.moment(connection, row);
        let follow = match shelf.cache().reads().join((key, moment)) {
            Part::Leads(lead) => return Turn::Lead(lead),
            Part::Follows(follow) => follow,
        };
        let Ok(place) = shelf.cache().waiters().try_acquire() else {
            return Turn::Alone;
        };
        let landed = follow.outcome().await;
        drop(place);
        match landed {
            Some(Landed::Copy(copy)) => return Turn::Shares(copy),
            Some(Landed::Alone) => return Turn::Alone,
            // The leader left before its call was sent: somebody else leads now.
            None => {}
        }
    }
}

/// The answer from a copy that is fresh and fresh enough.
fn hit(copy: &Copy, wants: Wants, call: &Call) -> Option<Reply> {
    let now = Instant::now();
    let (left, age) = (copy.fresh_for(now)?, copy.age(now));
    wants.takes(age, left).then(|| {
        call.record.cached(Cached::Hit { age, left });
        copy.reply(&call.method)
    })
}

/// What is said of a copy that may stand in: nothing was written since it was fetched.
fn stands_in(shelf: &Shelf, row: &Row, copy: &Copy, connection: &ConnectionId) -> Option<Cached> {
    let now = Instant::now();
    let since = copy.stale_since(now)?;
    let current = copy.generation() == shelf.moment(connection, row).generation;
    current.then_some(Cached::Stale { age: copy.age(now), since })
}

/// True when the vendor is away or has no room for this call in time: a copy may stand in for it.
fn is_no_answer(result: &Result) -> bool {
    match result {
        Ok(reply) => matches!(reply.status().as_u16(), 429 | 500 | 502 | 503 | 504),
        Err(error) => match error.code {
            Code::QuotaExhausted
            | Code::QueueFull
            | Code::DeadlineTooNear
            | Code::VendorThrottled => true,
            Code::Internal | Code::Loop => false,
            code => code.status().is_server_error(),
        },
    }
}

/// A client asked for a copy or nothing, and there is none.
pub(super) fn not_cached() -> Error {
    let detail = "no copy answers this, and the request asks for nothing else";
    Error::refused(Code::NotCached, detail)
}

/// What is marked when an answer was kept.
pub(super) fn mark_stored(record: &Record) {
    record.mark(|marks| {
        if let Some(Cached::Missed { stored, .. }) = &mut marks.cached {
            *stored = true;
        }
    });
}
