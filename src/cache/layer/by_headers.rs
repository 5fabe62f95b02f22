//! A row with `freshness = "headers"`: what the vendor's fields say, and nothing else (RFC 9111,
//! for a shared cache that guesses nothing). All end-to-end fields pass both ways; what a client
//! accepts is written in one way.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::Says;
use super::fetch::{Leads, NO_LIFE, head};
use super::read::{Read, not_cached};
use super::turn::{Asked, ReadTurn, turn};
use crate::cache::generations::VersionSnapshot;
use crate::cache::key::CacheKey;
use crate::cache::policy::Wants;
use crate::cache::store::Copy;
use crate::cache::terms::CacheTerms;
use crate::cache::variant::Variant;
use crate::cache::{CacheRow, Landed, Shelf, fields, validate};
use crate::call::{
    self, BoxFuture, Buffered, BufferedCall, Collects, Facts, Gathered, Head, Next, Reply, Result,
    gather,
};
use crate::clock::Instant;
use crate::detached::Flight;
use crate::numbers::ConnectionIx;
use crate::record::{Cached, Forward, Kept, Unkept};

/// A request on its way to the vendor, and what is known before it.
struct Asking {
    url: CacheKey,
    /// The fields that the client sent.
    request: HeaderMap,
    wants: Wants,
}

/// One vendor call for such a row.
struct Ask<S> {
    shelf: Arc<Shelf>,
    row: Arc<CacheRow>,
    inner: S,
    asking: Arc<Asking>,
    /// The copy that the vendor is asked to confirm.
    confirms: Option<Arc<Copy>>,
    connection: ConnectionIx,
    moment: VersionSnapshot,
    /// When it began.
    began: Instant,
    lead: Option<Leads>,
    says: Says,
}

impl<S: Next<BufferedCall>> Read<S> {
    pub(super) async fn by_headers(self, mut call: BufferedCall) -> Result {
        if let Some(reason) = passes_by(&call) {
            let (why, kept) = (Forward::Bypass, Kept::Not(reason));
            call.cached(Cached::Missed { why, kept });
            return self.alone(call).await;
        }
        let wants = self.shelf.wants(&call);
        let url = self.shelf.key(&call, &self.row, Some(&[]));
        let connection = call.caller.ix;
        let standing = self.shelf.standing().await;
        let (key, copy) = self.shelf.find(url, &call.headers, connection, &self.row).await;
        let fresh = copy.as_ref().and_then(|copy| {
            let (age, left) = usable(copy, wants, self.shelf.wall())?;
            Some((copy, age, left))
        });
        let trusted = fresh.filter(|(copy, ..)| standing.allows(copy.asked(), Instant::now()));
        if let Some((copy, age, left)) = trusted {
            call.cached(Cached::Hit { age, left });
            return Ok(reuse(copy, &call.headers, age));
        }
        if wants.only_if_cached {
            return Err(not_cached());
        }
        let why = match &copy {
            _ if wants.demands() || wants.no_store => Forward::Request,
            _ if fresh.is_some() => Forward::Unconfirmed,
            Some(_) => Forward::Stale,
            None => Forward::Miss,
        };
        call.cached(Cached::Missed { why, kept: Kept::Undecided });
        call.body = Buffered::default();
        let request = call.headers.clone();
        let asks = copy.as_ref().and_then(|copy| validate::ask(&request, copy.headers()));
        let confirms = copy.filter(|_| asks.is_some());
        call.headers = asks.unwrap_or(call.headers);
        // An answer to the client's own condition is of no use to others.
        let own = confirms.is_none() && validate::is_conditional(&request);
        let asking = Asking { url, request, wants };
        let turn = if own || wants.demands() || wants.no_store {
            ReadTurn::Alone
        } else {
            let asked = Asked { url, key, conditions: HeaderMap::new(), standing };
            turn(&self.shelf, &self.row, connection, &asked, &asking.request).await
        };
        let lead = match turn {
            ReadTurn::Lead(lead) => Some(lead),
            ReadTurn::Alone => None,
            ReadTurn::Shares(copy) => match shared(&copy, &asking, self.shelf.wall()) {
                Some(age) => {
                    call.cached(Cached::Shared);
                    return Ok(reuse(&copy, &asking.request, age));
                }
                None => None,
            },
        };
        self.ask(call, asking, confirms, lead).await
    }

    /// Asks the vendor, as a flight.
    fn ask(
        self,
        call: BufferedCall,
        asking: Asking,
        confirms: Option<Arc<Copy>>,
        lead: Option<Leads>,
    ) -> Flight {
        let Self { shelf, flights, row, inner } = self;
        let (connection, says) = (call.caller.ix, Says::of(&call));
        let moment = match &lead {
            Some(lead) => lead.key().1,
            None => shelf.moment(connection, &row),
        };
        let asking = Arc::new(asking);
        let began = Instant::now();
        let ask =
            Ask { shelf, row, inner, asking, confirms, connection, moment, began, lead, says };
        Flight::of(call, flights, |call| -> BoxFuture { Box::pin(ask.run(call)) })
    }
}

impl<S: Next<BufferedCall>> Ask<S> {
    async fn run(mut self, call: BufferedCall) -> Result {
        let result = self.answer(call).await;
        // Who still waits asks for himself: what came is for its caller alone.
        if let Some(lead) = self.lead.take() {
            lead.finish(Landed::Alone);
        }
        result
    }

    async fn answer(&mut self, mut call: BufferedCall) -> Result {
        let mut asked = self.shelf.wall();
        let (asking, shelf) = (self.asking.clone(), self.shelf.clone());
        call.collects = Some(Collects::new(self.shelf.largest(), move |reply| {
            let now = shelf.wall();
            asking.terms(&head(reply), reply.facts(), (now, now)).is_ok()
        }));
        let Some(copy) = self.confirms.take() else {
            let reply = self.inner.call(call).await?;
            return self.pass(reply, asked).await;
        };
        let mut whole = call.clone();
        let mut reply = self.inner.call(call).await?;
        if reply.status() == StatusCode::NOT_MODIFIED {
            if validate::confirms(reply.headers(), copy.headers()) {
                let (told, _) = reply.into_parts();
                return Ok(self.confirmed(&copy, &told, asked).await);
            }
            // It speaks of another version than was asked about.
            whole.headers.clone_from(&self.asking.request);
            asked = self.shelf.wall();
            reply = self.inner.call(whole).await?;
        }
        self.pass(reply, asked).await
    }

    /// The vendor's answer, which is kept if its fields allow that.
    async fn pass(&mut self, reply: Reply, asked: SystemTime) -> Result {
        let answer = head(&reply);
        let times = (asked, self.shelf.wall());
        let (terms, variant) = match self.asking.terms(&answer, reply.facts(), times) {
            Ok(terms) => terms,
            Err(reason) => {
                self.says.kept(Kept::Not(reason));
                return Ok(reply);
            }
        };
        let (parts, body) = reply.into_parts();
        let body = match gather(body, self.shelf.largest()).await? {
            Gathered::Long(body) => {
                self.says.kept(Kept::Not(Unkept::TooLarge));
                return Ok(Reply::from_parts(parts, body));
            }
            Gathered::Whole(body) => body,
        };
        let age = terms.age(self.shelf.wall());
        let copy = self.new_copy(&answer, &body, variant).with_terms(terms);
        let copy = self.keep(copy).await;
        // The condition that was sent may have been the gateway's own.
        if validate::has_it(&self.asking.request, copy.status(), copy.headers()) {
            return Ok(reuse(&copy, &self.asking.request, age));
        }
        Ok(Reply::from_parts(parts, call::full(body)))
    }

    /// The answer from `copy`, of which the vendor said in `told` that it is still right.
    async fn confirmed(&mut self, copy: &Copy, told: &Head, asked: SystemTime) -> Reply {
        let mut answer = http::Response::new(());
        *answer.status_mut() = copy.status();
        *answer.headers_mut() = validate::freshen(copy.headers(), &told.headers);
        self.says.cached(Cached::Revalidated);
        let request = self.asking.request.clone();
        let times = (asked, self.shelf.wall());
        let Ok((terms, variant)) = self.asking.terms(&answer, &told.facts, times) else {
            let variant = Variant::of(&self.asking.url, &request, Box::default());
            let once = self.new_copy(&answer, copy.body(), variant);
            return reuse(&once, &request, Duration::ZERO);
        };
        let age = terms.age(self.shelf.wall());
        let copy = self.new_copy(&answer, copy.body(), variant).with_terms(terms);
        let copy = self.keep(copy).await;
        reuse(&copy, &request, age)
    }

    fn new_copy(&self, answer: &http::Response<()>, body: &[u8], variant: Variant) -> Copy {
        let head = (answer.status(), answer.headers());
        let copy = Copy::new(head, body, NO_LIFE, self.moment.generation, variant);
        copy.asked_at(self.began)
    }

    /// Keeps a copy and hands it to those who wait.
    async fn keep(&mut self, copy: Copy) -> Arc<Copy> {
        let copy = Arc::new(copy);
        let now = self.shelf.moment(self.connection, &self.row);
        let kept = self.shelf.keep(self.asking.url, copy.clone(), self.moment, now).await;
        self.says.kept(kept);
        if let Some(lead) = self.lead.take() {
            lead.finish(Landed::Copy(copy.clone()));
        }
        copy
    }
}

impl Asking {
    /// Under what terms `answer` may be kept, which came with `came` and was asked for and received
    /// at these times, and for whom it was made; or why it may not.
    fn terms(
        &self,
        answer: &http::Response<()>,
        came: &Facts,
        (asked, now): (SystemTime, SystemTime),
    ) -> std::result::Result<(CacheTerms, Variant), Unkept> {
        if self.wants.no_store {
            return Err(Unkept::ClientNoStore);
        }
        if came.had_cookie {
            return Err(Unkept::SetCookie);
        }
        let varies = fields::vary(answer.headers()).ok_or(Unkept::Vary)?;
        let delay = now.duration_since(asked).unwrap_or_default();
        let terms = CacheTerms::of(answer, delay, now)?;
        Ok((terms, Variant::of(&self.url, &self.request, varies)))
    }
}

/// How old `copy` is and how long it stays fresh, if it may answer by itself.
fn usable(copy: &Copy, wants: Wants, now: SystemTime) -> Option<(Duration, Duration)> {
    copy.terms()?.allow(wants, now)
}

/// How old the answer of another is, if it may answer this request, too (RFC 9111, section 4).
fn shared(copy: &Copy, asking: &Asking, now: SystemTime) -> Option<Duration> {
    let fits = copy.fits(&asking.url, &asking.request);
    usable(copy, asking.wants, now).filter(|_| fits).map(|(age, _)| age)
}

/// Why a call passes by the copies.
fn passes_by(call: &BufferedCall) -> Option<Unkept> {
    if call.method != Method::GET {
        Some(Unkept::Method)
    } else {
        call.headers.contains_key(header::RANGE).then_some(Unkept::Range)
    }
}

/// The answer from `copy`, or that the client has it.
fn reuse(copy: &Copy, request: &HeaderMap, age: Duration) -> Reply {
    let mut reply = copy.reply(&Method::GET, request);
    reply.headers_mut().insert(header::AGE, HeaderValue::from(age.as_secs()));
    reply
}
