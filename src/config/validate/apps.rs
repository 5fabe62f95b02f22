//! Apps: their names, keys, scopes and connections.

use std::collections::HashSet;
use std::sync::Arc;

use super::numbers::Numbering;
use super::{Check, within};
use crate::catalog::Catalog;
use crate::config::{AppTable, CacheControl, Tenant};
use crate::document::PathStep;
use crate::identity::{self, Key, Keys, Scopes};
use crate::ids::{ConnectionId, KeyId};

pub(super) fn taken(id: &KeyId) -> String {
    format!("key id '{}' is taken: it must be unique in the file", id.as_str())
}

/// What all apps of one tenant share.
struct Common<'a> {
    t: usize,
    tenant: &'a Tenant,
    numbering: Numbering<'a>,
    /// True if all connections of the tenant could be read.
    whole: bool,
}

impl Check<'_, '_> {
    pub(super) fn apps(&mut self, catalog: Option<&Catalog>) -> Keys {
        let mut keys = Keys::default();
        let mut before = 0;
        for (t, tenant) in self.settings().tenant.iter().enumerate() {
            let mut names = HashSet::new();
            let numbering = Numbering::of(tenant, before);
            let mut common =
                Common { t, tenant, numbering, whole: self.connections_read(t, tenant) };
            before += tenant.connection.len();
            for (a, app) in tenant.app.iter().enumerate() {
                if !names.insert(&app.id) {
                    let message =
                        format!("app '{}' is there twice in tenant '{}'", app.id, tenant.id);
                    self.refuse(&within(t, "app", a, &["id"]), message);
                }
                if app.limit.is_some_and(|limit| limit.calls == 0 || limit.window.get().is_zero()) {
                    let message = format!(
                        "app '{}': a limit of 0 would let nothing through: write at least 1 call and a window, or leave the app out",
                        app.id
                    );
                    self.refuse(&within(t, "app", a, &["limit"]), message);
                }
                let scopes = self.scopes(&within(t, "app", a, &["scopes"]), app, catalog);
                let names = self.app_connections(&common, a, app);
                let connections = common.numbering.next(&names);
                let identity = Arc::new(identity::App {
                    id: app.id.clone(),
                    tenant: tenant.id.clone(),
                    scopes,
                    connections,
                    makes_keys: app.make_keys,
                    asks_cache: app.cache_control != CacheControl::Ignore,
                    trust: app.trace_context.unwrap_or(self.settings().traces.context),
                });
                self.keys(&within(t, "app", a, &["keys"]), app, &identity, &mut keys);
            }
        }
        keys
    }

    fn scopes(&mut self, path: &[PathStep], app: &AppTable, catalog: Option<&Catalog>) -> Scopes {
        let Some(catalog) = catalog else { return Scopes::default() };
        Scopes::parse(&app.scopes, catalog).unwrap_or_else(|wrong| {
            for (at, message) in wrong {
                let word = [path, &[PathStep::Index(at)]].concat();
                self.refuse(&word, format!("app '{}': {message}", app.id));
            }
            Scopes::default()
        })
    }

    /// True if all connections of the tenant could be read, and their names.
    fn connections_read(&self, t: usize, tenant: &Tenant) -> bool {
        let list = [PathStep::Key("tenant"), PathStep::Index(t), PathStep::Key("connection")];
        let read = |c| !self.document.is_hollow(&within(t, "connection", c, &["id"]));
        (0..tenant.connection.len()).all(read) && !self.document.is_hollow(&list)
    }

    fn app_connections(
        &mut self,
        common: &Common<'_>,
        a: usize,
        app: &AppTable,
    ) -> Vec<ConnectionId> {
        let tenant = common.tenant;
        let path = within(common.t, "app", a, &["connections"]);
        let owned = || tenant.connection.iter().map(|connection| &connection.id);
        let Some(listed) = &app.connections else {
            if owned().len() != 1 && common.whole {
                let message = if owned().len() == 0 {
                    format!(
                        "app '{}' has no connection to call through: write a [[tenant.connection]] in tenant '{}'",
                        app.id, tenant.id
                    )
                } else {
                    let names: Vec<_> = owned().map(|id| format!("\"{id}\"")).collect();
                    format!(
                        "app '{}' must say which connections it may use, its default first, since tenant '{}' has {}: write connections = [{}], or fewer of them",
                        app.id,
                        tenant.id,
                        owned().len(),
                        names.join(", ")
                    )
                };
                self.refuse(&path, message);
            }
            return owned().cloned().collect();
        };
        if listed.is_empty() {
            self.refuse(
                &path,
                format!(
                    "app '{}' has an empty list of connections: name one, or leave the key out",
                    app.id
                ),
            );
        }
        for (at, connection) in listed.iter().enumerate() {
            if common.whole && !common.numbering.has(connection) {
                let message = format!(
                    "app '{}': tenant '{}' has no connection '{connection}': it has {:?}",
                    app.id,
                    tenant.id,
                    owned().collect::<Vec<_>>()
                );
                self.refuse(&[path.as_slice(), &[PathStep::Index(at)]].concat(), message);
            }
        }
        listed.clone()
    }

    fn keys(
        &mut self,
        path: &[PathStep],
        app: &AppTable,
        identity: &Arc<identity::App>,
        keys: &mut Keys,
    ) {
        if app.keys.is_empty() {
            self.refuse(
                path,
                format!("app '{}' has no key: `tollgate keys new` makes one", app.id),
            );
        }
        for (at, key) in app.keys.iter().enumerate() {
            let added = keys.add(
                Key {
                    id: key.id.clone(),
                    sha256: key.sha256.clone(),
                    expires: key.expires.map(|end| end.0),
                },
                identity.clone(),
            );
            if !added {
                let place = [path, &[PathStep::Index(at), PathStep::Key("id")]].concat();
                self.refuse(&place, taken(&key.id));
            }
        }
    }
}
