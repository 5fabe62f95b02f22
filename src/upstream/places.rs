//! Places among the sockets of a host, and the line of those who wait for one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;

use super::shares::{Member, Shares};
use crate::clock::Instant;

/// The places of one host.
pub(super) struct SocketPlaces {
    /// std, not tokio: each section is a few sums and never awaits.
    desk: Mutex<Desk>,
    /// std, not tokio: touched when a connection is new and when a place has to be made.
    spares: Mutex<Vec<Weak<dyn Spares>>>,
}

/// The sockets of a connection, as others that wait for a place see them.
pub(super) trait Spares: Send + Sync {
    /// Since when the socket rests that has rested longest, if the connection has more than its
    /// part.
    fn spare_since(&self) -> Option<Instant>;

    /// Closes that socket.
    fn close_one(&self);
}

struct Desk {
    shares: Shares,
    /// As many as there are calls that were let in and have no socket yet.
    waiting: Vec<(Member, oneshot::Sender<SocketPlace>)>,
}

/// The right to hold one socket open; it comes back when it is dropped.
pub(super) struct SocketPlace {
    places: Arc<SocketPlaces>,
    member: Member,
}

impl SocketPlaces {
    pub(super) fn new(total: usize) -> Arc<Self> {
        let desk = Desk { shares: Shares::new(total), waiting: Vec::new() };
        Arc::new(Self { desk: Mutex::new(desk), spares: Mutex::default() })
    }

    /// Places that are held.
    pub(super) fn taken(&self) -> usize {
        self.desk().shares.taken()
    }

    pub(super) fn join(&self) -> Member {
        self.desk().shares.join()
    }

    pub(super) fn leave(self: &Arc<Self>, member: Member) {
        self.desk().shares.leave(member);
        // What was kept for it is the others' now.
        self.hand_out();
    }

    /// A place at once, or the promise of one. Whoever drops the promise leaves the line.
    pub(super) fn ask(
        self: &Arc<Self>,
        member: Member,
    ) -> Result<SocketPlace, oneshot::Receiver<SocketPlace>> {
        let mut desk = self.desk();
        if desk.shares.take(member) {
            return Ok(SocketPlace { places: self.clone(), member });
        }
        desk.waiting.retain(|(_, waiter)| !waiter.is_closed());
        let (sender, receiver) = oneshot::channel();
        desk.waiting.push((member, sender));
        Err(receiver)
    }

    /// Whether `member` should let a socket go for another's call; `idle` when it has none to
    /// carry.
    pub(super) fn owes(&self, member: Member, idle: bool) -> bool {
        let desk = self.desk();
        let waiting = desk.waiting.iter().filter(|(_, waiter)| !waiter.is_closed());
        desk.shares.owes(member, idle, waiting.map(|(member, _)| *member))
    }

    /// Whether `member` holds places beyond its part.
    pub(super) fn has_more_than_its_part(&self, member: Member) -> bool {
        self.desk().shares.has_more_than_its_part(member)
    }

    /// `sockets` may have some to spare.
    pub(super) fn spares(&self, sockets: Weak<dyn Spares>) {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.retain(|one| one.strong_count() > 0);
        spares.push(sockets);
    }

    /// Somebody waits for a place: closes the socket that has rested longest of those that are
    /// beyond the part of their connection.
    pub(super) fn make_room(&self) {
        let all: Vec<Arc<dyn Spares>> = {
            let spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
            spares.iter().filter_map(Weak::upgrade).collect()
        };
        let rests = |sockets: &Arc<dyn Spares>| Some((sockets.spare_since()?, sockets.clone()));
        let longest = all.iter().filter_map(rests).min_by_key(|(since, _)| *since);
        if let Some((_, sockets)) = longest {
            sockets.close_one();
        }
    }

    /// Gives free places to those that wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let mut desk = self.desk();
            desk.waiting.retain(|(_, waiter)| !waiter.is_closed());
            let next = desk.shares.next(desk.waiting.iter().map(|(member, _)| *member));
            let Some(next) = next else { return };
            let (member, waiter) = desk.waiting.remove(next);
            let took = desk.shares.take(member);
            debug_assert!(took, "only one that may take is the next");
            drop(desk);
            // A waiter that left in this moment drops the place, which gives it to the next.
            let _ = waiter.send(SocketPlace { places: self.clone(), member });
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.places.desk().shares.give_back(self.member);
        self.places.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_comes_back_goes_to_one_that_still_waits() {
        let places = SocketPlaces::new(2);
        let [a, b] = [(); 2].map(|()| places.join());
        let (first, second) = (places.ask(a).ok().unwrap(), places.ask(b).ok().unwrap());
        let (gone, stays) = (places.ask(a).err().unwrap(), places.ask(a).err().unwrap());
        drop(gone);
        drop(second);
        assert_eq!(places.taken(), 1, "the place of b is kept for b");
        drop(first);
        let place = stays.await.unwrap();
        assert_eq!(places.taken(), 1);
        drop(place);
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn a_place_that_was_given_to_nobody_comes_back() {
        let places = SocketPlaces::new(1);
        let only = places.join();
        let held = places.ask(only).ok().unwrap();
        let waits = places.ask(only).err().unwrap();
        drop(held);
        assert_eq!(places.taken(), 1, "it is on its way");
        drop(waits);
        assert_eq!(places.taken(), 0);
    }
}
