//! The steps of a call: each has a type that one layer makes and the next one takes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::{Call, Held, StreamBody};
use crate::clock::Instant;
use crate::record::{Cached, KeyUse};

/// A body that the client has not been asked for yet; nothing where there is none.
pub struct Unread(pub Option<StreamBody>);

/// All of a body. It counts against the octets that the gateway may hold until its last copy ends.
#[derive(Clone, Default)]
pub struct Buffered {
    /// Its octets; none where there is no body.
    pub bytes: Bytes,
    _held: Option<Arc<Held>>,
}

/// A call whose body is here.
pub type BufferedCall = Call<Buffered>;

/// One attempt at a call. Further attempts share the call.
#[derive(Clone, Debug)]
pub struct Attempt {
    call: Arc<BufferedCall>,
    /// When the call first came to its line, if the vendor refused it and it goes back there.
    pub back_since: Option<Instant>,
}

/// An attempt that was let in: its slots are taken.
#[derive(Debug)]
pub struct AdmittedCall {
    attempt: Attempt,
    /// When its slots were taken: the hard limit counts from here.
    pub taken: Instant,
}

/// An attempt with the token of its connection.
#[derive(Debug)]
pub struct AuthorizedCall {
    admitted: AdmittedCall,
    /// The field `Authorization`.
    pub authorization: HeaderValue,
}

impl Buffered {
    /// `bytes`, which `held` counts.
    #[must_use]
    pub fn new(bytes: Bytes, held: Held) -> Self {
        let _held = (!bytes.is_empty()).then(|| Arc::new(held));
        Self { bytes, _held }
    }
}

impl<B> Call<B> {
    /// An attempt is being handed to a socket: from here on the vendor may be working.
    pub fn sending(&self) {
        self.proof.sending();
        self.record.sending();
    }

    /// The transport proved that nothing of the last attempt left the gateway.
    pub fn not_sent(&self) {
        self.proof.not_done();
        self.record.not_sent();
    }

    /// The call goes under a key.
    pub fn goes_under(&self, key: KeyUse) {
        self.notes.key(key);
        self.record.mark(|marks| marks.key_use = Some(key));
    }

    /// The cache answers the call.
    pub fn cached(&self, cached: Cached) {
        self.notes.cached(cached);
        self.record.cached(cached);
    }

    /// The same call with another body, and the body that it had.
    pub fn with_body<C>(self, body: C) -> (B, Call<C>) {
        let call = Call {
            caller: self.caller,
            operation: self.operation,
            method: self.method,
            target: self.target,
            headers: self.headers,
            body,
            deadline: self.deadline,
            own_deadline: self.own_deadline,
            wait_until: self.wait_until,
            collects: self.collects,
            before_send: self.before_send,
            habits: self.habits,
            proof: self.proof,
            notes: self.notes,
            record: self.record,
        };
        (self.body, call)
    }
}

impl Attempt {
    /// The first attempt at `call`.
    #[must_use]
    pub fn first(call: Arc<BufferedCall>) -> Self {
        Self { call, back_since: None }
    }

    /// The attempt, let in at `taken`.
    #[must_use]
    pub fn admitted(self, taken: Instant) -> AdmittedCall {
        AdmittedCall { attempt: self, taken }
    }
}

impl AdmittedCall {
    /// The attempt with its token.
    #[must_use]
    pub fn authorized(self, authorization: HeaderValue) -> AuthorizedCall {
        AuthorizedCall { admitted: self, authorization }
    }
}

impl AuthorizedCall {
    /// When the slots of the attempt were taken.
    #[must_use]
    pub fn taken(&self) -> Instant {
        self.admitted.taken
    }
}

impl Deref for Attempt {
    type Target = BufferedCall;

    fn deref(&self) -> &BufferedCall {
        &self.call
    }
}

impl Deref for AdmittedCall {
    type Target = BufferedCall;

    fn deref(&self) -> &BufferedCall {
        &self.attempt
    }
}

impl Deref for AuthorizedCall {
    type Target = BufferedCall;

    fn deref(&self) -> &BufferedCall {
        &self.admitted
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Unread" } else { "Empty" })
    }
}

impl fmt::Debug for Buffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffered({})", self.bytes.len())
    }
}
