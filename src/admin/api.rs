//! The admin port: what is asked of a running gateway, and what it is told to do, as JSON, by those
//! who have an admin key.

mod ask;
mod calls;
mod overrides;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use serde::Serialize;

use super::{Door, page};
use crate::call::{Reply, StreamBody};
use crate::error::{Code, Error};
use crate::ingress::validate;
use crate::local_reply::{self, PROBLEM, json};
use crate::proof::SendProof;
use crate::runtime::State;
use crate::server::{Answer, RequestBody};
use ask::{Ask, Query};

/// The paths, for whoever is lost.
const PATHS: &str = "the paths are /api/version, /api/connections, /api/calls and /api/calls/<id>";

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

type Page = Result<Reply, Error>;

impl Api {
    /// Questions about `state`; `door` says who may ask.
    #[must_use]
    pub fn new(state: State, door: Door) -> Self {
        Self { state, door }
    }

    async fn page(&self, request: Request<RequestBody>) -> Page {
        if let Some(file) = page::file(request.method(), request.uri().path(), request.headers()) {
            self.door.host(&request)?;
            return file;
        }
        // Every right that there is lets its holder ask.
        let operator = self.door.pass(&request)?;
        let (head, body) = request.into_parts();
        let method = if head.method == Method::HEAD { Method::GET } else { head.method };
        let document = match method {
            Method::GET => Bytes::new(),
            _ => ask::document(head.headers.get(header::CONTENT_TYPE), body).await?,
        };
        let query = Query(head.uri.query().unwrap_or_default().to_owned());
        self.route(&method, head.uri.path(), &Ask { query, document, operator }).await
    }

    /// One line a path.
    async fn route(&self, method: &Method, path: &str, ask: &Ask) -> Page {
        let state = &self.state;
        let below = |prefix: &str| path.strip_prefix(prefix);
        match (method.as_str(), path) {
            ("GET", "/api/version") => Ok(json(&Version { version: env!("CARGO_PKG_VERSION") })),
            ("GET", "/api/connections") => Ok(json(&state.admission().view())),
            ("GET", "/api/calls") => calls::list(state, ask),
            ("GET", "/api/overrides") => overrides::list(state, ask),
            ("POST", "/api/overrides") => overrides::make(state, ask).await,
            ("POST", "/api/purge") => overrides::purge(state, ask).await,
            ("DELETE", _) if below("/api/overrides/").is_some() => {
                overrides::end(state, ask, below("/api/overrides/").unwrap_or_default()).await
            }
            ("GET", _) => match below("/api/calls/") {
                Some(id) => calls::one(state, id),
                None => Err(Error::refused(Code::UnknownOperation, PATHS)),
            },
            _ => local_reply::get_or_head(method, "questions are asked with GET or HEAD")
                .and(Err(Error::refused(Code::UnknownOperation, PATHS))),
        }
    }
}

impl Answer for Api {
    type Body = StreamBody;

    async fn answer(
        &self,
        request: Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<StreamBody> {
        let method = request.method().clone();
        let page = match validate::message(&request) {
            Ok(()) => self.page(request).await,
            Err(error) => Err(error),
        };
        let mut reply = page.unwrap_or_else(|error| local_reply::problem(error, None, PROBLEM));
        let nosniff = HeaderValue::from_static("nosniff");
        reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        local_reply::answer(reply, &method)
    }
}
