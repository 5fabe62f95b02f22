//! Who has the places of a port, who waits for one, and who makes room. Pure: no I/O, time as an
//! argument.
//!
//! An address that holds less goes first. To close a connection that rests costs its client little,
//! so it is the first to make room. A request that is still arriving costs more, so it makes room
//! only for an address that holds fewer places even after the exchange. On a port for many clients
//! a call under way is never cut.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::activity::{Activity, Doing};
use super::Bound;
use crate::clock::Instant;

/// On a port for many clients, a connection that rested less is not closed, because its request may
/// be on its way.
pub(super) const REST: Duration = Duration::from_secs(1);

/// The places of one port, and the connections that have or want one.
pub(super) struct PlaceBook {
    bound: Bound,
    next: u64,
    /// The connections that have a place, oldest first.
    guests: BTreeMap<u64, Arc<Guest>>,
    /// The addresses of those that wait, oldest first.
    waiting: BTreeMap<u64, IpAddr>,
    peers: HashMap<IpAddr, Counts>,
}

/// What one address has.
#[derive(Clone, Copy, Default)]
struct Counts {
    guests: usize,
    waiting: usize,
}

/// One connection that has a place.
pub(super) struct Guest {
    pub(super) peer: IpAddr,
    since: Instant,
    /// Set once the connection speaks HTTP.
    pub(super) activity: OnceLock<Arc<Activity>>,
    /// Cancelled when the place is needed.
    pub(super) end: CancellationToken,
}

/// What a newcomer gets.
pub(super) enum PlaceEntry {
    /// A place.
    Seated(u64, Arc<Guest>),
    /// A place as soon as there is one, under this number; `gone` gave up its wait for it.
    Waits { number: u64, gone: Option<u64> },
    /// No place.
    TurnedAway,
}

// === impl PlaceBook ===

impl PlaceBook {
    pub(super) fn new(bound: Bound) -> Self {
        let (guests, waiting, peers) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { bound, next: 0, guests, waiting, peers }
    }

    /// A connection from `peer` has come.
    pub(super) fn enter(&mut self, peer: IpAddr, now: Instant) -> PlaceEntry {
        let has = self.counts(peer);
        if let Bound::ForMany { per_peer: Some(most), .. } = self.bound
            && has.guests + has.waiting >= most
        {
            return PlaceEntry::TurnedAway;
        }
        self.next += 1;
        if self.guests.len() < self.bound.places() && self.waiting.is_empty() {
            let guest = self.seat(self.next, peer, now);
            return PlaceEntry::Seated(self.next, guest);
        }
        let gone = if self.waiting.len() < self.bound.waiting() {
            None
        } else {
            match self.who_gives_up_for(peer) {
                None => return PlaceEntry::TurnedAway,
                gone => gone,
            }
        };
        gone.iter().for_each(|number| self.gives_up(*number));
        self.waiting.insert(self.next, peer);
        self.peers.entry(peer).or_default().waiting += 1;
        PlaceEntry::Waits { number: self.next, gone }
    }

    /// The youngest waiter of the address that has the most waiters, if those are more than `peer`
    /// would have.
    fn who_gives_up_for(&self, peer: IpAddr) -> Option<u64> {
        let of = |peer| self.counts(peer).guests + self.counts(peer).waiting;
        let (number, most) =
            self.waiting.iter().max_by_key(|(number, peer)| (of(**peer), **number))?;
        (of(*most) > of(peer) + 1).then_some(*number)
    }

    /// The one that waited under `number` has left.
    pub(super) fn gives_up(&mut self, number: u64) {
        if let Some(peer) = self.waiting.remove(&number) {
            self.less(peer, |counts| counts.waiting -= 1);
        }
    }

    /// The place of `number` is free again.
    pub(super) fn leaves(&mut self, number: u64) {
        if let Some(guest) = self.guests.remove(&number) {
            self.less(guest.peer, |counts| counts.guests -= 1);
        }
    }

    /// Gives a free place to a waiter, of the address that has the fewest places.
    pub(super) fn seat_next(&mut self, now: Instant) -> Option<(u64, Arc<Guest>)> {
        if self.guests.len() >= self.bound.places() {
            return None;
        }
        let fewest = |(number, peer): &(&u64, &IpAddr)| (self.counts(**peer).guests, **number);
        let (number, peer) = self.waiting.iter().min_by_key(fewest)?;
        let (number, peer) = (*number, *peer);
        self.gives_up(number);
        Some((number, self.seat(number, peer, now)))
    }

    pub(super) fn somebody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The connections whose places are needed now. On a large port that is several at once,
    /// because each look goes over all connections.
    pub(super) fn who_makes_room(&self, now: Instant) -> Vec<Arc<Guest>> {
        let ending = self.guests.values().filter(|guest| guest.end.is_cancelled()).count();
        let free = self.bound.places().saturating_sub(self.guests.len());
        let short = self.waiting.len().saturating_sub(ending + free);
        let mut able = Able::of(self.guests.values(), self.bound, now);
        let mut waiting = self.waiting.clone();
        let mut leave = Vec::new();
        for _ in 0..short.min(self.bound.at_once()) {
            // Each one may be of another address, since an exchange changes which address holds
            // fewer.
            let fewest = |(number, peer): &(&u64, &IpAddr)| (able.held(**peer), **number);
            let Some((&number, &peer)) = waiting.iter().min_by_key(fewest) else { break };
            waiting.remove(&number);
            leave.extend(able.exchange(peer));
        }
        leave
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<IpAddr> {
        self.waiting.values().copied().collect()
    }

    fn seat(&mut self, number: u64, peer: IpAddr, since: Instant) -> Arc<Guest> {
        let (activity, end) = (OnceLock::new(), CancellationToken::new());
        let guest = Arc::new(Guest { peer, since, activity, end });
        self.guests.insert(number, guest.clone());
        self.peers.entry(peer).or_default().guests += 1;
        guest
    }

    fn counts(&self, peer: IpAddr) -> Counts {
        self.peers.get(&peer).copied().unwrap_or_default()
    }

    fn less(&mut self, peer: IpAddr, change: impl FnOnce(&mut Counts)) {
        let Some(counts) = self.peers.get_mut(&peer) else { return };
        change(counts);
        if counts.guests + counts.waiting == 0 {
            self.peers.remove(&peer);
        }
    }
}

impl Guest {
    /// What the connection is doing. A TLS handshake counts as rest, since no request has begun.
    pub(super) fn doing(&self) -> Doing {
        self.activity.get().map_or(Doing::Rests(self.since), |activity| activity.doing())
    }
}

// === impl Able ===

/// The connections that may make room, by what it costs to close them.
struct Able {
    /// Places by address, as they will be after the exchanges.
    held: HashMap<IpAddr, usize>,
    classes: [Class; 3],
}

/// Connections of one kind by address, those that are in it longest first.
struct Class {
    /// How many more places their address must hold than the newcomer's address.
    more: usize,
    queues: HashMap<IpAddr, VecDeque<Arc<Guest>>>,
}

impl Able {
    fn of<'a>(all: impl Iterator<Item = &'a Arc<Guest>>, bound: Bound, now: Instant) -> Self {
        let for_few = matches!(bound, Bound::ForFew { .. });
        let rest = if for_few { Duration::ZERO } else { REST };
        let (mut held, mut kinds) = (HashMap::new(), [Vec::new(), Vec::new(), Vec::new()]);
        for guest in all.filter(|guest| !guest.end.is_cancelled()) {
            *held.entry(guest.peer).or_default() += 1;
            match guest.doing() {
                Doing::Rests(since) if since + rest <= now => kinds[0].push((since, guest)),
                Doing::Arrives(since) if since + rest <= now => kinds[1].push((since, guest)),
                _ if for_few => kinds[2].push((guest.since, guest)),
                _ => {}
            }
        }
        let mut mores = [0, if for_few { 0 } else { 2 }, 0].into_iter();
        let classes = kinds.map(|mut kind: Vec<(Instant, &Arc<Guest>)>| {
            kind.sort_by_key(|(since, _)| *since);
            let mut queues: HashMap<IpAddr, VecDeque<Arc<Guest>>> = HashMap::new();
            for (_, guest) in kind {
                queues.entry(guest.peer).or_default().push_back(guest.clone());
            }
            Class { more: mores.next().unwrap_or_default(), queues }
        });
        Self { held, classes }
    }

    fn held(&self, peer: IpAddr) -> usize {
        self.held.get(&peer).copied().unwrap_or_default()
    }

    /// The connection that makes room for `peer`: of the cheapest kind that there is, and of the
    /// address with the most places.
    fn exchange(&mut self, peer: IpAddr) -> Option<Arc<Guest>> {
        let (has, held) = (self.held(peer), &self.held);
        let of = |peer: &IpAddr| held.get(peer).copied().unwrap_or_default();
        let leaves = self.classes.iter_mut().find_map(|class| {
            let most = *class.queues.keys().max_by_key(|peer| (of(peer), **peer))?;
            (of(&most) >= has + class.more).then_some(())?;
            let queue = class.queues.get_mut(&most)?;
            let leaves = queue.pop_front();
            if queue.is_empty() {
                class.queues.remove(&most);
            }
            leaves
        })?;
        *self.held.entry(leaves.peer).or_insert(1) -= 1;
        *self.held.entry(peer).or_default() += 1;
        Some(leaves)
    }
}
