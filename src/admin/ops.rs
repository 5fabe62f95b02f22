//! The operations port: health, readiness, metrics, version. It changes nothing and needs no key.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::server::{Answer, RequestBody};
use crate::state::State;
use crate::telemetry::exposition::Format;

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

    async fn page(&self, path: &str, headers: &HeaderMap) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        match path {
            "/livez" => (StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" if self.state.is_ready() => (StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into()),
            "/version" => (StatusCode::OK, TEXT, concat!(env!("CARGO_PKG_VERSION"), "\n").into()),
            "/metrics" => {
                let format = Format::of(&accept(headers));
                (StatusCode::OK, format.content_type(), self.state.metrics_page(format).await)
            }
            _ => (StatusCode::NOT_FOUND, TEXT, "/livez /readyz /metrics /version\n".into()),
        }
    }
}

/// Every field `Accept` in one.
fn accept(headers: &HeaderMap) -> String {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
    fields.collect::<Vec<_>>().join(",")
}

impl Answer for Ops {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let allowed = [Method::GET, Method::HEAD].contains(request.method());
        let (status, kind, text) = match allowed {
            true => self.page(request.uri().path(), request.headers()).await,
            false => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n".into()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        headers.insert(header::VARY, header::HeaderValue::from_static("accept"));
        if !allowed {
            headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
