//! The operations port: health, readiness, metrics, version. It changes nothing and needs no key.
//!
//! Programs ask under any name that leads here. A browser may read the metrics only under an
//! address or `localhost`: a page from elsewhere can make its own name point here (DNS rebinding)
//! and would learn the names of tenants and apps. Over plain HTTP a browser tells nothing of the
//! page; that it is one shows in fields that it always sends, and scrapers never.

use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};

use super::door::{address, is_localhost};
use crate::call::StreamBody;
use crate::ingress::validate;
use crate::local_reply::{self, get_or_head};
use crate::proof::SendProof;
use crate::runtime::State;
use crate::server::{Answer, RequestBody};
use crate::telemetry::exposition::ExpositionFormat;

/// Answers on the operations port.
#[derive(Clone)]
pub struct Ops {
    state: State,
}

impl Ops {
    /// Health and metrics of `state`.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state }
    }

    async fn page<B>(&self, request: &Request<B>) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        let elsewhere = is_a_page_elsewhere(request);
        match request.uri().path() {
            "/livez" => (StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" => match self.state.unready() {
                None => (StatusCode::OK, TEXT, self.state.readiness()),
                Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, reason.into()),
            },
            "/version" => (StatusCode::OK, TEXT, concat!(env!("CARGO_PKG_VERSION"), "\n").into()),
            "/metrics" if elsewhere => {
                (StatusCode::FORBIDDEN, TEXT, "browsers ask under an address or localhost\n".into())
            }
            "/metrics" => {
                let format = ExpositionFormat::of(&accept(request.headers()));
                (StatusCode::OK, format.content_type(), self.state.metrics_page(format).await)
            }
            _ => (StatusCode::NOT_FOUND, TEXT, "/livez /readyz /metrics /version\n".into()),
        }
    }
}

/// Whether a browser asks under a name that anybody could have made to point here.
fn is_a_page_elsewhere<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let browser = ["accept-language", "origin", "referer", "sec-fetch-site"];
    let field = || Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok();
    let named = request.uri().authority().cloned().or_else(field);
    let is_here = |host: &str| address(host).is_some() || is_localhost(host);
    browser.iter().any(|name| headers.contains_key(*name))
        && !named.is_some_and(|named| is_here(named.host()))
}

/// Every field `Accept` in one.
fn accept(headers: &HeaderMap) -> String {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    fields.collect::<Vec<_>>().join(",")
}

impl Answer for Ops {
    type Body = StreamBody;

    async fn answer(
        &self,
        request: Request<RequestBody>,
        _: Arc<SendProof>,
    ) -> Response<StreamBody> {
        let request = request.map(|_| ());
        let method = request.method();
        let asks = validate::message(&request).and_then(|()| get_or_head(method, "GET or HEAD"));
        let mut reply = match asks {
            Ok(()) => {
                let (status, kind, text) = self.page(&request).await;
                local_reply::text(status, kind, text)
            }
            Err(mut error) => {
                error.detail += "\n";
                local_reply::plain(error)
            }
        };
        reply.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        local_reply::answer(reply, method)
    }
}
