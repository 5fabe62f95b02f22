//! `/__admin/…`: the calls with which a test or a demo controls the simulator.
//!
//! They need no credential, so bind the simulator to loopback.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::journal::{Entry, Search};
use crate::limits::LimitRule;
use crate::options::Options;
use crate::reply::Reply;
use crate::request::Request;
use crate::simulator::Simulator;
use crate::target::{self, Query};
use crate::time::Micros;

/// How many entries are shown without `limit`.
const ENTRIES: usize = 1000;

/// What `POST /__admin/clock` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    /// Moves the clock by this many ms; back if negative.
    #[serde(default)]
    step_ms: i64,
    /// The drift from now on.
    #[serde(default)]
    drift_ppm: Option<i64>,
}

/// Answers one admin call. `path` is what follows `/__admin/`.
pub(crate) fn handle(sim: &mut Simulator, now: Micros, path: &str, request: &Request) -> Reply {
    let (path, query) = target::split(path);
    let query = Query::parse(query);
    match (request.method.as_str(), path) {
        ("GET", "health") => Reply::json(200, &json!({ "status": "ok" })),
        ("GET", "requests") => requests(sim, &query),
        ("DELETE", "requests") => {
            sim.journal.clear();
            Reply::empty(204)
        }
        ("GET", "duplicates") => Reply::json(
            200,
            &json!({ "duplicates": sim.journal.duplicates(), "dropped": sim.journal.dropped() }),
        ),
        ("GET", "counters") => counters(sim, now, &query),
        ("GET", "faults") => {
            let list: Vec<Value> = sim
                .faults
                .list()
                .map(|(f, seen, hits)| json!({ "fault": f, "seen": seen, "hits": hits }))
                .collect();
            Reply::json(200, &json!({ "faults": list }))
        }
        ("POST", "faults") => parsed(&request.body, |faults: OneOrMany<Fault>| {
            faults.into_iter().for_each(|f| sim.faults.add(f));
        }),
        ("DELETE", "faults") => {
            sim.faults.clear();
            Reply::empty(204)
        }
        ("GET", "clock") => clock(sim, now),
        ("POST", "clock") => {
            let done = parsed(&request.body, |change: ClockChange| {
                sim.clock.step(change.step_ms);
                change.drift_ppm.iter().for_each(|ppm| sim.clock.set_drift(now, *ppm));
            });
            if done.status == 204 { clock(sim, now) } else { done }
        }
        ("GET", "switches") => Reply::json(200, &json!(sim.options.switches)),
        ("PATCH", "switches") => switches(sim, &request.body),
        ("GET", "limits") => Reply::json(200, &json!({ "limits": sim.limits.rules() })),
        ("PUT", "limits") => parsed(&request.body, |rules: Vec<LimitRule>| sim.set_limits(rules)),
        ("GET", "versions") => versions(sim, &query),
        ("POST", "reset") => reset(sim, &request.body),
        _ => Reply::error(
            404,
            "simulator_error",
            "no such admin call; see the table in the simulator's README",
        ),
    }
}

/// One value, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(Box<T>),
}

impl<T> OneOrMany<T> {
    fn into_iter(self) -> std::vec::IntoIter<T> {
        match self {
            Self::Many(many) => many.into_iter(),
            Self::One(one) => vec![*one].into_iter(),
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8], done: impl FnOnce(T)) -> Reply {
    match serde_json::from_slice(body) {
        Ok(value) => {
            done(value);
            Reply::empty(204)
        }
        Err(e) => Reply::error(400, "simulator_error", &e.to_string()),
    }
}

fn requests(sim: &Simulator, query: &Query) -> Reply {
    let text = |name: &str| query.get(name).map(str::to_owned);
    let search = Search {
        token: text("token"),
        path: text("path"),
        operation: text("operation"),
        method: text("method"),
        after: query.get("after").and_then(|v| v.parse().ok()).unwrap_or(0),
    };
    let limit = query.get("limit").and_then(|v| v.parse().ok()).unwrap_or(ENTRIES);
    let found: Vec<Value> = sim.journal.find(&search).take(limit).map(Entry::view).collect();
    Reply::json(
        200,
        &json!({ "requests": found, "total": sim.journal.total(), "dropped": sim.journal.dropped() }),
    )
}

fn counters(sim: &mut Simulator, now: Micros, query: &Query) -> Reply {
    let at = sim.counting(now);
    let wanted = query.get("token");
    let reports = sim
        .counters
        .reports(at.0)
        .into_iter()
        .filter(|(token, ..)| wanted.is_none_or(|w| w == token));
    let rows: Vec<Value> = reports.map(|(token, operation, largest)| json!({ "token": token, "operation": operation, "largest": largest })).collect();
    Reply::json(
        200,
        &json!({ "counters": rows, "window_ms": sim.options.counters.window_ms, "overflow": sim.counters.overflow() }),
    )
}

fn clock(sim: &Simulator, now: Micros) -> Reply {
    let wall = sim.clock.wall(now);
    Reply::json(
        200,
        &json!({ "wall": wall.iso(), "wall_ms": wall, "mode": sim.clock.mode(), "drift_ppm": sim.clock.drift_ppm() }),
    )
}

/// Changes the switches that the body names. The others stay.
fn switches(sim: &mut Simulator, body: &[u8]) -> Reply {
    let Ok(changes) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return Reply::error(400, "simulator_error", "an object of switches is needed");
    };
    let mut all = json!(sim.options.switches);
    changes.into_iter().for_each(|(name, value)| all[name] = value);
    match serde_json::from_value(all) {
        Ok(changed) => {
            sim.options.switches = changed;
            Reply::json(200, &json!(sim.options.switches))
        }
        Err(e) => Reply::error(400, "simulator_error", &e.to_string()),
    }
}

fn versions(sim: &Simulator, query: &Query) -> Reply {
    match query.get("environment").and_then(|e| sim.versions(e)) {
        Some(versions) => Reply::json(200, &json!({ "versions": versions })),
        None => Reply::error(
            404,
            "simulator_error",
            "no such environment; ?environment=<workspace>/production",
        ),
    }
}

/// Forgets all data. A body replaces the options.
fn reset(sim: &mut Simulator, body: &[u8]) -> Reply {
    if !body.is_empty() {
        match std::str::from_utf8(body).map_err(|e| e.to_string()).and_then(Options::from_json) {
            Ok(options) => sim.options = options,
            Err(e) => return Reply::error(400, "simulator_error", &e),
        }
    }
    sim.reset();
    Reply::empty(204)
}
