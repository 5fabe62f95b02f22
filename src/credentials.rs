//! Puts the connection's vendor token in, and keeps it from coming back. Below the retries: a token
//! that has changed is used at once.

mod blank;
mod book;
mod decode;
mod vault;
mod watch;

use std::sync::Arc;

use http::StatusCode;
use hyper::body::Body as _;

use blank::Blanked;
pub use book::{InitialToken, TokenBook, TokenState};
use vault::{Fate, Vault};

use crate::admission::Admission;
use crate::cache::Cache;
use crate::call::{
    self, AdmittedCall, AuthorizedCall, BoxFuture, Gathered, Next, Rejected, Reply, Result, SHORT,
    Stage, StageLayer, Staged, StreamBody, gather,
};
use crate::error::Error;
use crate::numbers::{ConnectionIx, Table};
use crate::record::{Record, TokenNews};
use crate::secret::VendorToken;
use crate::targets;

/// Adds vendor tokens.
pub struct Credentials {
    vault: Arc<Vault>,
}

impl Credentials {
    /// Puts `tokens` in. When one changes, `cache` forgets what
    /// it keeps for its connection, and `admission` hears whose slots the new one's are. `book` says
    /// how each stands.
    ///
    /// Must be called inside the runtime.
    #[must_use]
    pub fn layer(
        tokens: Table<ConnectionIx, InitialToken>,
        cache: Cache,
        admission: Admission,
        book: TokenBook,
    ) -> StageLayer<Self> {
        let vault = Arc::new(Vault::new(tokens, cache, admission, book));
        tokio::spawn(watch::watch(Arc::downgrade(&vault)));
        StageLayer::new(Self { vault })
    }
}

/// What the caller may see of an answer, marked if it refuses the token.
async fn look(
    reply: Reply,
    token: Arc<VendorToken>,
    vault: Arc<Vault>,
    connection: ConnectionIx,
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
        let fate = vault.refused(connection, &token).await;
        let news = match fate {
            Fate::Stands => Some(TokenNews::Refused),
            Fate::Found => Some(TokenNews::Replaced),
            // One replacement is one, whoever else was refused with the old token; a way back is
            // none.
            Fate::Replaced | Fate::GivenUp => None,
        };
        record.mark(|marks| marks.token = news.or(marks.token));
        head.facts.rejected = Some(Rejected { changed: fate != Fate::Stands });
    } else {
        vault.taken(connection, &token);
    }
    if is_error && plain && !body.is_end_stream() {
        body = call::stream(Blanked::new(body, VendorToken::clone(&token)));
    }
    Ok(Reply::from_parts(head, body))
}

/// The body of an error without its codings. One that can't be read, or is longer than one is read,
/// could hold the token: it is dropped.
async fn readable(headers: &mut http::HeaderMap, body: StreamBody) -> Result<StreamBody> {
    let decoded = match gather(body, SHORT).await? {
        Gathered::Whole(octets) => decode::decode(headers, &octets),
        Gathered::Long(_) => None,
    };
    if decoded.is_none() {
        tracing::debug!(target: targets::VENDOR, "an error of Courier's came in a coding that can't be undone");
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

impl<S: Next<AuthorizedCall>> Stage<S> for Credentials {
    type Call = AdmittedCall;
    type Reply = Reply;
    type Error = Error;
    type Future = BoxFuture;

    fn call(this: &Staged<Self, S>, call: AdmittedCall) -> BoxFuture {
        let (vault, connection) = (this.stage().vault.clone(), call.caller.ix);
        let token = vault.token(connection);
        let record = call.record.clone();
        let answer = this.pass(call.authorized(token.authorization()));
        Box::pin(async move { look(answer.await?, token, vault, connection, &record).await })
    }
}

#[cfg(test)]
mod tests;
