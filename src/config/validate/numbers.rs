//! The numbers of connections, and of apps on them.

use std::collections::HashMap;

use crate::config::Tenant;
use crate::identity::AppConnection;
use crate::ids::ConnectionId;
use crate::numbers::{AppIx, ConnectionIx};

/// Numbers the connections of one tenant, and the apps on each of them in the order of the file.
/// It counts along: a search for each app would take as long as all apps before it.
pub(super) struct Numbering<'a>(HashMap<&'a ConnectionId, Counted>);

/// A connection's number, and how many apps on it have one.
struct Counted {
    ix: ConnectionIx,
    apps: usize,
}

impl<'a> Numbering<'a> {
    /// Begins with the connections of `tenant`, when those before it have `before`.
    pub(super) fn of(tenant: &'a Tenant, before: usize) -> Self {
        let mut counted = HashMap::with_capacity(tenant.connection.len());
        for (place, connection) in tenant.connection.iter().enumerate() {
            let ix = ConnectionIx::from(before + place);
            counted.entry(&connection.id).or_insert(Counted { ix, apps: 0 });
        }
        Self(counted)
    }

    /// Whether the tenant has `connection`.
    pub(super) fn has(&self, connection: &ConnectionId) -> bool {
        self.0.contains_key(connection)
    }

    /// The connections of the next app, by their `names`. Names that the tenant does not have are
    /// left out.
    pub(super) fn next(&mut self, names: &[ConnectionId]) -> Vec<AppConnection> {
        let numbered = names.iter().filter_map(|name| {
            let Counted { ix, apps } = self.0.get_mut(name)?;
            let app = AppIx::from(*apps);
            *apps += 1;
            Some(AppConnection { id: name.clone(), ix: *ix, app })
        });
        numbered.collect()
    }
}
