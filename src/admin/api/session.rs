//! Who asks: a session of a page, and the version of the program.

use bytes::Bytes;
use http::{Request, header};
use serde::{Deserialize, Serialize};

use super::{Api, Ask, Page, ask};
use crate::admin::door::{NotLetIn, Operator};
use crate::audit::Deed;
use crate::call::Reply;
use crate::error::Error;
use crate::identity::Rights;
use crate::local_reply::json;
use crate::runtime::State;
use crate::server::RequestBody;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// Whose key it is, and of which gateway.
#[derive(Serialize)]
struct Session<'a> {
    key: &'a str,
    rights: Rights,
    version: &'static str,
    instance: &'a str,
}

#[derive(Serialize)]
struct Ended {
    /// There was a session.
    ended: bool,
}

/// What a page sends to log out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What a page sends to log in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    key: String,
}

pub(super) fn version(_: &State, _: &Ask) -> Page {
    Ok(json(&Version { version: VERSION }))
}

pub(super) fn session(state: &State, ask: &Ask) -> Page {
    Ok(document(state, &ask.operator))
}

fn document(state: &State, operator: &Operator) -> Reply {
    json(&Session {
        key: operator.key.as_str(),
        rights: operator.rights,
        version: VERSION,
        instance: state.instance(),
    })
}

/// Opens a session for whom the key in the document is.
pub(super) async fn log_in(api: &Api, request: Request<RequestBody>) -> Result<Reply, NotLetIn> {
    let (head, body) = request.into_parts();
    let document: Bytes = ask::document(head.headers.get(header::CONTENT_TYPE), body).await?;
    let shown: Shown = serde_json::from_slice(&document)
        // The reason could repeat the key.
        .map_err(|_| Error::malformed("log in with {\"key\":\"tg_…\"}"))?;
    let peer = api.peer.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    let (operator, cookie) = api.door.log_in(shown.key.as_bytes(), peer, &head.headers)?;
    api.state.audit().done(Deed {
        act: "login",
        what: "a session of 12 hours".to_owned(),
        key: Some(operator.key.clone()),
        peer: api.peer,
        ..Deed::default()
    });
    let mut reply = self::document(&api.state, &operator);
    reply.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(reply)
}

/// Ends the session that the request came with.
pub(super) fn log_out(state: &State, ask: &Ask) -> Page {
    if !ask.document.is_empty() {
        ask.read::<Nothing>()?;
    }
    let (cookie, ended) = ask.door.log_out(&ask.operator);
    if ended {
        state.audit().done(ask.deed("logout", "its session"));
    }
    let mut reply = json(&Ended { ended });
    reply.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(reply)
}
