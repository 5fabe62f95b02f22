//! Several pools: all or none, whatever is asked of them, and closed ones.

use std::time::Duration;

use proptest::prelude::*;

use super::super::Moment;
use super::super::pools::{Paid, PoolId, Pools, Price, PriceError, SlotPool};
use super::super::slots::{RestRule, Settlement, Slots};

fn at(ms: u64) -> Moment {
    Moment::from(Duration::from_millis(ms))
}

fn pools(limits: &[u32]) -> Pools {
    let rest = RestRule::of(Duration::from_secs(60), Duration::from_secs(60));
    let mut pools = Pools::default();
    for limit in limits {
        pools.add(SlotPool::new("pool", Slots::fresh(*limit, rest)));
    }
    pools
}

fn price(parts: &[(u16, u32)]) -> Price {
    let parts: Vec<_> = parts.iter().map(|(pool, cost)| (PoolId(*pool), *cost)).collect();
    Price::new(&parts).unwrap()
}

#[test]
fn a_price_adds_up_and_drops_what_costs_nothing() {
    assert_eq!(price(&[(0, 1), (1, 0), (0, 2)]).of(PoolId(0)), 3);
    assert_eq!(price(&[(1, 0)]), Price::NOTHING);
    let many: Vec<_> = (0..5).map(|pool| (PoolId(pool), 1)).collect();
    assert_eq!(Price::new(&many), Err(PriceError::TooManyPools));
}

#[test]
fn a_vendor_refusal_closes_the_pool_that_allows_the_least() {
    let mut pools = pools(&[100, 20]);
    let both = price(&[(0, 1), (1, 1)]);
    assert_eq!(pools.narrowest(&both), Some(PoolId(1)));
    assert_eq!(pools.narrowest(&price(&[(0, 1)])), Some(PoolId(0)));
    assert_eq!(pools.narrowest(&Price::NOTHING), None);
    let asked = Some(Duration::from_secs(7));
    assert_eq!(pools.close(PoolId(1), asked, at(0), at(1000)), Some(at(8000)));
    assert!(!pools.affords(&both, at(7999)));
    assert!(pools.affords(&price(&[(0, 1)]), at(7999)));
    assert_eq!(pools.affordable_at(&both, at(1000)), Some(at(8000)));
    assert!(pools.affords(&both, at(8000)));
    // A shorter answer to another call does not open it again.
    pools.close(PoolId(1), Some(Duration::from_secs(1)), at(0), at(2000));
    assert!(!pools.affords(&both, at(7999)));
}

#[test]
fn refusals_without_a_time_double_up_to_the_window_once_a_round() {
    let mut pools = pools(&[100]);
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        // Three calls of one round are refused together.
        let taken = now;
        let until = (0..3).filter_map(|_| pools.close(PoolId(0), None, taken, now)).max().unwrap();
        pauses.push(until.since(now).as_secs());
        now = until + Duration::from_millis(1);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    now = now + Duration::from_secs(61);
    let until = pools.close(PoolId(0), None, now, now).unwrap();
    assert_eq!(until.since(now).as_secs(), 1, "after a calm window it starts again");
}

/// Takes one slot of a pool as soon as that opens and settles it as answered. Gives the moment.
fn call(pools: &mut Pools, refused: bool, now: Moment) -> Moment {
    let now = now.max(pools.get(PoolId(0)).unwrap().opens_at(now));
    let price = price(&[(0, 1)]);
    let paid = pools.pay(&price, 0, now).unwrap();
    if refused {
        pools.close(PoolId(0), None, now, now);
    }
    pools.settle(paid, (Settlement::FirstByteAt(now), refused), now, |_, _| {});
    now
}

proptest! {
    /// Refusals without a time in a row double the pause; a good answer to a call that was taken
    /// after the pause makes the next row begin with 1 s.
    #[test]
    fn a_success_ends_a_row_of_refusals(
        rounds in proptest::collection::vec((0..4_u32, 1..4_u32), 1..8)
    ) {
        let mut pools = pools(&[100]);
        let mut now = at(0);
        for (refusals, successes) in rounds {
            for nth in 0..refusals {
                now = call(&mut pools, true, now);
                let until = pools.get(PoolId(0)).unwrap().closed_until();
                prop_assert_eq!(until.since(now).as_secs(), 1 << nth);
                now = until;
            }
            for _ in 0..successes {
                now = call(&mut pools, false, now);
            }
        }
    }

    /// A call holds exactly what its price says or nothing at all, and a child that is full costs
    /// the parent nothing.
    #[test]
    fn all_pools_are_paid_or_none(
        steps in proptest::collection::vec((0..4u32, 0..4u32, 0..4u32, 0..20_000u64, any::<bool>()), 1..120)
    ) {
        let limits = [10, 4, 3];
        let mut pools = pools(&limits);
        let mut open: Vec<(Paid, [u32; 3])> = Vec::new();
        let mut now = at(0);
        for (a, b, c, passes, settles) in steps {
            now = now + Duration::from_millis(passes);
            pools.release_expired(now, |_, _| {});
            let before: Vec<u32> = pools.iter().map(|(_, pool)| pool.slots.free()).collect();
            let costs = [a, b, c];
            let price = price(&[(0, a), (1, b), (2, c)]);
            let affords = before.iter().zip(costs).all(|(free, cost)| *free >= cost);
            prop_assert_eq!(pools.affords(&price, now), affords);
            let paid = pools.pay(&price, 1, now);
            prop_assert_eq!(paid.is_some(), affords);
            let after: Vec<u32> = pools.iter().map(|(_, pool)| pool.slots.free()).collect();
            for (at, cost) in costs.into_iter().enumerate() {
                let taken = if affords { cost } else { 0 };
                prop_assert_eq!(after[at], before[at] - taken);
            }
            if let Some(paid) = paid {
                let held: u32 = paid.parts().map(|(_, held)| held.cost()).sum();
                prop_assert_eq!(held, a + b + c);
                open.push((paid, costs));
            }
            if settles && !open.is_empty() {
                let (paid, costs) = open.swap_remove(0);
                let mut heard = 0;
                pools.settle(paid, (Settlement::FirstByteAt(now), false), now, |_, _| heard += 1);
                // Calls older than the hard limit and the window were reclaimed.
                prop_assert!(heard == costs.iter().filter(|cost| **cost > 0).count() || heard == 0);
            }
        }
    }
}
