//! Turns a configuration into the plan of the cache.

use super::admission::workspace;
use crate::cache::{ConnectionPlan, Plan, RowPlan};
use crate::config::Config;

/// What the cache keeps under `config`.
pub(crate) fn plan(config: &Config) -> Plan {
    let settings = &config.settings;
    let connections = config.base_urls().map(|(connection, url)| ConnectionPlan {
        id: connection.id.clone(),
        workspace: workspace(connection),
        base_url: url.to_string(),
    });
    Plan {
        capacity: settings.cache.capacity.get(),
        stale_if_error: settings.cache.stale_if_error.get(),
        settle: settings.cache.settle.get(),
        hard_limit: settings.vendor.hard_limit.get(),
        rows: config
            .catalog
            .all()
            .map(|row| RowPlan { operation: row.clone(), on: settings.cache.keeps(row) })
            .collect(),
        connections: connections.collect(),
        tokens: config.tokens.clone(),
    }
}
