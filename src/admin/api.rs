//! The admin port: what is asked of a running gateway, and what it is told to do, as JSON, by those
//! who have an admin key.

mod ask;
mod audit;
mod calls;
mod fields;
mod keys;
mod live;
mod outcome;
mod overrides;
mod reload;
mod routes;
mod session;
mod usage;
mod views;
mod whatif;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};

use super::door::{NotLetIn, Operator};
use super::{Door, page};
use crate::call::{Reply, StreamBody};
use crate::error::{Code, Error};
use crate::ingress::validate;
use crate::local_reply::{self, PROBLEM};
use crate::proof::SendProof;
use crate::runtime::State;
use crate::server::{Answer, RequestBody};
use ask::{Ask, Query};
use routes::{ApiRoute, RouteView};

/// Answers on the admin port.
#[derive(Clone)]
pub struct Api {
    state: State,
    door: Door,
    /// Who is at the other end; nobody yet, before a client connects.
    peer: Option<IpAddr>,
}

type Page = Result<Reply, Error>;

impl Api {
    /// Questions about `state`; `door` says who may ask.
    #[must_use]
    pub fn new(state: State, door: Door) -> Self {
        Self { state, door, peer: None }
    }

    /// The answer to `request`, with the key of whoever sent it or claims to be.
    async fn page(&self, request: Request<RequestBody>) -> Result<Reply, NotLetIn> {
        validate::message(&request)?;
        // A reload may have taken its address from the list since it connected.
        if self.peer.is_some_and(|peer| !self.door.lets_in(peer)) {
            let detail = "this address may not ask any more";
            return Err(Error::refused(Code::OriginRefused, detail).into());
        }
        self.door.is_meant(&request)?;
        // What nobody needs a key for, since it holds nothing of this gateway.
        if let Some(file) = page::file(request.method(), request.uri().path(), request.headers()) {
            return Ok(file?);
        }
        let found = routes::find(request.method(), request.uri().path());
        if let Ok((ApiRoute { view: RouteView::LogIn, .. }, _)) = found {
            return session::log_in(self, request).await;
        }
        let operator = self.door.pass(&request)?;
        let key = operator.key.clone();
        let by_it = |error| NotLetIn { error, key: Some(key) };
        self.told(request, operator).await.map_err(by_it)
    }

    /// What `operator` asks for, or changes.
    async fn told(&self, request: Request<RequestBody>, operator: Operator) -> Page {
        let (head, body) = request.into_parts();
        let (route, part) = routes::find(&head.method, head.uri.path())?;
        let document = match route.method {
            "GET" => Bytes::new(),
            _ => {
                if route.changes() {
                    operator.may_change()?;
                }
                ask::document(head.headers.get(header::CONTENT_TYPE), body).await?
            }
        };
        let ask = Ask {
            part: part.to_owned(),
            query: Query(head.uri.query().unwrap_or_default().to_owned()),
            document,
            operator,
            door: self.door.clone(),
            peer: self.peer,
        };
        match route.view {
            RouteView::Shown(view) => view(&self.state, &ask),
            RouteView::Later(view) => view(&self.state, &ask).await,
            RouteView::LogIn => Err(routes::unknown()),
        }
    }
}

impl Answer for Api {
    type Body = StreamBody;

    fn for_client(&self, peer: IpAddr) -> Option<Self> {
        let peer = peer.to_canonical();
        if self.door.lets_in(peer) {
            return Some(Self { peer: Some(peer), ..self.clone() });
        }
        outcome::turned_away(&self.state, peer);
        None
    }

    async fn answer(
        &self,
        request: Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<StreamBody> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let page = self.page(request).await;
        outcome::tell(&self.state, self.peer, (&method, &path), &page);
        let reply =
            page.unwrap_or_else(|refused| local_reply::problem(refused.error, None, PROBLEM));
        local_reply::answer(fields::guarded(reply, &path), &method)
    }
}

#[cfg(test)]
mod tests;
