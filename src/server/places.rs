//! The places of a port: how many connections at a time, how many from one address, and who makes
//! room.
//!
//! A connection that comes while all places are taken waits here, so that it keeps nobody in the
//! kernel's queue. Its place comes from a connection that ends. Otherwise, a look at all
//! connections finds the one that can be closed with the least harm (`book.rs`).

mod book;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use self::book::{Guest, PlaceBook, PlaceEntry};
use super::activity::{Activity, Doing};
use crate::clock::Instant;

/// Between two looks at all connections of a full port.
const LOOK: Duration = Duration::from_millis(20);

/// How many connections a port and an address may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// For many clients: calls under way are not cut, and newcomers wait for them.
    ForMany {
        /// Connections at a time; one in ten of them waits for a place when the others have theirs.
        sockets: usize,
        /// Connections at a time from one address; more are closed as they come.
        per_peer: Option<usize>,
    },
    /// For few clients, who must always get in: if no connection rests, the oldest makes room.
    ForFew {
        /// Connections at a time.
        sockets: usize,
    },
}

/// The places of one port.
pub(super) struct ConnectionPlaces {
    bound: Bound,
    /// std, not tokio: each section is short and never awaits.
    held: Mutex<Held>,
    /// A place became free, or a waiting connection left.
    left: Notify,
}

struct Held {
    book: PlaceBook,
    /// The channels through which waiting connections get a free place, by number.
    waiting: HashMap<u64, oneshot::Sender<ConnectionPlace>>,
    looked: Option<Instant>,
}

/// One connection's place; it is free again when this is dropped.
pub(super) struct ConnectionPlace {
    places: Arc<ConnectionPlaces>,
    number: u64,
    guest: Arc<Guest>,
}

/// A place, now or later.
pub(super) enum PlaceTicket {
    Seated(ConnectionPlace),
    Waits(PlaceWaiter),
}

/// What a port waits for next.
pub(super) struct PlaceDoor {
    /// True if it waits for the next connection.
    pub(super) open: bool,
    /// True if it waits for a place for a connection that is here. A shut door always does.
    pub(super) awaited: bool,
}

/// A connection that waits for a place. When this is dropped, it waits no longer.
pub(super) struct PlaceWaiter {
    places: Arc<ConnectionPlaces>,
    number: u64,
    place: oneshot::Receiver<ConnectionPlace>,
}

// === impl ConnectionPlaces ===

impl ConnectionPlaces {
    pub(super) fn new(bound: Bound) -> Self {
        let held = Held { book: PlaceBook::new(bound), waiting: HashMap::new(), looked: None };
        Self { bound, held: Mutex::new(held), left: Notify::new() }
    }

    /// A place for a connection from `peer`, if it may have one or wait for one.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<PlaceTicket> {
        let now = Instant::now();
        let mut held = self.held();
        let ticket = match held.book.enter(network(peer), now) {
            PlaceEntry::Seated(number, guest) => {
                Some(PlaceTicket::Seated(ConnectionPlace { places: self.clone(), number, guest }))
            }
            PlaceEntry::Waits { number, gone } => {
                // A waiter that is dropped here learns that there is no place for it.
                gone.iter().for_each(|gone| drop(held.waiting.remove(gone)));
                let (give, place) = oneshot::channel();
                held.waiting.insert(number, give);
                Some(PlaceTicket::Waits(PlaceWaiter { places: self.clone(), number, place }))
            }
            PlaceEntry::TurnedAway => None,
        };
        held.make_room(self.bound, now);
        ticket
    }

    /// What the port waits for. It is one look, since a connection may leave between two.
    pub(super) fn door(&self) -> PlaceDoor {
        let waiting = self.held().waiting.len();
        let for_many = matches!(self.bound, Bound::ForMany { .. });
        // On a port for few, places come soon.
        PlaceDoor { open: for_many || waiting < self.bound.waiting(), awaited: waiting > 0 }
    }

    /// Looks which connections can make room, when one has left or it is time to look again.
    pub(super) async fn look(&self) {
        let _ = timeout(LOOK, self.left.notified()).await;
        self.held().make_room(self.bound, Instant::now());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of `number` is free; the next one in the queue gets it.
    fn left(self: &Arc<Self>, number: u64) {
        let mut held = self.held();
        held.book.leaves(number);
        let next = held.book.seat_next(Instant::now());
        let give = next.as_ref().and_then(|(number, _)| held.waiting.remove(number));
        drop(held);
        self.left.notify_one();
        if let (Some((number, guest)), Some(give)) = (next, give) {
            // If the receiver waits no longer, the place is dropped, and so the next one gets it.
            let _ = give.send(ConnectionPlace { places: self.clone(), number, guest });
        }
    }
}

impl Bound {
    fn sockets(self) -> usize {
        let (Self::ForMany { sockets, .. } | Self::ForFew { sockets }) = self;
        sockets
    }

    /// Connections that are served at a time.
    fn places(self) -> usize {
        self.sockets() - self.sockets() / 10
    }

    /// Connections that wait at a time.
    fn waiting(self) -> usize {
        (self.sockets() / 10).max(1)
    }

    /// Connections that one look sends away.
    fn at_once(self) -> usize {
        match self {
            Self::ForMany { sockets, .. } => (sockets / 64).max(1),
            Self::ForFew { sockets } => sockets,
        }
    }
}

impl Held {
    /// On a port for many clients it runs no sooner than `LOOK` after the last time, because it
    /// goes over all connections.
    fn make_room(&mut self, bound: Bound, now: Instant) {
        let many = matches!(bound, Bound::ForMany { .. });
        let soon = self.looked.is_some_and(|looked| now < looked + LOOK);
        if self.book.somebody_waits() && !(many && soon) {
            self.looked = Some(now);
            self.book.who_makes_room(now).iter().for_each(|guest| guest.end.cancel());
        }
    }
}

/// The address that counts for `peer`: an IPv6 host has a 64-bit network to itself.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

// === impl PlaceTicket ===

impl PlaceTicket {
    /// The place, if there is one within `time` and no address that has fewer takes it.
    pub(super) async fn place(self, time: Duration) -> Option<ConnectionPlace> {
        match self {
            Self::Seated(place) => Some(place),
            Self::Waits(mut waiting) => timeout(time, &mut waiting.place).await.ok()?.ok(),
        }
    }
}

impl Drop for PlaceWaiter {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.book.gives_up(self.number);
        let unused = held.waiting.remove(&self.number);
        drop(held);
        drop(unused);
    }
}

// === impl ConnectionPlace ===

impl ConnectionPlace {
    /// From now on `activity` says whether the connection rests.
    pub(super) fn watch(&self, activity: Arc<Activity>) {
        let _ = self.guest.activity.set(activity);
    }

    #[cfg(test)]
    pub(super) fn needed(&self) -> tokio_util::sync::CancellationToken {
        self.guest.end.clone()
    }

    /// Whether a call arrived whole after the place was found to be needed by another connection.
    pub(super) fn may_not_be_cut(&self) -> bool {
        matches!(self.places.bound, Bound::ForMany { .. }) && self.guest.doing() == Doing::Served
    }

    /// Waits until another connection needs the place.
    pub(super) async fn is_needed(&self) {
        self.guest.end.cancelled().await;
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.places.left(self.number);
    }
}

#[cfg(test)]
#[path = "places/tests.rs"]
mod tests;
