//! Warnings about what is legal but most likely not meant.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use super::{Check, key, within};
use crate::clock;
use crate::config::{AppTable, Connection, Tenant};
use crate::document::PathStep;
use crate::identity::Digest;
use crate::ids::{ConnectionId, KeyId};
use crate::secret::Tokens;
use crate::secret::VendorToken;

/// What advice needs of a key of an app or an operator.
struct Entry<'a> {
    id: &'a KeyId,
    sha256: &'a Digest,
    expires: Option<SystemTime>,
    place: Vec<PathStep>,
}

impl Check<'_, '_> {
    /// Warns about all that is legal but most likely not meant.
    pub(super) fn advise(&mut self, tokens: &Tokens) {
        let settings = self.settings();
        if let Some(message) = settings.vendor.base_url.advice() {
            self.warn(&key(&["vendor", "base_url"]), message);
        }
        self.advise_hard_limit();
        for (t, tenant) in settings.tenant.iter().enumerate() {
            self.advise_tenant(t, tenant);
            for (c, connection) in tenant.connection.iter().enumerate() {
                self.advise_connection((t, c), connection, tokens);
            }
            for (a, app) in tenant.app.iter().enumerate() {
                self.advise_limit(&within(t, "app", a, &["limit"]), tenant, app);
                self.advise_scopes(&within(t, "app", a, &["scopes"]), app);
            }
        }
        self.advise_keys();
    }

    /// Warns about missing parts without which a tenant can do nothing.
    fn advise_tenant(&mut self, t: usize, tenant: &Tenant) {
        let place = |list| [PathStep::Key("tenant"), PathStep::Index(t), PathStep::Key(list)];
        // With apps it is a problem, and is reported as one.
        if tenant.connection.is_empty() && tenant.app.is_empty() {
            let message = format!(
                "tenant '{}' has no connection: no app of it can call; write a [[tenant.connection]]",
                tenant.id
            );
            self.warn(&place("connection"), message);
        }
        if tenant.app.is_empty() {
            let message = format!(
                "tenant '{}' has no app: nobody can call; write a [[tenant.app]]",
                tenant.id
            );
            self.warn(&place("app"), message);
        }
        self.advise_unused(t, tenant);
    }

    /// Warns about connections that no app uses.
    fn advise_unused(&mut self, t: usize, tenant: &Tenant) {
        let owned: HashSet<_> = tenant.connection.iter().map(|connection| &connection.id).collect();
        let right =
            |ids: &Vec<ConnectionId>| !ids.is_empty() && ids.iter().all(|id| owned.contains(id));
        // A name that no connection has may be a misspelled one.
        let known = tenant.app.iter().all(|app| app.connections.as_ref().is_none_or(right));
        let uses_all = tenant.app.iter().any(|app| app.connections.is_none());
        if !known || uses_all || tenant.app.is_empty() {
            return;
        }
        let used: HashSet<_> =
            tenant.app.iter().flat_map(|app| app.connections.iter().flatten()).collect();
        for (c, connection) in tenant.connection.iter().enumerate() {
            if !used.contains(&connection.id) {
                let message = format!(
                    "connection '{0}' is used by no app: write \"{0}\" into an app's connections, or leave it out",
                    connection.id
                );
                self.warn(&within(t, "connection", c, &["id"]), message);
            }
        }
    }

    /// Warns about a time limit that ends before another one can.
    fn advise_hard_limit(&mut self) {
        let vendor = &self.settings().vendor;
        for (name, span) in [("connect", vendor.connect), ("first_byte", vendor.first_byte)] {
            if vendor.hard_limit < span {
                let message = format!(
                    "vendor.hard_limit = \"{}\" ends each attempt before vendor.{name} = \"{span}\" can: write {name} at most as long",
                    vendor.hard_limit
                );
                self.warn(&key(&["vendor", "hard_limit"]), message);
            }
        }
    }

    fn advise_connection(
        &mut self,
        (t, c): (usize, usize),
        connection: &Connection,
        tokens: &Tokens,
    ) {
        let path = |name| within(t, "connection", c, &[name]);
        if tokens.get(&connection.id).is_some_and(|token| token.is_quoted()) {
            let message = format!(
                "{} has quotes around the token, which would be sent: leave them out",
                connection.token
            );
            self.warn(&path("token"), message);
        }
        if tokens.get(&connection.id).is_some_and(VendorToken::is_gateway_key) {
            let message = format!(
                "{} holds a key of the gateway, which Courier refuses: put Courier's token into it",
                connection.token
            );
            self.warn(&path("token"), message);
        }
        if let Some(message) = connection.base_url.as_ref().and_then(|url| url.advice()) {
            self.warn(&path("base_url"), message);
        }
        for (name, own, message) in self.settings().advice_of(connection) {
            let place = if own {
                within(t, "connection", c, &["quota", name])
            } else {
                key(&["quota", name])
            };
            // A warning about all connections is given once.
            let said = self.document.problem(&place, message);
            if !self.warnings.contains(&said) {
                self.warn(&place, said.message);
            }
        }
    }

    fn advise_scopes(&mut self, place: &[PathStep], app: &AppTable) {
        if app.scopes.is_empty() {
            let message = format!(
                "app '{}' may do nothing: name what it may, or leave scopes out for all that need not be named",
                app.id
            );
            self.warn(place, message);
        }
    }

    /// Warns about a limit that the quota reaches first.
    fn advise_limit(&mut self, place: &[PathStep], tenant: &Tenant, app: &AppTable) {
        let Some(limit) = app.limit else { return };
        let listed = app.connections.as_ref().map(|listed| listed.iter().collect::<HashSet<_>>());
        let may_use = |id| listed.as_ref().is_none_or(|listed| listed.contains(id));
        let used = tenant.connection.iter().filter(|connection| may_use(&connection.id));
        for connection in used {
            let Ok(quota) = self.settings().quota_of(connection) else { continue };
            let (calls, window) = (quota.pool.calls, quota.pool.window);
            let slower = limit.window.get() * calls > window.saturating_mul(limit.calls);
            if limit.calls > calls && !slower {
                let message = format!(
                    "app '{}': its limit of {} calls is above the {calls} of connection '{}', which end first: write less, or leave the limit out",
                    app.id, limit.calls, connection.id
                );
                self.warn(place, message);
            }
        }
    }

    /// Warns about keys that nobody can use.
    fn advise_keys(&mut self) {
        let settings = self.settings();
        let now = clock::wall();
        let mut seen: HashMap<&Digest, &KeyId> = HashMap::new();
        let apps = settings.tenant.iter().enumerate().flat_map(|(t, tenant)| {
            tenant.app.iter().enumerate().flat_map(move |(a, app)| {
                app.keys.iter().enumerate().map(move |(k, key)| Entry {
                    id: &key.id,
                    sha256: &key.sha256,
                    expires: key.expires.map(|end| end.0),
                    place: [&within(t, "app", a, &["keys"])[..], &[PathStep::Index(k)]].concat(),
                })
            })
        });
        let operators = settings.admin.keys.iter().enumerate().map(|(k, key)| Entry {
            id: &key.id,
            sha256: &key.sha256,
            expires: key.expires.map(|end| end.0),
            place: vec![PathStep::Key("admin"), PathStep::Key("keys"), PathStep::Index(k)],
        });
        for entry in apps.chain(operators) {
            let id = entry.id.as_str();
            let at = |name| [&entry.place[..], &[PathStep::Key(name)]].concat();
            // This key stands for one that could not be read.
            if self.document.is_hollow(&at("id")) {
                continue;
            }
            if entry.expires.is_some_and(|end| end <= now) {
                let message = format!(
                    "key '{id}' has expired, and its calls get 401: make one with `tollgate keys new`, or leave it out"
                );
                self.warn(&at("expires"), message);
            }
            if entry.sha256.is_placeholder() {
                let message = format!(
                    "key '{id}' has a placeholder in sha256, which no key fits: write what `tollgate keys new` prints"
                );
                self.warn(&at("sha256"), message);
            } else if let Some(other) = seen.insert(entry.sha256, entry.id) {
                let message = format!(
                    "keys '{}' and '{id}' have one sha256, and a key fits its own id only: write what `tollgate keys new` prints for each",
                    other.as_str()
                );
                self.warn(&at("sha256"), message);
            }
        }
    }
}
