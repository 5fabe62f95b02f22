//! The operations port: health, readiness, metrics, version. It changes nothing and needs no key.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::server::{Answer, RequestBody};
use crate::state::State;
use crate::telemetry::logs::AccessLog;

/// Answers on the operations port.
#[derive(Clone)]
pub struct Ops {
    state: State,
    logs: AccessLog,
}

impl Ops {
    /// `logs` tells how many lines were dropped.
    #[must_use]
    pub fn new(state: State, logs: AccessLog) -> Self {
        Self { state, logs }
    }

    fn page(&self, path: &str) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        match path {
            "/livez" => (StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" if self.state.is_ready() => (StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into()),
            "/version" => (StatusCode::OK, TEXT, concat!(env!("CARGO_PKG_VERSION"), "\n").into()),
            "/metrics" => (StatusCode::OK, OPENMETRICS, self.metrics()),
            _ => (StatusCode::NOT_FOUND, TEXT, "/livez /readyz /metrics /version\n".into()),
        }
    }

    fn metrics(&self) -> String {
        let metrics = self.state.metrics();
        let news = self.logs.dropped().saturating_sub(metrics.lines_dropped.get());
        metrics.lines_dropped.inc_by(news);
        let down = i64::try_from(self.state.hosts_down()).unwrap_or(i64::MAX);
        metrics.hosts_down.set(down);
        let bytes = i64::try_from(self.state.cache().bytes()).unwrap_or(i64::MAX);
        metrics.cache_bytes.set(bytes);
        metrics.page()
    }
}

impl Answer for Ops {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let allowed = [Method::GET, Method::HEAD].contains(request.method());
        let (status, kind, text) = match allowed {
            true => self.page(request.uri().path()),
            false => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n".into()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        if !allowed {
            headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}
