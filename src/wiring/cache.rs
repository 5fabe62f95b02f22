//! From a configuration to what the cache is to do.

use std::collections::HashSet;

use super::admission::workspace;
use crate::cache::{ConnectionPlan, Plan, RowPlan};
use crate::config::{CacheControl, Config};

/// What `config` keeps.
pub(crate) fn plan(config: &Config) -> Plan {
    let settings = &config.settings;
    let rows = config.catalog.operations().iter().chain([config.catalog.unlisted()]);
    let connections = config.base_urls().map(|(connection, url)| ConnectionPlan {
        id: connection.id.clone(),
        workspace: workspace(connection),
        base_url: url.to_string(),
    });
    let mut ignoring = HashSet::new();
    for tenant in &settings.tenant {
        let ignored = tenant.app.iter().filter(|app| app.cache_control == CacheControl::Ignore);
        ignoring.extend(ignored.map(|app| (tenant.id.clone(), app.id.clone())));
    }
    Plan {
        capacity: settings.cache.capacity.get(),
        stale_if_error: settings.cache.stale_if_error.get(),
        settle: settings.cache.settle.get(),
        hard_limit: settings.vendor.hard_limit.get(),
        rows: rows
            .map(|row| RowPlan { operation: row.clone(), on: settings.cache.keeps(row) })
            .collect(),
        connections: connections.collect(),
        tokens: config.tokens.clone(),
        ignoring,
    }
}
