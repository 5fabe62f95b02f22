//! Keys: given ones are kept, missing ones are made. All sends under one key count as one send.
//!
//! A key belongs to one app and one request of an operation on a connection. A call that uses it
//! while that request is under way waits for that request. A call that uses it later gets the first
//! good answer again. A POST without a key, on a row where the vendor's SDKs expose one, gets a key
//! from the gateway. An SDK's own retry is recognised and gets the same key. It is recognised by
//! its count. If the SDK counts nothing, it is recognised as an equal request whose predecessor is
//! in doubt.
//!
//! Only calls that were sent take room: a call that is refused leaves nothing. One connection's
//! sends never push out another's.

mod commit;
mod journal;
mod keyed;
mod keys;
mod made;
mod memory;
mod retention;
mod shared;
mod shim;
mod waiting;
mod writing;

use std::sync::Arc;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio_util::either::Either;

pub use commit::Commit;
use keyed::{Accepted, Hold, KeyUsage, Keyed, Signed, Single};
pub use keys::SendKeys;
use made::{KeyTicket, MadeKey, UNCOUNTED};
use memory::{Id, Purpose, id};
use retention::Owner;

use crate::call::{BoxFuture, BufferedCall, Next, Reply, Result, Stage, StageLayer, Staged};
use crate::catalog::{KeySupport as Honours, Shim};
use crate::error::Error;
use crate::headers::Habits;
use crate::ids::{ConnectionId, RandomId};
use crate::numbers::{ConnectionIx, Table};
use crate::record::KeyUse;

/// The field that carries a key.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The field that marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Makes and keeps keys.
pub struct Idempotency {
    keys: Arc<SendKeys>,
    owners: Table<ConnectionIx, Owner>,
}

/// What is known of a call's key.
enum Known {
    /// Nothing has to be remembered of the call.
    Nothing,
    Keyed(Keyed),
    /// It gets a made key, for the request of this print, which was sent so often before. Other
    /// replicas must be asked.
    Asks(Id, u32),
}

impl Idempotency {
    /// `keys` is the memory of keys, which `connections` share.
    pub fn layer<'a>(
        keys: Arc<SendKeys>,
        connections: impl Iterator<Item = &'a ConnectionId>,
    ) -> StageLayer<Self> {
        StageLayer::new(Self { keys, owners: connections.map(owner).collect() })
    }

    /// Gives `call` its key.
    fn key(&self, call: &mut BufferedCall) -> Result<Known> {
        if call.operation.shim == Some(Shim::ConnectorIdempotency)
            && let Some((target, key)) = shim::take(&call.target)
        {
            call.target = target;
            if let Some(key) = key.filter(|_| !call.headers.contains_key(KEY)) {
                call.headers.insert(KEY, key);
            }
        }
        if let Some(key) = given(&mut call.headers)? {
            call.goes_under(KeyUse::Given);
            let usage = self.usage(call, key.as_bytes(), None);
            return Ok(Known::Keyed(Keyed { usage, _hold: None }));
        }
        let makes = call.operation.idempotency == Honours::Make && call.caller.makes_keys;
        Ok(if makes { self.make(call) } else { Known::Nothing })
    }

    /// Makes a key, or finds the one of the request that this one repeats.
    fn make(&self, call: &mut BufferedCall) -> Known {
        let Some(count) = count(call.habits) else {
            // Nobody could recognise a repetition of this call, so its key need not be remembered.
            sign(call, RandomId::new());
            call.before_send = Some(Arc::new(Single(Signed::of(call))));
            return Known::Nothing;
        };
        let (caller, keys) = (&call.caller, &self.keys);
        let print = id(&[
            caller.connection.as_str().as_bytes(),
            caller.app.as_str().as_bytes(),
            call.operation.id.as_bytes(),
            call.target.as_str().as_bytes(),
            &call.body.bytes,
        ]);
        if count == UNCOUNTED {
            keys.waiting.look(&print);
        }
        if keys.shared.is_some() {
            return Known::Asks(print, count);
        }
        let made = keys.make(print, count);
        Known::Keyed(self.under(call, (print, count), made))
    }

    /// The same, if other replicas may have had the request that this one repeats. They hear of this
    /// one before it goes out.
    async fn asks(&self, call: &mut BufferedCall, print: Id, count: u32) -> Result<Keyed> {
        let keys = &self.keys;
        let Some(shared) = &keys.shared else {
            return Ok(self.under(call, (print, count), keys.make(print, count)));
        };
        if count > 0 {
            let made = keys.ask(shared, print, count).await?;
            return Ok(self.under(call, (print, count), made));
        }
        let made = keys.make(print, count);
        // Its retry finds it here from now on.
        let keyed = self.under(call, (print, count), made);
        shared.tell(&print, made.key, count).await;
        Ok(keyed)
    }

    /// Puts `call`, which is the `count`th repetition of the request `print`, under the key that was
    /// made for it.
    fn under(&self, call: &mut BufferedCall, (print, count): (Id, u32), made: MadeKey) -> Keyed {
        let (keys, MadeKey { key, recognised }) = (&self.keys, made);
        let ticket = KeyTicket { owner: self.owners[call.caller.ix], print, key, count };
        let hold = Hold::new(keys.clone(), ticket, call.proof.clone(), !recognised);
        if recognised {
            call.goes_under(KeyUse::Recognised);
        }
        call.proof.tells(Arc::new(Accepted { keys: keys.clone(), ticket }));
        let key = sign(call, key);
        let usage = self.usage(call, key.as_bytes(), Some(ticket));
        Keyed { usage, _hold: Some(hold) }
    }

    fn usage(&self, call: &BufferedCall, key: &[u8], made: Option<KeyTicket>) -> Arc<KeyUsage> {
        let (connection, operation) = (&call.caller.connection, &call.operation.id);
        let purpose = Purpose {
            owner: self.owners[call.caller.ix],
            app: call.caller.app.clone(),
            print: id(&[call.target.as_str().as_bytes(), &call.body.bytes]),
        };
        Arc::new(KeyUsage {
            keys: self.keys.clone(),
            id: id(&[connection.as_str().as_bytes(), operation.as_bytes(), key]),
            purpose,
            made,
            signed: Signed::of(call),
            proof: call.proof.clone(),
        })
    }
}

/// How often the client has sent the request before; `None` if it never sends again by itself.
fn count(habits: Habits) -> Option<u32> {
    habits.retries.or_else(|| habits.retries_uncounted.then_some(UNCOUNTED))
}

/// The owner that stands for `connection` where room is shared.
fn owner(connection: &ConnectionId) -> Owner {
    let hash = id(&[connection.as_str().as_bytes()]);
    hash.first_chunk().copied().expect("a hash has 32 octets")
}

/// Puts a made key into `call`.
fn sign(call: &mut BufferedCall, key: RandomId) -> HeaderValue {
    let key = HeaderValue::from_str(&format!("tollgate-{key}"));
    let key = key.expect("hex digits are visible ASCII");
    call.headers.insert(KEY, key.clone());
    key
}

/// The client's key. An empty one counts as none; two are refused.
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

impl<S: Next<BufferedCall>> Stage<S> for Idempotency {
    type Call = BufferedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture>;

    fn call(this: &Staged<Self, S>, mut call: BufferedCall) -> Self::Future {
        if call.method != Method::POST {
            return Either::Left(this.pass(call));
        }
        let known = this.stage().key(&mut call);
        let this = this.clone();
        Either::Right(Box::pin(async move {
            let keyed = match known? {
                Known::Nothing => return this.pass(call).await,
                Known::Keyed(keyed) => keyed,
                // Boxed, so that gateways without a store don't pay for it.
                Known::Asks(print, count) => {
                    Box::pin(this.stage().asks(&mut call, print, count)).await?
                }
            };
            keyed.run(this.next(), call).await
        }))
    }
}

#[cfg(test)]
mod tests;
