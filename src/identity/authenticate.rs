//! The key becomes a caller, and every credential that the client sent is removed.
//!
//! | the client sends | is |
//! | --- | --- |
//! | one `x-api-key`, `tg_…` or `Bearer tg_…` | the key; any `Authorization` is removed |
//! | one `Authorization`, `Bearer tg_…` or bare `tg_…` | the key |
//! | one `Authorization`, `Basic` with the key as password | the key |
//! | none, several of one, anything else | 401; `key_detail` of the line says why, the answer only what the caller may know |

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderValue};
use tokio_util::either::Either;

use crate::call::{self, Next, Reply, Stage, StageLayer, Staged};
use crate::error::{Code, Error};
use crate::headers;
use crate::identity::{App, Keys, Refusal, RevokedKeys, Rights, presented};
use crate::ids::KeyId;
use crate::record::layer::Opened;

/// A request whose caller is known. It holds none of the client's credentials.
pub struct Authenticated {
    /// The request, without credentials and fields of one hop.
    pub opened: Opened,
    /// The app that calls.
    pub app: Arc<App>,
    /// The key that proved it.
    pub key: KeyId,
    /// True if the key came in `x-api-key`. Clients send that field on when they follow a redirect
    /// to another host; `Authorization` they do not.
    pub key_travels: bool,
}

/// Authenticates requests by their gateway key.
pub struct Authenticate {
    keys: Arc<Keys>,
    /// They are no callers, and are told so.
    operators: Arc<Keys<Rights>>,
    revoked: RevokedKeys,
}

impl Authenticate {
    /// `keys` are the keys that are accepted, but for those that are `revoked` at the moment; those
    /// of `operators` are not.
    #[must_use]
    pub fn layer(
        keys: Arc<Keys>,
        operators: Arc<Keys<Rights>>,
        revoked: RevokedKeys,
    ) -> StageLayer<Self> {
        StageLayer::new(Self { keys, operators, revoked })
    }

    fn find(
        &self,
        presented: Option<&[u8]>,
        now: SystemTime,
    ) -> Result<(&Arc<App>, &KeyId), Refusal> {
        let key = presented.ok_or_else(Refusal::nothing)?;
        let revoked = self.revoked.load();
        self.keys.find(key, now, &revoked).map_err(|refusal| {
            match self.operators.has(key, now, &revoked) {
                true => refusal.is_for("a key of an operator"),
                false => refusal,
            }
        })
    }

    fn authenticate(&self, mut opened: Opened) -> Result<Authenticated, Error> {
        let (request, record) = (&mut opened.request, &opened.record);
        let presented = presented(request.headers());
        let (app, key) = match self.find(presented.as_deref(), record.started_at) {
            Ok((app, key)) => (app.clone(), key.clone()),
            Err(refusal) => {
                let detail = refusal.detail("a gateway key");
                record.mark(|marks| {
                    (marks.caller.denied, marks.caller.key) = (Some(refusal.why), refusal.key);
                });
                return Err(unauthenticated(detail));
            }
        };
        record.mark(|marks| {
            marks.caller.tenant = Some(app.tenant.clone());
            marks.caller.app = Some(app.id.clone());
            marks.caller.key = Some(key.clone());
            marks.trace.trust = Some(app.trust);
        });
        let key_travels = request.headers().contains_key(headers::API_KEY);
        // Hop-by-hop fields go first, so that a client can't name a field in `Connection` that is
        // added later.
        headers::strip_hop_and_credentials(request.headers_mut());
        Ok(Authenticated { opened, app, key, key_travels })
    }
}

fn unauthenticated(detail: Cow<'static, str>) -> Error {
    Error::refused(Code::Unauthenticated, detail).with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"tollgate\""),
    )
}

impl<S: Next<Authenticated>> Stage<S> for Authenticate {
    type Call = Opened;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, Ready<call::Result>>;

    fn call(this: &Staged<Self, S>, opened: Opened) -> Self::Future {
        match this.stage().authenticate(opened) {
            Ok(authenticated) => Either::Left(this.pass(authenticated)),
            Err(error) => Either::Right(ready(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests;
