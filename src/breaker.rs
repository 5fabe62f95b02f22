//! Calls do not queue for a vendor that is dead. They are refused at once, until a probe finds it
//! back. A host to which no socket can be opened is dead for all connections. A host that takes a
//! connection's calls and does not answer them is dead for that connection only, because its calls
//! may be the reason.

mod circuit;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio_util::either::Either;

use circuit::{Circuit, CircuitEntry, CircuitVerdict};

use crate::call::{Attempt, Next, Reply, Result, Stage, StageLayer, Staged};
use crate::clock::Instant;
use crate::error::{Code, Error, Evidence};
use crate::ids::ConnectionId;
use crate::numbers::{ConnectionIx, Table};
use crate::targets;

/// The breaker of one host. It outlives a reload.
#[derive(Debug, Default)]
pub struct Breaker {
    /// std, not tokio: each section is a few assignments and never awaits.
    circuits: Mutex<Circuits>,
}

#[derive(Debug, Default)]
struct Circuits {
    /// Whether sockets to it can be opened.
    host: Circuit,
    /// Whether it answers, by connection. There are as many as the configuration ever had.
    connections: Vec<(ConnectionId, Circuit)>,
    /// Those that an operator put in one state.
    forced: HashMap<ConnectionId, ForcedState>,
}

/// A breaker that stays as an operator put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedState {
    /// No call goes to the vendor before then.
    Open(Instant),
    /// Every call does.
    Closed,
}

/// The breaker of a connection's host, and the connection's own part of it.
#[derive(Clone, Debug)]
pub struct Guarded {
    breaker: Arc<Breaker>,
    connection: ConnectionId,
    at: usize,
}

/// Refuses calls to dead hosts.
pub struct Guard {
    hosts: Table<ConnectionIx, Guarded>,
}

pin_project! {
    /// The answer to a call that was let through.
    pub struct Visiting<F> {
        #[pin]
        answer: F,
        visit: Option<Visit>,
    }
}

/// A call that was let through. It reports what it learned of the host, at the latest when it is
/// dropped.
pub struct Visit {
    guarded: Guarded,
    host_entry: CircuitEntry,
    entry: CircuitEntry,
    evidence: Evidence,
}

// === impl Breaker ===

impl Breaker {
    /// True while its host counts as dead for at least one connection.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let circuits = self.circuits();
        circuits.host.is_open() || circuits.connections.iter().any(|(_, circuit)| circuit.is_open())
    }

    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The breaker for the calls of `connection`.
    #[must_use]
    pub fn guards(self: &Arc<Self>, connection: &ConnectionId) -> Guarded {
        let mut circuits = self.circuits();
        let known = circuits.connections.iter().position(|(known, _)| known == connection);
        let at = known.unwrap_or(circuits.connections.len());
        if known.is_none() {
            circuits.connections.push((connection.clone(), Circuit::default()));
        }
        Guarded { breaker: self.clone(), connection: connection.clone(), at }
    }
}

impl Breaker {
    /// From now on the breaker of these connections stays as an operator put it, and that of no
    /// other.
    pub fn force(&self, forced: HashMap<ConnectionId, ForcedState>) {
        self.circuits().forced = forced;
    }

    /// How it stands for the host: as for the connection for which it is worst.
    #[must_use]
    pub fn of_host(&self) -> &'static str {
        let names: Vec<ConnectionId> =
            self.circuits().connections.iter().map(|(known, _)| known.clone()).collect();
        let all: Vec<_> = names.iter().map(|connection| self.standing(connection)).collect();
        let worst = ["open", "probing"].into_iter().find(|word| all.contains(word));
        worst.unwrap_or("closed")
    }

    /// How it stands for `connection`: `open`, `closed`, or `probing` if it is open and the next call
    /// may ask whether the host is back.
    #[must_use]
    pub fn standing(&self, connection: &ConnectionId) -> &'static str {
        let circuits = self.circuits();
        match circuits.forced.get(connection) {
            Some(ForcedState::Open(_)) => return "open",
            Some(ForcedState::Closed) => return "closed",
            None => {}
        }
        let own = circuits.connections.iter().find(|(known, _)| known == connection);
        let both = [Some(&circuits.host), own.map(|(_, circuit)| circuit)];
        let now = Instant::now();
        let waits = both.into_iter().flatten().filter_map(|circuit| circuit.waits(now)).max();
        match waits {
            None => "closed",
            Some(Duration::ZERO) => "probing",
            Some(_) => "open",
        }
    }
}

// === impl Guarded ===

impl Guarded {
    fn enter(&self) -> Result<Visit> {
        let now = Instant::now();
        let mut circuits = self.breaker.circuits();
        let entered = match circuits.forced.get(&self.connection).copied() {
            Some(ForcedState::Open(until)) => return Err(kept_open(until - now)),
            Some(ForcedState::Closed) => Ok((CircuitEntry::free(now), CircuitEntry::free(now))),
            None => circuits.enter(self.at, now),
        };
        drop(circuits);
        let (host_entry, entry) = entered.map_err(refused)?;
        Ok(Visit { guarded: self.clone(), host_entry, entry, evidence: Evidence::Nothing })
    }
}

// === impl Circuits ===

impl Circuits {
    fn enter(
        &mut self,
        connection: usize,
        now: Instant,
    ) -> std::result::Result<(CircuitEntry, CircuitEntry), Duration> {
        let host = self.host.enter(now)?;
        self.connections[connection].1.enter(now).map(|entry| (host, entry)).inspect_err(|_| {
            // The call does not reach the host after all.
            self.host.leave(host, CircuitVerdict::Unclear, now);
        })
    }

    /// Takes in how a call ended. Returns whether the connection's calls were refused before, and
    /// whether they are now.
    fn leave(&mut self, visit: &Visit, now: Instant) -> (bool, bool) {
        let circuit = &mut self.connections[visit.guarded.at].1;
        let before = self.host.is_open() || circuit.is_open();
        let (host, connection) = match visit.evidence {
            Evidence::Nothing => (CircuitVerdict::Unclear, CircuitVerdict::Unclear),
            Evidence::Alive => (CircuitVerdict::Alive, CircuitVerdict::Alive),
            Evidence::Unreachable => (CircuitVerdict::Dead, CircuitVerdict::Unclear),
            Evidence::Silent => (CircuitVerdict::Unclear, CircuitVerdict::Dead),
        };
        self.host.leave(visit.host_entry, host, now);
        circuit.leave(visit.entry, connection, now);
        (before, self.host.is_open() || circuit.is_open())
    }
}

fn kept_open(left: Duration) -> Error {
    Error::refused(Code::VendorDown, "an operator keeps calls from Courier for a time")
        .with_retry_after(left.max(Duration::from_secs(1)))
}

fn refused(wait: Duration) -> Error {
    Error::refused(
        Code::VendorDown,
        "Courier did not answer the last calls; one asks whether it is back",
    )
    .with_retry_after(wait.max(Duration::from_secs(1)))
}

// === impl Visit ===

impl Visit {
    fn note(mut self, result: &Result) {
        self.evidence = result.as_ref().map_or_else(|error| error.evidence, |_| Evidence::Alive);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let connection = &self.guarded.connection;
        match self.guarded.breaker.circuits().leave(self, Instant::now()) {
            (false, true) => {
                tracing::error!(target: targets::VENDOR, %connection, "Courier does not answer: its calls are refused");
            }
            (true, false) => {
                tracing::info!(target: targets::VENDOR, %connection, "Courier answers again");
            }
            _ => {}
        }
    }
}

// === impl Guard ===

impl Guard {
    /// `hosts` holds the breaker of each connection's host.
    #[must_use]
    pub fn layer(hosts: Table<ConnectionIx, Guarded>) -> StageLayer<Self> {
        StageLayer::new(Self { hosts })
    }
}

impl<S: Next<Attempt>> Stage<S> for Guard {
    type Call = Attempt;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<Visiting<S::Future>, Ready<Result>>;

    fn call(this: &Staged<Self, S>, call: Attempt) -> Self::Future {
        match this.stage().hosts[call.caller.ix].enter() {
            Ok(visit) => Either::Left(Visiting { answer: this.pass(call), visit: Some(visit) }),
            Err(error) => Either::Right(ready(Err(error))),
        }
    }
}

impl<F: Future<Output = Result>> Future for Visiting<F> {
    type Output = Result;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result> {
        let this = self.project();
        let result = std::task::ready!(this.answer.poll(cx));
        if let Some(visit) = this.visit.take() {
            visit.note(&result);
        }
        Poll::Ready(result)
    }
}
