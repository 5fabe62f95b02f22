//! Who may call what: apps, their keys and their scopes.

pub mod authenticate;
mod digest;
mod keys;
mod presented;
mod refusal;
mod revoked;
mod scopes;

pub use digest::Digest;
pub use keys::{Key, KeyRow, Keys, NewKey, Rights};
pub use presented::presented;
pub use refusal::Refusal;
pub use revoked::{Revocation, Revoked, RevokedKeys};
pub use scopes::Scopes;

use crate::ids::{AppId, ConnectionId, TenantId};
use crate::numbers::{AppIx, ConnectionIx};
use crate::record::Trust;

/// One internal application.
#[derive(Debug)]
pub struct App {
    /// Its name, unique in its tenant.
    pub id: AppId,
    /// The organisation that it belongs to.
    pub tenant: TenantId,
    /// The operations that it may call.
    pub scopes: Scopes,
    /// The connections that it may use; the first is its default. Never empty.
    pub connections: Vec<AppConnection>,
    /// True if its sends without a key get one.
    pub makes_keys: bool,
    /// True if its `Cache-Control` is followed.
    pub asks_cache: bool,
    /// How far its trace context is trusted.
    pub trust: Trust,
}

/// A connection that an app may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppConnection {
    /// Its name.
    pub id: ConnectionId,
    /// Its number.
    pub ix: ConnectionIx,
    /// The app's number on it.
    pub app: AppIx,
}

impl App {
    /// The connection of a call that names none.
    #[must_use]
    pub fn default_connection(&self) -> &AppConnection {
        self.connections.first().expect("the configuration refuses an app without a connection")
    }
}
