//! Turns a configuration into the plan of admission.

use std::collections::HashMap;
use std::sync::Arc;

use crate::admission::{
    Admission, AdmissionPlan, AppPlan, Assume, ConnectionQuotaPlan, Cost, LendingTerms, SlotStore,
    TenantPlan,
};
use crate::catalog::Operation;
use crate::config::{AppTable, Config, Connection, Tenant};
use crate::ids::ConnectionId;
use crate::overrides::Overlay;
use crate::quota::{Past, PoolSettings, static_share};
use crate::shared::SharedStore;

/// `plan` under what operators changed for a time.
pub(crate) fn overlaid(plan: &AdmissionPlan, overlay: &Overlay) -> AdmissionPlan {
    let mut plan = plan.clone();
    for tenant in &mut plan.tenants {
        for connection in &mut tenant.connections {
            let Some(over) = overlay.connections.get(&connection.id) else { continue };
            if let Some(calls) = over.calls {
                let settings = connection.settings.clone();
                connection.settings = settings.with_calls(part(calls, connection.share));
            }
            connection.settings.mode = over.mode.unwrap_or(connection.settings.mode);
        }
        for app in &mut tenant.apps {
            let connection = overlay.connections.get(&app.connection);
            app.paused |= connection.is_some_and(|over| over.paused.is_some());
            let Some(over) = overlay.apps.get(&(tenant.id.clone(), app.app.clone())) else {
                continue;
            };
            app.paused |= over.paused.is_some();
            app.settings.lane = over.lane.unwrap_or(app.settings.lane);
            app.settings.limit = over.limit.or(app.settings.limit);
        }
    }
    plan
}

/// This replica's part of `calls`, at least one: an operator who wants none pauses.
pub(crate) fn part(calls: u32, share: Option<(u32, u32)>) -> u32 {
    let part = share.and_then(|(replicas, index)| static_share(calls, replicas, index).ok());
    part.unwrap_or(calls).max(1)
}

/// The quotas of `config` and what its operations cost.
pub(crate) fn plan(config: &Config) -> AdmissionPlan {
    let catalog = &config.catalog;
    let tenants = config.settings.tenant.iter().map(|tenant| TenantPlan {
        id: tenant.id.clone(),
        connections: tenant.connection.iter().map(|c| connection(config, c)).collect(),
        apps: apps(tenant),
    });
    AdmissionPlan {
        costs: catalog.all().map(|operation| (operation.id.clone(), cost(operation))).collect(),
        operations: catalog.all().map(|operation| operation.id.clone()).collect(),
        named: named(config),
        tenants: tenants.collect(),
    }
}

fn connection(config: &Config, connection: &Connection) -> ConnectionQuotaPlan {
    let token = config.tokens.get(&connection.id);
    let settings = config.settings.quota_of(connection);
    ConnectionQuotaPlan {
        id: connection.id.clone(),
        workspace: workspace(connection),
        token: token.expect("the configuration refuses a connection without a token").clone(),
        reference: connection.token.to_string(),
        settings: settings.expect("the configuration refuses a quota that makes no sense"),
        share: config.settings.share_of(connection),
    }
}

/// Quotas without a connection, whose slots are in `folder` or are lent from `store`; and the folder
/// if its slots are of no use then.
///
/// # Errors
/// When the folder can't say that its slots are of no use any more.
pub(crate) fn admission(
    config: &Config,
    store: Option<&SharedStore>,
    folder: Option<SlotStore>,
) -> Result<(Admission, Option<SlotStore>), String> {
    let Some(store) = store else { return Ok((Admission::new(folder), None)) };
    let renews = folder.as_ref().map_or(Ok(false), SlotStore::hand_over);
    let fresh = config.settings.state.assume == Some(Assume::Fresh);
    let terms = LendingTerms {
        store: store.clone(),
        lease: config.settings.shared.lease.get(),
        fresh,
        renews: renews.map_err(|error| format!("the state folder: {error}"))? && !fresh,
    };
    Ok((Admission::lent(terms), folder))
}

/// The workspace whose writes `connection` sees. A slash tells a workspace of its own from one that
/// the configuration names.
pub(crate) fn workspace(connection: &Connection) -> String {
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

/// The apps of each connection, one connection after the other.
fn apps(tenant: &Tenant) -> Vec<AppPlan> {
    let mut users: HashMap<&ConnectionId, Vec<&AppTable>> = HashMap::new();
    for app in &tenant.app {
        match &app.connections {
            Some(listed) => listed.iter().for_each(|id| users.entry(id).or_default().push(app)),
            None => tenant
                .connection
                .iter()
                .for_each(|connection| users.entry(&connection.id).or_default().push(app)),
        }
    }
    let mut plans = Vec::new();
    for connection in &tenant.connection {
        let users = users.remove(&connection.id).unwrap_or_default();
        plans.extend(users.into_iter().map(|app| AppPlan {
            connection: connection.id.clone(),
            app: app.id.clone(),
            settings: app.quota(),
            paused: false,
        }));
    }
    plans
}

fn cost(operation: &Arc<Operation>) -> Cost {
    let named = operation.named_pools().map(|(name, cost)| (name.to_owned(), cost));
    Cost { own: operation.own_cost(), named: named.collect() }
}
