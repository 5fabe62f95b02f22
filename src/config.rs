//! The configuration: one TOML file, read, checked and resolved before anything starts.
//!
//! [`Settings`] is the file as written. [`Config`] is what it means, with the catalogue, the keys
//! and the tokens that it refers to. Every problem is reported at once, with line and column. Only
//! `app`, `runtime`, `pipeline`, `wiring`, `demo` and `cli` read it. Below them a layer gets the
//! values that it needs.

mod admin;
mod base_url;
mod cache;
mod cors;
mod expiry;
mod findings;
mod quota;
mod reference;
mod seat;
mod settings;
mod shared;
mod tls_files;
mod traces;
mod validate;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

pub use admin::{Admin, AdminKey, OpsTable, OwnName};
pub use base_url::BaseUrl;
pub use cache::{CacheControl, CacheTable, SharedReads};
pub use cors::CorsTable;
pub use findings::{ConfigError, Findings};
pub use reference::{reference, schema};
pub use settings::{
    AppKey, AppLimit, AppTable, Connection, QuotaTable, ServerTable, Settings, StateTable,
    StaticShare, Tenant, Vendor,
};
pub use shared::SharedTable;
pub use tls_files::TlsFiles;

pub use traces::{Collector, TracesTable};

use crate::catalog::Catalog;
use crate::descriptors::Budget;
use crate::document::{self, Problem};
use crate::identity::{Keys, Rights};
use crate::ids::ConnectionId;
use crate::secret::{KnownTokens, Tokens};
use crate::shared::StoreSettings;
use crate::tls;

/// A configuration that can be run.
pub struct Config {
    /// The file as written.
    pub settings: Settings,
    /// The operations.
    pub catalog: Arc<Catalog>,
    /// The apps, by their keys.
    pub keys: Arc<Keys>,
    /// The operators' keys.
    pub admin: Arc<Keys<Rights>>,
    /// The vendor tokens.
    pub tokens: Tokens,
    /// Those among them whose sources can't be read: the last good ones stay.
    pub unreadable: HashSet<ConnectionId>,
    /// TLS of the data port.
    pub tls: Option<tls::Server>,
    /// TLS of the admin port.
    pub admin_tls: Option<tls::Server>,
    /// TLS to the vendor.
    pub vendor_tls: tls::Client,
    /// How to reach the collector of traces, if there is one.
    pub collector: Option<Collector>,
    /// How to reach the Redis that replicas share, if there is one.
    pub store: Option<StoreSettings>,
    /// The sockets for which this process has descriptors.
    pub sockets: Budget,
    /// What is legal but most likely not meant, or can't be had on this machine.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_again(path, &KnownTokens::new())
    }

    /// The same for a gateway that runs: where the source of a token can't be read, the one in use
    /// from that source, as `known` has it, stays.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn load_again(path: &Path, known: &KnownTokens) -> Result<Self, ConfigError> {
        read(path, |text| Self::parse_again(text, known))
    }

    /// Checks `text`.
    ///
    /// # Errors
    /// Every problem in it, and its warnings.
    pub fn parse(text: &str) -> Result<Self, Findings> {
        Self::parse_again(text, &KnownTokens::new())
    }

    /// The same as [`load_again`](Self::load_again), of `text`.
    ///
    /// # Errors
    /// Every problem in it, and its warnings.
    pub fn parse_again(text: &str, known: &KnownTokens) -> Result<Self, Findings> {
        validate::resolve(document::read(text), Look::TO_SERVE, known)
    }

    /// The state folder: the one that is configured, or the one that systemd gives.
    #[must_use]
    pub fn state_dir(&self) -> Option<std::path::PathBuf> {
        self.settings.state_dir()
    }

    /// The base URL of each connection.
    pub fn base_urls(&self) -> impl Iterator<Item = (&Connection, &BaseUrl)> {
        let default = &self.settings.vendor.base_url;
        let connections = self.settings.tenant.iter().flat_map(|tenant| &tenant.connection);
        connections.map(move |c| (c, c.base_url.as_ref().unwrap_or(default)))
    }
}

/// What a check looks at besides the file.
#[derive(Clone, Copy)]
pub struct Look {
    /// Tokens, fields of the collector, passwords, certificates and keys.
    pub secrets: bool,
    /// The state folder, which a start makes or opens by itself.
    pub state: bool,
}

impl Look {
    /// For a gateway that starts.
    const TO_SERVE: Self = Self { secrets: true, state: false };
    /// For all that a gateway needs on this machine.
    pub const HERE: Self = Self { secrets: true, state: true };
    /// For machines without secrets: only the file, and the catalogue that it names.
    pub const FILE: Self = Self { secrets: false, state: false };
}

/// What a valid file holds.
pub struct Checked {
    /// Tenants.
    pub tenants: usize,
    /// Connections of all tenants.
    pub connections: usize,
    /// Apps of all tenants.
    pub apps: usize,
    /// Keys of all apps.
    pub keys: usize,
    /// Rows of the catalogue.
    pub operations: usize,
    /// What is legal but most likely not meant, or can't be had on this machine.
    pub warnings: Vec<Problem>,
    /// The configuration to run; `None` if the secrets were not read.
    pub config: Option<Config>,
}

/// Checks the file at `path`, and what `look` names besides.
///
/// # Errors
/// Every problem found, and the warnings.
pub fn check(path: &Path, look: Look) -> Result<Checked, ConfigError> {
    let mut config =
        read(path, |text| validate::resolve(document::read(text), look, &KnownTokens::new()))?;
    let tenants = &config.settings.tenant;
    let apps = || tenants.iter().flat_map(|tenant| &tenant.app);
    Ok(Checked {
        tenants: tenants.len(),
        connections: tenants.iter().map(|tenant| tenant.connection.len()).sum(),
        apps: apps().count(),
        keys: apps().map(|app| app.keys.len()).sum(),
        operations: config.catalog.operations().len(),
        warnings: std::mem::take(&mut config.warnings),
        config: look.secrets.then_some(config),
    })
}

impl Settings {
    /// The state folder: the one that is configured, or the one that systemd gives.
    #[must_use]
    pub fn state_dir(&self) -> Option<std::path::PathBuf> {
        let given = || std::env::var_os("STATE_DIRECTORY").map(Into::into);
        self.state.dir.clone().or_else(given)
    }

    /// Reads the file at `path` and nothing that it refers to, for commands that need no token.
    ///
    /// # Errors
    /// The problems that make it unreadable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read(path, |text| Ok(document::parse::<Self>(text).map(|document| document.value)?))
    }
}

fn read<T>(path: &Path, parse: impl FnOnce(&str) -> Result<T, Findings>) -> Result<T, ConfigError> {
    let source = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let problems = vec![Problem::of_file(unreadable(path, &error, BEGIN))];
        ConfigError { source: source.clone(), findings: problems.into() }
    })?;
    parse(&text).map_err(|findings| ConfigError { source, findings })
}

/// Advice for those who have no configuration.
const BEGIN: &str = "name the file, or begin with a copy of config/tollgate.toml";

/// Why a file can't be read, and what would help. `else_do` is the advice if there is no such file.
fn unreadable(path: &Path, error: &std::io::Error, else_do: &str) -> String {
    use std::io::ErrorKind;
    let relative = || std::env::current_dir().map(|dir| dir.display().to_string());
    match error.kind() {
        ErrorKind::NotFound if path.is_relative() => format!(
            "cannot be read: there is no such file in '{}', where this was started; {else_do}",
            relative().unwrap_or_default()
        ),
        ErrorKind::NotFound => format!("cannot be read: there is no such file; {else_do}"),
        ErrorKind::PermissionDenied => {
            "cannot be read: this user may not; let it read the file, or run as another".into()
        }
        ErrorKind::IsADirectory => "cannot be read: it is a folder; name the file in it".into(),
        ErrorKind::InvalidData => "cannot be read: it is no text in UTF-8; save it as UTF-8".into(),
        _ => format!("cannot be read: {error}"),
    }
}
