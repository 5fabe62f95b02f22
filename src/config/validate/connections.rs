//! Connections: their names, workspaces, quotas and tokens.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Check, key, within};
use crate::config::Connection;
use crate::document::PathStep;
use crate::ids::{ConnectionId, TenantId, WorkspaceId};
use crate::secret::{KnownTokens, Tokens, VendorToken};

/// The tokens of all connections, and whose each of them is.
struct Given<'a> {
    /// Those in use, if the gateway runs.
    known: &'a KnownTokens,
    /// Those of them that stay, since their sources can't be read.
    unreadable: HashSet<ConnectionId>,
    tokens: Tokens,
    /// By hashes under `key`.
    owners: HashMap<[u8; 32], ConnectionId>,
    key: [u8; 32],
}

impl<'a> Given<'a> {
    fn none(known: &'a KnownTokens) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random bytes once it has booted");
        let (tokens, owners, unreadable) = Default::default();
        Self { known, unreadable, tokens, owners, key }
    }

    /// The token that the connection uses, if it is from the same source.
    fn last_good(&self, connection: &Connection) -> Option<VendorToken> {
        let (source, token) = self.known.get(&connection.id)?;
        (*source == connection.token).then(|| token.clone())
    }

    /// Adds the token of a connection, unless another one has it: that one is returned.
    fn add(&mut self, connection: &ConnectionId, token: VendorToken) -> Option<ConnectionId> {
        match self.owners.entry(token.keyed_hash(&self.key)) {
            Entry::Occupied(twin) => Some(twin.get().clone()),
            Entry::Vacant(free) => {
                free.insert(connection.clone());
                self.tokens.insert(connection.clone(), token);
                None
            }
        }
    }
}

impl Check<'_, '_> {
    /// Names, workspaces and tokens of all connections.
    pub(super) fn connections(&mut self, known: &KnownTokens) -> (Tokens, HashSet<ConnectionId>) {
        let mut given = Given::none(known);
        let mut owners: HashMap<&ConnectionId, &TenantId> = HashMap::new();
        let mut workspaces: BTreeMap<&WorkspaceId, &TenantId> = BTreeMap::new();
        let mut tenants = HashSet::new();
        for (t, tenant) in self.settings().tenant.iter().enumerate() {
            if !tenants.insert(&tenant.id) {
                let path = [PathStep::Key("tenant"), PathStep::Index(t), PathStep::Key("id")];
                self.refuse(&path, format!("tenant '{}' is there twice", tenant.id));
            }
            for (c, connection) in tenant.connection.iter().enumerate() {
                let path = |name| within(t, "connection", c, &[name]);
                if let Some(owner) = owners.insert(&connection.id, &tenant.id) {
                    let message = format!(
                        "connection '{}' belongs to tenant '{owner}' already: a connection has one tenant",
                        connection.id
                    );
                    self.refuse(&path("id"), message);
                }
                if let Some(workspace) = &connection.workspace {
                    let owner = *workspaces.entry(workspace).or_insert(&tenant.id);
                    if owner != &tenant.id {
                        let message =
                            format!("workspace '{workspace}' belongs to tenant '{owner}' already");
                        self.refuse(&path("workspace"), message);
                    }
                }
                if let Some(url) = &connection.base_url {
                    self.vendor_url(&path("base_url"), url);
                }
                for problem in self.settings().quota_of(connection).err().unwrap_or_default() {
                    self.quota(&path("quota"), connection, &problem);
                }
                self.token(&path("token"), connection, &mut given);
            }
        }
        (given.tokens, given.unreadable)
    }

    /// Adds a problem of a quota, at the key with which its text begins.
    fn quota(&mut self, own: &[PathStep], connection: &Connection, problem: &str) {
        let (mut place, message) = match connection.quota.is_empty() {
            true => (key(&["quota"]), format!("quota: {problem}")),
            false => (own.to_vec(), format!("connection '{}': {problem}", connection.id)),
        };
        if self.document.is_hollow(&place) {
            return;
        }
        let keys = ["calls", "window", "burst", "bulk_floor", "app_depth", "static_share"];
        place.extend(keys.into_iter().find(|key| problem.starts_with(key)).map(PathStep::Key));
        self.refuse(&place, message);
    }

    fn token(&mut self, path: &[PathStep], connection: &Connection, given: &mut Given<'_>) {
        if connection.token.is_token_itself() {
            let message = "the token itself seems to stand here: write the name of a variable or a file that holds it, and take a new token, as this one was in a file";
            return self.refuse(path, message);
        }
        if !self.look.secrets || connection.token.is_nameless() {
            return;
        }
        let read = match (connection.token.read(), given.last_good(connection)) {
            (Err(reason), Some(token)) => {
                let name = &connection.id;
                let message = format!("{reason}; the last good token of '{name}' stays in use");
                self.warn(path, message);
                given.unreadable.insert(name.clone());
                Ok(token)
            }
            (read, _) => read,
        };
        let Some(token) = self.accept(path, read) else {
            return;
        };
        if let Some(twin) = given.add(&connection.id, token) {
            let message = format!(
                "connections '{twin}' and '{}' have one token: they would share one quota unknowingly",
                connection.id
            );
            self.refuse(path, message);
        }
    }
}
