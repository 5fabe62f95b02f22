//! Blocks under load, and what the ledger's shares say to a queue.

use std::collections::BTreeMap;

use super::super::super::Moment;
use super::super::super::pools::{PoolId, Pools, SlotPool};
use super::super::super::rest::RestRule;
use super::super::super::slots::{HeldSlots, Settlement, Slots};
use super::super::{PoolGrant, Replica, Report, SharedPool, Sighting, SyncReply, SyncRequest};
use super::scene::{at, seconds};

struct Rig {
    replica: Replica,
    pools: Pools,
    pool: PoolId,
}

impl Rig {
    /// A replica with two blocks of four slots, all in use but for one of each.
    fn busy() -> (Self, Vec<HeldSlots>) {
        let mut pools = Pools::default();
        let rest = RestRule::of(seconds(60.0), seconds(60.0));
        let pool = pools.add(SlotPool::new("own", Slots::none(0, rest)));
        let shared =
            SharedPool { id: pool, name: "own".to_owned(), calls: 8, block: 4, version: 1 };
        let replica = Replica::new("one".to_owned(), seconds(20.0), vec![shared]);
        let mut rig = Self { replica, pools, pool };
        rig.replica.wants(8, at(1.0));
        rig.request(at(1.0));
        rig.accept(grant(2, &[(0, 0), (1, 0)], 2), at(1.1));
        let slots = &mut rig.pools.get_mut(pool).unwrap().slots;
        let mut calls: Vec<HeldSlots> =
            (0..8).map(|tag| slots.take(1, tag, at(1.2)).unwrap()).collect();
        for at_once in [calls.remove(7), calls.remove(3)] {
            assert!(slots.settle(at_once, Settlement::NothingSent, at(1.3)).is_some());
            slots.release_expired(at(1.3));
        }
        (rig, calls)
    }

    fn request(&mut self, now: Moment) -> SyncRequest {
        self.pools.release_expired(now, |_, _| ());
        let sighting = &Sighting::default();
        let demand = BTreeMap::new();
        let report = Report {
            demand,
            waiting: 9,
            interactive: 0,
            hurries: false,
            sighting,
            nonce: "0".to_owned(),
        };
        self.replica.request(&mut self.pools, report, now, |_, _| ())
    }

    fn accept(&mut self, said: PoolGrant, now: Moment) {
        let reply = SyncReply::Ok {
            seq: self.replica.asked_for().unwrap(),
            epoch: "e".to_owned(),
            epoch_number: 1,
            incarnation: "i".to_owned(),
            pools: vec![said],
        };
        assert!(self.replica.accept(&mut self.pools, &reply, now, |_, _| ()));
    }

    fn slots(&mut self) -> &mut Slots {
        &mut self.pools.get_mut(self.pool).unwrap().slots
    }
}

fn grant(blocks: u32, grant: &[(u32, u64)], target: u32) -> PoolGrant {
    let name = "own".to_owned();
    PoolGrant {
        pool: name,
        blocks,
        version: u64::from(9 - blocks),
        target,
        grant: grant.to_vec(),
        ..PoolGrant::default()
    }
}

#[test]
fn a_block_beyond_a_lowered_limit_is_used_no_more_and_goes_back_whole() {
    let (mut rig, calls) = Rig::busy();
    assert_eq!(rig.slots().free(), 2);
    rig.request(at(2.0));
    rig.accept(grant(1, &[], 1), at(2.1));
    assert_eq!(rig.replica.due(), at(2.105), "soon");
    let request = rig.request(at(2.2));
    assert_eq!(request.pools[0].hold, [(0, 140_060), (1, 140_060)]);
    assert_eq!(rig.slots().free(), 1, "the free slot of the other block");
    let free = rig.slots().take(1, 9, at(2.3)).unwrap();
    assert_eq!(rig.slots().ids(&free).collect::<Vec<_>>(), [3]);
    rig.accept(grant(1, &[], 1), at(2.3));
    assert_eq!(rig.replica.due(), at(3.3), "nothing can go back yet");
    for call in calls {
        assert!(rig.slots().settle(call, Settlement::FirstByteAt(at(4.0)), at(4.0)).is_some());
    }
    let request = rig.request(at(5.0));
    assert_eq!(request.pools[0].hold, [(0, 140_060)]);
    assert_eq!(request.pools[0].ret, [(1, 59_060)]);
    assert_eq!(rig.slots().limit(), 4);
}

#[test]
fn a_block_that_the_ledger_asks_for_goes_back_though_calls_wait_for_its_slots() {
    let (mut rig, calls) = Rig::busy();
    rig.request(at(2.0));
    rig.accept(PoolGrant { give: 1, ..grant(2, &[], 1) }, at(2.1));
    rig.request(at(2.2));
    assert_eq!(rig.slots().free(), 1);
    rig.accept(PoolGrant { give: 1, ..grant(2, &[], 1) }, at(2.3));
    for call in calls {
        assert!(rig.slots().settle(call, Settlement::FirstByteAt(at(4.0)), at(4.0)).is_some());
    }
    let request = rig.request(at(5.0));
    assert_eq!((request.pools[0].hold.len(), request.pools[0].ret.len()), (1, 1));
}

/// How many slots a pool has in all, as the ledger last said.
fn all_slots(replica: &Replica, pool: PoolId) -> Option<u32> {
    replica.lent(pool, Moment::ZERO).map(|lent| lent.all)
}

#[test]
fn shares_come_in_slots_and_the_limit_is_the_ledgers() {
    let (mut rig, _) = Rig::busy();
    let pool = rig.pool;
    rig.request(at(2.0));
    let shares = [("a", 1.5), ("b", 0.25)].map(|(app, share)| (app.to_owned(), share));
    rig.accept(PoolGrant { shares: shares.into(), ..grant(2, &[], 2) }, at(2.1));
    assert_eq!(rig.replica.shares(pool).collect::<Vec<_>>(), [("a", 6.0), ("b", 1.0)]);
    assert_eq!(rig.replica.shares(PoolId(9)).count(), 0);
    assert_eq!(all_slots(&rig.replica, pool), Some(8));
    rig.request(at(3.0));
    rig.accept(grant(1, &[], 1), at(3.1));
    assert_eq!((rig.replica.shares(pool).count(), all_slots(&rig.replica, pool)), (0, Some(4)));
}

#[test]
fn a_pool_that_is_shared_no_more_goes_back_as_its_calls_end_and_then_its_number_is_free() {
    let (mut rig, calls) = Rig::busy();
    let pool = rig.pool;
    rig.replica.unshare(pool, at(2.0));
    assert_eq!(rig.replica.due(), at(2.0));
    let request = rig.request(at(2.0));
    assert_eq!((request.pools[0].hold.len(), rig.slots().free()), (2, 0));
    rig.accept(grant(2, &[], 2), at(2.1));
    for call in calls {
        assert!(rig.slots().settle(call, Settlement::FirstByteAt(at(4.0)), at(4.0)).is_some());
    }
    let request = rig.request(at(5.0));
    assert_eq!((request.pools[0].hold.len(), request.pools[0].ret.len()), (0, 2));
    assert!(rig.replica.is_shared(pool), "no reply says yet that they are back");
    rig.accept(grant(2, &[], 0), at(5.1));
    assert!(!rig.replica.is_shared(pool));
    assert_eq!(rig.request(at(6.0)).pools, []);
}
