//! What the configuration asks for, as plain data.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::{AppId, ConnectionId};
use crate::quota::{AppSettings, ConnectionSettings, PoolSettings, PriceNo, PriceSettings};

/// Every workspace of a configuration.
pub struct Plan {
    /// The price of each operation, by its id.
    pub prices: HashMap<Arc<str>, PriceNo>,
    /// The workspaces.
    pub workspaces: Vec<WorkspacePlan>,
}

/// The quota of one workspace.
pub struct WorkspacePlan {
    /// Unique; part of the names of its state files.
    pub name: String,
    /// Its named pools.
    pub named: Vec<PoolSettings>,
    /// What operations cost, by the numbers of [`Plan::prices`].
    pub prices: Vec<PriceSettings>,
    /// Its connections.
    pub connections: Vec<(ConnectionId, ConnectionSettings)>,
    /// The apps that may use them, once for each connection.
    pub apps: Vec<AppPlan>,
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
}
