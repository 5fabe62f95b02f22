//! What the layers noted of one call.

use std::sync::Arc;

use http::{Method, StatusCode, Version};

use super::{Breakdown, Cached, ClientTrace, Denied, Shortage, Timeline};
use crate::catalog::{Lane, Operation};
use crate::clock::Instant;
use crate::error::{Code, Outcome};
use crate::headers::Sdk;
use crate::ids::{AppId, ConnectionId, KeyId, TenantId};
use crate::quota::Would;

/// What the layers noted. `None` and zero mean that the call did not come that far.
#[derive(Debug, Default)]
pub struct Marks {
    /// What was asked.
    pub request: RequestMarks,
    /// Who asked.
    pub caller: CallerMarks,
    /// What the quotas did with it.
    pub quota: QuotaMarks,
    /// What the client sent of its trace.
    pub trace: ClientTrace,
    /// The operation.
    pub operation: Option<Arc<Operation>>,
    /// The status that the client was given.
    pub status: Option<StatusCode>,
    /// Why the gateway answered by itself.
    pub code: Option<Code>,
    /// What is known of a call that the gateway answered by itself.
    pub outcome: Option<Outcome>,
    /// Octets of the request body.
    pub bytes_in: u64,
    /// Octets of the answer body.
    pub bytes_out: u64,
    /// When what happened: each wait, each try, the body, the head.
    pub timeline: Timeline,
    /// What the gateway had too little of to send the call, in the last attempt.
    pub shortage: Option<Shortage>,
    /// What the call taught of the connection's token.
    pub token: Option<TokenNews>,
    /// What the cache did for it, on a row that is cached or shared.
    pub cached: Option<Cached>,
    /// It cleared what is kept of the collections that it changes.
    pub clears: bool,
    /// Other replicas could not be told of that in time.
    pub untold: bool,
    /// The key under which the call is one send.
    pub key_use: Option<KeyUse>,
    /// The answer was given before, under the same key.
    pub replayed: bool,
    /// The answer's body was handed over to its end.
    pub complete: bool,
    /// When the record was let go.
    pub ended_at: Option<Instant>,
    /// The answer's body ended in an error of the vendor's side.
    pub broken: bool,
}

/// What was asked.
#[derive(Debug, Default)]
pub struct RequestMarks {
    /// The client's request id, if it has one of its own.
    pub id: Option<Box<str>>,
    /// The version of HTTP that the request came with.
    pub version: Option<Version>,
    /// The client library.
    pub sdk: Option<Sdk>,
    /// The method as sent.
    pub method: Method,
}

/// Who asked.
#[derive(Debug, Default)]
pub struct CallerMarks {
    /// The tenant of the key.
    pub tenant: Option<TenantId>,
    /// The app of the key.
    pub app: Option<AppId>,
    /// The key, or the id of one that was not taken.
    pub key: Option<KeyId>,
    /// Why no key was taken.
    pub denied: Option<Denied>,
    /// The connection that the call uses.
    pub connection: Option<ConnectionId>,
}

/// What the quotas did with a call.
#[derive(Debug, Default)]
pub struct QuotaMarks {
    /// The queue that the call waited in.
    pub lane: Option<Lane>,
    /// In shadow mode: what the quota would have done.
    pub would: Option<Would>,
    /// The vendor refused the call for its own quota.
    pub throttled: bool,
}

/// What a call taught of a connection's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenNews {
    /// The vendor refuses it, and its source has no other.
    Refused,
    /// The vendor refuses it, and its source has another one, which is used from now on.
    Replaced,
}

/// Where the key of a call is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// The client gave it.
    Given,
    /// The gateway made it.
    Made,
    /// The gateway made it for an earlier request, which an SDK repeats.
    Recognised,
}

impl KeyUse {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Given, Self::Made, Self::Recognised];

    /// The word in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Made => "made",
            Self::Recognised => "recognised",
        }
    }
}

impl Marks {
    /// When the call was over; now, if it is not.
    #[must_use]
    pub fn ended(&self) -> Instant {
        self.ended_at.unwrap_or_else(Instant::now)
    }

    /// When the call was over for its caller. One that the gateway answered by itself may go on at
    /// the vendor after that.
    #[must_use]
    pub fn over(&self) -> Instant {
        self.timeline.over(self.code.is_some(), self.ended())
    }

    /// Where the time of the call that `started` then went, for its caller.
    #[must_use]
    pub fn breakdown(&self, started: Instant) -> Breakdown {
        self.timeline.breakdown(started, self.over())
    }
}
