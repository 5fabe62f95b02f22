//! Keys: given ones are kept, missing ones are made. A send under a key is one send.
//!
//! A key belongs to one app and one request of an operation on a connection. Who uses it while that
//! request is under way waits for it; who uses it later gets the first good answer again. A POST on
//! a row where the vendor's SDKs expose a key, sent without one, gets one; an SDK's own retry is
//! recognised and gets the same.

mod made;
mod memory;
mod shim;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tower::{Layer, Service};

use made::Made;
use memory::{Answer, Found, Id, Memory, id};

use crate::call::{self, BoxFuture, Call, Gathered, Reply, Result, SHORT, gather};
use crate::catalog::{Idempotency as Honours, Shim};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::flight::{Crowd, Part};
use crate::ids::{AppId, TenantId};
use crate::record::{KeyUse, Record};

/// The field that carries a key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Octets and time of the memory of keys that clients gave.
const GIVEN: (usize, Duration) = (32 << 20, Duration::from_secs(24 * 3600));

/// The same for keys that the gateway made: as long as an SDK may come back.
const MADE: (usize, Duration) = (8 << 20, Duration::from_secs(300));

/// What is remembered of keys. It outlives a reload and not a restart.
pub struct Keys {
    /// std, not tokio: each section is a look-up or two and never awaits.
    given: Mutex<Memory>,
    answers: Mutex<Memory>,
    made: Mutex<Made>,
    /// Calls under way, by key.
    running: Crowd<Id, ()>,
}

/// Apps for which no key is made.
pub type WithoutKeys = HashSet<(TenantId, AppId)>;

/// Makes and keeps keys.
#[derive(Clone)]
pub struct IdempotencyLayer {
    keys: Arc<Keys>,
    without: Arc<WithoutKeys>,
}

/// See [`IdempotencyLayer`].
#[derive(Clone)]
pub struct Idempotency<S> {
    rules: IdempotencyLayer,
    inner: S,
}

/// A call under a key that is remembered.
struct Keyed {
    keys: Arc<Keys>,
    given: bool,
    id: Id,
    print: Id,
    app: AppId,
    record: Arc<Record>,
}

/// A key while its call is under way. Whatever becomes of the call, the key is free again if
/// nothing can have been done under it.
struct Claim {
    keyed: Keyed,
    /// No earlier call may have been acted on.
    fresh: bool,
}

// === impl Keys ===

impl Keys {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            given: Mutex::new(Memory::new(GIVEN.0, GIVEN.1)),
            answers: Mutex::new(Memory::new(MADE.0, MADE.1)),
            made: Mutex::default(),
            running: Crowd::default(),
        }
    }

    fn memory(&self, given: bool) -> MutexGuard<'_, Memory> {
        let memory = if given { &self.given } else { &self.answers };
        memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, print: Id, count: u32) -> made::Key {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.key(print, count, Instant::now())
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

// === impl IdempotencyLayer ===

impl IdempotencyLayer {
    /// `keys` is what is remembered; no key is made for the apps of `without`.
    #[must_use]
    pub fn new(keys: Arc<Keys>, without: WithoutKeys) -> Self {
        Self { keys, without: Arc::new(without) }
    }

    /// Gives `call` its key. What comes back is remembered; other calls need no memory.
    fn key(&self, call: &mut Call) -> Result<Option<Keyed>> {
        if call.operation.shim == Some(Shim::ConnectorIdempotency)
            && let Some((target, key)) = shim::take(&call.target)
        {
            call.target = target;
            if let Some(key) = key.filter(|_| !call.headers.contains_key(KEY)) {
                call.headers.insert(KEY, key);
            }
        }
        if let Some(key) = given(&mut call.headers)? {
            call.record.mark(|marks| marks.key_use = Some(KeyUse::Given));
            return Ok(Some(self.keyed(call, true, key.as_bytes())));
        }
        let caller = &call.caller;
        let makes = call.operation.idempotency == Honours::Make
            && !self.without.contains(&(caller.tenant.clone(), caller.app.clone()));
        Ok(if makes { self.make(call) } else { None })
    }

    /// Makes a key, or finds the one of the request that this one repeats.
    fn make(&self, call: &mut Call) -> Option<Keyed> {
        let Some(count) = call.record.read(|marks| marks.sdk_retry) else {
            // Nobody could recognise a repetition of it: its key need not be remembered.
            sign(call, made::Key::fresh());
            return None;
        };
        let print = id(&[
            call.caller.connection.as_str().as_bytes(),
            call.caller.app.as_str().as_bytes(),
            call.operation.id.as_bytes(),
            call.target.as_str().as_bytes(),
            call.body.bytes(),
        ]);
        let key = sign(call, self.keys.make(print, count));
        Some(self.keyed(call, false, key.as_bytes()))
    }

    fn keyed(&self, call: &Call, given: bool, key: &[u8]) -> Keyed {
        let (connection, operation) = (&call.caller.connection, &call.operation.id);
        Keyed {
            keys: self.keys.clone(),
            given,
            id: id(&[connection.as_str().as_bytes(), operation.as_bytes(), key]),
            print: id(&[call.target.as_str().as_bytes(), call.body.bytes()]),
            app: call.caller.app.clone(),
            record: call.record.clone(),
        }
    }
}

/// Puts a made key in.
fn sign(call: &mut Call, made: made::Key) -> HeaderValue {
    let key = HeaderValue::from_str(&format!("tollgate-{}", made.key));
    let key = key.expect("hex digits are visible ASCII");
    call.headers.insert(KEY, key.clone());
    call.record.mark(|marks| {
        marks.key_use = Some(if made.recognised { KeyUse::Recognised } else { KeyUse::Made });
        marks.accepted = Some(made.accepted);
    });
    key
}

/// The client's key. An empty one is none; two are neither.
fn given(headers: &mut HeaderMap) -> Result<Option<HeaderValue>> {
    let mut values = headers.get_all(KEY).iter();
    let first = values.next().cloned();
    if values.next().is_some() {
        return Err(Error::malformed("a request has one Idempotency-Key"));
    }
    if first.as_ref().is_some_and(|key| key.as_bytes().trim_ascii().is_empty()) {
        headers.remove(KEY);
        return Ok(None);
    }
    Ok(first)
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = Idempotency<S>;

    fn layer(&self, inner: S) -> Idempotency<S> {
        Idempotency { rules: self.clone(), inner }
    }
}

// === impl Keyed ===

impl Keyed {
    fn find(&self) -> Result<Found> {
        let found =
            self.keys.memory(self.given).find(&self.id, &self.app, &self.print, Instant::now());
        match found {
            Found::OtherRequest => {
                let detail = "this Idempotency-Key stands for another path, query or body; a new request needs a new key";
                Err(Error::refused(Code::KeyReused, detail))
            }
            Found::OtherApp => {
                let detail = "another app uses this Idempotency-Key on the same connection";
                Err(Error::refused(Code::KeyInUse, detail))
            }
            found => Ok(found),
        }
    }

    /// Makes the call unless its answer is known or a twin is making it.
    async fn run<S>(self, mut inner: S, call: Call) -> Result
    where
        S: Service<Call, Response = Reply, Error = Error>,
    {
        loop {
            let lead = match self.keys.running.join(self.id) {
                Part::Leads(lead) => lead,
                Part::Follows(twin) => {
                    self.find()?;
                    // Until it is over, its fate is this call's.
                    self.record.share(true);
                    twin.outcome().await;
                    self.record.share(false);
                    continue;
                }
            };
            let found = self.find()?;
            if let Found::Answered(answer) = found {
                self.record.mark(|marks| marks.replayed = true);
                return Ok(again(&answer));
            }
            let claim = Claim::new(self, matches!(found, Found::Nothing));
            let result = claim.settle(inner.call(call).await).await;
            lead.finish(());
            return result;
        }
    }
}

fn again(answer: &Answer) -> Reply {
    let mut reply = Reply::new(call::full(answer.body.clone()));
    *reply.status_mut() = answer.status;
    *reply.headers_mut() = answer.headers.clone();
    reply.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    reply
}

// === impl Claim ===

impl Claim {
    fn new(keyed: Keyed, fresh: bool) -> Self {
        // An earlier call under this key may have been acted on: so may this one, as they are one.
        keyed.record.share(!fresh);
        if fresh {
            let Keyed { keys, given, id, print, app, .. } = &keyed;
            keys.memory(*given).claim(*id, app.clone(), *print, Instant::now());
        }
        Self { keyed, fresh }
    }

    /// What is remembered of a call that ended as `result`: its good answer, or that the vendor may
    /// have acted, or nothing.
    async fn settle(mut self, result: Result) -> Result {
        let reply = result?;
        let status = reply.status();
        if status.is_client_error() && status != StatusCode::CONFLICT {
            // Courier keeps no 4xx either: the request may be mended and sent under the same key.
            self.free();
        }
        if !status.is_success() {
            return Ok(reply);
        }
        let (head, body) = reply.into_parts();
        match gather(body, SHORT).await? {
            Gathered::Whole(body) => {
                let headers = head.headers.clone();
                let answer = Answer { status, headers, body: body.clone() };
                let Keyed { keys, given, id, .. } = &self.keyed;
                keys.memory(*given).keep(*id, answer, Instant::now());
                self.fresh = false;
                Ok(Reply::from_parts(head, call::full(body)))
            }
            Gathered::Long(body) => Ok(Reply::from_parts(head, body)),
        }
    }

    /// Nothing was done under the key, now or before.
    fn free(&mut self) {
        if std::mem::take(&mut self.fresh) {
            self.keyed.keys.memory(self.keyed.given).free(&self.keyed.id);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keyed.record.was_sent() {
            self.free();
        }
    }
}

// === impl Idempotency ===

impl<S> Service<Call> for Idempotency<S>
where
    S: Service<Call, Response = Reply, Error = Error, Future = BoxFuture> + Clone + Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> BoxFuture {
        if call.method != Method::POST {
            return self.inner.call(call);
        }
        let mut inner = self.inner.clone();
        let keyed = self.rules.key(&mut call);
        Box::pin(async move {
            match keyed? {
                Some(keyed) => keyed.run(inner, call).await,
                None => inner.call(call).await,
            }
        })
    }
}
