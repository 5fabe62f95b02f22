//! Values that can be read but mean nothing: empty names, and words that are in a list twice.

use std::collections::HashSet;
use std::path::Path;

use super::{Check, key, within};
use crate::config::{AppTable, Connection, Tenant};
use crate::document::PathStep;

impl Check<'_, '_> {
    /// Finds all of them, except those that another rule finds.
    pub(super) fn meaningless(&mut self) {
        let settings = self.settings();
        if settings.state.dir.as_deref().is_some_and(is_empty) {
            let message = "state.dir is empty: name a folder, or leave it out";
            self.refuse(&key(&["state", "dir"]), message);
        }
        for (table, tls) in [("server", &settings.server.tls), ("admin", &settings.admin.tls)] {
            let Some(files) = tls else { continue };
            for (name, file) in [("cert", &files.cert), ("key", &files.key)] {
                if is_empty(file) {
                    let message = format!("{table}.tls.{name} is empty: name a file in PEM form");
                    self.refuse(&key(&[table, "tls", name]), message);
                }
            }
        }
        if settings.vendor.max_age.get().is_zero() {
            let message = "vendor.max_age must be more than 0: no socket would take a call";
            self.refuse(&key(&["vendor", "max_age"]), message);
        }
        self.twice(&key(&["server", "cors", "origins"]), &settings.server.cors.origins);
        self.twice(&key(&["cache", "on"]), &settings.cache.on);
        self.twice(&key(&["cache", "off"]), &settings.cache.off);
        for (t, tenant) in settings.tenant.iter().enumerate() {
            self.meaningless_in(t, tenant);
        }
    }

    fn meaningless_in(&mut self, t: usize, tenant: &Tenant) {
        for (c, Connection { id, token, .. }) in tenant.connection.iter().enumerate() {
            if token.is_nameless() {
                let message = format!(
                    "connection '{id}': its token's name is empty or holds a '=': name a variable or a file that holds the token"
                );
                self.refuse(&within(t, "connection", c, &["token"]), message);
            }
        }
        for (a, AppTable { scopes, connections, .. }) in tenant.app.iter().enumerate() {
            self.twice(&within(t, "app", a, &["scopes"]), scopes);
            let names: Vec<_> = connections.iter().flatten().map(ToString::to_string).collect();
            self.twice(&within(t, "app", a, &["connections"]), &names);
        }
    }

    /// Refuses words that the list at `path` has already.
    fn twice(&mut self, path: &[PathStep], words: &[String]) {
        let mut seen = HashSet::new();
        for (at, word) in words.iter().enumerate() {
            if !seen.insert(word) {
                let message = format!("'{word}' is in this list twice: leave one of them");
                self.refuse(&[path, &[PathStep::Index(at)]].concat(), message);
            }
        }
    }
}

pub(super) fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
