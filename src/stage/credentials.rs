//! Puts the connection's vendor token in, and keeps it from coming back. Below the retries: a token
//! that has changed is used at once.

mod blank;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::{StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tower::{Layer, Service};

use blank::Blanked;

use crate::call::{self, BoxFuture, Call, Gathered, Reply, Result, SHORT, gather};
use crate::error::Error;
use crate::ids::ConnectionId;
use crate::record::Record;
use crate::secret::VendorToken;
use crate::tokens::{Rejected, TokenSource, Tokens};

/// Adds vendor tokens.
#[derive(Clone)]
pub struct CredentialsLayer {
    vault: Arc<Vault>,
}

/// See [`CredentialsLayer`].
#[derive(Clone)]
pub struct Credentials<S> {
    vault: Arc<Vault>,
    inner: S,
}

/// The tokens of one configuration, and where newer ones would be.
struct Vault(HashMap<ConnectionId, Place>);

struct Place {
    source: TokenSource,
    token: ArcSwap<VendorToken>,
}

// === impl CredentialsLayer ===

impl CredentialsLayer {
    /// `sources` has one for every connection of `tokens`.
    #[must_use]
    pub fn new(tokens: Tokens, mut sources: HashMap<ConnectionId, TokenSource>) -> Self {
        let places = tokens.into_iter().filter_map(|(connection, token)| {
            let source = sources.remove(&connection)?;
            Some((connection, Place { source, token: ArcSwap::from_pointee(token) }))
        });
        Self { vault: Arc::new(Vault(places.collect())) }
    }
}

impl<S> Layer<S> for CredentialsLayer {
    type Service = Credentials<S>;

    fn layer(&self, inner: S) -> Credentials<S> {
        Credentials { vault: self.vault.clone(), inner }
    }
}

// === impl Vault ===

impl Vault {
    fn token(&self, connection: &ConnectionId) -> Arc<VendorToken> {
        let place = self.0.get(connection);
        let place = place.expect("keys and tokens come from one configuration, which has them all");
        place.token.load_full()
    }

    /// Looks whether there is another token than `refused` by now, and takes it over.
    async fn look_again(self: Arc<Self>, connection: ConnectionId, refused: &VendorToken) -> bool {
        if !self.token(&connection).same_as(refused) {
            return true;
        }
        let read = {
            let (vault, connection) = (self.clone(), connection.clone());
            // A file, on whatever it lies.
            tokio::task::spawn_blocking(move || vault.0.get(&connection)?.source.read().ok()).await
        };
        let Some(new) = read.ok().flatten().filter(|new| !new.same_as(refused)) else {
            return false;
        };
        // One token serves one connection; a file that was mixed up is no new token.
        let taken = self.0.values().any(|place| place.token.load().same_as(&new));
        if let Some(place) = self.0.get(&connection).filter(|_| !taken) {
            place.token.store(Arc::new(new));
            tracing::info!(%connection, "the token's source has another one: it is used from now on");
        }
        !taken
    }
}

/// What the caller may see of an answer, marked if it refuses the token.
async fn look(
    reply: Reply,
    token: Arc<VendorToken>,
    vault: Arc<Vault>,
    connection: ConnectionId,
    record: &Record,
) -> Result {
    let (mut head, mut body) = reply.into_parts();
    blank::fields(&mut head.headers, &token);
    let plain = blank::is_plain(&head.headers);
    let mut rejected = head.status == StatusCode::UNAUTHORIZED;
    if head.status == StatusCode::FORBIDDEN && plain {
        body = match gather(body, SHORT).await? {
            Gathered::Whole(bytes) => {
                rejected = is_about_us(&bytes);
                call::full(bytes)
            }
            Gathered::Long(body) => body,
        };
    }
    if rejected {
        let changed = vault.look_again(connection.clone(), &token).await;
        tracing::error!(%connection, changed, "Courier refuses the token of the connection");
        record.mark(|marks| marks.token_refused = Some(changed));
        head.extensions.insert(Rejected { changed });
    }
    let is_error = head.status.is_client_error() || head.status.is_server_error();
    if is_error && plain && !body.is_end_stream() {
        body = Blanked::new(body, VendorToken::clone(&token)).boxed_unsync();
    }
    Ok(Reply::from_parts(head, body))
}

/// Courier's way to say that a token is no good (seen live as 403); any other 403 is about what the
/// token may do, which is the caller's business.
fn is_about_us(body: &[u8]) -> bool {
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_ascii_lowercase();
    text("type") == "authentication_error" || text("message").contains("authentication credentials")
}

// === impl Credentials ===

impl<S> Service<Call> for Credentials<S>
where
    S: Service<Call, Response = Reply, Error = Error> + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> BoxFuture {
        let (vault, connection) = (self.vault.clone(), call.caller.connection.clone());
        let token = vault.token(&connection);
        call.headers.insert(header::AUTHORIZATION, token.authorization());
        let record = call.record.clone();
        let answer = self.inner.call(call);
        Box::pin(async move { look(answer.await?, token, vault, connection, &record).await })
    }
}
