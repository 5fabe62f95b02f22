//! The admin port: what is asked of a running gateway, as JSON, by those who have an admin key.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use super::Door;
use crate::error::{Code, Error};
use crate::history::{CallDocument, CallQuery, Entry};
use crate::ids::RandomId;
use crate::ingress::validate;
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

type Page = Result<Vec<u8>, Error>;

impl Api {
    /// Questions about `state`; `door` says who may ask.
    #[must_use]
    pub fn new(state: State, door: Door) -> Self {
        Self { state, door }
    }

    fn page(&self, request: &Request<RequestBody>) -> Page {
        // Every right that there is lets its holder ask.
        self.door.pass(request)?;
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let detail = "questions are asked with GET or HEAD";
            return Err(Error::refused(Code::MethodNotAllowed, detail)
                .with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")));
        }
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

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, numbers and lists of them are always JSON")
}

fn problem(error: Error) -> Response<Full<Bytes>> {
    let (status, document) = (error.code.status(), error.document(None));
    let mut response = answer(status, "application/problem+json", document);
    for (name, value) in error.headers {
        response.headers_mut().insert(name, value);
    }
    response
}

fn answer(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Answer for Api {
    type Body = Full<Bytes>;

    async fn answer(
        &self,
        request: Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<Full<Bytes>> {
        let clear = validate::message(&request);
        let page = clear.map_err(Error::malformed).and_then(|()| self.page(&request));
        let mut response = match page {
            Ok(body) => answer(StatusCode::OK, "application/json", body),
            Err(error) => problem(error),
        };
        if clear.is_err() && request.version() < http::Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        // hyper leaves the body of an answer to HEAD out in HTTP/1.1 only.
        if request.method() == Method::HEAD {
            *response.body_mut() = Full::default();
        }
        response
    }
}
