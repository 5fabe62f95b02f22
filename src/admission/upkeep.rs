//! What changes in a tenant's quotas beside a reload: tokens, and what nobody knows any more.

use std::collections::HashSet;

use super::identity::{Identity, IdentityKey};
use super::quotas::{Core, Quotas};
use super::reshape::lent::own_place;
use crate::ids::ConnectionId;
use crate::quota::{ConnectionNo, Moment, PoolId, SlotPool};

impl Quotas {
    /// How many files of slots can't be written, or are not in the folder any more. One that was
    /// removed from a folder that stands is written anew.
    pub(super) fn unwritten(&self) -> usize {
        let files = self.look(|core, _| {
            core.journal.as_ref().map(|journal| (journal.store().clone(), journal.logs()))
        });
        let Some((store, logs)) = files else { return 0 };
        if !store.stands() {
            return logs.len();
        }
        for (pool, log) in logs.iter().filter(|(_, log)| log.is_removed()) {
            self.look(|core, _| core.write_anew(*pool, log.name()));
        }
        logs.iter().filter(|(_, log)| log.is_given_up()).count()
    }
}

impl Core {
    /// Writes the file of a pool that was removed, unless the pool was, too.
    fn write_anew(&mut self, pool: PoolId, name: &str) {
        let Self { quota, members, journal, .. } = self;
        if let Some(journal) = journal
            && members.files().any(|file| file == (pool, name))
        {
            tracing::warn!(
                file = name,
                "slot state was removed from its folder: it is written anew"
            );
            journal.open(pool, name, quota);
        }
    }

    /// The token of a connection of now is another one.
    pub(super) fn token_changed(
        &mut self,
        connection: &ConnectionId,
        identity: Identity,
        key: &IdentityKey,
        now: Moment,
    ) {
        let edition = self.members.edition;
        let current = self.members.list.iter_mut().filter(|member| member.edition == edition);
        for member in current.filter(|member| member.id == *connection && !member.is(&identity)) {
            let pool = self.quota.pools().get(member.own);
            let rested = pool.map_or(now, |pool| pool.slots.rest().after_no_response(now));
            member.goes_by(identity, now, rested);
            if let Some(place) = self.ledgers.get_mut(&member.own) {
                let calls = pool.map_or(0, SlotPool::whole);
                place.becomes(own_place(key, connection, identity, calls));
            }
        }
    }

    /// The pools that no configuration from `oldest` on knows and of which no rest is left. What was
    /// lent of them has gone back.
    fn unused(&mut self, oldest: u64, now: Moment) -> HashSet<PoolId> {
        let own = self.members.list.iter().map(|member| (member.edition, member.own));
        let named = self.members.named.iter().map(|named| (named.edition, named.pool));
        let unused: Vec<PoolId> = own
            .chain(named)
            .filter(|(edition, pool)| *edition < oldest && self.quota.is_idle(*pool, now))
            .map(|(_, pool)| pool)
            .collect();
        unused.into_iter().filter(|pool| self.has_left(*pool, now)).collect()
    }

    /// Forgets what no configuration from `oldest` on knows and what no rest is left of.
    pub(super) fn sweep(&mut self, oldest: u64, now: Moment) {
        let gone = self.unused(oldest, now);
        let Self { quota, members, journal, .. } = self;

        let mut over = HashSet::new();
        members.list.retain(|member| {
            let gone = gone.contains(&member.own);
            if gone {
                over.insert(member.own);
                members.vacant.push((member.number, member.own));
            }
            !gone
        });
        members.named.retain(|named| {
            let gone = gone.contains(&named.pool);
            if gone {
                over.insert(named.pool);
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
        members.apps.retain(|connection, _| left.contains(connection));
        for (connection, apps) in &mut members.apps {
            apps.retain(|_, app| {
                if app.edition < oldest {
                    quota.remove_app(*connection, app.number);
                }
                app.edition >= oldest
            });
        }
    }
}
