//! Who is who in one tenant's quotas: connections, named pools and apps behind their numbers.
//!
//! What a configuration leaves out keeps its number and its slots as long as an earlier
//! configuration is in use and as long as a rest isn't over: it may come back.

use std::collections::{BTreeMap, HashMap};

use super::identity::{Identity, IdentityKey};
use super::index::IndexEntry;
use crate::catalog::CONNECTION_POOL;
use crate::ids::{AppId, ConnectionId, RandomId};
use crate::quota::{AppNo, ConnectionNo, Moment, PoolId};

/// Tokens of one connection that are remembered beside its own.
const MOST_FORMER: usize = 8;

/// See the module text.
#[derive(Default)]
pub(super) struct Members {
    /// The configuration of now.
    pub(super) edition: u64,
    pub(super) list: Vec<ConnectionMember>,
    pub(super) named: Vec<Named>,
    pub(super) apps: HashMap<ConnectionNo, HashMap<AppId, MemberApp>>,
    pub(super) vacant: Vec<(ConnectionNo, PoolId)>,
    pub(super) vacant_pools: Vec<PoolId>,
}

/// A connection.
pub(super) struct ConnectionMember {
    pub(super) id: ConnectionId,
    pub(super) number: ConnectionNo,
    /// Whose named pools it pays.
    pub(super) workspace: String,
    /// Its own pool, and where its slots are kept.
    pub(super) own: PoolId,
    pub(super) file: String,
    /// The named pools that it pays or paid, by their names.
    pub(super) pools: BTreeMap<String, PoolId>,
    /// Where its token stands: the last that is left of it when token and name are others.
    pub(super) reference: String,
    /// Its token, and those it had, with until when their calls may count.
    pub(super) identities: Vec<(Identity, Moment)>,
    /// Until then its own pool rests because its past is not known.
    pub(super) unknown_until: Moment,
    /// The last configuration that has it.
    pub(super) edition: u64,
}

/// A named pool of a workspace.
pub(super) struct Named {
    pub(super) pool: PoolId,
    pub(super) workspace: String,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) edition: u64,
}

/// An app on a connection.
#[derive(Clone, Copy)]
pub(super) struct MemberApp {
    pub(super) number: AppNo,
    pub(super) edition: u64,
}

impl Members {
    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.named.is_empty()
    }

    /// The connections of the configuration of now.
    pub(super) fn current(&self) -> impl Iterator<Item = &ConnectionMember> {
        self.list.iter().filter(|member| member.edition == self.edition)
    }

    /// The named pools of a workspace of now.
    pub(super) fn named_of<'a>(&'a self, workspace: &'a str) -> impl Iterator<Item = &'a Named> {
        let current = self.named.iter().filter(|named| named.edition == self.edition);
        current.filter(move |named| named.workspace == workspace)
    }

    /// The apps of a connection of now.
    pub(super) fn apps_of(&self, number: ConnectionNo) -> impl Iterator<Item = (&AppId, AppNo)> {
        let known = self.apps.get(&number).into_iter().flatten();
        known.filter(|(_, app)| app.edition == self.edition).map(|(id, app)| (id, app.number))
    }

    pub(super) fn by_number(&self, number: ConnectionNo) -> Option<&ConnectionMember> {
        self.list.iter().find(|member| member.number == number)
    }

    pub(super) fn vacant(&mut self) -> Option<(ConnectionNo, PoolId)> {
        self.vacant.pop()
    }

    pub(super) fn vacant_pool(&mut self) -> Option<PoolId> {
        self.vacant_pools.pop()
    }

    /// Where the slots are kept of every pool that is still of use.
    pub(super) fn files(&self) -> impl Iterator<Item = (PoolId, &str)> {
        let own = self.list.iter().map(|member| (member.own, member.file.as_str()));
        own.chain(self.named.iter().map(|named| (named.pool, named.file.as_str())))
    }

    /// The lines of the index, whose hashes are under `key`.
    pub(super) fn entries(&self, key: &IdentityKey) -> Vec<IndexEntry> {
        let mut entries = Vec::new();
        let files: HashMap<PoolId, &str> = self.files().collect();
        for member in &self.list {
            let named = member.pools.iter();
            let named = named.filter_map(|(name, pool)| Some((name.as_str(), *files.get(pool)?)));
            let pools: Vec<_> =
                std::iter::once((CONNECTION_POOL, member.file.as_str())).chain(named).collect();
            let place = key.of_place(&member.reference);
            for (identity, _) in &member.identities {
                entries.extend(pools.iter().map(|(pool, file)| IndexEntry {
                    file: (*file).to_owned(),
                    identity: *identity,
                    place: Some(place),
                    connection: member.id.to_string(),
                    pool: (*pool).to_owned(),
                }));
            }
        }
        entries
    }
}

impl ConnectionMember {
    /// Its token is `identity` from now on; calls under the one before may count until `rested`.
    pub(super) fn goes_by(&mut self, identity: Identity, now: Moment, rested: Moment) {
        self.identities.retain(|(known, until)| *known != identity && *until > now);
        if let Some((_, until)) = self.identities.first_mut()
            && *until == Moment::NEVER
        {
            *until = rested;
        }
        self.identities.insert(0, (identity, Moment::NEVER));
        self.identities.truncate(1 + MOST_FORMER);
    }

    pub(super) fn is(&self, identity: &Identity) -> bool {
        self.identities.first().is_some_and(|(known, _)| known == identity)
    }
}

/// A name for a new file of slots.
pub(super) fn new_file() -> String {
    RandomId::new().to_string()
}
