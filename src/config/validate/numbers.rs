//! The numbers of connections, and of apps on them.

use crate::config::{AppTable, Settings, Tenant};
use crate::identity::AppConnection;
use crate::ids::ConnectionId;
use crate::numbers::{AppIx, ConnectionIx};

impl AppTable {
    /// Whether the app may use `connection` of its tenant.
    #[must_use]
    pub fn may_use(&self, connection: &ConnectionId) -> bool {
        self.connections.as_ref().is_none_or(|listed| listed.contains(connection))
    }
}

/// The connections of the `a`th app of the `t`th tenant, by their `names`. Names that the tenant
/// does not have are left out.
pub(super) fn numbered(
    settings: &Settings,
    (t, a): (usize, usize),
    names: &[ConnectionId],
) -> Vec<AppConnection> {
    let before: usize = settings.tenant.iter().take(t).map(|other| other.connection.len()).sum();
    let tenant = &settings.tenant[t];
    let numbered = names.iter().filter_map(|name| {
        let place = tenant.connection.iter().position(|connection| connection.id == *name)?;
        let ix = ConnectionIx::from(before + place);
        Some(AppConnection { id: name.clone(), ix, app: number(tenant, a, name) })
    });
    numbered.collect()
}

/// How many apps before the `a`th may use `connection`.
fn number(tenant: &Tenant, a: usize, connection: &ConnectionId) -> AppIx {
    let others = tenant.app.iter().take(a).filter(|app| app.may_use(connection));
    AppIx::from(others.count())
}
