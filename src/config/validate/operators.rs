//! The admin port: who may reach it, how, and with which keys.

use super::apps::taken;
use super::meaningless::is_empty;
use super::{Check, key};
use crate::config::admin::MOST_CALLS;
use crate::document::PathStep;
use crate::identity::{Key, Keys, Rights};

/// What those can write who have TLS before the port.
const OTHERWISE: &str = "write admin.allow_plain_http = true if your own TLS is before the port";

impl Check<'_, '_> {
    /// The operators' keys; no key is both an app's and an operator's.
    pub(super) fn admin(&mut self, apps: &Keys) -> Keys<Rights> {
        let mut keys = Keys::default();
        let admin = &self.settings().admin;
        self.admin_reached();
        if admin.calls > MOST_CALLS {
            let message = format!("admin.calls must be at most {MOST_CALLS}: 0.5 KiB each, twice");
            self.refuse(&key(&["admin", "calls"]), message);
        }
        for (at, entry) in admin.keys.iter().enumerate() {
            let key = Key {
                id: entry.id.clone(),
                sha256: entry.sha256.clone(),
                expires: entry.expires.map(|end| end.0),
            };
            if apps.knows(&entry.id) || !keys.add(key, entry.rights) {
                let path = [
                    PathStep::Key("admin"),
                    PathStep::Key("keys"),
                    PathStep::Index(at),
                    PathStep::Key("id"),
                ];
                self.refuse(&path, taken(&entry.id));
            }
        }
        keys
    }

    /// Refuses a port that other machines can reach, unless it is said which ones may, and that
    /// keys are not sent in clear text.
    fn admin_reached(&mut self) {
        let admin = &self.settings().admin;
        if admin.audit.as_deref().is_some_and(is_empty) {
            let message = "admin.audit is empty: name a file, or leave it out";
            self.refuse(&key(&["admin", "audit"]), message);
        }
        let coded = admin.tls.is_some() || admin.allow_plain_http;
        if !admin.hosts.is_empty() && !coded {
            let message = format!(
                "admin.hosts needs admin.tls: others can point a name here, and only a certificate tells who answers; {OTHERWISE}"
            );
            self.refuse(&key(&["admin", "hosts"]), message);
        }
        if admin.keys.is_empty() || admin.listen.ip().is_loopback() {
            return;
        }
        let clients = "admin.clients, such as [\"10.0.0.0/8\"]";
        let missing = match (coded, admin.clients.is_empty()) {
            (true, false) => return,
            (true, true) => format!("{clients}, or use 127.0.0.1"),
            (false, false) => format!("admin.tls, or use 127.0.0.1, or {OTHERWISE}"),
            (false, true) => {
                format!("{clients}, and admin.tls, or use 127.0.0.1, or {OTHERWISE}")
            }
        };
        let message = format!(
            "admin.listen = \"{}\" is reached by other machines, with keys that must not be sent in clear text: write {missing}",
            admin.listen,
        );
        self.refuse(&key(&["admin", "listen"]), message);
    }
}
