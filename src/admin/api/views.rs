//! Connections, cache, vendor and configuration, as they are now.

use super::{Ask, Page};
use crate::error::{Code, Error};
use crate::ids::ConnectionId;
use crate::local_reply::json;
use crate::runtime::State;

/// All connections.
pub(super) fn connections(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&state.connections()))
}

/// All of one connection.
pub(super) fn connection(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    let id = ask.query.name(&ask.part)?;
    Ok(json(&state.connection(&id).ok_or_else(|| unknown(&id))?))
}

/// The last 15 minutes of one connection.
pub(super) fn history(state: &State, ask: &Ask) -> Page {
    let [connection] = ask.query.only(["connection"])?;
    let name = connection.ok_or_else(|| Error::malformed("say which one: ?connection=NAME"))?;
    let id: ConnectionId = ask.query.name(name)?;
    Ok(json(&state.history(&id).ok_or_else(|| unknown(&id))?))
}

/// What the cache does.
pub(super) async fn cache(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&state.cache_view().await))
}

/// The vendor's hosts and tokens.
pub(super) fn vendor(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&state.vendor_view()))
}

/// The configuration that is in use.
pub(super) fn configuration(state: &State, ask: &Ask) -> Page {
    let [] = ask.query.only([])?;
    Ok(json(&state.configuration()))
}

fn unknown(id: &ConnectionId) -> Error {
    Error::refused(Code::UnknownOperation, format!("there is no connection '{id}'"))
}
