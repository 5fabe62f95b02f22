//! Decides which remembered entries are forgotten: the old ones, and if room is needed, the oldest
//! of the connection that has the most. So a connection with no more than its equal share of the
//! whole loses nothing to others. Each may use what others leave. Pure: time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::clock::Instant;

/// Stands for a connection: a hash of its name.
pub(super) type Owner = [u8; 16];

/// Order and size of entries that are stored elsewhere, under keys `K`.
pub(super) struct Retention<K> {
    capacity: usize,
    time: Duration,
    octets: usize,
    next: u64,
    /// The ages of all entries, oldest first.
    ages: BTreeMap<u64, (Instant, Owner)>,
    owners: HashMap<Owner, Owned<K>>,
}

struct Owned<K> {
    octets: usize,
    /// The entries, oldest first, each with its bytes.
    order: BTreeMap<u64, (K, usize)>,
}

/// The place of a key in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    owner: Owner,
    number: u64,
}

impl Place {
    /// The connection that it belongs to.
    pub(super) fn owner(self) -> Owner {
        self.owner
    }
}

impl<K: Copy> Retention<K> {
    /// Keeps entries for `time`, and at most `capacity` bytes over all connections.
    pub(super) fn new(capacity: usize, time: Duration) -> Self {
        let (ages, owners) = (BTreeMap::new(), HashMap::new());
        Self { capacity, time, octets: 0, next: 0, ages, owners }
    }

    /// `key` is remembered from `since` on and takes `octets` bytes. [`evict`](Self::evict) then
    /// says which entries must go.
    pub(super) fn enter(&mut self, owner: Owner, key: K, octets: usize, since: Instant) -> Place {
        let number = self.next;
        self.next += 1;
        self.octets += octets;
        self.ages.insert(number, (since, owner));
        let owned = self.owners.entry(owner);
        let owned = owned.or_insert_with(|| Owned { octets: 0, order: BTreeMap::new() });
        owned.octets += octets;
        owned.order.insert(number, (key, octets));
        Place { owner, number }
    }

    /// The entry at `place` is forgotten.
    pub(super) fn leave(&mut self, place: Place) {
        self.remove(place);
    }

    /// The next entry to forget, if there is one. It has left the order already.
    pub(super) fn evict(&mut self, now: Instant) -> Option<K> {
        let (number, (since, owner)) = self.ages.first_key_value()?;
        if now.saturating_duration_since(*since) >= self.time {
            return self.remove(Place { owner: *owner, number: *number });
        }
        if self.octets <= self.capacity {
            return None;
        }
        let most = self.owners.iter().max_by_key(|(owner, owned)| (owned.octets, **owner));
        let (owner, owned) = most?;
        let (number, _) = owned.order.first_key_value()?;
        self.remove(Place { owner: *owner, number: *number })
    }

    /// Bytes of all entries.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    fn remove(&mut self, place: Place) -> Option<K> {
        self.ages.remove(&place.number)?;
        let owned = self.owners.get_mut(&place.owner)?;
        let (key, octets) = owned.order.remove(&place.number)?;
        owned.octets -= octets;
        self.octets -= octets;
        if owned.order.is_empty() {
            self.owners.remove(&place.owner);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn evicted(retention: &mut Retention<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| retention.evict(now)).collect()
    }

    #[test]
    fn what_left_takes_no_room_and_does_not_come_back() {
        let (now, mut retention) = (Instant::now(), Retention::new(100, HOUR));
        for key in 0..100_000 {
            let place = retention.enter([0; 16], key, 60, now);
            retention.leave(place);
        }
        assert_eq!((retention.octets, retention.ages.len(), retention.owners.len()), (0, 0, 0));
        assert_eq!(evicted(&mut retention, now + HOUR), [0_u32; 0]);
    }

    proptest! {
        #[test]
        fn a_connection_within_its_share_loses_nothing_to_others(
            owners in 1..6_u8,
            own in 0..40_usize,
            others in prop::collection::vec((1..6_u8, 1..30_usize), 0..400),
        ) {
            let (now, capacity) = (Instant::now(), 1_000);
            let mut retention = Retention::new(capacity, HOUR);
            let share = capacity / usize::from(owners);
            let own = own.min(share / 10);
            for key in 0..own {
                retention.enter([0; 16], u32::try_from(key).unwrap(), 10, now);
                prop_assert!(retention.evict(now).is_none());
            }
            for (owner, octets) in others {
                // Together with owner 0 they are no more than `owners`.
                let other = owner % owners;
                if other > 0 {
                    retention.enter([other; 16], 1_000, octets, now);
                }
                for key in evicted(&mut retention, now) {
                    prop_assert_eq!(key, 1_000);
                }
                prop_assert!(retention.octets() <= capacity);
            }
        }

        #[test]
        fn of_one_connection_the_oldest_goes_first_and_bounds_hold(
            steps in prop::collection::vec((0..3_u8, 1..200_usize, 0..60_u64), 1..200),
        ) {
            let (mut now, mut retention) = (Instant::now(), Retention::new(1_000, HOUR / 60));
            let mut last = [None; 3];
            for (key, (owner, octets, seconds)) in (0_u32..).zip(steps) {
                now += Duration::from_secs(seconds);
                // A key that names its owner.
                retention.enter([owner; 16], key * 3 + u32::from(owner), octets, now);
                for gone in evicted(&mut retention, now) {
                    let last = &mut last[(gone % 3) as usize];
                    prop_assert!(*last < Some(gone));
                    *last = Some(gone);
                }
                prop_assert!(retention.octets() <= 1_000);
                let sum: usize = retention.owners.values().map(|owned| owned.octets).sum();
                let count: usize = retention.owners.values().map(|owned| owned.order.len()).sum();
                prop_assert_eq!((sum, count), (retention.octets, retention.ages.len()));
            }
            prop_assert!(retention.evict(now + HOUR).is_some());
        }
    }
}
