//! What the configuration asks for, as plain data.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ids::{AppId, ConnectionId, TenantId};
use crate::quota::{AppSettings, ConnectionSettings, PoolSettings};
use crate::secret::VendorToken;

/// The quotas of a configuration.
#[derive(Clone)]
pub struct AdmissionPlan {
    /// What each operation costs, by its id.
    pub costs: HashMap<Arc<str>, Cost>,
    /// The ids of the operations, in the order of their numbers.
    pub operations: Vec<Arc<str>>,
    /// The named pools, which every workspace has for itself.
    pub named: Vec<PoolSettings>,
    /// Its tenants.
    pub tenants: Vec<TenantPlan>,
}

/// Slots that a call takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Of the connection's own pool.
    pub own: u32,
    /// Of the workspace's pools, by their names; none is 0.
    pub named: BTreeMap<String, u32>,
}

/// The connections and apps of one tenant.
#[derive(Clone)]
pub struct TenantPlan {
    /// Its name.
    pub id: TenantId,
    /// Its connections.
    pub connections: Vec<ConnectionQuotaPlan>,
    /// The apps that may use them, once for each connection.
    pub apps: Vec<AppPlan>,
}

/// One connection.
#[derive(Clone)]
pub struct ConnectionQuotaPlan {
    /// Its name.
    pub id: ConnectionId,
    /// Whose named pools it pays.
    pub workspace: String,
    /// What its slots follow, whatever the names are.
    pub token: VendorToken,
    /// Where the token stands, as it is told to people.
    pub reference: String,
    /// Its quota.
    pub settings: ConnectionSettings,
    /// This replica's part of it, if it has a part only: how many there are, and its number.
    pub share: Option<(u32, u32)>,
}

/// One app on one connection.
#[derive(Clone)]
pub struct AppPlan {
    /// The connection.
    pub connection: ConnectionId,
    /// The app.
    pub app: AppId,
    /// Lane, weight and limit.
    pub settings: AppSettings,
    /// It may not call.
    pub paused: bool,
}

/// Apps by the connection that they may use.
pub(super) type AppsByConnection<'a> = HashMap<&'a ConnectionId, Vec<&'a AppPlan>>;

impl AdmissionPlan {
    /// The apps that may use each connection, in the order of their numbers.
    pub(super) fn apps(&self) -> AppsByConnection<'_> {
        let mut apps = AppsByConnection::new();
        for app in self.tenants.iter().flat_map(|tenant| &tenant.apps) {
            apps.entry(&app.connection).or_default().push(app);
        }
        apps
    }

    /// All connections, tenant by tenant.
    pub(super) fn connections(&self) -> impl Iterator<Item = (&TenantPlan, &ConnectionQuotaPlan)> {
        self.tenants.iter().flat_map(|tenant| tenant.connections.iter().map(move |c| (tenant, c)))
    }
}
