//! Which connection of a configuration is which that is known: by its token, by one that it had, by
//! its name, by where its token stands. The last is for a token that was replaced at its source
//! unseen, before its connection was renamed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::identity::Identity;
use super::plan::{AdmissionPlan, AppPlan, AppsByConnection, ConnectionQuotaPlan};
use super::quotas::Quotas;
use super::reshape::Seated;
use crate::catalog::CONNECTION_POOL;
use crate::ids::{ConnectionId, TenantId};
use crate::numbers::ConnectionIx;
use crate::quota::slots::RestRule;
use crate::quota::{ConnectionNo, Moment};

/// A connection as the tenants' quotas know it.
struct Known {
    /// Which quotas.
    at: usize,
    number: ConnectionNo,
    id: ConnectionId,
    reference: String,
    identities: Vec<Identity>,
    edition: u64,
}

/// Where the connections of a configuration are, in the order of the plan.
pub(super) struct Placing {
    /// Whose quotas, by their place in the list; beyond its end are new ones.
    pub(super) at: usize,
    number: Option<ConnectionNo>,
    /// Connections that go by its name or by a token of it, and are others by now.
    kin: Vec<(usize, ConnectionNo)>,
}

/// Finds a place for every connection of `plan`, whose tokens are `identities`, among `tenants`.
///
/// # Errors
/// When two connections of one workspace are in different quotas: one pool of both can't be made.
pub(super) fn place(
    tenants: &[(TenantId, Arc<Quotas>)],
    plan: &AdmissionPlan,
    apps: &AppsByConnection<'_>,
    identities: &[Identity],
) -> Result<Vec<Placing>, String> {
    let known = known(tenants);
    let mut places: Vec<Option<&Known>> = identities.iter().map(|_| None).collect();
    let mut taken = HashSet::new();
    type Rule = fn(&Known, &ConnectionQuotaPlan, &Identity) -> bool;
    let rules: [Rule; 4] = [
        |known, _, identity| known.identities.first() == Some(identity),
        |known, _, identity| known.identities.contains(identity),
        |known, plan, _| known.id == plan.id,
        |known, plan, _| known.reference == plan.reference,
    ];
    for rule in rules {
        for ((place, identity), (_, plan)) in
            places.iter_mut().zip(identities).zip(plan.connections())
        {
            if place.is_none() {
                let fits = |known: &&Known| {
                    !taken.contains(&(known.at, known.number)) && rule(known, plan, identity)
                };
                // The latest that went by it.
                *place = known.iter().filter(fits).max_by_key(|known| known.edition);
                taken.extend(place.map(|known| (known.at, known.number)));
            }
        }
    }
    let at = quotas_of(tenants, plan, &places)?;
    for (place, (_, connection)) in places.iter().zip(plan.connections()) {
        let (Some(known), Some(apps)) = (place, apps.get(&connection.id)) else { continue };
        has_room(&tenants[known.at].1, known.number, connection, apps)?;
    }
    let placed = at.into_iter().zip(places).zip(identities.iter().zip(plan.connections()));
    let placings = placed.map(|((at, place), (identity, (_, plan)))| {
        let kin = known.iter().filter(|other| {
            place.is_none() && rules.iter().any(|rule| rule(other, plan, identity))
        });
        let kin = kin.map(|other| (other.at, other.number)).collect();
        Placing { at, number: place.map(|known| known.number), kin }
    });
    Ok(placings.collect())
}

fn known(tenants: &[(TenantId, Arc<Quotas>)]) -> Vec<Known> {
    let each = tenants.iter().enumerate().flat_map(|(at, (_, quotas))| {
        quotas.look(|core, _| {
            let members = core.members.list.iter().map(|member| Known {
                at,
                number: member.number,
                id: member.id.clone(),
                reference: member.reference.clone(),
                identities: member.identities.iter().map(|(identity, _)| *identity).collect(),
                edition: member.edition,
            });
            members.collect::<Vec<_>>()
        })
    });
    each.collect()
}

/// Which quotas each connection is in: where it is, where its workspace is, where its tenant is.
fn quotas_of(
    tenants: &[(TenantId, Arc<Quotas>)],
    plan: &AdmissionPlan,
    places: &[Option<&Known>],
) -> Result<Vec<usize>, String> {
    let mut workspaces: HashMap<&str, usize> = HashMap::new();
    let mut homes: HashMap<&TenantId, usize> = HashMap::new();
    for (place, (tenant, connection)) in places.iter().zip(plan.connections()) {
        let Some(known) = place else { continue };
        homes.entry(&tenant.id).or_insert(known.at);
        let at = *workspaces.entry(&connection.workspace).or_insert(known.at);
        if at != known.at {
            return Err(format!(
                "connection '{}' comes from another tenant into workspace '{}', whose calls are counted elsewhere: restart the gateway for that",
                connection.id, connection.workspace
            ));
        }
    }
    let mut next = tenants.len();
    let at = places.iter().zip(plan.connections()).map(|(place, (tenant, connection))| {
        if let Some(known) = place {
            return known.at;
        }
        if let Some(at) = workspaces.get(connection.workspace.as_str()) {
            return *at;
        }
        let at = *homes.entry(&tenant.id).or_insert_with(|| {
            let known = tenants.iter().position(|(id, _)| *id == tenant.id);
            known.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        });
        workspaces.insert(&connection.workspace, at);
        at
    });
    Ok(at.collect())
}

/// Whether there are numbers for the apps that `connection` did not have before.
fn has_room(
    quotas: &Quotas,
    number: ConnectionNo,
    connection: &ConnectionQuotaPlan,
    apps: &[&AppPlan],
) -> Result<(), String> {
    quotas.look(|core, _| {
        let known = core.members.apps.get(&number);
        let is_known = |app: &AppPlan| known.is_some_and(|known| known.contains_key(&app.app));
        let new = apps.iter().filter(|app| !is_known(app));
        if new.count() <= core.quota.spare_apps(number) {
            return Ok(());
        }
        Err(format!(
            "connection '{}' had too many other apps of late: reload again when their calls are over",
            connection.id
        ))
    })
}

impl Placing {
    /// The connection as its quotas are told of it.
    pub(super) fn seated<'a>(
        &self,
        tenants: &[(TenantId, Arc<Quotas>)],
        (ix, plan): (ConnectionIx, &'a ConnectionQuotaPlan),
        identity: Identity,
    ) -> Seated<'a> {
        let rest = RestRule::of(plan.settings.pool.window, plan.settings.pool.hard_limit);
        let mut inherits: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for (at, number) in &self.kin {
            let Some((_, quotas)) = tenants.get(*at) else { continue };
            quotas.look(|core, _| {
                let Some(member) = core.members.by_number(*number) else { return };
                let own = (CONNECTION_POOL, &member.own);
                let named = member.pools.iter().map(|(name, pool)| (name.as_str(), pool));
                for (name, pool) in std::iter::once(own).chain(named) {
                    let rests = core.quota.rests(*pool, &rest);
                    inherits.entry(name.to_owned()).or_default().extend(rests);
                }
            });
        }
        Seated { ix, plan, identity, number: self.number, inherits }
    }
}
