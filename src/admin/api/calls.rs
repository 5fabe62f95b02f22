//! The last calls, and one of them.

use serde::Serialize;

use super::{Ask, Page, Query};
use crate::error::{Code, Error};
use crate::history::{CallDocument, CallQuery, Entry};
use crate::ids::RandomId;
use crate::live::OpenCall;
use crate::local_reply::json;
use crate::runtime::State;

/// Calls that are listed, unless fewer or more are asked for.
const LISTED: usize = 50;
/// The most that are listed.
const MOST_LISTED: usize = 200;

/// The last calls.
#[derive(Serialize)]
struct Listed {
    /// How far back the places reach.
    kept: String,
    calls: Vec<CallDocument>,
}

/// The call of that id.
pub(super) fn one(state: &State, ask: &Ask) -> Page {
    let id = ask.part.parse::<RandomId>().map_err(Error::malformed)?;
    if let Some(entry) = state.calls().find(id) {
        return Ok(json(&entry.document()));
    }
    let flying = state.flights().list().into_iter().any(|(flight, _)| flight == id);
    let detail = match flying {
        true => "that call is under way: it was sent, and goes on without its caller".to_owned(),
        false => format!("no call of that id is kept: {}", state.calls().reach()),
    };
    Err(Error::refused(Code::UnknownCall, detail))
}

/// A call that is under way.
#[derive(Serialize)]
struct UnderWay {
    #[serde(flatten)]
    call: OpenCall,
    /// False for one that was sent and goes on without its caller.
    caller: bool,
}

/// Those that are under way.
pub(super) fn under_way(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    let alone = state.flights().list().into_iter().map(|(id, _)| id.to_string());
    let alone: std::collections::HashSet<String> = alone.collect();
    let each = state.recorder().under_way().into_iter();
    let calls = each.map(|call| UnderWay { caller: !alone.contains(&call.call_id), call });
    Ok(json(&Open { calls: calls.collect() }))
}

#[derive(Serialize)]
struct Open {
    calls: Vec<UnderWay>,
}

/// Those that the query asks for.
pub(super) fn list(state: &State, ask: &Ask) -> Page {
    let wanted = wanted(&ask.query)?;
    let calls = state.calls();
    let found = calls.list(&wanted);
    let kept = calls.reach().to_string();
    Ok(json(&Listed { kept, calls: found.iter().map(Entry::document).collect() }))
}

/// `tenant`, `app`, `connection`, `operation`, `code`, `refused=1`, `limit` and `sort=slowest`.
fn wanted(query: &Query) -> Result<CallQuery, Error> {
    let mut wanted = CallQuery { limit: LISTED, ..CallQuery::default() };
    for (name, value) in query.pairs() {
        match name {
            "tenant" => wanted.tenant = Some(query.name(value)?),
            "app" => wanted.app = Some(query.name(value)?),
            "connection" => wanted.connection = Some(query.name(value)?),
            "operation" => wanted.operation = Some(value.to_owned()),
            "code" => wanted.code = Some(value.to_owned()),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
                let detail = "limit must be a number from 1 to 200";
                wanted.limit = limit.ok_or_else(|| Error::malformed(detail))?;
            }
            "refused" if value == "1" => wanted.refused = true,
            "sort" if value == "slowest" => wanted.slowest = true,
            _ => {
                let detail = "the query takes tenant, app, connection, operation, code, refused=1, limit and sort=slowest";
                return Err(Error::malformed(detail));
            }
        }
    }
    Ok(wanted)
}
