//! What a file means, and the rules that concern more than one key.

mod advice;
mod apps;
mod connections;
mod meaningless;
mod numbers;
mod operators;
mod quotas;
mod server;
mod state;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{BaseUrl, Collector, Config, Findings, Look, Settings, TlsFiles};
use crate::catalog::Catalog;
use crate::clock;
use crate::descriptors::{self, Budget, WantedSockets};
use crate::document::{Document, PathStep, Problem, Reading};
use crate::secret::KnownTokens;
use crate::shared::StoreSettings;
use crate::tls;

/// Reads what the file refers to and checks it as a whole.
pub(super) fn resolve(
    reading: Reading<'_, Settings>,
    look: Look,
    known: &KnownTokens,
) -> Result<Config, Findings> {
    let Reading { document, problems } = reading;
    let Some(document) = document else { return Err(problems.into()) };
    let mut check = Check { document: &document, look, problems, warnings: Vec::new() };
    check.limits();
    check.meaningless();
    check.cors();
    check.listeners();
    let sockets = check.sockets(descriptors::hard_limit());
    let catalog = check.catalog();
    check.cache(catalog.as_deref());
    let collector = check.traces();
    let store = check.shared();
    let (tokens, unreadable) = check.connections(known);
    let keys = check.apps(catalog.as_deref());
    check.quotas(catalog.as_deref());
    let admin = check.admin(&keys);
    check.advise(&tokens);
    if look.state {
        check.state();
    }
    let settings = &document.value;
    let tls = check.tls("server", settings.server.tls.as_ref());
    let admin_tls = check.tls("admin", settings.admin.tls.as_ref());
    let client = tls::client(settings.vendor.ca_file.as_deref());
    let client = check.accept(&key(&["vendor", "ca_file"]), client);
    let Check { mut problems, mut warnings, .. } = check;
    problems.sort();
    // A problem of all connections is reported once.
    problems.dedup();
    warnings.sort();
    match (client, catalog) {
        (Some(vendor_tls), Some(catalog)) if problems.is_empty() => Ok(Config {
            settings: document.value,
            catalog,
            keys: Arc::new(keys),
            admin: Arc::new(admin),
            tokens,
            unreadable,
            tls,
            admin_tls,
            vendor_tls,
            collector,
            store,
            sockets,
            warnings,
        }),
        _ => Err(Findings { problems, warnings }),
    }
}

/// What is not checked without the catalogue file. The embedded catalogue may have other rows.
const UNCHECKED: &str = "scopes, [cache] and what calls cost are not checked while the catalogue file can't be used, all else is: put it right first";

/// The warning for a certificate that is not valid now. It can still be served, but no client takes
/// it.
fn out_of_time(cert: &Path, tls: &tls::Server, now: SystemTime) -> Option<String> {
    let (cert, begin, end) = (cert.display(), tls.begins(), tls.expires());
    if end <= now {
        return Some(format!("certificate '{cert}' expired {}", clock::rfc3339(end)));
    }
    (begin > now).then(|| {
        format!(
            "certificate '{cert}' is not valid before {}, and no client takes it until then: name one that is, or correct this machine's clock",
            clock::rfc3339(begin)
        )
    })
}

struct Check<'a, 'i> {
    document: &'a Document<'i, Settings>,
    look: Look,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

fn key(names: &[&'static str]) -> Vec<PathStep> {
    names.iter().map(|name| PathStep::Key(name)).collect()
}

/// The path of the entry `at` of `list` in tenant `tenant`, and below it.
fn within(tenant: usize, list: &'static str, at: usize, below: &[&'static str]) -> Vec<PathStep> {
    let mut path = vec![
        PathStep::Key("tenant"),
        PathStep::Index(tenant),
        PathStep::Key(list),
        PathStep::Index(at),
    ];
    path.extend(key(below));
    path
}

impl<'a> Check<'a, '_> {
    fn settings(&self) -> &'a Settings {
        &self.document.value
    }

    /// Adds a problem at `path`, unless there is one already about what stood there.
    fn refuse(&mut self, path: &[PathStep], message: impl Into<String>) {
        if self.document.is_hollow(path) {
            return;
        }
        self.problems.push(self.document.problem(path, message));
    }

    fn warn(&mut self, path: &[PathStep], message: impl Into<String>) {
        if self.document.is_hollow(path) {
            return;
        }
        self.warnings.push(self.document.problem(path, message));
    }

    fn accept<T>(&mut self, path: &[PathStep], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.refuse(path, message)).ok()
    }

    /// TLS of the port of `table`.
    fn tls(&mut self, table: &'static str, files: Option<&TlsFiles>) -> Option<tls::Server> {
        let place = key(&[table, "tls"]);
        let files = files.filter(|_| self.look.secrets)?;
        if self.document.is_hollow(&place) {
            return None;
        }
        if [&files.cert, &files.key].into_iter().any(|file| meaningless::is_empty(file)) {
            return None;
        }
        let tls = tls::server(&files.cert, &files.key)
            .map_err(|wrong| wrong.into_iter().for_each(|message| self.refuse(&place, message)));
        let tls = tls.ok()?;
        if let Some(warning) = out_of_time(&files.cert, &tls, clock::wall()) {
            self.warn(&place, warning);
        }
        Some(tls)
    }

    fn cors(&mut self) {
        for (at, message) in self.settings().server.cors.problems() {
            let list = [PathStep::Key("server"), PathStep::Key("cors"), PathStep::Key("origins")];
            self.refuse(&[&list[..], &[PathStep::Index(at)]].concat(), message);
        }
    }

    /// The sockets for which `limit` descriptors leave room.
    fn sockets(&mut self, limit: Option<u64>) -> Budget {
        let Settings { server, vendor, admin, tenant, .. } = self.settings();
        let named = tenant.iter().flat_map(|tenant| &tenant.connection);
        let hosts: HashSet<_> = named
            .map(|connection| connection.base_url.as_ref().unwrap_or(&vendor.base_url).authority())
            .collect();
        let admins = if admin.keys.is_empty() { 0 } else { descriptors::ADMIN };
        let budget = Budget::of(
            limit,
            WantedSockets {
                clients: server.sockets,
                vendor: vendor.sockets,
                hosts: hosts.len(),
                operators: descriptors::OPERATORS + admins,
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

    /// The rules for each URL of the vendor.
    fn vendor_url(&mut self, path: &[PathStep], url: &BaseUrl) {
        self.no_loop(path, url);
        if url.is_plain_and_remote() && !self.settings().vendor.allow_plain_http {
            let message = format!(
                "{url} would carry tokens in clear text: use https, or say vendor.allow_plain_http = true"
            );
            self.refuse(path, message);
        }
    }

    /// Refuses a URL that leads to a port of this gateway.
    fn no_loop(&mut self, path: &[PathStep], url: &BaseUrl) {
        let Settings { server, ops, admin, .. } = self.settings();
        let served = (!admin.keys.is_empty()).then_some(("admin", admin.listen));
        let ports = [("server", server.listen), ("ops", ops.listen)].into_iter().chain(served);
        for (table, listen) in ports.filter(|(_, listen)| url.is_at(*listen)) {
            let message = format!(
                "{url} is this gateway itself ({table}.listen = \"{listen}\"): write where the other server is"
            );
            self.refuse(path, message);
        }
    }

    /// The operations; `None` if the catalogue file is wrong.
    fn catalog(&mut self) -> Option<Arc<Catalog>> {
        let Some(path) = &self.settings().vendor.catalog else {
            let given = !self.document.is_hollow(&key(&["vendor", "catalog"]));
            return given.then(Catalog::courier);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let file = Some(path.display().to_string());
                let wrong = |problem| Problem { file: file.clone(), ..problem };
                Catalog::parse(&text)
                    .map_err(|problems| {
                        self.problems.extend(problems.into_iter().map(wrong));
                        self.warn(&key(&["vendor", "catalog"]), UNCHECKED);
                    })
                    .ok()
                    .map(Arc::new)
            }
            Err(error) => {
                let embedded =
                    "name the file, or leave vendor.catalog out for Courier's operations";
                let reason = super::unreadable(path, &error, embedded);
                let message = format!("catalogue file '{}' {reason}", path.display());
                self.refuse(&key(&["vendor", "catalog"]), message);
                self.warn(&key(&["vendor", "catalog"]), UNCHECKED);
                None
            }
        }
    }

    fn cache(&mut self, catalog: Option<&Catalog>) {
        let cache = &self.settings().cache;
        if !(1 << 20..=1 << 40).contains(&cache.capacity.get()) {
            let message =
                "cache.capacity must be 1MiB to 1TiB: one answer takes a thousandth of it";
            self.refuse(&key(&["cache", "capacity"]), message);
        }
        if cache.shared.is_some() && self.settings().shared.redis.is_none() {
            let message = "cache.shared needs shared.redis: write where Redis is, or leave it out";
            self.refuse(&key(&["cache", "shared"]), message);
        }
        for (list, at, message) in
            catalog.map(|catalog| cache.problems(catalog)).unwrap_or_default()
        {
            let path = [PathStep::Key("cache"), PathStep::Key(list), PathStep::Index(at)];
            self.refuse(&path, message);
        }
    }

    fn traces(&mut self) -> Option<Collector> {
        let (traces, vendor) = (&self.settings().traces, &self.settings().vendor);
        if vendor.pass_trace_context && traces.endpoint.is_none() {
            let message = "vendor.pass_trace_context needs traces.endpoint: it would name spans that nobody has";
            self.refuse(&key(&["vendor", "pass_trace_context"]), message);
        }
        let read = if self.look.secrets { traces.collector() } else { Ok(None) };
        let (collector, unread) = match read {
            Ok(collector) => (collector, Vec::new()),
            Err(problems) => (None, problems),
        };
        for (name, message) in traces.problems().into_iter().chain(unread) {
            self.refuse(&key(&["traces", name]), message);
        }
        if let Some(url) = &traces.endpoint {
            self.no_loop(&key(&["traces", "endpoint"]), url);
        }
        collector
    }

    fn shared(&mut self) -> Option<StoreSettings> {
        let shared = &self.settings().shared;
        let read = if self.look.secrets { shared.store() } else { Ok(None) };
        let (store, unread) = match read {
            Ok(store) => (store, Vec::new()),
            Err(problems) => (None, problems),
        };
        for (name, message) in shared.problems().into_iter().chain(unread) {
            self.refuse(&key(&["shared", name]), message);
        }
        store
    }
}
