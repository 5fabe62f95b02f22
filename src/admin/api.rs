//! The admin port: what is asked of a running gateway, as JSON, by those who have an admin key.

use std::fmt::Display;
use std::sync::Arc;

use http::{HeaderValue, Request, Response, header};
use serde::Serialize;

use super::Door;
use crate::call::{Reply, StreamBody};
use crate::error::{Code, Error};
use crate::history::{CallDocument, CallQuery, Entry};
use crate::ids::RandomId;
use crate::ingress::validate;
use crate::local_reply::{self, PROBLEM, get_or_head, json};
use crate::proof::SendProof;
use crate::runtime::State;
use crate::server::{Answer, RequestBody};

/// The paths, for whoever is lost.
const PATHS: &str = "the paths are /api/version, /api/connections, /api/calls and /api/calls/<id>";
/// Calls that are listed, unless fewer or more are asked for.
const LISTED: usize = 50;
/// The most that are listed.
const MOST_LISTED: usize = 200;

/// Answers on the admin port.
#[derive(Clone)]
pub struct Api {
    state: State,
    door: Door,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// The last calls.
#[derive(Serialize)]
struct Listed {
    /// How far back the places reach.
    kept: String,
    calls: Vec<CallDocument>,
}

type Page = Result<Reply, Error>;

impl Api {
    /// Questions about `state`; `door` says who may ask.
    #[must_use]
    pub fn new(state: State, door: Door) -> Self {
        Self { state, door }
    }

    fn page(&self, request: &Request<RequestBody>) -> Page {
        // Every right that there is lets its holder ask.
        self.door.pass(request)?;
        get_or_head(request.method(), "questions are asked with GET or HEAD")?;
        let query = request.uri().query().unwrap_or_default();
        match request.uri().path() {
            "/api/version" => Ok(json(&Version { version: env!("CARGO_PKG_VERSION") })),
            "/api/connections" => Ok(json(&self.state.admission().view())),
            "/api/calls" => self.calls(query),
            path => match path.strip_prefix("/api/calls/") {
                Some(id) => self.call(id),
                None => Err(Error::refused(Code::UnknownOperation, PATHS)),
            },
        }
    }

    fn call(&self, id: &str) -> Page {
        let id = id.parse::<RandomId>().map_err(Error::malformed)?;
        if let Some(entry) = self.state.calls().find(id) {
            return Ok(json(&entry.document()));
        }
        let flying = self.state.flights().list().into_iter().any(|(flight, _)| flight == id);
        let detail = match flying {
            true => {
                "that call is under way: it was sent, and goes on without its caller".to_owned()
            }
            false => format!("no call of that id is kept: {}", self.state.calls().reach()),
        };
        Err(Error::refused(Code::UnknownCall, detail))
    }

    fn calls(&self, query: &str) -> Page {
        let wanted = wanted(query)?;
        let calls = self.state.calls();
        let found = calls.list(&wanted);
        let kept = calls.reach().to_string();
        Ok(json(&Listed { kept, calls: found.iter().map(Entry::document).collect() }))
    }
}

/// `tenant`, `app`, `limit` and `sort=slowest`.
fn wanted(query: &str) -> Result<CallQuery, Error> {
    let mut wanted = CallQuery { limit: LISTED, ..CallQuery::default() };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "tenant" => wanted.tenant = Some(named(value)?),
            "app" => wanted.app = Some(named(value)?),
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

fn named<T: std::str::FromStr<Err: Display>>(value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::malformed("tenant and app are names of the configuration"))
}

impl Answer for Api {
    type Body = StreamBody;

    async fn answer(
        &self,
        request: Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<StreamBody> {
        let page = validate::message(&request).and_then(|()| self.page(&request));
        let mut reply = page.unwrap_or_else(|error| local_reply::problem(error, None, PROBLEM));
        let nosniff = HeaderValue::from_static("nosniff");
        reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        local_reply::answer(reply, request.method())
    }
}
