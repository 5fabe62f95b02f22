//! An application's HTTP client: keep-alive sockets to the gateway, the key in each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct DemoClient {
    pool: Pool<HttpConnector, Full<Bytes>>,
    gateway: SocketAddr,
    key: String,
    /// Answers that cost no call to Courier.
    saved: Arc<AtomicU64>,
}

impl DemoClient {
    pub(super) fn new(gateway: SocketAddr, key: String, saved: Arc<AtomicU64>) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), gateway, key, saved }
    }

    /// Status and body of one call, or why there is none.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.gateway))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let answer = async {
            let response =
                self.pool.request(request).await.map_err(|error| crate::error::chain(&error))?;
            let status = response.status();
            let saved = is_from_a_copy(response.headers());
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| crate::error::chain(&error))?;
            self.saved.fetch_add(saved.into(), Ordering::Relaxed);
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
    }
}

/// A copy, or the answer of a call that was under way already (RFC 9211).
fn is_from_a_copy(headers: &HeaderMap) -> bool {
    let status = headers.get("cache-status").and_then(|value| value.to_str().ok());
    let mut said = status.into_iter().flat_map(|status| status.split(';').map(str::trim));
    said.any(|word| matches!(word, "hit" | "collapsed"))
}
