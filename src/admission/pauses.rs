//! Who is paused: apps, connections and operations that may not call for a time.
//!
//! A call is stopped when it comes, before a copy could answer it, and once more when it has its
//! slot, before it is sent. The calls of a paused app or connection that wait are refused at once,
//! by the quota itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::either::Either;

use crate::call::{AdmittedCall, Call, Caller, Next, Reply, Stage, StageLayer, Staged};
use crate::catalog::Operation;
use crate::clock::Instant;
use crate::error::{Code, Error};
use crate::ids::{AppId, ConnectionId, TenantId};

/// The shortest time to come back that a caller is told.
const SHORTEST: Duration = Duration::from_secs(1);

/// Who may not call, and until when.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PauseTable {
    /// Apps.
    pub apps: HashMap<(TenantId, AppId), Instant>,
    /// Connections.
    pub connections: HashMap<ConnectionId, Instant>,
    /// Operations, on one connection or on all.
    pub operations: Vec<(Arc<str>, Option<ConnectionId>, Instant)>,
    /// Connections of which nothing goes to the vendor. Those that come are refused by the breaker,
    /// unless a copy answers them; here those that waited.
    pub shut: HashMap<ConnectionId, Instant>,
}

/// The table of now. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pauses(Arc<ArcSwap<PauseTable>>);

/// Stops calls when they come.
#[derive(Debug)]
pub struct StopArriving(Pauses);

/// Stops calls that are about to be sent.
#[derive(Debug)]
pub struct StopSending(Pauses);

impl PauseTable {
    fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.connections.is_empty() && self.operations.is_empty()
    }

    /// Why a call of `caller` is refused, and until when.
    fn stops(&self, caller: &Caller, operation: &str) -> Option<(Code, &'static str, Instant)> {
        let app = || self.apps.get(&(caller.tenant.clone(), caller.app.clone()));
        if let Some(until) = self.connections.get(&caller.connection) {
            return Some((Code::Paused, "an operator has paused this connection", *until));
        }
        let paused = |(paused, on, _): &&(Arc<str>, Option<ConnectionId>, Instant)| {
            **paused == *operation && on.as_ref().is_none_or(|on| *on == caller.connection)
        };
        if let Some((_, _, until)) = self.operations.iter().find(paused) {
            return Some((Code::Paused, "an operator has paused this operation", *until));
        }
        app().map(|until| (Code::AppPaused, "an operator has paused this app", *until))
    }
}

impl Pauses {
    /// From now on `table` counts.
    pub fn set(&self, table: PauseTable) {
        self.0.store(Arc::new(table));
    }

    /// The refusal of a call that is paused.
    #[must_use]
    pub fn refusal(&self, caller: &Caller, operation: &Operation) -> Option<Error> {
        let table = self.0.load();
        if table.is_empty() {
            return None;
        }
        Self::refused(table.stops(caller, &operation.id)?)
    }

    /// The same for a call that is about to be sent.
    fn refusal_to_send(&self, caller: &Caller, operation: &Operation) -> Option<Error> {
        let until = self.0.load().shut.get(&caller.connection).copied();
        let detail = "an operator keeps calls from Courier for a time";
        let shut = until.and_then(|until| Self::refused((Code::VendorDown, detail, until)));
        shut.or_else(|| self.refusal(caller, operation))
    }

    fn refused((code, detail, until): (Code, &'static str, Instant)) -> Option<Error> {
        let left = until.checked_duration_since(Instant::now())?;
        Some(Error::refused(code, detail).with_retry_after(left.max(SHORTEST)))
    }

    /// Stops calls when they come.
    #[must_use]
    pub fn stop_arriving(&self) -> StageLayer<StopArriving> {
        StageLayer::new(StopArriving(self.clone()))
    }

    /// Stops calls that waited, and are about to be sent.
    #[must_use]
    pub fn stop_sending(&self) -> StageLayer<StopSending> {
        StageLayer::new(StopSending(self.clone()))
    }
}

impl<S: Next<Call>> Stage<S> for StopArriving {
    type Call = Call;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, std::future::Ready<crate::call::Result>>;

    fn call(this: &Staged<Self, S>, call: Call) -> Self::Future {
        match this.stage().0.refusal(&call.caller, &call.operation) {
            None => Either::Left(this.pass(call)),
            Some(refusal) => Either::Right(std::future::ready(Err(refusal))),
        }
    }
}

impl<S: Next<AdmittedCall>> Stage<S> for StopSending {
    type Call = AdmittedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, std::future::Ready<crate::call::Result>>;

    fn call(this: &Staged<Self, S>, call: AdmittedCall) -> Self::Future {
        match this.stage().0.refusal_to_send(&call.caller, &call.operation) {
            None => Either::Left(this.pass(call)),
            Some(refusal) => Either::Right(std::future::ready(Err(refusal))),
        }
    }
}
