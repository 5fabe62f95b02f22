//! From a configuration to what admission is to do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::admission::{AppPlan, Plan, WorkspacePlan};
use crate::catalog::{Catalog, Operation};
use crate::config::{Config, Connection, Tenant};
use crate::quota::{Past, PoolSettings, PriceNo, PriceSettings};

/// The workspaces of `config` and what its operations cost.
pub(super) fn plan(config: &Config) -> Plan {
    let (prices, numbers) = prices(&config.catalog);
    let mut workspaces: BTreeMap<String, WorkspacePlan> = BTreeMap::new();
    for tenant in &config.settings.tenant {
        for connection in &tenant.connection {
            let name = workspace(connection);
            let workspace = workspaces.entry(name.clone()).or_insert_with(|| WorkspacePlan {
                name,
                named: named(config),
                prices: prices.clone(),
                connections: Vec::new(),
                apps: Vec::new(),
            });
            let quota = config.settings.quota_of(connection);
            let quota = quota.expect("the configuration refuses a quota that makes no sense");
            workspace.connections.push((connection.id.clone(), quota));
            workspace.apps.extend(apps(tenant, connection));
        }
    }
    Plan { prices: numbers, workspaces: workspaces.into_values().collect() }
}

/// Whose writes `connection` sees. A workspace of its own is told from one that is named by the
/// slash.
pub(super) fn workspace(connection: &Connection) -> String {
    match &connection.workspace {
        Some(workspace) => workspace.to_string(),
        None => format!("connection/{}", connection.id),
    }
}

fn named(config: &Config) -> Vec<PoolSettings> {
    let hard_limit = config.settings.vendor.hard_limit.get();
    let pools = config.catalog.pools().iter();
    pools
        .map(|pool| PoolSettings {
            name: pool.id.clone(),
            calls: pool.calls.get(),
            window: pool.window.get(),
            hard_limit,
            past: Past::Fresh,
        })
        .collect()
}

/// The apps that may use `connection`.
fn apps<'a>(tenant: &'a Tenant, connection: &'a Connection) -> impl Iterator<Item = AppPlan> + 'a {
    let may_use = |app: &&crate::config::App| {
        app.connections.as_ref().is_none_or(|listed| listed.contains(&connection.id))
    };
    tenant.app.iter().filter(may_use).map(|app| AppPlan {
        connection: connection.id.clone(),
        app: app.id.clone(),
        settings: app.quota(),
    })
}

/// Each different price once, and its number for every operation.
fn prices(catalog: &Catalog) -> (Vec<PriceSettings>, HashMap<Arc<str>, PriceNo>) {
    let mut prices: Vec<PriceSettings> = Vec::new();
    let mut numbers = HashMap::new();
    for operation in catalog.operations().iter().chain([catalog.unlisted()]) {
        let price = price(catalog, operation);
        let at = prices.iter().position(|known| *known == price).unwrap_or_else(|| {
            prices.push(price);
            prices.len() - 1
        });
        let number =
            u16::try_from(at).expect("a catalogue has fewer prices than rows, and few rows");
        numbers.insert(operation.id.clone(), PriceNo(number));
    }
    (prices, numbers)
}

fn price(catalog: &Catalog, operation: &Operation) -> PriceSettings {
    let place = |name: &str| catalog.pools().iter().position(|pool| pool.id == name);
    let named = operation.named_pools().filter_map(|(name, cost)| Some((place(name)?, cost)));
    PriceSettings { connection: operation.own_cost(), named: named.collect() }
}
