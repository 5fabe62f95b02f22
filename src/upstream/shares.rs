//! Who may have a place among the sockets of a host. Pure.
//!
//! Half of the places are divided among the connections: that is the part of each, at least one
//! where there are enough, and no other connection takes it. The other half is for whoever needs
//! more than its part. A place that comes free goes to the connection that holds fewest of those
//! that wait and may have it, and among equals to the one that waited longest.

use std::collections::HashMap;

/// A connection, as its host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member(u64);

/// The places of a host and who holds them.
#[derive(Debug)]
pub(super) struct Shares {
    total: usize,
    joined: u64,
    members: HashMap<Member, Holding>,
}

#[derive(Debug, Default)]
struct Holding {
    places: usize,
    /// It takes no further place; those that it holds come back one by one.
    left: bool,
}

impl Shares {
    /// `total` places, all free.
    pub(super) fn new(total: usize) -> Self {
        Self { total, joined: 0, members: HashMap::new() }
    }

    /// One connection more.
    pub(super) fn join(&mut self) -> Member {
        self.joined += 1;
        let member = Member(self.joined);
        self.members.insert(member, Holding::default());
        member
    }

    /// `member` will ask for no further place.
    pub(super) fn leave(&mut self, member: Member) {
        if let Some(holding) = self.members.get_mut(&member) {
            holding.left = true;
        }
        self.forget(member);
    }

    /// Places that are held.
    pub(super) fn taken(&self) -> usize {
        self.members.values().map(|holding| holding.places).sum()
    }

    /// Takes a place for `member`, if it may have one.
    pub(super) fn take(&mut self, member: Member) -> bool {
        let may = self.may_take(member);
        if let Some(holding) = self.members.get_mut(&member).filter(|_| may) {
            holding.places += 1;
        }
        may
    }

    /// Takes a place back from `member`.
    pub(super) fn give_back(&mut self, member: Member) {
        if let Some(holding) = self.members.get_mut(&member) {
            holding.places = holding.places.saturating_sub(1);
        }
        self.forget(member);
    }

    /// Which of those that wait, in the order of their coming, has the next place.
    pub(super) fn next(&self, waiting: impl Iterator<Item = Member>) -> Option<usize> {
        let may = waiting.enumerate().filter(|(_, member)| self.may_take(*member));
        may.min_by_key(|(_, member)| self.held(*member)).map(|(at, _)| at)
    }

    /// Whether `member` should let a socket go for one of those that wait: it has more than its
    /// part, and the `idle` socket is of use to nobody else, or another has far less.
    pub(super) fn owes(
        &self,
        member: Member,
        idle: bool,
        mut waiting: impl Iterator<Item = Member>,
    ) -> bool {
        let held = self.held(member);
        let less = |other: Member| {
            let theirs = self.held(other);
            other != member && (idle || theirs == 0 || theirs + 1 < held)
        };
        held > self.part() && waiting.any(less)
    }

    /// Whether `member` has places beyond its part.
    pub(super) fn has_more_than_its_part(&self, member: Member) -> bool {
        self.held(member) > self.part()
    }

    /// What each connection has for itself.
    fn part(&self) -> usize {
        let members = self.members.values().filter(|holding| !holding.left).count().max(1);
        if self.total < members { 0 } else { (self.total / 2 / members).max(1) }
    }

    fn may_take(&self, member: Member) -> bool {
        let part = self.part();
        let free = self.total.saturating_sub(self.taken());
        let reserved = |(other, holding): (&Member, &Holding)| {
            let others = *other != member && !holding.left;
            if others { part.saturating_sub(holding.places) } else { 0 }
        };
        let reserved: usize = self.members.iter().map(reserved).sum();
        free > 0 && (self.held(member) < part || free > reserved)
    }

    fn held(&self, member: Member) -> usize {
        self.members.get(&member).map_or(0, |holding| holding.places)
    }

    fn forget(&mut self, member: Member) {
        let over = |holding: &Holding| holding.left && holding.places == 0;
        if self.members.get(&member).is_some_and(over) {
            self.members.remove(&member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_connection_alone_may_have_all_places() {
        let mut shares = Shares::new(8);
        let only = shares.join();
        assert_eq!((0..10).filter(|_| shares.take(only)).count(), 8);
    }

    #[test]
    fn a_connection_that_wants_all_leaves_each_other_its_part() {
        let mut shares = Shares::new(16);
        let [greedy, b, c, d] = [(); 4].map(|()| shares.join());
        assert_eq!((0..100).filter(|_| shares.take(greedy)).count(), 10);
        for modest in [b, c, d] {
            assert_eq!((0..100).filter(|_| shares.take(modest)).count(), 2);
        }
        assert_eq!(shares.taken(), 16);
    }

    #[test]
    fn a_place_goes_to_the_one_that_holds_fewest_and_then_to_the_first() {
        let mut shares = Shares::new(4);
        let [a, b, c] = [(); 3].map(|()| shares.join());
        assert!(shares.take(a) && shares.take(a) && shares.take(b) && shares.take(c));
        shares.give_back(a);
        assert_eq!(shares.next([a, c, b].into_iter()), Some(0), "all hold one");
        shares.give_back(c);
        assert_eq!(shares.next([a, b, c].into_iter()), Some(2));
        assert_eq!(shares.next([a, b].into_iter()), Some(0), "one is left for the others");
    }

    #[test]
    fn with_fewer_places_than_connections_none_is_kept_free() {
        let mut shares = Shares::new(2);
        let members = [(); 3].map(|()| shares.join());
        assert!(shares.take(members[0]) && shares.take(members[0]));
        assert!(!shares.take(members[1]));
        assert!(shares.owes(members[0], false, [members[1]].into_iter()));
    }

    #[test]
    fn a_socket_goes_when_it_carries_nothing_or_another_has_far_less() {
        let mut shares = Shares::new(4);
        let [a, b] = [(); 2].map(|()| shares.join());
        assert!(shares.take(a) && shares.take(b));
        assert!(!shares.owes(a, true, [b].into_iter()), "it is its part");
        assert!(shares.take(a));
        assert!(shares.owes(a, true, [b].into_iter()));
        assert!(!shares.owes(a, false, [b].into_iter()), "they would change places for ever");
        assert!(!shares.owes(a, true, [a].into_iter()));
        shares.give_back(b);
        assert!(shares.owes(a, false, [b].into_iter()));
    }

    #[test]
    fn what_a_connection_held_when_it_left_comes_back() {
        let mut shares = Shares::new(2);
        let [a, b] = [(); 2].map(|()| shares.join());
        assert!(shares.take(a));
        shares.leave(a);
        assert!(shares.take(b) && !shares.take(b), "one is still held");
        shares.give_back(a);
        assert!(shares.take(b), "and nothing is kept for one that left");
        assert_eq!(shares.members.len(), 1);
    }

    proptest! {
        /// Whatever the others do: a connection below its part never waits, no place is given
        /// twice, and none stays free that somebody waits for and that is nobody's part.
        #[test]
        fn a_part_is_always_there_and_nothing_idles(
            total in 1_usize..40,
            members in 1_usize..8,
            steps in proptest::collection::vec((0_usize..8, any::<bool>()), 1..300),
        ) {
            let mut shares = Shares::new(total);
            let members: Vec<Member> = (0..members).map(|_| shares.join()).collect();
            let part = shares.part();
            prop_assert!(part * members.len() <= total);
            prop_assert!(total < members.len() || part >= 1);
            for (who, takes) in steps {
                let member = members[who % members.len()];
                let held = shares.held(member);
                if takes {
                    let below = held < part;
                    let taken = shares.take(member);
                    prop_assert!(taken || !below, "it waits below its part");
                    prop_assert_eq!(shares.held(member), held + usize::from(taken));
                    let kept: usize = members.iter()
                        .map(|other| part.saturating_sub(shares.held(*other))).sum();
                    prop_assert!(taken || total - shares.taken() <= kept, "a place idles");
                } else if held > 0 {
                    shares.give_back(member);
                }
                prop_assert!(shares.taken() <= total);
                if let Some(next) = shares.next(members.iter().copied()) {
                    let fewest = members.iter().filter(|m| shares.may_take(**m))
                        .map(|m| shares.held(*m)).min();
                    prop_assert_eq!(Some(shares.held(members[next])), fewest);
                }
            }
        }
    }
}
