//! The last calls, and one of them.

use serde::Serialize;

use super::{Ask, Page, Query};
use crate::error::{Code, Error};
use crate::history::{CallDocument, CallQuery, Entry};
use crate::ids::RandomId;
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

/// Those that the query asks for.
pub(super) fn list(state: &State, ask: &Ask) -> Page {
    let wanted = wanted(&ask.query)?;
    let calls = state.calls();
    let found = calls.list(&wanted);
    let kept = calls.reach().to_string();
    Ok(json(&Listed { kept, calls: found.iter().map(Entry::document).collect() }))
}

/// `tenant`, `app`, `limit` and `sort=slowest`.
fn wanted(query: &Query) -> Result<CallQuery, Error> {
    let mut wanted = CallQuery { limit: LISTED, ..CallQuery::default() };
    for (name, value) in query.pairs() {
        match name {
            "tenant" => wanted.tenant = Some(query.name(value)?),
            "app" => wanted.app = Some(query.name(value)?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
                let detail = "limit must be a number from 1 to 200";
                wanted.limit = limit.ok_or_else(|| Error::malformed(detail))?;
            }
            "sort" if value == "slowest" => wanted.slowest = true,
            _ => {
                let detail = "the query takes tenant, app, limit and sort=slowest";
                return Err(Error::malformed(detail));
            }
        }
    }
    Ok(wanted)
}
