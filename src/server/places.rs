//! The places of a port: how many connections at a time, and how many from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Who may hold how many connections of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// For many: what finds no place waits in the kernel.
    Waits {
        /// Connections at a time.
        sockets: usize,
        /// Connections at a time from one address; more are closed as they come.
        per_peer: Option<usize>,
    },
    /// For few, and never to be blinded: the newest always finds a place. The oldest connection of
    /// the address that has the most makes room for it.
    MakesRoom {
        /// Connections at a time.
        sockets: usize,
    },
}

/// The places of one port.
pub(super) struct Places {
    bound: Bound,
    permits: Arc<Semaphore>,
    /// std, not tokio: each section is a few assignments and never awaits.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    /// Where connections of one address are bounded: how many it has.
    by_peer: HashMap<IpAddr, usize>,
    /// Where the newest finds room: who is there, oldest first.
    guests: Vec<Guest>,
}

struct Guest {
    number: u64,
    peer: IpAddr,
    end: CancellationToken,
}

/// One connection's place; it is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    peer: IpAddr,
    end: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

// === impl Places ===

impl Places {
    pub(super) fn new(bound: Bound) -> Self {
        let (Bound::Waits { sockets, .. } | Bound::MakesRoom { sockets }) = bound;
        // A semaphore counts no further.
        let permits = Arc::new(Semaphore::new(sockets.min(Semaphore::MAX_PERMITS)));
        Self { bound, permits, held: Mutex::default() }
    }

    /// Waits until one more connection may be accepted.
    pub(super) async fn room(&self) -> OwnedSemaphorePermit {
        self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// A place for a connection from `peer`, if it may have one.
    pub(super) fn take(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        peer: IpAddr,
    ) -> Option<Place> {
        let (peer, end) = (network(peer), CancellationToken::new());
        let mut held = self.held();
        held.next += 1;
        let number = held.next;
        match self.bound {
            Bound::Waits { per_peer: None, .. } => {}
            Bound::Waits { per_peer: Some(most), .. } => {
                let count = held.by_peer.entry(peer).or_default();
                if *count >= most {
                    return None;
                }
                *count += 1;
            }
            Bound::MakesRoom { sockets } => {
                held.guests.push(Guest { number, peer, end: end.clone() });
                // A quarter stays free, so that the next is accepted while others are on their way out.
                if held.guests.len() > (sockets - sockets / 4).max(1) {
                    let leaver = held.who_makes_room();
                    held.guests.remove(leaver).end.cancel();
                }
            }
        }
        drop(held);
        Some(Place { places: self.clone(), number, peer, end, _permit: permit })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The oldest guest of the address that has the most of them.
    fn who_makes_room(&self) -> usize {
        let count = |peer| self.guests.iter().filter(|guest| guest.peer == peer).count();
        let most = self.guests.iter().map(|guest| count(guest.peer)).max();
        self.guests.iter().position(|guest| Some(count(guest.peer)) == most).unwrap_or_default()
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
    /// Waits until somebody else needs the place.
    pub(super) async fn is_needed(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.guests.retain(|guest| guest.number != self.number);
        if let Some(count) = held.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                held.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    fn enter(places: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let permit = places.permits.clone().try_acquire_owned().ok()?;
        places.take(permit, peer)
    }

    #[test]
    fn an_address_that_has_its_part_gets_no_more_until_it_gives_one_back() {
        let places = Arc::new(Places::new(Bound::Waits { sockets: 10, per_peer: Some(2) }));
        let first = enter(&places, peer(1)).unwrap();
        let _second = enter(&places, peer(1)).unwrap();
        assert!(enter(&places, peer(1)).is_none());
        let _other = enter(&places, peer(2)).unwrap();
        drop(first);
        assert!(enter(&places, peer(1)).is_some());
        assert_eq!(places.permits.available_permits(), 8, "what was refused holds nothing");
    }

    #[test]
    fn without_a_bound_one_address_may_have_all_places() {
        let places = Arc::new(Places::new(Bound::Waits { sockets: 3, per_peer: None }));
        let held: Vec<_> = (0..4).map_while(|_| enter(&places, peer(1))).collect();
        assert_eq!(held.len(), 3);
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
        /// Each newcomer finds a place, and who holds fewer places than another is never sent away.
        #[test]
        fn the_newest_finds_room_and_the_address_with_the_most_makes_it(
            peers in prop::collection::vec(0_u8..6, 1..120),
        ) {
            let places = Arc::new(Places::new(Bound::MakesRoom { sockets: 16 }));
            let mut here: Vec<Place> = Vec::new();
            for host in peers {
                let newest = enter(&places, peer(host)).expect("a place");
                prop_assert!(!newest.end.is_cancelled());
                here.push(newest);
                let count = |peer: IpAddr| here.iter().filter(|place| place.peer == peer).count();
                let most = here.iter().map(|place| count(place.peer)).max();
                for leaver in here.iter().filter(|place| place.end.is_cancelled()) {
                    prop_assert_eq!(Some(count(leaver.peer)), most);
                }
                here.retain(|place| !place.end.is_cancelled());
                prop_assert!(here.len() <= 12);
                prop_assert_eq!(here.len(), places.held().guests.len());
            }
            drop(here);
            prop_assert_eq!(places.permits.available_permits(), 16);
        }
    }
}
