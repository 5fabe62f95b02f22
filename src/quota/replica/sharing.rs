//! Which pools are shared, while the replica runs.

use super::super::moment::Moment;
use super::super::pools::PoolId;
use super::blocks::SharedPool;
use super::books::PoolBooks;
use super::{Life, Replica};

impl Replica {
    /// A further pool is shared: one of a number that is not ([`Replica::is_shared`]).
    pub fn share(&mut self, pool: SharedPool, now: Moment) {
        self.pools.push(PoolBooks::new(pool));
        self.soon(now);
    }

    /// A pool is shared no more, once its slots went back: no call pays it from now on. Its number
    /// is free when [`Replica::is_shared`] says so.
    pub fn unshare(&mut self, pool: PoolId, now: Moment) {
        self.pools.iter_mut().filter(|b| b.shared.id == pool).for_each(PoolBooks::retire);
        self.forget_retired();
        self.soon(now);
    }

    /// The limit of a pool changed.
    pub fn limit(&mut self, pool: PoolId, calls: u32, version: u64, now: Moment) {
        if let Some(books) = self.pools.iter_mut().find(|books| books.shared.id == pool) {
            books.limit(calls, version);
        }
        self.soon(now);
    }

    /// The settings say another limit. It holds on all replicas, as what was loaded last does.
    pub fn relimit(&mut self, pool: PoolId, calls: u32, now: Moment) {
        if let Some(books) = self.pools.iter_mut().find(|books| books.shared.id == pool)
            && books.shared.calls != calls
        {
            books.relimit(calls);
            self.soon(now);
        }
    }

    /// Blocks of another size, if the ledger was never asked.
    pub fn set_block(&mut self, pool: PoolId, block: u32) {
        if self.seq > 0 {
            return;
        }
        let known = self.pools.iter_mut().find(|books| books.shared.id == pool);
        if let Some(books) = known.filter(|books| books.shared.block != block) {
            *books = PoolBooks::new(SharedPool { block, ..books.shared.clone() });
        }
    }

    /// A replica that sleeps has nothing to give back.
    pub(super) fn forget_retired(&mut self) {
        if matches!(self.life, Life::Asleep | Life::Gone) {
            self.pools.retain(|books| !books.is_retired());
        }
    }
}
