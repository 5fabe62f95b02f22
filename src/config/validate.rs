//! What a file means, and every rule that no single key can break.

mod quotas;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::admin::MOST_CALLS;
use super::{App, BaseUrl, Collector, Config, Settings, Tenant};
use crate::catalog::Catalog;
use crate::descriptors::{self, Budget, Wanted};
use crate::document::{Document, Problem, Step};
use crate::identity::{self, Key, Keys, Rights, Scopes};
use crate::ids::{ConnectionId, KeyId, TenantId, WorkspaceId};
use crate::tls;
use crate::tokens::Tokens;

/// Reads what the file refers to and checks it as a whole.
pub(super) fn resolve(document: Document<'_, Settings>) -> Result<Config, Vec<Problem>> {
    let mut check = Check { document: &document, problems: Vec::new(), warnings: Vec::new() };
    check.limits();
    check.cors();
    check.listeners();
    let sockets = check.sockets(descriptors::hard_limit());
    let catalog = check.catalog();
    check.cache(&catalog);
    let collector = check.traces();
    let tokens = check.connections();
    let keys = check.apps(&catalog);
    check.quotas(&catalog);
    let admin = check.admin(&keys);
    let settings = &document.value;
    let tls = settings.server.tls.as_ref().and_then(|files| {
        let built = tls::server(&files.cert, &files.key);
        check.accept(&key(&["server", "tls"]), built)
    });
    let client = tls::client(settings.vendor.ca_file.as_deref());
    let client = check.accept(&key(&["vendor", "ca_file"]), client);
    let Check { mut problems, mut warnings, .. } = check;
    problems.sort();
    // What is said once of all connections is no problem of each.
    problems.dedup();
    warnings.sort();
    match client {
        Some(vendor_tls) if problems.is_empty() => Ok(Config {
            settings: document.value,
            catalog: Arc::new(catalog),
            keys: Arc::new(keys),
            admin: Arc::new(admin),
            tokens,
            tls,
            vendor_tls,
            collector,
            sockets,
            warnings,
        }),
        _ => Err(problems),
    }
}

/// More sockets, streams, fields or octets of a target than any machine has are a slip.
const MOST: usize = 10_000_000;
/// A terabyte: more would be no bound, and more than a semaphore can count.
const MOST_UPLOADS: usize = 1 << 40;

struct Check<'a> {
    document: &'a Document<'a, Settings>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

fn key(names: &[&'static str]) -> Vec<Step> {
    names.iter().map(|name| Step::Key(name)).collect()
}

fn taken(id: &KeyId) -> String {
    format!("key id '{}' is taken: it must be unique in the file", id.as_str())
}

/// The path of the entry `at` of `list` in tenant `tenant`, and below it.
fn within(tenant: usize, list: &'static str, at: usize, below: &[&'static str]) -> Vec<Step> {
    let mut path = vec![Step::Key("tenant"), Step::Index(tenant), Step::Key(list), Step::Index(at)];
    path.extend(key(below));
    path
}

impl<'a> Check<'a> {
    fn settings(&self) -> &'a Settings {
        &self.document.value
    }

    fn refuse(&mut self, path: &[Step], message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message));
    }

    fn warn(&mut self, path: &[Step], message: impl Into<String>) {
        self.warnings.push(self.document.problem(path, message));
    }

    fn accept<T>(&mut self, path: &[Step], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.refuse(path, message)).ok()
    }

    fn cors(&mut self) {
        for (at, message) in self.settings().server.cors.problems() {
            let list = [Step::Key("server"), Step::Key("cors"), Step::Key("origins")];
            self.refuse(&[&list[..], &[Step::Index(at)]].concat(), message);
        }
    }

    /// Limits that would refuse everything.
    fn limits(&mut self) {
        let (server, vendor) = (&self.settings().server, &self.settings().vendor);
        let spans = [
            ("server", "deadline", server.deadline),
            ("server", "handshake", server.handshake),
            ("server", "head_time", server.head_time),
            ("server", "body_total", server.body_total),
            ("server", "body_idle", server.body_idle),
            ("server", "keep_alive", server.keep_alive),
            ("server", "stalled_reader", server.stalled_reader),
            ("vendor", "connect", vendor.connect),
            ("vendor", "first_byte", vendor.first_byte),
            ("vendor", "hard_limit", vendor.hard_limit),
            ("vendor", "body_idle", vendor.body_idle),
            ("vendor", "body_total", vendor.body_total),
        ];
        for (table, name, span) in spans {
            if span.get().is_zero() {
                self.refuse(&key(&[table, name]), format!("{table}.{name} must be more than 0"));
            }
        }
        let counts = [
            ("server", "sockets", server.sockets),
            ("server", "head_fields", server.head_fields),
            ("server", "target_size", server.target_size.get()),
            ("server", "streams", server.streams as usize),
            ("vendor", "sockets", vendor.sockets),
            ("server", "sockets_per_peer", server.sockets_per_peer.unwrap_or(MOST)),
        ];
        for (table, name, count) in counts {
            if !(1..=MOST).contains(&count) {
                self.refuse(&key(&[table, name]), format!("{table}.{name} must be 1 to {MOST}"));
            }
        }
        // hyper takes no smaller read buffer, and head limits of gigabytes are a slip.
        if !(8 << 10..=1 << 20).contains(&server.head_size.get()) {
            self.refuse(&key(&["server", "head_size"]), "server.head_size must be 8KiB to 1MiB");
        }
        if server.uploads_total.get() > MOST_UPLOADS {
            let message = "server.uploads_total must be at most 1024GiB";
            self.refuse(&key(&["server", "uploads_total"]), message);
        }
        if server.uploads_total < server.body_size {
            let message = "server.uploads_total is below server.body_size: one body of full size could never be held";
            self.refuse(&key(&["server", "uploads_total"]), message);
        }
    }

    fn listeners(&mut self) {
        let Settings { server, ops, admin, .. } = self.settings();
        let served = (!admin.keys.is_empty()).then_some(("admin", admin.listen));
        let mut taken = vec![("server", server.listen)];
        for (table, address) in std::iter::once(("ops", ops.listen)).chain(served) {
            let twin = taken.iter().find(|(_, other)| *other == address && address.port() != 0);
            if let Some((other, _)) = twin {
                let message = format!("{other}.listen and {table}.listen are both {address}");
                self.refuse(&key(&[table, "listen"]), message);
            }
            taken.push((table, address));
        }
        if self.settings().tenant.is_empty() {
            self.refuse(
                &[],
                "no [[tenant]]: nobody could call; config/tollgate.toml shows a complete one",
            );
        }
        let path = key(&["vendor", "base_url"]);
        self.plain_http(&path, &self.settings().vendor.base_url);
    }

    /// The sockets that `limit` descriptors leave room for.
    fn sockets(&mut self, limit: Option<u64>) -> Budget {
        let Settings { server, vendor, admin, tenant, .. } = self.settings();
        let named = tenant.iter().flat_map(|tenant| &tenant.connection);
        let hosts: HashSet<_> = named
            .map(|connection| connection.base_url.as_ref().unwrap_or(&vendor.base_url).authority())
            .collect();
        let ports = if admin.keys.is_empty() { 1 } else { 2 };
        let budget = Budget::of(
            limit,
            Wanted {
                clients: server.sockets,
                vendor: vendor.sockets,
                hosts: hosts.len(),
                operators: ports * descriptors::OPERATORS,
            },
        );
        if let Some(limit) = limit.filter(|_| !budget.fits()) {
            let message = format!(
                "server.sockets = {} and vendor.sockets = {} need {} file descriptors, and a process may \
                 have {limit} here: {} sockets of clients and {} to each host of the vendor are served; \
                 raise the hard limit (LimitNOFILE of systemd, --ulimit of containers) or lower them",
                server.sockets, vendor.sockets, budget.needed, budget.clients, budget.vendor,
            );
            self.warn(&key(&["server", "sockets"]), message);
        }
        budget
    }

    fn plain_http(&mut self, path: &[Step], url: &BaseUrl) {
        if url.is_plain_and_remote() && !self.settings().vendor.allow_plain_http {
            let message = format!(
                "{url} would carry tokens in clear text: use https, or say vendor.allow_plain_http = true"
            );
            self.refuse(path, message);
        }
    }

    fn catalog(&mut self) -> Catalog {
        let Some(path) = &self.settings().vendor.catalog else {
            return Catalog::courier();
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Problem { line: 0, column: 0, message: format!("cannot be read: {error}") }]
        });
        text.and_then(|text| Catalog::parse(&text)).unwrap_or_else(|problems| {
            for problem in problems {
                let message = format!("catalogue '{}': {problem}", path.display());
                self.refuse(&key(&["vendor", "catalog"]), message);
            }
            Catalog::courier()
        })
    }

    fn cache(&mut self, catalog: &Catalog) {
        let cache = &self.settings().cache;
        if !(1 << 20..=1 << 40).contains(&cache.capacity.get()) {
            let message =
                "cache.capacity must be 1MiB to 1TiB: one answer takes a thousandth of it";
            self.refuse(&key(&["cache", "capacity"]), message);
        }
        for (list, at, message) in cache.problems(catalog) {
            let path = [Step::Key("cache"), Step::Key(list), Step::Index(at)];
            self.refuse(&path, message);
        }
    }

    fn traces(&mut self) -> Option<Collector> {
        let (traces, vendor) = (&self.settings().traces, &self.settings().vendor);
        if vendor.pass_trace_context && traces.endpoint.is_none() {
            let message = "vendor.pass_trace_context needs traces.endpoint: it would name spans that nobody has";
            self.refuse(&key(&["vendor", "pass_trace_context"]), message);
        }
        let (collector, unread) = match traces.collector() {
            Ok(collector) => (collector, Vec::new()),
            Err(problems) => (None, problems),
        };
        for (name, message) in traces.problems().into_iter().chain(unread) {
            self.refuse(&key(&["traces", name]), message);
        }
        collector
    }

    /// Names, workspaces and tokens of all connections.
    fn connections(&mut self) -> Tokens {
        let mut tokens = Tokens::new();
        let mut owners: HashMap<&ConnectionId, &TenantId> = HashMap::new();
        let mut workspaces: BTreeMap<&WorkspaceId, &TenantId> = BTreeMap::new();
        let mut tenants = HashSet::new();
        for (t, tenant) in self.settings().tenant.iter().enumerate() {
            if !tenants.insert(&tenant.id) {
                let path = [Step::Key("tenant"), Step::Index(t), Step::Key("id")];
                self.refuse(&path, format!("tenant '{}' is there twice", tenant.id));
            }
            for (c, connection) in tenant.connection.iter().enumerate() {
                let path = |name| within(t, "connection", c, &[name]);
                if let Some(owner) = owners.insert(&connection.id, &tenant.id) {
                    let message = format!(
                        "connection '{}' belongs to tenant '{owner}' already: a connection has one tenant",
                        connection.id
                    );
                    self.refuse(&path("id"), message);
                }
                if let Some(workspace) = &connection.workspace {
                    let owner = *workspaces.entry(workspace).or_insert(&tenant.id);
                    if owner != &tenant.id {
                        let message =
                            format!("workspace '{workspace}' belongs to tenant '{owner}' already");
                        self.refuse(&path("workspace"), message);
                    }
                }
                if let Some(url) = &connection.base_url {
                    self.plain_http(&path("base_url"), url);
                }
                for problem in self.settings().quota_of(connection).err().unwrap_or_default() {
                    let place =
                        if connection.quota.is_empty() { key(&["quota"]) } else { path("quota") };
                    self.refuse(&place, format!("connection '{}': {problem}", connection.id));
                }
                self.token(&path("token"), connection, &mut tokens);
            }
        }
        tokens
    }

    fn token(&mut self, path: &[Step], connection: &super::Connection, tokens: &mut Tokens) {
        let Some(token) = self.accept(path, connection.token.read()) else {
            return;
        };
        let twin = tokens.iter().find(|(_, other)| other.same_as(&token)).map(|(id, _)| id.clone());
        match twin {
            Some(twin) => {
                let message = format!(
                    "connections '{twin}' and '{}' have one token: they would share one quota unknowingly",
                    connection.id
                );
                self.refuse(path, message);
            }
            None => drop(tokens.insert(connection.id.clone(), token)),
        }
    }

    fn apps(&mut self, catalog: &Catalog) -> Keys {
        let mut keys = Keys::default();
        for (t, tenant) in self.settings().tenant.iter().enumerate() {
            let mut names = HashSet::new();
            for (a, app) in tenant.app.iter().enumerate() {
                if !names.insert(&app.id) {
                    let message =
                        format!("app '{}' is there twice in tenant '{}'", app.id, tenant.id);
                    self.refuse(&within(t, "app", a, &["id"]), message);
                }
                if app.limit.is_some_and(|limit| limit.calls == 0 || limit.window.get().is_zero()) {
                    let message = format!(
                        "app '{}': a limit of 0 would let nothing through; pause the app instead",
                        app.id
                    );
                    self.refuse(&within(t, "app", a, &["limit"]), message);
                }
                let scopes = self.scopes(&within(t, "app", a, &["scopes"]), app, catalog);
                let connections = self.app_connections(&within(t, "app", a, &[]), tenant, app);
                let identity = Arc::new(identity::App {
                    id: app.id.clone(),
                    tenant: tenant.id.clone(),
                    scopes,
                    connections,
                    trust: app.trace_context.unwrap_or(self.settings().traces.context),
                });
                self.keys(&within(t, "app", a, &["keys"]), app, &identity, &mut keys);
            }
        }
        keys
    }

    /// The operators' keys; no key is both an app's and an operator's.
    fn admin(&mut self, apps: &Keys) -> Keys<Rights> {
        let mut keys = Keys::default();
        let admin = &self.settings().admin;
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
                let path =
                    [Step::Key("admin"), Step::Key("keys"), Step::Index(at), Step::Key("id")];
                self.refuse(&path, taken(&entry.id));
            }
        }
        keys
    }

    fn scopes(&mut self, path: &[Step], app: &App, catalog: &Catalog) -> Scopes {
        Scopes::parse(&app.scopes, catalog).unwrap_or_else(|wrong| {
            for (at, message) in wrong {
                let word = [path, &[Step::Index(at)]].concat();
                self.refuse(&word, format!("app '{}': {message}", app.id));
            }
            Scopes::default()
        })
    }

    fn app_connections(&mut self, path: &[Step], tenant: &Tenant, app: &App) -> Vec<ConnectionId> {
        let owned: Vec<&ConnectionId> = tenant.connection.iter().map(|c| &c.id).collect();
        let Some(listed) = &app.connections else {
            if owned.len() != 1 {
                let message = format!(
                    "app '{}' must say connections = [...]: tenant '{}' has {} of them, not one",
                    app.id,
                    tenant.id,
                    owned.len()
                );
                self.refuse(path, message);
            }
            return owned.into_iter().cloned().collect();
        };
        let path = [path, &[Step::Key("connections")]].concat();
        if listed.is_empty() {
            self.refuse(&path, format!("app '{}' has an empty list of connections", app.id));
        }
        for (at, connection) in listed.iter().enumerate() {
            if !owned.contains(&connection) {
                let message = format!(
                    "app '{}': tenant '{}' has no connection '{connection}': it has {owned:?}",
                    app.id, tenant.id
                );
                self.refuse(&[path.as_slice(), &[Step::Index(at)]].concat(), message);
            }
        }
        listed.clone()
    }

    fn keys(&mut self, path: &[Step], app: &App, identity: &Arc<identity::App>, keys: &mut Keys) {
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
                let place = [path, &[Step::Index(at), Step::Key("id")]].concat();
                self.refuse(&place, taken(&key.id));
            }
        }
    }
}
