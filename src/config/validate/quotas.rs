//! Refuses what no quota can be built from: prices above the quota, and more apps than a connection
//! can have.

use std::collections::HashMap;

use super::{Check, key, within};
use crate::catalog::{Catalog, Operation};
use crate::config::Tenant;
use crate::document::PathStep;
use crate::quota::settings::{MOST_APPS, MOST_QUOTAS};

impl Check<'_, '_> {
    /// The rules that concern connections, apps and rows together.
    pub(super) fn quotas(&mut self, catalog: Option<&Catalog>) {
        let dearest = catalog.and_then(|catalog| {
            let rows = catalog.operations().iter().chain([catalog.unlisted()]);
            rows.max_by_key(|row| row.own_cost()).cloned()
        });
        let pools = catalog.map_or(0, |catalog| catalog.pools().len());
        for (t, tenant) in self.settings().tenant.iter().enumerate() {
            if let Some(row) = &dearest {
                self.costs(t, tenant, row);
            }
            self.crowds(t, tenant);
            let quotas = tenant.connection.len().saturating_mul(1 + pools);
            if quotas > MOST_QUOTAS {
                let message = format!(
                    "tenant '{}' needs {quotas} quotas (one a connection and one a pool for each workspace), of {MOST_QUOTAS} at most",
                    tenant.id
                );
                self.refuse(
                    &[PathStep::Key("tenant"), PathStep::Index(t), PathStep::Key("id")],
                    message,
                );
            }
        }
    }

    /// Refuses connections whose calls are fewer than a row costs.
    fn costs(&mut self, t: usize, tenant: &Tenant, row: &Operation) {
        for (c, connection) in tenant.connection.iter().enumerate() {
            let Ok(quota) = self.settings().quota_of(connection) else { continue };
            let (cost, calls) = (row.own_cost(), quota.pool.calls);
            if cost > calls {
                let message = format!(
                    "connection '{}': operation '{}' costs {cost} of its calls, of which there are {calls}: no such call could start",
                    connection.id, row.id
                );
                let own =
                    connection.quota.calls.is_some() || connection.quota.static_share.is_some();
                let place =
                    if own { within(t, "connection", c, &["quota"]) } else { key(&["quota"]) };
                self.refuse(&place, message);
            }
        }
    }

    /// Refuses more apps than a connection can have.
    fn crowds(&mut self, t: usize, tenant: &Tenant) {
        let mut crowds = HashMap::new();
        for (a, app) in tenant.app.iter().enumerate() {
            if app.weight == 0 {
                let message = format!(
                    "app '{}': weight must be 1 or more; to keep an app from calling, take its keys out",
                    app.id
                );
                self.refuse(&within(t, "app", a, &["weight"]), message);
            }
            let all = || tenant.connection.iter().map(|connection| &connection.id).collect();
            let used: Vec<_> =
                app.connections.as_ref().map_or_else(all, |listed| listed.iter().collect());
            for connection in used {
                let count = crowds.entry(connection).or_insert(0_u32);
                *count += 1;
                if *count == MOST_APPS + 1 {
                    let message = format!(
                        "app '{}' is one too many: connection '{connection}' can have {MOST_APPS}",
                        app.id
                    );
                    self.refuse(&within(t, "app", a, &["id"]), message);
                }
            }
        }
    }
}
