//! Pools whose slots are lent: each has a ledger, which goes by the tokens that pay it.

use super::super::identity::{Identity, IdentityKey};
use super::super::lending::LedgerPlace;
use super::super::quotas::Core;
use super::{Change, Seated};
use crate::catalog::CONNECTION_POOL;
use crate::ids::ConnectionId;
use crate::quota::replica::block_size;
use crate::quota::{ConnectionNo, Moment, Past, PoolId};

impl Core {
    /// What is known of the past of a pool before anybody looks: where slots are lent, it is the
    /// ledger that knows.
    pub(super) fn past(&self) -> Past {
        if self.lending.is_some() { Past::Lent } else { Past::Fresh }
    }

    /// Has the slots of all pools lent, if they are lent at all.
    pub(super) fn lend(
        &mut self,
        change: &Change<'_>,
        seated: &[Seated<'_>],
        numbers: &[ConnectionNo],
        now: Moment,
    ) {
        if self.lending.is_none() {
            return;
        }
        for (seat, number) in seated.iter().zip(numbers) {
            let Some(member) = self.members.by_number(*number) else { continue };
            let calls = seat.plan.settings.pool.calls;
            let place = own_place(change.key, &member.id, seat.identity, calls);
            self.lend_pool(member.own, place, calls, now);
        }
        for settings in &change.plan.named {
            let named = self.members.named.iter();
            let named: Vec<_> = named
                .filter(|named| named.edition == change.edition && named.name == settings.name)
                .map(|named| (named.pool, named.workspace.clone()))
                .collect();
            for (pool, workspace) in named {
                let tokens = seated.iter().filter(|seat| seat.plan.workspace == workspace);
                let mut identities: Vec<Identity> = tokens.map(|seat| seat.identity).collect();
                identities.sort_unstable();
                identities.push(change.key.of_place(&format!("workspace\0{workspace}")));
                let place = LedgerPlace::new(&settings.name, &identities, settings.calls);
                self.lend_pool(pool, place, settings.calls, now);
            }
        }
    }

    fn lend_pool(&mut self, pool: PoolId, place: LedgerPlace, calls: u32, now: Moment) {
        let Some(lending) = &self.lending else { return };
        match self.ledgers.get_mut(&pool) {
            Some(known) => known.becomes(place),
            None => {
                self.quota.lend(pool, lending.terms(), (calls, block_size(calls)), now);
                self.ledgers.insert(pool, place);
            }
        }
    }

    /// Whether a pool that nobody pays any more has given all back.
    pub(in super::super) fn has_left(&mut self, pool: PoolId, now: Moment) -> bool {
        let left = self.quota.leave_ledger(pool, now);
        if left {
            self.quota.forget_ledger(pool);
            self.ledgers.remove(&pool);
        }
        left
    }
}

/// Where the ledger of a connection's own pool is.
pub(in super::super) fn own_place(
    key: &IdentityKey,
    connection: &ConnectionId,
    identity: Identity,
    calls: u32,
) -> LedgerPlace {
    let name = key.of_place(&format!("connection\0{connection}"));
    LedgerPlace::new(CONNECTION_POOL, &[identity, name], calls)
}
