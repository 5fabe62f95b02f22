//! The places of a port: how many connections at a time, how many from one address, and who makes room.
//!
//! A connection that rests between two requests costs its client little, and a port that is full of
//! them is closed to everybody. So when all places are taken and somebody waits, those that rest
//! longest are closed, of the address that has the most of them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use crate::clock::Instant;

/// Until a full port looks again for connections that came to rest.
const LOOK: Duration = Duration::from_millis(100);

/// A connection of a port for many that rested less is not closed: its request may be on its way.
const REST: Duration = Duration::from_secs(1);

/// Who may hold how many connections of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// For many: while calls are under way on all connections, newcomers wait.
    ForMany {
        /// Connections at a time.
        sockets: usize,
        /// Connections at a time from one address; more are closed as they come.
        per_peer: Option<usize>,
    },
    /// For few, and never to be blinded: where no connection rests, the oldest makes room.
    ForFew {
        /// Connections at a time.
        sockets: usize,
    },
}

/// The places of one port.
pub(super) struct Places {
    bound: Bound,
    permits: Arc<Semaphore>,
    /// std, not tokio: each section is short and never awaits.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    /// Where connections of one address are bounded: how many it has.
    by_peer: HashMap<IpAddr, usize>,
    /// Who is there, oldest first.
    guests: BTreeMap<u64, Arc<Guest>>,
}

struct Guest {
    peer: IpAddr,
    since: Instant,
    /// From the first octet of HTTP on.
    activity: OnceLock<Arc<Activity>>,
    end: CancellationToken,
}

/// One connection's place; it is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    guest: Arc<Guest>,
    _permit: OwnedSemaphorePermit,
}

// === impl Places ===

impl Places {
    pub(super) fn new(bound: Bound) -> Self {
        // A semaphore counts no further.
        let permits = Arc::new(Semaphore::new(bound.sockets().min(Semaphore::MAX_PERMITS)));
        Self { bound, permits, held: Mutex::default() }
    }

    /// A place for a connection from `peer`, as soon as there is one; none if its address has its part.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = network(peer);
        if !self.held().counts(peer, self.bound) {
            return None;
        }
        let permit = loop {
            if self.permits.available_permits() == 0 {
                self.make_room();
            }
            if let Ok(permit) = timeout(LOOK, self.permits.clone().acquire_owned()).await {
                break permit.expect("the semaphore is never closed");
            }
        };
        let (activity, end) = (OnceLock::new(), CancellationToken::new());
        let guest = Arc::new(Guest { peer, since: Instant::now(), activity, end });
        let mut held = self.held();
        held.next += 1;
        let number = held.next;
        held.guests.insert(number, guest.clone());
        drop(held);
        Some(Place { places: self.clone(), number, guest, _permit: permit })
    }

    fn make_room(&self) {
        self.held().who_makes_room(self.bound).iter().for_each(|guest| guest.end.cancel());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bound {
    fn sockets(self) -> usize {
        let (Self::ForMany { sockets, .. } | Self::ForFew { sockets }) = self;
        sockets
    }
}

impl Held {
    /// Counts one more of `peer`, where addresses are bounded; false if it has its part.
    fn counts(&mut self, peer: IpAddr, bound: Bound) -> bool {
        let Bound::ForMany { per_peer: Some(most), .. } = bound else { return true };
        let count = self.by_peer.entry(peer).or_default();
        let has_room = *count < most;
        *count += usize::from(has_room);
        has_room
    }

    /// Those that rest longest, of the address with the most of them. Several at once on a large port,
    /// since each look goes over all.
    fn who_makes_room(&self, bound: Bound) -> Vec<Arc<Guest>> {
        let now = Instant::now();
        let rest = if matches!(bound, Bound::ForMany { .. }) { REST } else { Duration::ZERO };
        let here = || self.guests.values().filter(|guest| !guest.end.is_cancelled());
        let rested = |guest: &Arc<Guest>| {
            let since = guest.resting_since().filter(|since| *since + rest <= now)?;
            Some((since, guest.clone()))
        };
        let mut able: Vec<_> = here().filter_map(rested).collect();
        if able.is_empty() && matches!(bound, Bound::ForFew { .. }) {
            able = here().map(|guest| (guest.since, guest.clone())).collect();
        }
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        able.iter().for_each(|(_, guest)| *counts.entry(guest.peer).or_default() += 1);
        let Some(most) = counts.into_iter().max_by_key(|(_, count)| *count) else {
            return Vec::new();
        };
        able.retain(|(_, guest)| guest.peer == most.0);
        able.sort_by_key(|(since, _)| *since);
        able.truncate((bound.sockets() / 64).max(1));
        able.into_iter().map(|(_, guest)| guest).collect()
    }
}

impl Guest {
    /// Since when no request is under way; a TLS handshake is no request.
    fn resting_since(&self) -> Option<Instant> {
        self.activity.get().map_or(Some(self.since), |activity| activity.resting_since())
    }
}

/// Whom an address stands for: an IPv6 host has a network of 64 bits to itself.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

// === impl Place ===

impl Place {
    /// From now on `activity` tells whether the connection rests.
    pub(super) fn watch(&self, activity: Arc<Activity>) {
        let _ = self.guest.activity.set(activity);
    }

    /// Waits until somebody else needs the place.
    pub(super) async fn is_needed(&self) {
        self.guest.end.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (mut held, peer) = (self.places.held(), self.guest.peer);
        held.guests.remove(&self.number);
        if let Some(count) = held.by_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                held.by_peer.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::activity::Answering;
    use super::super::tests::limits;
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::time::advance;

    fn peer(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    /// A place, if there is one at once.
    fn enter(places: &Arc<Places>, host: u8) -> Option<Place> {
        places.take(peer(host)).now_or_never().flatten()
    }

    /// A place on which a call is under way until the second is dropped.
    fn busy(places: &Arc<Places>, host: u8) -> (Place, Answering) {
        let place = enter(places, host).unwrap();
        let activity = Arc::new(Activity::new(&limits()));
        place.watch(activity.clone());
        (place, Answering::begin(activity, None))
    }

    fn for_many(sockets: usize, per_peer: Option<usize>) -> Arc<Places> {
        Arc::new(Places::new(Bound::ForMany { sockets, per_peer }))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_has_its_part_gets_no_more_until_it_gives_one_back() {
        let places = for_many(10, Some(2));
        let first = enter(&places, 1).unwrap();
        let _second = enter(&places, 1).unwrap();
        assert!(enter(&places, 1).is_none());
        let _other = enter(&places, 2).unwrap();
        drop(first);
        assert!(enter(&places, 1).is_some());
        assert_eq!(places.permits.available_permits(), 8, "what was refused holds nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_rests_makes_room_and_whoever_is_served_does_not() {
        let places = for_many(3, None);
        let (served, call) = busy(&places, 1);
        let resting = enter(&places, 1).unwrap();
        advance(REST / 2).await;
        let younger = enter(&places, 1).unwrap();
        advance(REST / 2).await;
        assert!(enter(&places, 2).is_none());
        let needed = [&served, &resting, &younger].map(|place| place.guest.end.is_cancelled());
        assert_eq!(needed, [false, true, false], "the one that rests longest");
        drop(resting);
        let _third = enter(&places, 2).unwrap();
        drop(call);
        let newcomer = tokio::spawn({
            let places = places.clone();
            async move { places.take(peer(3)).await }
        });
        younger.is_needed().await;
        drop(younger);
        assert!(newcomer.await.unwrap().is_some(), "who waits has the place that is given back");
    }

    #[tokio::test(start_paused = true)]
    async fn while_all_are_served_a_port_for_many_lets_wait_and_one_for_few_cuts_the_oldest() {
        for (bound, cut) in [
            (Bound::ForMany { sockets: 2, per_peer: None }, false),
            (Bound::ForFew { sockets: 2 }, true),
        ] {
            let places = Arc::new(Places::new(bound));
            let (calls, _more) = (busy(&places, 1), busy(&places, 2));
            advance(REST * 60).await;
            assert!(enter(&places, 3).is_none());
            let counts = places.held().guests.values().filter(|g| g.end.is_cancelled()).count();
            assert_eq!(counts, usize::from(cut));
            drop(calls);
        }
    }

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    proptest! {
        /// Each newcomer finds a place, and who has fewer than another is never sent away.
        #[test]
        fn the_newest_finds_room_and_the_address_with_the_most_makes_it(
            peers in prop::collection::vec(0_u8..6, 1..120),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            let _inside = runtime.enter();
            let places = Arc::new(Places::new(Bound::ForFew { sockets: 12 }));
            let mut here: Vec<Place> = Vec::new();
            for host in peers {
                let place = enter(&places, host).or_else(|| {
                    let count = |peer| here.iter().filter(|p| p.guest.peer == peer).count();
                    let most = here.iter().map(|place| count(place.guest.peer)).max();
                    let at = here.iter().position(|place| place.guest.end.is_cancelled())?;
                    assert_eq!(Some(count(here[at].guest.peer)), most);
                    here.remove(at);
                    enter(&places, host)
                });
                here.push(place.expect("a place"));
                prop_assert!(here.len() <= 12 && here.len() == places.held().guests.len());
            }
            drop(here);
            prop_assert_eq!(places.permits.available_permits(), 12);
        }
    }
}
