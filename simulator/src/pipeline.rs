//! The order in which a call goes through the core.
//!
//! Credential, faults, counters, size, limits, idempotency keys, operation.

use crate::call::Failure;
use crate::caller::Caller;
use crate::catalogue::CATALOGUE;
use crate::execute::Asked;
use crate::fault::Effect;
use crate::faults::{self, Candidate};
use crate::idempotency::{self, Known};
use crate::latency::Latency;
use crate::reply::{Body, Reply};
use crate::request::{MAX_BODY, Request};
use crate::simulator::Simulator;
use crate::switches::UnknownQuery;
use crate::target::{self, Query};
use crate::time::Micros;
use crate::{refusal, wire};

/// What the pipeline learns about a call, for the journal.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) operation: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) committed: bool,
    pub(crate) replayed: bool,
    pub(crate) sends: bool,
}

impl Simulator {
    /// Answers a call to the API.
    pub(crate) fn answer(&mut self, now: Micros, request: &Request, trace: &mut Trace) -> Reply {
        let (path, query) = target::split(&request.target);
        let found = CATALOGUE.find(&request.method, path);
        let named = found.as_ref().map_or("", |(row, _)| &row.id);
        let caller = match Caller::of(request, named, &self.options) {
            Ok(caller) => caller,
            Err(reply) => return self.finish(now, request, *reply),
        };
        trace.environment = Some(caller.environment.clone());
        trace.operation = found.as_ref().map(|(row, _)| row.id.clone());
        trace.sends = found.as_ref().is_some_and(|(row, _)| {
            row.method == "POST" && row.clears.iter().any(|c| c == "messages")
        });
        let operation = trace.operation.clone().unwrap_or_default();
        let candidate = Candidate {
            operation: &operation,
            method: &request.method,
            target: &request.target,
            token: &caller.token,
            now,
        };
        let effect = match self.effect(request, &candidate) {
            Ok(effect) => effect,
            Err(why) => return Reply::error(400, "simulator_error", &why),
        };
        let first_byte = self.first_byte(request, &effect);
        let at = self.counting(now);
        self.counters.record(&caller.token, &operation, at.0, (at + first_byte).0);
        let mut reply = match found {
            None => Failure::not_found().reply(),
            Some(_) if request.body_len > MAX_BODY => {
                refusal::too_large(self.options.switches.too_large)
            }
            Some((row, params)) => {
                let query = Query::parse(query);
                let asked = Asked {
                    now,
                    request,
                    caller: &caller,
                    row,
                    params,
                    query,
                    effect: &effect,
                    first_byte,
                };
                self.matched(&asked, trace)
            }
        };
        reply.delivery.first_byte = first_byte;
        wire::apply(&mut reply, &effect, &caller.token);
        self.finish(now, request, reply)
    }

    /// Checks the limits and the idempotency key, then runs the operation.
    fn matched(&mut self, asked: &Asked<'_>, trace: &mut Trace) -> Reply {
        let (now, caller, effect) = (asked.now, asked.caller, asked.effect);
        let at = self.clock.at(now);
        if let Err(refused) =
            self.limits.take(&asked.row.id, &caller.token, &caller.environment, at.0)
        {
            return refusal::limited(&self.options.switches, &refused, self.clock.wall(now));
        }
        if let Some(name) = self.unknown_query(asked) {
            return Failure::invalid(format!("unknown query parameter {name}")).reply();
        }
        let key = key(asked);
        match key.as_ref().map_or(Known::No, |key| self.memory.find(key, now, self.clock.wall(now)))
        {
            Known::No => {}
            Known::Running => {
                return Failure::conflict("A request with this Idempotency-Key is still running")
                    .reply();
            }
            Known::Answered(reply) => {
                trace.replayed = true;
                return self.replay(*reply);
            }
        }
        let commits = effect.commits();
        let mut reply = Reply::empty(500);
        if commits {
            (reply, trace.committed) = self.run(asked);
        }
        wire::substitute(&mut reply, effect, &caller.token);
        if let Some(key) = key.filter(|_| commits || effect.answer.is_some()) {
            let expires = idempotency::expires(
                asked.request.field("x-idempotency-expiration"),
                self.clock.wall(now),
                &self.options.switches,
            );
            // Wire faults are applied later, so an answer that is lost on the wire is kept
            // unharmed.
            self.memory.keep(key, &reply, now + asked.first_byte, expires);
        }
        reply
    }

    fn effect(&mut self, request: &Request, candidate: &Candidate<'_>) -> Result<Effect, String> {
        match request.field("x-simulator-fault") {
            Some(text) => {
                let fault =
                    faults::parse_header(text).map_err(|e| format!("x-simulator-fault: {e}"))?;
                Ok(self.faults.from_header(fault).unwrap_or_default())
            }
            None => Ok(self.faults.pick(candidate).unwrap_or_default()),
        }
    }

    fn first_byte(&mut self, request: &Request, effect: &Effect) -> Micros {
        let asked = request
            .field("x-simulator-latency-ms")
            .and_then(|v| v.trim().parse().ok())
            .map(|ms| Latency::Fixed { ms });
        let parts = [self.options.latency, effect.latency, asked];
        let dice = self.faults.dice();
        parts.into_iter().flatten().fold(Micros::ZERO, |sum, latency| sum + latency.draw(dice))
    }

    fn replay(&self, mut reply: Reply) -> Reply {
        if self.options.switches.idempotency_empty_replay {
            reply.body = Body::Bytes(bytes::Bytes::new());
        }
        reply
    }

    fn unknown_query<'q>(&self, asked: &'q Asked<'_>) -> Option<&'q str> {
        let reject = self.options.switches.unknown_query == UnknownQuery::Reject;
        let known = |name: &&str| *name == "limit" || asked.row.query.iter().any(|q| q == name);
        asked.query.names().find(|name| reject && !known(name))
    }

    /// Adds the headers that every answer has.
    fn finish(&mut self, now: Micros, request: &Request, mut reply: Reply) -> Reply {
        let wall = self.clock.wall(now);
        if reply.field("date").is_none() {
            reply.set("date", &wall.http_date());
        }
        if let Some(name) = &self.options.switches.request_id_header {
            // This id isn't drawn from `ids`, because a read must not change the ids of later
            // writes.
            let id = format!("1-{:08x}-{:024x}", wall.0 / 1000, self.journal.total() + 1);
            reply.set(&name.to_ascii_lowercase(), &id);
        }
        if let (Some(policy), 200, "GET" | "HEAD") =
            (&self.options.switches.cache_control, reply.status, request.method.as_str())
        {
            refusal::validators(request, &mut reply, policy);
        }
        reply
    }
}

/// The name under which an answer is kept: environment, raw path and key. Only POST has one.
fn key(asked: &Asked<'_>) -> Option<String> {
    let key = asked
        .request
        .field("idempotency-key")
        .filter(|k| !k.is_empty() && asked.row.method == "POST")?;
    let (path, _) = target::split(&asked.request.target);
    Some(format!("{}\0{path}\0{key}", asked.caller.environment))
}
