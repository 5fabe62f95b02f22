//! A call under a key that is remembered: what is known of the key, which call is sent, and what is
//! kept of it.

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderValue;

use super::REPLAYED;
use super::keys::SendKeys;
use super::made::{KeyTicket, UNCOUNTED};
use super::memory::{Id, KeptAnswer, KeyState, Purpose};
use super::shared::SendFate;
use crate::call::{
    self, BeforeSend, BoxFuture, BufferedCall, Gathered, Next, Notes, Reply, Result, SHORT, gather,
};
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::proof::{Acceptance, SendProof};
use crate::record::{KeyUse, Record};
use crate::single_flight::Role;

/// A call under a key that is remembered.
pub(super) struct Keyed {
    pub(super) usage: Arc<KeyUsage>,
    /// For a made key.
    pub(super) _hold: Option<Hold>,
}

/// Which key is used, by which call, and for what.
#[derive(Debug)]
pub(super) struct KeyUsage {
    pub(super) keys: Arc<SendKeys>,
    pub(super) id: Id,
    pub(super) purpose: Purpose,
    /// The ticket of a made key; `None` for a key that the client gave.
    pub(super) made: Option<KeyTicket>,
    pub(super) signed: Signed,
    pub(super) proof: Arc<SendProof>,
}

/// Where the key is noted under which a call is sent.
#[derive(Debug)]
pub(super) struct Signed {
    notes: Arc<Notes>,
    record: Arc<Record>,
}

/// Held while a call under a made key is under way. The key is forgotten with the last such call,
/// if none was sent.
pub(super) struct Hold {
    keys: Arc<SendKeys>,
    ticket: KeyTicket,
    proof: Arc<SendProof>,
    /// True if the key was made for this call.
    fresh: bool,
}

/// Notes whether the client accepted the answer under a made key. The proof of the call holds it.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) keys: Arc<SendKeys>,
    pub(super) ticket: KeyTicket,
}

/// Notes that a made key is sent which nobody will use again.
#[derive(Debug)]
pub(super) struct Single(pub(super) Signed);

/// A key while its call is under way. However the call ends, the key is free again if nothing can
/// have been done under it.
struct Claim {
    usage: Arc<KeyUsage>,
    /// True if the vendor can't have acted on an earlier call.
    fresh: bool,
}

// === impl Keyed ===

impl Keyed {
    fn find(&self) -> Result<KeyState> {
        let KeyUsage { keys, id, purpose, .. } = &*self.usage;
        usable(keys.memory(self.usage.given()).find(id, purpose, Instant::now()))
    }

    /// The same of what other replicas know, for a key that a client gave.
    async fn find_elsewhere(&self) -> Result<KeyState> {
        let KeyUsage { keys, id, purpose, .. } = &*self.usage;
        match &keys.shared {
            Some(shared) if self.usage.given() => usable(shared.answer(id, purpose).await),
            _ => Ok(KeyState::Nothing),
        }
    }

    /// Makes the call, unless its answer is known or a twin is making the call.
    pub(super) async fn run(
        self,
        mut inner: impl Next<BufferedCall>,
        mut call: BufferedCall,
    ) -> Result {
        loop {
            let lead = match self.usage.keys.running.join(self.usage.id) {
                Role::Leads(lead) => lead,
                Role::Follows(twin) => {
                    self.find()?;
                    // Until the twin is over, what becomes of it becomes of this call.
                    self.usage.proof.share(true);
                    twin.outcome().await;
                    self.usage.proof.share(false);
                    continue;
                }
            };
            let mut found = self.find()?;
            if matches!(found, KeyState::Nothing) {
                found = self.find_elsewhere().await?;
            }
            if let KeyState::Answered(answer) = found {
                self.usage.signed.record.mark(|marks| marks.replayed = true);
                return Ok(again(&answer));
            }
            let claim = Claim::new(self.usage.clone(), matches!(found, KeyState::Nothing));
            call.before_send = Some(self.usage.clone());
            let result = claim.settle(inner.call(call).await).await;
            lead.finish(());
            return result;
        }
    }
}

/// Refuses what a key can't be used for.
fn usable(found: KeyState) -> Result<KeyState> {
    match found {
        KeyState::OtherRequest => {
            let detail = "this Idempotency-Key stands for another path, query or body; a new request needs a new key";
            Err(Error::refused(Code::KeyReused, detail))
        }
        KeyState::OtherApp => {
            let detail = "another app uses this Idempotency-Key on the same connection";
            Err(Error::refused(Code::KeyInUse, detail))
        }
        found => Ok(found),
    }
}

fn again(answer: &KeptAnswer) -> Reply {
    let mut reply = Reply::new(call::full(answer.body.clone()));
    *reply.status_mut() = answer.status;
    *reply.headers_mut() = answer.headers.clone();
    reply.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    reply
}

// === impl KeyUsage ===

impl KeyUsage {
    fn given(&self) -> bool {
        self.made.is_none()
    }

    fn goes_out(&self) {
        if self.made.is_some() {
            self.signed.was_made();
        }
        self.keys.memory(self.given()).sent(self.id, &self.purpose, Instant::now());
    }
}

impl BeforeSend for KeyUsage {
    fn before_send(self: Arc<Self>) -> Option<BoxFuture<Result<()>>> {
        let writing = self.made.as_ref().and_then(|ticket| self.keys.sent(ticket));
        let Some(writing) = writing else {
            self.goes_out();
            return None;
        };
        Some(Box::pin(async move {
            writing.over(&self.signed.record).await?;
            self.goes_out();
            Ok(())
        }))
    }
}

impl BeforeSend for Single {
    fn before_send(self: Arc<Self>) -> Option<BoxFuture<Result<()>>> {
        self.0.was_made();
        None
    }
}

// === impl Signed ===

impl Signed {
    pub(super) fn of(call: &BufferedCall) -> Self {
        Self { notes: call.notes.clone(), record: call.record.clone() }
    }

    /// Notes that a key was made for the call, unless it is the key of an earlier one.
    fn was_made(&self) {
        self.notes.was_made();
        self.record.mark(|marks| marks.key_use = marks.key_use.or(Some(KeyUse::Made)));
    }
}

// === impl Hold ===

impl Hold {
    pub(super) fn new(
        keys: Arc<SendKeys>,
        ticket: KeyTicket,
        proof: Arc<SendProof>,
        fresh: bool,
    ) -> Self {
        if ticket.count == UNCOUNTED {
            keys.waiting.enter(ticket.print, proof.clone());
        }
        Self { keys, ticket, proof, fresh }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.keys.waiting.leave(&self.ticket.print, &self.proof);
        let sent = self.proof.was_sent();
        self.keys.release(&self.ticket, sent);
        if self.fresh && !sent && self.ticket.count != UNCOUNTED {
            self.keys.became(&self.ticket, SendFate::Unsent);
        }
    }
}

// === impl Accepted ===

impl Acceptance for Accepted {
    fn accepted(&self) {
        self.keys.accepted(&self.ticket);
    }

    fn doubted(&self) {
        self.keys.doubted(&self.ticket);
    }
}

// === impl Claim ===

impl Claim {
    fn new(usage: Arc<KeyUsage>, fresh: bool) -> Self {
        // If the vendor may have acted on an earlier call under this key, that holds for this call
        // too, because both count as one.
        usage.proof.share(!fresh);
        if fresh {
            usage.keys.memory(usage.given()).claim(usage.id, &usage.purpose);
        }
        Self { usage, fresh }
    }

    /// Remembers what matters of a call that ended as `result`: its good answer, or that the vendor
    /// may have acted, or nothing.
    async fn settle(mut self, result: Result) -> Result {
        let reply = result?;
        let status = reply.status();
        if status.is_client_error() && status != StatusCode::CONFLICT {
            // Courier keeps no 4xx either. The client may mend the request and send it under the
            // same key.
            self.free();
        }
        if !status.is_success() {
            return Ok(reply);
        }
        let (head, body) = reply.into_parts();
        match gather(body, SHORT).await? {
            Gathered::Whole(body) => {
                let headers = head.headers.clone();
                let answer = KeptAnswer { status, headers, body: body.clone() };
                let KeyUsage { keys, id, purpose, .. } = &*self.usage;
                if let Some(shared) = keys.shared.as_ref().filter(|_| self.usage.given()) {
                    shared.keep(id, purpose, &answer);
                }
                keys.memory(self.usage.given()).keep(*id, answer, Instant::now());
                self.fresh = false;
                Ok(Reply::from_parts(head, call::full(body)))
            }
            Gathered::Long(body) => Ok(Reply::from_parts(head, body)),
        }
    }

    /// Frees the key, if nothing was done under it before; nothing was done now.
    fn free(&mut self) {
        if std::mem::take(&mut self.fresh) {
            self.usage.keys.memory(self.usage.given()).free(&self.usage.id);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.usage.proof.was_sent() {
            self.free();
        }
    }
}
