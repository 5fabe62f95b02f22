//! Turns a configuration into the plan of the cache.

use std::time::Duration;

use super::admission::workspace;
use crate::cache::{ConnectionPlan, Plan, RowPlan, replicas};
use crate::config::{Config, SharedReads};

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
        bound: match settings.cache.shared.unwrap_or_default() {
            SharedReads::Strict => Duration::ZERO,
            SharedReads::Bounded => replicas::BOUND,
        },
        connections: connections.collect(),
        tokens: config.tokens.clone(),
    }
}
