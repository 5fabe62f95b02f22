//! `/.tollgate/me` on the data port: what an app may do now, what was refused to it of late, and,
//! with `?call=<id>`, why a call of its own was slow. It costs no quota and asks nobody.
//!
//! Its place is below `authenticate`, so that the key, the record and the 401 are those of every
//! request, and above `route`, since it is no operation.

use std::future::{Ready, ready};
use std::sync::Arc;

use serde::Serialize;
use tokio_util::either::Either;

use crate::admission::{AppQuotaView, Desk};
use crate::call::{self, Next, Reply, Stage, StageLayer, Staged};
use crate::clock;
use crate::error::{Code, Error};
use crate::history::{Calls, Entry, Refused};
use crate::identity::authenticate::Authenticated;
use crate::identity::{AppConnection, Keys};
use crate::ids::RandomId;
use crate::local_reply::{get_or_head, json};

/// The path that never reaches the catalogue.
const PATH: &str = "/.tollgate/me";

/// Tells apps about themselves.
pub struct Me {
    keys: Arc<Keys>,
    desk: Arc<Desk>,
    calls: Arc<Calls>,
}

/// What an app is told about itself.
#[derive(Serialize)]
struct About {
    tenant: String,
    app: String,
    key: KeyInUse,
    scopes: Vec<String>,
    /// The default first.
    connections: Vec<AppQuotaView>,
    /// The last ones first.
    refusals: Vec<Refused>,
}

#[derive(Serialize)]
struct KeyInUse {
    id: String,
    expires: Option<String>,
}

impl Me {
    /// `keys` knows when keys end, `desk` what apps could do, `calls` what became of calls.
    #[must_use]
    pub fn layer(keys: Arc<Keys>, desk: Arc<Desk>, calls: Arc<Calls>) -> StageLayer<Self> {
        StageLayer::new(Self { keys, desk, calls })
    }

    fn answer(&self, authenticated: &Authenticated) -> Result<Reply, Error> {
        let request = &authenticated.opened.request;
        get_or_head(request.method(), "this path takes GET and HEAD")?;
        let query = request.uri().query().unwrap_or_default();
        match query.strip_prefix("call=") {
            Some(id) => self.explain(authenticated, id),
            None if query.is_empty() => Ok(json(&self.about(authenticated))),
            None => Err(Error::malformed("the query takes call=<id of a call>")),
        }
    }

    fn about(&self, authenticated: &Authenticated) -> About {
        let Authenticated { app, key, .. } = authenticated;
        let outlook = |connection: &AppConnection| self.desk.outlook(connection, &app.id);
        let refused = self.calls.refused(&app.tenant, &app.id);
        About {
            tenant: app.tenant.to_string(),
            app: app.id.to_string(),
            key: KeyInUse {
                id: key.as_str().into(),
                expires: self.keys.expiry(key).map(clock::rfc3339),
            },
            scopes: app.scopes.words(),
            connections: app.connections.iter().filter_map(outlook).collect(),
            refusals: refused.iter().map(Entry::refused).collect(),
        }
    }

    /// A call of another app is as unknown as one that never was.
    fn explain(&self, authenticated: &Authenticated, id: &str) -> Result<Reply, Error> {
        let app = &authenticated.app;
        let id = id.parse::<RandomId>().map_err(Error::malformed)?;
        let entry = self.calls.find(id).filter(|entry| entry.is_of(&app.tenant, &app.id));
        let entry = entry.ok_or_else(|| {
            let detail = "no call of that id is kept of this app: newer ones have its place, or it is under way";
            Error::refused(Code::UnknownCall, detail)
        })?;
        Ok(json(&entry.document()))
    }
}

impl<S: Next<Authenticated>> Stage<S> for Me {
    type Call = Authenticated;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, Ready<call::Result>>;

    fn call(this: &Staged<Self, S>, authenticated: Authenticated) -> Self::Future {
        if authenticated.opened.request.uri().path() == PATH {
            Either::Right(ready(this.stage().answer(&authenticated)))
        } else {
            Either::Left(this.pass(authenticated))
        }
    }
}

#[cfg(test)]
mod tests;
