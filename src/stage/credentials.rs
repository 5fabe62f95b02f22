//! Puts the connection's vendor token in. Inside the retries to come: a token that has changed is
//! used at once.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header;
use tower::{Layer, Service};

use crate::call::{Call, Reply, Result};
use crate::error::Error;
use crate::tokens::Tokens;

/// Adds vendor tokens.
#[derive(Clone)]
pub struct CredentialsLayer {
    tokens: Arc<Tokens>,
}

/// See [`CredentialsLayer`].
#[derive(Clone)]
pub struct Credentials<S> {
    tokens: Arc<Tokens>,
    inner: S,
}

// === impl CredentialsLayer ===

impl CredentialsLayer {
    /// `tokens` has one for every connection.
    #[must_use]
    pub fn new(tokens: Arc<Tokens>) -> Self {
        Self { tokens }
    }
}

impl<S> Layer<S> for CredentialsLayer {
    type Service = Credentials<S>;

    fn layer(&self, inner: S) -> Credentials<S> {
        Credentials { tokens: self.tokens.clone(), inner }
    }
}

// === impl Credentials ===

impl<S> Service<Call> for Credentials<S>
where
    S: Service<Call, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> S::Future {
        let token = self.tokens.get(&call.caller.connection);
        let token = token.expect("keys and tokens come from one configuration, which has them all");
        call.headers.insert(header::AUTHORIZATION, token.authorization());
        self.inner.call(call)
    }
}
