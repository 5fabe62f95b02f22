//! One vendor call for a read: its answer is kept, handed to those who wait, or passed on.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::Says;
use crate::cache::generations::VersionSnapshot;
use crate::cache::key::CacheKey;
use crate::cache::policy::{self, Life};
use crate::cache::store::Copy;
use crate::cache::variant::Variant;
use crate::cache::{CacheRow, Landed, Shelf, validate};
use crate::call::{self, BufferedCall, Collects, Gathered, Next, Reply, Result, gather};
use crate::clock::{self, Instant};
use crate::record::{Kept, Unkept};
use crate::single_flight::Lead;

/// The duty to tell those who wait.
pub(super) type Leads = Lead<(CacheKey, VersionSnapshot), Landed>;

/// What becomes of the answer.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    /// It is kept for the row's time, and handed round.
    For(Duration),
    /// It is handed round, and not kept.
    Share,
    /// It is its caller's alone.
    Nothing(Unkept),
}

/// One vendor call.
pub(super) struct Fetch<S> {
    pub(super) shelf: Arc<Shelf>,
    pub(super) row: Arc<CacheRow>,
    pub(super) inner: S,
    /// What is asked for.
    pub(super) url: CacheKey,
    /// The client's own conditions, which are judged here.
    pub(super) conditions: HeaderMap,
    pub(super) moment: VersionSnapshot,
    /// When it began.
    pub(super) began: Instant,
    pub(super) keep: Keep,
    pub(super) lead: Option<Leads>,
}

/// How the answer to one request is judged.
struct Judge {
    keep: Keep,
    url: CacheKey,
    stale: Duration,
    request: HeaderMap,
}

/// A copy that is handed round and never kept.
pub(super) const NO_LIFE: Life =
    Life { fresh: Duration::ZERO, stale: Duration::ZERO, age: Duration::ZERO };

impl<S: Next<BufferedCall>> Fetch<S> {
    pub(super) async fn run(mut self, call: BufferedCall) -> Result {
        let result = self.answer(call).await;
        // Who still waits asks for himself: what came is for its caller alone.
        self.land(Landed::Alone);
        result
    }

    async fn answer(&mut self, mut call: BufferedCall) -> Result {
        let says = Says::of(&call);
        let connection = call.caller.ix;
        let judge = Arc::new(self.judge(&call));
        let (limit, judges) = (self.shelf.largest(), judge.clone());
        call.collects = Some(Collects::new(limit, move |reply| judges.terms(reply).is_ok()));
        let reply = self.inner.call(call).await?;
        let (life, variant) = match judge.terms(&reply) {
            Ok(terms) => terms,
            Err(reason) => {
                says.kept(Kept::Not(reason));
                return Ok(reply);
            }
        };
        let (parts, body) = reply.into_parts();
        let body = match gather(body, limit).await? {
            Gathered::Long(body) => {
                says.kept(Kept::Not(Unkept::TooLarge));
                return Ok(Reply::from_parts(parts, body));
            }
            Gathered::Whole(body) => body,
        };
        if self.is_for_its_caller_alone() {
            return Ok(Reply::from_parts(parts, call::full(body)));
        }
        let head = (parts.status, &parts.headers);
        let copy = Copy::new(head, &body, life, self.moment.generation, variant);
        let copy = Arc::new(copy.asked_at(self.began));
        if let Keep::For(_) = self.keep {
            let now = self.shelf.moment(connection, &self.row);
            says.kept(self.shelf.keep(self.url, copy.clone(), self.moment, now).await);
        }
        self.land(Landed::Copy(copy.clone()));
        if validate::has_it(&self.conditions, copy.status(), copy.headers()) {
            return Ok(copy.reply(&Method::GET, &self.conditions));
        }
        Ok(Reply::from_parts(parts, call::full(body)))
    }

    fn judge(&self, call: &BufferedCall) -> Judge {
        Judge {
            keep: self.keep,
            url: self.url,
            stale: self.shelf.stale_if_error(),
            request: call.headers.clone(),
        }
    }

    /// True when the answer is not kept, nobody waits for it, and nobody can join any more.
    fn is_for_its_caller_alone(&mut self) -> bool {
        matches!(self.keep, Keep::Share)
            && self.conditions.is_empty()
            && !self.lead.as_mut().is_some_and(Lead::closes_followed)
    }

    fn land(&mut self, landed: Landed) {
        if let Some(lead) = self.lead.take() {
            lead.finish(landed);
        }
    }
}

impl Judge {
    /// How long an answer lives, and for whom it was made; or why it is its caller's alone.
    fn terms(&self, reply: &Reply) -> std::result::Result<(Life, Variant), Unkept> {
        let variant = |varies| Variant::of(&self.url, &self.request, varies);
        let seconds = match self.keep {
            Keep::Nothing(reason) => return Err(reason),
            _ if reply.facts().had_cookie => return Err(Unkept::SetCookie),
            Keep::Share if reply.status() != StatusCode::OK => return Err(Unkept::Status),
            Keep::Share => return Ok((NO_LIFE, variant(Box::default()))),
            Keep::For(seconds) => seconds,
        };
        let varies = policy::varies(reply.headers())?;
        let rule = policy::Rule { seconds, dice: self.url.dice(), stale: self.stale };
        let life = policy::life(rule, &head(reply), clock::wall())?;
        Ok((life, variant(varies)))
    }
}

/// Status and fields of `reply`.
pub(super) fn head(reply: &Reply) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = reply.status();
    head.headers_mut().clone_from(reply.headers());
    head
}
