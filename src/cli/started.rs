//! The log line of a start: what runs, by which file, for whom.

use std::path::Path;

use crate::app::Gateway;
use crate::config::Config;
use crate::quota::Mode;

/// What the line needs of a configuration, kept because the gateway takes the configuration.
pub(super) struct Started {
    tenants: usize,
    apps: usize,
    connections: usize,
    mode: &'static str,
}

impl Started {
    pub(super) fn of(config: &Config) -> Self {
        let tenants = &config.settings.tenant;
        let connections = || tenants.iter().flat_map(|tenant| &tenant.connection);
        let is_shadow = |connection| {
            let quota = config.settings.quota_of(connection);
            quota.is_ok_and(|quota| quota.mode == Mode::Shadow)
        };
        let shadow = connections().filter(|connection| is_shadow(connection)).count();
        let all = connections().count();
        Self {
            tenants: tenants.len(),
            apps: tenants.iter().map(|tenant| tenant.app.len()).sum(),
            connections: all,
            mode: match shadow {
                0 => "enforce",
                some if some == all => "shadow",
                _ => "mixed",
            },
        }
    }

    /// Logs the line of `gateway`, whose configuration is at `file`.
    pub(super) fn say(&self, file: &Path, gateway: &Gateway) {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            file = %file.display(),
            tenants = self.tenants,
            apps = self.apps,
            connections = self.connections,
            mode = self.mode,
            restored_slots = gateway.restored_slots,
            data = %gateway.data,
            ops = %gateway.ops,
            admin = gateway.admin.map(tracing::field::display),
            "started"
        );
    }
}
