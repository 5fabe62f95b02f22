//! What happens now: all of it at a glance, and the last minutes.

use http::{HeaderValue, header};

use super::{Ask, Page};
use crate::call::Reply;
use crate::error::{Code, Error};
use crate::local_reply::{json, no_store};
use crate::runtime::State;

/// All of it at a glance.
pub(super) fn overview(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&state.overview()))
}

/// The same once a second, for as long as its reader is `welcome`.
pub(super) fn events(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    let (door, operator) = (ask.door.clone(), ask.operator.clone());
    let welcome = move || door.still_welcomes(&operator);
    let listen = state.feed().listen(welcome, || state.overview_json());
    let events = listen.ok_or_else(|| {
        let detail = "64 read the events already: ask /api/overview in their place";
        Error::refused(Code::Overloaded, detail)
    })?;
    let mut reply = Reply::new(events);
    let kind = HeaderValue::from_static("text/event-stream");
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(no_store(reply))
}
