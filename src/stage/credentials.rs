//! Puts the connection's vendor token in, and keeps it from coming back. Below the retries: a token
//! that has changed is used at once.

mod blank;
mod decode;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::{StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::Mutex;
use tower::{Layer, Service};

use blank::Blanked;

use crate::admission::Admission;
use crate::cache::Cache;
use crate::call::{self, BoxFuture, Call, Gathered, Reply, Result, SHORT, StreamBody, gather};
use crate::clock::Instant;
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
struct Vault {
    places: HashMap<ConnectionId, Place>,
    cache: Cache,
    admission: Admission,
}

struct Place {
    source: TokenSource,
    token: ArcSwap<VendorToken>,
    /// The vendor refused `token`, and that was said.
    refused: AtomicBool,
    /// tokio: held while the source is read, so that calls that are refused together read it once.
    reading: Mutex<Option<Look>>,
}

/// A look at the source of a token.
#[derive(Clone, Copy)]
struct Look {
    began: Instant,
    found: bool,
}

/// What became of a token that the vendor refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its source has no other.
    Stands,
    /// Another call has found its successor.
    Replaced,
    /// This call has found its successor.
    Found,
}

// === impl CredentialsLayer ===

impl CredentialsLayer {
    /// `sources` has one for every connection of `tokens`. When a token changes, `cache` forgets what
    /// it keeps for its connection, and `admission` hears whose slots the new one's are.
    #[must_use]
    pub fn new(
        tokens: Tokens,
        mut sources: HashMap<ConnectionId, TokenSource>,
        cache: Cache,
        admission: Admission,
    ) -> Self {
        let places = tokens.into_iter().filter_map(|(connection, token)| {
            let place = Place {
                source: sources.remove(&connection)?,
                token: ArcSwap::from_pointee(token),
                refused: AtomicBool::new(false),
                reading: Mutex::default(),
            };
            Some((connection, place))
        });
        Self { vault: Arc::new(Vault { places: places.collect(), cache, admission }) }
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
    fn place(&self, connection: &ConnectionId) -> &Place {
        let place = self.places.get(connection);
        place.expect("keys and tokens come from one configuration, which has them all")
    }

    fn token(&self, connection: &ConnectionId) -> Arc<VendorToken> {
        self.place(connection).token.load_full()
    }

    /// Says once that the vendor refuses the connection's token; looks whether there is another by
    /// now, and takes it over.
    async fn refused(self: Arc<Self>, connection: &ConnectionId, token: &VendorToken) -> Fate {
        let asked = Instant::now();
        let place = self.place(connection);
        let mut last = place.reading.lock().await;
        if !place.token.load().same_as(token) {
            return Fate::Replaced;
        }
        if let Some(look) = *last
            && look.began >= asked
            && !look.found
        {
            return Fate::Stands;
        }
        if !place.refused.swap(true, Ordering::Relaxed) {
            tracing::error!(%connection, "Courier refuses the token of the connection");
        }
        let began = Instant::now();
        let new = self.clone().read(connection.clone(), token).await;
        *last = Some(Look { began, found: new.is_some() });
        let Some(new) = new else { return Fate::Stands };
        self.take_over(connection, Arc::new(new)).await;
        tracing::info!(%connection, "the token's source has another one: it is used from now on");
        Fate::Found
    }

    /// From now on `new` is the connection's token.
    async fn take_over(&self, connection: &ConnectionId, new: Arc<VendorToken>) {
        let place = self.place(connection);
        place.token.store(new.clone());
        place.refused.store(false, Ordering::Relaxed);
        self.cache.purge_connection(connection);
        let (admission, connection) = (self.admission.clone(), connection.clone());
        // A small file, on whatever it lies. A panic in it is in the log, and the token is good.
        let told = move || admission.token_changed(&connection, &new);
        let _ = tokio::task::spawn_blocking(told).await;
    }

    /// The token that the connection's source has in place of `old`.
    async fn read(
        self: Arc<Self>,
        connection: ConnectionId,
        old: &VendorToken,
    ) -> Option<VendorToken> {
        let (vault, name) = (self.clone(), connection.clone());
        // A file, on whatever it lies.
        let read = tokio::task::spawn_blocking(move || vault.place(&name).source.read());
        let new = match read.await.ok()? {
            Ok(new) => Some(new).filter(|new| !new.same_as(old))?,
            Err(reason) => {
                tracing::warn!(%connection, reason, "no other token could be looked for");
                return None;
            }
        };
        // One token serves one connection; a file that was mixed up is no new token.
        let taken = self.places.values().any(|place| place.token.load().same_as(&new));
        (!taken).then_some(new)
    }

    /// The vendor took `token`.
    fn taken(&self, connection: &ConnectionId, token: &VendorToken) {
        let place = self.place(connection);
        if place.refused.load(Ordering::Relaxed) && place.token.load().same_as(token) {
            place.refused.store(false, Ordering::Relaxed);
        }
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
    let is_error = head.status.is_client_error() || head.status.is_server_error();
    if is_error && !blank::is_plain(&head.headers) && !body.is_end_stream() {
        body = readable(&mut head.headers, body).await?;
    }
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
        let fate = vault.refused(&connection, &token).await;
        // One replacement is one, whoever else was refused with the old token.
        if fate != Fate::Replaced {
            record.mark(|marks| marks.token_refused = Some(fate == Fate::Found));
        }
        head.extensions.insert(Rejected { changed: fate != Fate::Stands });
    } else {
        vault.taken(&connection, &token);
    }
    if is_error && plain && !body.is_end_stream() {
        body = Blanked::new(body, VendorToken::clone(&token)).boxed_unsync();
    }
    Ok(Reply::from_parts(head, body))
}

/// The body of an error without its codings. One that can't be read could hold the token: it is
/// dropped. A long one passes as it is.
async fn readable(headers: &mut http::HeaderMap, body: StreamBody) -> Result<StreamBody> {
    let octets = match gather(body, SHORT).await? {
        Gathered::Whole(octets) => octets,
        Gathered::Long(body) => return Ok(body),
    };
    let decoded = decode::decode(headers, &octets);
    if decoded.is_none() {
        tracing::debug!("an error of Courier's came in a coding that can't be undone");
    }
    decode::now_plain(headers);
    Ok(call::full(decoded.unwrap_or_default()))
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
