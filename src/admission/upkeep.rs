//! What changes in a tenant's quotas beside a reload: tokens, and what nobody knows any more.

use std::collections::HashSet;

use super::identity::Identity;
use super::quotas::Core;
use crate::ids::ConnectionId;
use crate::quota::{ConnectionNo, Moment};

impl Core {
    /// The token of a connection of now is another one.
    pub(super) fn token_changed(
        &mut self,
        connection: &ConnectionId,
        identity: Identity,
        now: Moment,
    ) {
        let edition = self.members.edition;
        let current = self.members.list.iter_mut().filter(|member| member.edition == edition);
        for member in current.filter(|member| member.id == *connection && !member.is(&identity)) {
            let pool = self.quota.pools().get(member.own);
            let rested = pool.map_or(now, |pool| pool.slots.rest().after_no_response(now));
            member.goes_by(identity, now, rested);
        }
    }

    /// Forgets what no configuration from `oldest` on knows and what no rest is left of.
    pub(super) fn sweep(&mut self, oldest: u64, now: Moment) {
        let Self { quota, members, journal, .. } = self;
        let gone = |edition: u64, pool| edition < oldest && quota.is_idle(pool, now);
        let mut over = Vec::new();
        members.list.retain(|member| {
            let gone = gone(member.edition, member.own);
            if gone {
                over.push(member.own);
                members.vacant.push((member.number, member.own));
            }
            !gone
        });
        members.named.retain(|named| {
            let gone = gone(named.edition, named.pool);
            if gone {
                over.push(named.pool);
                members.vacant_pools.push(named.pool);
            }
            !gone
        });
        for member in &mut members.list {
            member.pools.retain(|_, pool| !over.contains(pool));
        }
        if let Some(journal) = journal {
            over.iter().for_each(|pool| journal.forget(*pool));
        }
        let left: HashSet<ConnectionNo> = members.list.iter().map(|member| member.number).collect();
        members.apps.retain(|(connection, _), app| {
            if !left.contains(connection) {
                return false;
            }
            if app.edition < oldest {
                quota.remove_app(*connection, app.number);
            }
            app.edition >= oldest
        });
    }
}
