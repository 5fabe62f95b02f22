//! The octets of request bodies that the gateway holds, and how connections share the room for
//! them.
//!
//! A connection has a part that nobody else can take: one body of full size where the total has as
//! many as there are connections, less where it has not. What remains is common: a connection takes
//! as much of it as it leaves to others, and in any case enough for one body of full size. So
//! whoever fills the room, others still find some.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::ConnectionId;

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Octets over all connections; at least one body of full size.
    pub total: usize,
    /// Octets of a body of full size.
    pub body: usize,
    /// How many connections share it.
    pub connections: usize,
}

/// What is held now. Clones share it.
#[derive(Clone, Debug)]
pub struct Uploads(Arc<Mutex<Ledger>>);

/// The bodies of one connection.
#[derive(Clone, Debug)]
pub struct Uploader {
    uploads: Uploads,
    at: usize,
}

/// Octets that one body holds; they are given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    uploader: Uploader,
    octets: usize,
}

/// Who holds how much. Pure.
#[derive(Debug)]
struct Ledger {
    room: Room,
    /// By connection: as many as the configuration ever had.
    held: Vec<(ConnectionId, usize)>,
    octets: usize,
    /// Octets that connections hold beyond their parts.
    common: usize,
}

// === impl Room ===

impl Room {
    /// Octets that each connection can count on.
    fn part(self) -> usize {
        let Self { total, body, connections } = self;
        if connections.saturating_mul(body) <= total {
            return body;
        }
        // Half of the whole is theirs, and one body of full size can be held beside all parts.
        let others = connections.saturating_sub(1).max(1);
        (total / connections / 2).min(total.saturating_sub(body) / others)
    }

    fn common(self) -> usize {
        self.total.saturating_sub(self.part().saturating_mul(self.connections))
    }
}

// === impl Ledger ===

impl Ledger {
    fn new(room: Room) -> Self {
        Self { room, held: Vec::new(), octets: 0, common: 0 }
    }

    fn reconfigure(&mut self, room: Room) {
        self.room = room;
        self.common = self.held.iter().map(|(_, octets)| octets.saturating_sub(room.part())).sum();
    }

    /// The place of `connection`.
    fn place(&mut self, connection: &ConnectionId) -> usize {
        let known = self.held.iter().position(|(known, _)| known == connection);
        known.unwrap_or_else(|| {
            self.held.push((connection.clone(), 0));
            self.held.len() - 1
        })
    }

    fn held(&self, at: usize) -> usize {
        self.held[at].1
    }

    fn fits(&self, connection: usize, octets: usize) -> bool {
        let (room, part) = (self.room, self.room.part());
        let before = self.held(connection);
        let after = before.saturating_add(octets);
        let (had, mine) = (before.saturating_sub(part), after.saturating_sub(part));
        let taken = self.common + mine - had;
        let left = room.common().saturating_sub(taken);
        let fair = room.connections <= 1 || mine <= left.max(room.body.saturating_sub(part));
        self.octets.saturating_add(octets) <= room.total
            && (mine == had || (taken <= room.common() && fair))
    }

    fn take(&mut self, connection: usize, octets: usize) -> bool {
        let fits = self.fits(connection, octets);
        if fits {
            self.set(connection, self.held(connection) + octets);
        }
        fits
    }

    fn give_back(&mut self, connection: usize, octets: usize) {
        self.set(connection, self.held(connection).saturating_sub(octets));
    }

    fn set(&mut self, connection: usize, after: usize) {
        let (before, part) = (self.held(connection), self.room.part());
        self.octets = self.octets + after - before;
        self.common = self.common + after.saturating_sub(part) - before.saturating_sub(part);
        self.held[connection].1 = after;
    }
}

// === impl Uploads ===

impl Uploads {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(room))))
    }

    /// Takes over what a reload changed. What is held stays held.
    pub fn reconfigure(&self, room: Room) {
        self.ledger().reconfigure(room);
    }

    /// Octets that are held.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.ledger().octets
    }

    /// The bodies of `connection`.
    #[must_use]
    pub fn of(&self, connection: &ConnectionId) -> Uploader {
        Uploader { uploads: self.clone(), at: self.ledger().place(connection) }
    }

    /// std, not tokio: each section is a look-up or two and never awaits.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Uploader ===

impl Uploader {
    /// Whether it could hold `octets` more at this moment.
    #[must_use]
    pub fn fits(&self, octets: usize) -> bool {
        self.uploads.ledger().fits(self.at, octets)
    }

    /// A body of which nothing has arrived.
    #[must_use]
    pub fn begin(&self) -> Held {
        Held { uploader: self.clone(), octets: 0 }
    }
}

// === impl Held ===

impl Held {
    /// Holds `octets` more; false, and nothing changes, when there is no room for them.
    #[must_use]
    pub fn more(&mut self, octets: usize) -> bool {
        let Uploader { uploads, at } = &self.uploader;
        let fits = uploads.ledger().take(*at, octets);
        self.octets += if fits { octets } else { 0 };
        fits
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Uploader { uploads, at } = &self.uploader;
        uploads.ledger().give_back(*at, self.octets);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of sixty connections that hold nothing.
    fn ledger(room: Room) -> Ledger {
        let mut ledger = Ledger::new(room);
        for n in 0..60 {
            assert_eq!(ledger.place(&format!("c{n}").parse().unwrap()), n);
        }
        ledger
    }

    fn rooms() -> impl Strategy<Value = Room> {
        let sizes = (1..50_usize, 1..20_usize, 1..60_usize);
        sizes.prop_map(|(bodies, body, connections)| Room {
            total: bodies * body,
            body,
            connections,
        })
    }

    #[test]
    fn with_the_defaults_each_of_42_connections_has_room_for_a_body_of_full_size() {
        let room = |connections| Room { total: 256 << 20, body: 6 << 20, connections };
        assert_eq!(room(1).part(), 6 << 20);
        assert_eq!(room(42).part(), 6 << 20);
        assert_eq!(room(100).part(), (256 << 20) / 200);
    }

    #[test]
    fn one_connection_alone_may_fill_the_whole() {
        let mut ledger = ledger(Room { total: 100, body: 10, connections: 1 });
        assert!(ledger.take(0, 100) && !ledger.take(0, 1));
    }

    #[test]
    fn a_reload_lowers_the_room_under_what_is_held_and_it_drains() {
        let mut ledger = ledger(Room { total: 100, body: 10, connections: 1 });
        assert!(ledger.take(0, 100));
        ledger.reconfigure(Room { total: 40, body: 10, connections: 2 });
        assert!(!ledger.take(1, 1));
        ledger.give_back(0, 70);
        assert!(ledger.take(1, 10));
        ledger.give_back(0, 30);
        ledger.give_back(1, 10);
        assert_eq!((ledger.octets, ledger.common, ledger.held(1)), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn whatever_others_hold_a_connection_has_its_part(
            room in rooms(),
            steps in prop::collection::vec((0..60_usize, 1..40_usize, any::<bool>()), 0..200),
            own in 0..60_usize,
        ) {
            let mut ledger = ledger(room);
            let own = own % room.connections;
            for (who, octets, takes) in steps {
                let who = who % room.connections;
                if takes {
                    let _ = ledger.take(who, octets);
                } else {
                    ledger.give_back(who, octets.min(ledger.held(who)));
                }
                let held: usize = ledger.held.iter().map(|(_, octets)| octets).sum();
                prop_assert!(held == ledger.octets && held <= room.total);
            }
            let rest = room.part().saturating_sub(ledger.held(own));
            prop_assert!(ledger.fits(own, rest), "{ledger:?}");
        }

        #[test]
        fn one_that_takes_all_it_can_get_leaves_as_much_of_what_is_common(
            room in rooms(),
            octets in 1..40_usize,
        ) {
            let mut ledger = ledger(room);
            while ledger.take(0, octets) {}
            let most = room.common().div_ceil(2).max(room.body - room.part());
            prop_assert!(ledger.common <= most || room.connections == 1, "{ledger:?}");
        }

        #[test]
        fn a_body_of_full_size_fits_when_nothing_is_held(room in rooms()) {
            prop_assert!(ledger(room).fits(0, room.body), "{room:?}");
        }
    }
}
