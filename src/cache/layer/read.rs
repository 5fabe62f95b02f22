//! A read: a copy, another caller's answer, or the vendor's.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};
use tokio::time::timeout_at;

use super::Says;
use super::fetch::{Fetch, Keep, Leads};
use super::turn::{Asked, ReadTurn, turn};
use crate::cache::key::{self, CacheKey};
use crate::cache::policy::{LISTED, Wants};
use crate::cache::store::Copy;
use crate::cache::versions::ReadStanding;
use crate::cache::{CacheRow, RowKind, Shelf, validate};
use crate::call::{BoxFuture, Buffered, BufferedCall, Next, Reply, Result};
use crate::clock::Instant;
use crate::detached::{Flight, Flights};
use crate::error::{Code, Error};
use crate::numbers::ConnectionIx;
use crate::record::{Cached, Forward, Kept, Unkept};
use crate::targets;

/// A caller whose time ends gets a stale copy so long before.
const BEFORE_DEADLINE: Duration = Duration::from_millis(100);

/// One read under way.
pub(super) struct Read<S> {
    pub(super) shelf: Arc<Shelf>,
    pub(super) flights: Flights,
    pub(super) row: Arc<CacheRow>,
    pub(super) inner: S,
}

/// What a read of a row with seconds finds.
pub(super) struct Found {
    wants: Wants,
    url: CacheKey,
    key: CacheKey,
    copy: Option<Arc<Copy>>,
    standing: ReadStanding,
}

impl<S: Next<BufferedCall>> Read<S> {
    /// `found` is what could be found at once.
    pub(super) async fn answer(self, call: BufferedCall, found: Option<Found>) -> Result {
        let row = self.row.clone();
        match &row.kind {
            RowKind::Kept(seconds, own) => {
                let found = match found {
                    Some(found) => found,
                    None => {
                        let standing = self.shelf.standing().await;
                        Found::look((&self.shelf, &row, own), &call, standing).await
                    }
                };
                if let Some(reply) = found.hit(&call) {
                    return Ok(reply);
                }
                // A future of its own: a hit carries none of what a miss needs.
                Box::pin(self.missed(call, (*seconds, own), found)).await
            }
            RowKind::Shared if call.method == Method::GET && call.body.bytes.is_empty() => {
                let url = self.shelf.key(&call, &row, None);
                let standing = self.shelf.standing().await;
                let asked = Asked { url, key: url, conditions: HeaderMap::new(), standing };
                Box::pin(self.together(call, asked, Keep::Share)).await
            }
            RowKind::Headers => Box::pin(self.by_headers(call)).await,
            RowKind::Shared | RowKind::Write => self.alone(call).await,
        }
    }

    /// Past the cache.
    pub(super) async fn alone(mut self, call: BufferedCall) -> Result {
        self.inner.call(call).await
    }

    /// No copy that is fresh enough is there for a row whose answers live for `seconds` and depend
    /// on the fields `own`, too.
    async fn missed(
        self,
        mut call: BufferedCall,
        (seconds, own): (Duration, &[HeaderName]),
        found: Found,
    ) -> Result {
        let untrusted = found.is_untrusted();
        let Found { wants, url, key, copy, standing } = found;
        let (connection, says) = (call.caller.ix, Says::of(&call));
        let (call_id, proof) = (call.record.call_id, call.proof.clone());
        if wants.only_if_cached {
            return Err(not_cached());
        }
        let conditions = validate::conditions(&call.headers);
        call.headers = key::only(&call.headers, LISTED.iter().chain(own));
        call.body = Buffered::default();
        // What stands in for the vendor, if it comes to that.
        let stale = copy.filter(|_| !wants.demands());
        let why = if wants.demands() || wants.no_store {
            Forward::Request
        } else if untrusted {
            Forward::Unconfirmed
        } else if stale.is_some() {
            Forward::Stale
        } else {
            Forward::Miss
        };
        says.cached(Cached::Missed { why, kept: Kept::Undecided });
        let asked = Asked { url, key, conditions: conditions.clone(), standing };
        let (method, deadline) = (call.method.clone(), call.deadline);
        let shelf = self.shelf.clone();
        let row = self.row.clone();
        let asking = async move {
            let keep = keep(&call.method, wants, seconds);
            if wants.demands() || matches!(keep, Keep::Nothing(_)) {
                self.fetch(call, asked, keep, None).await
            } else {
                self.together(call, asked, keep).await
            }
        };
        let Some(copy) = stale else { return asking.await };
        let result = match deadline.checked_sub(BEFORE_DEADLINE) {
            Some(end) => timeout_at(end, asking).await,
            None => Ok(asking.await),
        };
        let answered = result.as_ref().is_ok_and(|result| !is_no_answer(result));
        let substitute =
            if answered { None } else { stands_in(&shelf, &row, &copy, connection).await };
        match (substitute, result) {
            (Some(cached), _) => {
                tracing::warn!(target: targets::VENDOR, call_id = %call_id, "a stale copy stands in for Courier");
                says.cached(cached);
                Ok(copy.reply(&method, &conditions))
            }
            (None, Ok(result)) => result,
            (None, Err(_)) => {
                let detail = "the caller's time was over before Courier answered";
                Err(Error::refused(Code::VendorTimeout, detail).with_outcome(proof.outcome()))
            }
        }
    }

    /// Joins those that ask for the same, or asks for all of them.
    async fn together(self, call: BufferedCall, asked: Asked, keep: Keep) -> Result {
        match turn(&self.shelf, &self.row, call.caller.ix, &asked, &call.headers).await {
            ReadTurn::Lead(lead) => self.fetch(call, asked, keep, Some(lead)).await,
            ReadTurn::Shares(copy) => {
                call.cached(Cached::Shared);
                Ok(copy.reply(&call.method, &asked.conditions))
            }
            ReadTurn::Alone => self.fetch(call, asked, keep, None).await,
        }
    }

    /// Asks the vendor, as a flight: what was sent is brought home for those who wait and for the
    /// store, whoever leaves.
    fn fetch(self, call: BufferedCall, asked: Asked, keep: Keep, lead: Option<Leads>) -> Flight {
        let moment = match &lead {
            Some(lead) => lead.key().1,
            None => self.shelf.moment(call.caller.ix, &self.row),
        };
        let Self { shelf, flights, row, inner } = self;
        let Asked { url, conditions, .. } = asked;
        let began = Instant::now();
        let fetch = Fetch { shelf, row, inner, url, conditions, moment, began, keep, lead };
        Flight::of(call, flights, |call| -> BoxFuture { Box::pin(fetch.run(call)) })
    }
}

impl Found {
    /// What `call` finds, if `row` has seconds and the store need not wait: it does so now and then
    /// to tidy itself up.
    pub(super) fn at_once(shelf: &Shelf, row: &CacheRow, call: &BufferedCall) -> Option<Self> {
        let RowKind::Kept(_, own) = &row.kind else { return None };
        let standing = shelf.known_standing()?;
        let look = pin!(Self::look((shelf, row, own), call, standing));
        match look.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(found) => Some(found),
            Poll::Pending => None,
        }
    }

    async fn look(
        (shelf, row, own): (&Shelf, &CacheRow, &[HeaderName]),
        call: &BufferedCall,
        standing: ReadStanding,
    ) -> Self {
        let (wants, url) = (shelf.wants(call), shelf.key(call, row, Some(own)));
        let (key, copy) = shelf.find(url, &call.headers, call.caller.ix, row).await;
        Self { wants, url, key, copy, standing }
    }

    /// True when there is a fresh copy that writes of other replicas may have made old.
    fn is_untrusted(&self) -> bool {
        let now = Instant::now();
        let fresh = self.copy.as_ref().filter(|copy| copy.fresh_for(now).is_some());
        fresh.is_some_and(|copy| !self.standing.allows(copy.asked(), now))
    }

    /// The answer from a copy that is fresh and fresh enough.
    pub(super) fn hit(&self, call: &BufferedCall) -> Option<Reply> {
        let (copy, now) = (self.copy.as_ref()?, Instant::now());
        let (left, age) = (copy.fresh_for(now)?, copy.age(now));
        let fits = self.wants.takes(age, left) && self.standing.allows(copy.asked(), now);
        fits.then(|| {
            call.cached(Cached::Hit { age, left });
            copy.reply(&call.method, &call.headers)
        })
    }
}

/// What becomes of the answer to a read of a row whose answers live for `seconds`.
fn keep(method: &Method, wants: Wants, seconds: Duration) -> Keep {
    if *method == Method::HEAD {
        Keep::Nothing(Unkept::Method)
    } else if wants.no_store {
        Keep::Nothing(Unkept::ClientNoStore)
    } else {
        Keep::For(seconds)
    }
}

/// What is said of a copy that may stand in: nothing was written since it was fetched.
async fn stands_in(
    shelf: &Shelf,
    row: &CacheRow,
    copy: &Copy,
    connection: ConnectionIx,
) -> Option<Cached> {
    copy.stale_since(Instant::now())?;
    let standing = shelf.standing().await;
    let now = Instant::now();
    let since = copy.stale_since(now)?;
    let current = standing.allows(copy.asked(), now) && shelf.is_current(copy, connection, row);
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
            | Code::LedgerAway
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
