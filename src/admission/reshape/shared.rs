//! The named pools of every workspace, which its connections share.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::members::{Members, Named, new_file};
use super::super::quotas::Core;
use super::super::store::Seeker;
use super::{Change, Seated};
use crate::catalog::CONNECTION_POOL;
use crate::quota::slots::RestRule;
use crate::quota::{Moment, Past, PoolId, PoolSettings};

/// Who is in a workspace.
#[derive(Default)]
struct Inhabitants<'a> {
    /// Its connections, by their places in the list of members.
    members: Vec<usize>,
    /// Those that are new.
    joined: Vec<&'a Seated<'a>>,
}

/// A pool that a workspace wants, and where its slots come from.
struct Wanted<'a> {
    workspace: &'a str,
    settings: &'a PoolSettings,
    /// The pools that its connections pay under this name.
    same: Vec<PoolId>,
    /// The pools that they paid in its place.
    instead: Vec<PoolId>,
    base: Option<PoolId>,
}

impl Core {
    /// The named pools of every workspace.
    pub(super) fn share_pools(&mut self, change: &Change<'_>, seated: &[Seated<'_>], now: Moment) {
        let workspaces = workspaces(&self.members, seated);
        let mut wanted = self.wanted(change, &workspaces);
        find_bases(&self.members, change, &mut wanted);
        for Wanted { workspace, settings, same, instead, base } in wanted {
            let rest = RestRule::of(settings.window, settings.hard_limit);
            let sources: BTreeSet<PoolId> = same.into_iter().chain(instead).collect();
            let sources = sources.into_iter().filter(|pool| Some(*pool) != base);
            let mut until: Vec<Moment> =
                sources.flat_map(|pool| self.quota.rests(pool, &rest)).collect();
            let Inhabitants { members, joined } = &workspaces[workspace];
            until.extend(self.left_of(change, settings, joined));
            let pool = self.named_pool(change.edition, workspace, settings, base, now);
            self.quota.carry(pool, &until, now);
            for at in members {
                self.members.list[*at].pools.insert(settings.name.clone(), pool);
            }
        }
    }

    /// Every named pool of every workspace, with where its slots are now.
    fn wanted<'a>(
        &self,
        change: &Change<'a>,
        workspaces: &BTreeMap<&'a str, Inhabitants<'a>>,
    ) -> Vec<Wanted<'a>> {
        let mut wanted = Vec::new();
        for (workspace, Inhabitants { members, .. }) in workspaces {
            let members = || members.iter().map(|at| &self.members.list[*at]);
            for settings in &change.plan.named {
                let before = change.before.get(settings.name.as_str());
                let instead = members().flat_map(|member| {
                    let paid = before.into_iter().flatten();
                    paid.filter_map(|name| match *name {
                        CONNECTION_POOL => Some(member.own),
                        name => member.pools.get(name).copied(),
                    })
                });
                wanted.push(Wanted {
                    workspace,
                    settings,
                    same: members().filter_map(|m| m.pools.get(&settings.name).copied()).collect(),
                    instead: instead.collect(),
                    base: None,
                });
            }
        }
        wanted
    }

    /// What an earlier process, or another tenant's quotas, left of a pool for the connections
    /// `joined`, which are new.
    fn left_of(
        &self,
        change: &Change<'_>,
        settings: &PoolSettings,
        joined: &[&Seated<'_>],
    ) -> Vec<Moment> {
        let inherited = joined.iter().filter_map(|seat| seat.inherits.get(&settings.name));
        let mut until: Vec<Moment> = inherited.flatten().copied().collect();
        if let Some(store) = self.store().filter(|_| !joined.is_empty()) {
            let seekers: Vec<Seeker<'_>> =
                joined.iter().map(|seat| seat.seeker(change, store)).collect();
            match store.past(&seekers, settings, false, change.base) {
                Past::Fresh | Past::Lent => {}
                Past::Resting(rests) => until.extend(rests),
                Past::Unknown => {
                    let rest = RestRule::of(settings.window, settings.hard_limit);
                    let rested = rest.after_no_response(store.opened(change.base));
                    until.extend(std::iter::repeat_n(rested, settings.calls as usize));
                }
            }
        }
        until
    }

    /// The pool of a workspace, which goes on from `base` or is new.
    fn named_pool(
        &mut self,
        edition: u64,
        workspace: &str,
        settings: &PoolSettings,
        base: Option<PoolId>,
        now: Moment,
    ) -> PoolId {
        let pool = base.unwrap_or_else(|| {
            let settings = PoolSettings { past: self.past(), ..settings.clone() };
            let pool = self.quota.add_pool(&settings, self.members.vacant_pool(), now);
            let named = Named {
                pool,
                workspace: String::new(),
                name: String::new(),
                file: new_file(),
                edition,
            };
            self.members.named.push(named);
            pool
        });
        // From the end, where a new one is.
        if let Some(named) = self.members.named.iter_mut().rfind(|named| named.pool == pool) {
            named.workspace = workspace.to_owned();
            named.name.clone_from(&settings.name);
            named.edition = edition;
        }
        self.quota.rename(pool, &settings.name);
        self.quota.set_window(pool, settings.window, settings.hard_limit, now);
        self.quota.set_limit(pool, settings.calls, now);
        pool
    }
}

fn workspaces<'a>(
    members: &Members,
    seated: &'a [Seated<'a>],
) -> BTreeMap<&'a str, Inhabitants<'a>> {
    let mut workspaces: BTreeMap<&str, Inhabitants<'_>> = BTreeMap::new();
    for seat in seated {
        let inhabitants = workspaces.entry(&seat.plan.workspace).or_default();
        inhabitants.joined.extend(Some(seat).filter(|seat| seat.number.is_none()));
    }
    for (at, member) in members.list.iter().enumerate() {
        if member.edition == members.edition
            && let Some(inhabitants) = workspaces.get_mut(member.workspace.as_str())
        {
            inhabitants.members.push(at);
        }
    }
    workspaces
}

/// Which pool goes on as which: the one of the same workspace and name, then the one that its
/// connections pay under the name, then one that is paid no more, then one that was there before.
fn find_bases(members: &Members, change: &Change<'_>, wanted: &mut [Wanted<'_>]) {
    let declared: HashSet<&str> = change.plan.named.iter().map(|pool| pool.name.as_str()).collect();
    let home = |named: &'_ Named| (named.workspace.clone(), named.name.clone());
    let mut of = HashMap::new();
    let mut at_home: HashMap<(String, String), Vec<PoolId>> = HashMap::new();
    for named in &members.named {
        of.insert(named.pool, named);
        at_home.entry(home(named)).or_default().push(named.pool);
    }
    let mut taken = HashSet::new();
    for rule in 0..4 {
        for want in wanted.iter_mut().filter(|want| want.base.is_none()) {
            let free = |pool: &PoolId| !taken.contains(pool);
            let key = (want.workspace.to_owned(), want.settings.name.clone());
            let at_home = at_home.get(&key).map(Vec::as_slice).unwrap_or_default();
            want.base = match rule {
                0 => want.same.iter().copied().find(|pool| free(pool) && at_home.contains(pool)),
                1 => want.same.iter().copied().find(free),
                2 => want.instead.iter().copied().find(|pool| {
                    let named = of.get(pool).is_some_and(|n| !declared.contains(n.name.as_str()));
                    free(pool) && named
                }),
                _ => at_home.iter().copied().find(free),
            };
            taken.extend(want.base);
        }
    }
}
