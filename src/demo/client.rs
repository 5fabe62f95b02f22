//! An application's HTTP client: keep-alive sockets to the gateway, the key in each request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    gateway: SocketAddr,
    key: String,
}

impl Client {
    pub(super) fn new(gateway: SocketAddr, key: String) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), gateway, key }
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
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(|error| crate::error::chain(&error))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
    }
}
