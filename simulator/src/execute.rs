//! Runs the operation of a matched call on its environment.

use crate::call::{Call, Failure, Outcome, Success};
use crate::caller::Caller;
use crate::catalogue::Row;
use crate::fault::Effect;
use crate::lagging::LaggingState;
use crate::ops;
use crate::options::Options;
use crate::reply::Reply;
use crate::request::Request;
use crate::simulator::Simulator;
use crate::state::State;
use crate::switches::Unknown;
use crate::target::{self, Query};
use crate::time::Micros;

/// A call whose row was found.
pub(crate) struct Asked<'a> {
    pub(crate) now: Micros,
    pub(crate) request: &'a Request,
    pub(crate) caller: &'a Caller,
    pub(crate) row: &'a Row,
    pub(crate) params: Vec<&'a str>,
    pub(crate) query: Query,
    pub(crate) effect: &'a Effect,
    pub(crate) first_byte: Micros,
}

impl Simulator {
    /// Runs the operation on its environment. Also returns whether it changed something.
    pub(crate) fn run(&mut self, asked: &Asked<'_>) -> (Reply, bool) {
        let read = asked.row.is_read();
        if !read {
            self.clock.tick();
        }
        let wall = self.clock.wall(asked.now);
        if !self.prepare(&asked.caller.environment) {
            return (Failure::full().reply(), false);
        }
        let Self { environments, ids, options, .. } = self;
        let Some(environment) = environments.get_mut(&asked.caller.environment) else {
            return (Failure::full().reply(), false);
        };
        let mut call = Call {
            row: asked.row,
            path: target::split(&asked.request.target).0,
            params: asked.params.iter().map(|p| target::decode(p)).collect(),
            query: &asked.query,
            body: &asked.request.body,
            state: environment.view(asked.now, read, asked.effect.late_effect_ms),
            release: asked.caller.credential.release,
            mock: asked.caller.credential.mock,
            actor: "api",
            ids,
            wall,
            switches: &options.switches,
        };
        let outcome = match ops::run(&mut call) {
            // A test can call a row beyond the connector alone, so an unknown id gives a
            // placeholder.
            Err(f)
                if f.status == 404
                    && asked.row.connector.is_none()
                    && options.switches.unknown_generic == Unknown::Empty =>
            {
                Ok(Success::Json(ops::placeholder(&call)))
            }
            outcome => outcome,
        };
        let done = outcome.is_ok();
        if done {
            call.state.grow_versions(&asked.row.clears);
        }
        let mut reply = respond(options, asked.row, outcome);
        if read && options.switches.versions_header {
            reply.set("x-simulator-versions", &call.state.versions_of(&asked.row.reads));
        }
        (reply, done && !read)
    }

    /// Creates the environment if it is new. Returns `false` if there are too many.
    fn prepare(&mut self, name: &str) -> bool {
        let Self { environments, options, clock, .. } = self;
        if environments.contains_key(name) {
            return true;
        }
        if environments.len() >= options.capacity.environments {
            return false;
        }
        // Seeded rows are as old as the clock, whenever the first call comes.
        let mut state = State::new(options.capacity.rows);
        if options.seed_data {
            ops::seed(&mut state, options.seed, clock.epoch());
        }
        environments.insert(name.to_owned(), LaggingState::new(state));
        true
    }
}

fn respond(options: &Options, row: &Row, outcome: Outcome) -> Reply {
    let status =
        options.switches.statuses.get(&row.id).or(row.statuses.first()).copied().unwrap_or(200);
    match outcome {
        // Only this row leaves the type out (OA).
        Err(failure) if failure.status == 400 && row.id == "automations.list" => {
            Reply::json(400, &serde_json::json!({ "message": failure.message }))
        }
        Err(failure) => failure.reply(),
        Ok(_) if status == 204 => Reply::empty(204),
        Ok(Success::Done) if status == 200 => {
            Reply::json(200, &serde_json::json!({ "status": "SUCCESS" }))
        }
        Ok(Success::Done) => Reply::empty(status),
        Ok(Success::Json(value)) => Reply::json(status, &value),
        Ok(Success::Text(text)) => Reply::text(status, "text/plain; charset=utf-8", text),
    }
}
