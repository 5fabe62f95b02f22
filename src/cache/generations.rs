//! How a write makes older copies worthless: counters in a fixed table, one place for each tag of a
//! workspace. Pure: the time is an argument.
//!
//! A read takes the [`VersionSnapshot`] of its tags before it asks the vendor. What it brings back
//! is stored and served only while the moment still is the same: a write moves the counters before
//! it is sent and again before its caller is answered. Two tags that fall on one place clear each
//! other, which costs a call and is never wrong.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::Instant;

/// Places for tags: many more than a gateway has tags in use. Replicas tell each other the numbers
/// of these places, so all builds must count alike.
const TAGS: u64 = 4096;

/// Places for connections, behind those of the tags.
const CONNECTIONS: u64 = 1024;

/// Carries each bit of a number into the upper half of the product: 2^64 by the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The counters.
pub struct Generations {
    places: Box<[Counter]>,
    start: Instant,
}

#[derive(Default)]
struct Counter {
    /// How often it was cleared.
    generation: AtomicU64,
    /// Writes under way.
    writing: AtomicU32,
    /// Until then nothing is stored, in milliseconds from the start.
    unsettled_until: AtomicU64,
}

/// One counter of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagPlace(u16);

/// A name that was hashed once: of a workspace or of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(u64);

/// What a read saw when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionSnapshot {
    /// The sum of the counters, each of which only grows: equal sums are equal counters.
    pub generation: u64,
    /// No write is under way or so young that its effects may still come.
    pub settled: bool,
    /// Which reads may be joined while replicas can't tell of their writes; 0 if they can.
    pub apart: u64,
}

/// How a write ended, for the copies of what it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It changed nothing.
    Refused,
    /// It is done; effects may follow for so long.
    Done(Duration),
    /// It may be done at any time until then.
    Unknown(Duration),
}

/// A write under way. Nothing of its tags is stored until it is closed.
#[must_use]
pub struct Clearing {
    generations: Arc<Generations>,
    places: Box<[TagPlace]>,
    open: bool,
}

// === impl Name and TagPlace ===

impl Name {
    /// Of `text`. It is the same in every build, unlike std's hash.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text);
        Self(digest.iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    /// A number that stands for all of `names`, in this order.
    #[must_use]
    pub fn all(names: &[Self]) -> u64 {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        hasher.finish()
    }
}

impl TagPlace {
    /// Where a tag of a workspace is counted.
    #[must_use]
    pub fn of_tag(workspace: Name, tag: Name) -> Self {
        // Both are hashes already: they only have to be mixed.
        let mixed = (workspace.0 ^ tag.0.rotate_left(32)).wrapping_mul(ODD);
        Self::within(0, TAGS, mixed >> 32)
    }

    /// Where a connection is counted.
    #[must_use]
    pub fn of_connection(connection: Name) -> Self {
        Self::within(TAGS, CONNECTIONS, connection.0)
    }

    /// The place of a tag as another replica names it.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        (u64::from(number) < TAGS).then_some(Self(number))
    }

    /// How other replicas know it.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    fn within(first: u64, count: u64, hash: u64) -> Self {
        Self(u16::try_from(first + hash % count).expect("the table has fewer places than 2^16"))
    }
}

// === impl Generations ===

impl Generations {
    /// Nothing was ever written; `start` is before every other time.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        let places = (0..TAGS + CONNECTIONS).map(|_| Counter::default()).collect();
        Self { places, start }
    }

    /// What [`moment`](Self::moment) says of the counters alone.
    #[must_use]
    pub fn generation(&self, places: impl IntoIterator<Item = TagPlace>) -> u64 {
        let counters = places.into_iter().map(|place| &self.counter(place).generation);
        counters.fold(0, |sum, counter| sum.wrapping_add(counter.load(SeqCst)))
    }

    /// What a read of `places` that begins `now` sees.
    #[must_use]
    pub fn moment(
        &self,
        places: impl IntoIterator<Item = TagPlace>,
        now: Instant,
    ) -> VersionSnapshot {
        let now = self.millis(now);
        let mut moment = VersionSnapshot { generation: 0, settled: true, apart: 0 };
        for place in places {
            let counter = self.counter(place);
            // In this order: a write counts itself in before it moves the generation, and says
            // until when it settles before it counts itself out.
            moment.generation = moment.generation.wrapping_add(counter.generation.load(SeqCst));
            let quiet = counter.writing.load(SeqCst) == 0;
            moment.settled &= quiet && counter.unsettled_until.load(SeqCst) <= now;
        }
        moment
    }

    /// Makes every copy of `place` worthless.
    pub fn clear(&self, place: TagPlace) {
        self.counter(place).generation.fetch_add(1, SeqCst);
    }

    /// The same, and nothing of it is stored before `until`; an earlier `until` takes a later back.
    pub fn hold(&self, place: TagPlace, until: Instant) {
        self.counter(place).unsettled_until.store(self.millis(until), SeqCst);
        self.clear(place);
    }

    /// Makes every copy worthless, and nothing is stored before `until`.
    pub fn clear_all(&self, until: Instant) {
        // One more: what is left of a millisecond is not lost.
        let until = self.millis(until) + 1;
        for counter in &self.places {
            counter.unsettled_until.fetch_max(until, SeqCst);
            counter.generation.fetch_add(1, SeqCst);
        }
    }

    /// Clears for a write that is about to be sent.
    pub fn open(self: &Arc<Self>, places: Box<[TagPlace]>) -> Clearing {
        for place in &places {
            self.counter(*place).writing.fetch_add(1, SeqCst);
            self.clear(*place);
        }
        Clearing { generations: self.clone(), places, open: true }
    }

    fn counter(&self, place: TagPlace) -> &Counter {
        &self.places[usize::from(place.0)]
    }

    fn millis(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl Clearing ===

impl Clearing {
    /// The write ended `now` as `end`: call it before its caller is answered.
    pub fn close(mut self, end: End, now: Instant) {
        self.settle(end, now);
    }

    fn settle(&mut self, end: End, now: Instant) {
        self.open = false;
        for place in &self.places {
            let counter = self.generations.counter(*place);
            if let End::Done(settle) | End::Unknown(settle) = end {
                counter.generation.fetch_add(1, SeqCst);
                // One more: what is left of a millisecond is not lost.
                let until = self.generations.millis(now + settle) + 1;
                counter.unsettled_until.fetch_max(until, SeqCst);
            }
            counter.writing.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Clearing {
    /// A write that was dropped unclosed never left: its owner closes every other.
    fn drop(&mut self) {
        if self.open {
            self.settle(End::Refused, self.generations.start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(tag: &str) -> TagPlace {
        TagPlace::of_tag(Name::of("acme"), Name::of(tag))
    }

    fn table() -> (Arc<Generations>, Instant) {
        let start = Instant::now();
        (Arc::new(Generations::new(start)), start)
    }

    #[test]
    fn a_write_ends_the_moment_before_it_is_sent_and_again_when_it_is_answered() {
        let (table, now) = table();
        let read = || table.moment([place("brands")], now);
        let before = read();
        let write = table.open([place("brands")].into());
        let during = read();
        write.close(End::Done(Duration::from_secs(3)), now);
        assert!(before.settled && !during.settled && !read().settled);
        assert!(before.generation < during.generation && during.generation < read().generation);
    }

    #[test]
    fn tags_settle_after_their_time_and_an_unknown_outcome_is_not_cut_short() {
        let (table, now) = table();
        let at = |s| table.moment([place("lists")], now + Duration::from_secs(s)).settled;
        let (one, two) = (table.open([place("lists")].into()), table.open([place("lists")].into()));
        one.close(End::Unknown(Duration::from_secs(60)), now);
        two.close(End::Done(Duration::from_secs(3)), now);
        assert!(!at(59) && at(61));
    }

    #[test]
    fn a_refused_or_forgotten_write_leaves_nothing_behind_but_its_first_clear() {
        let (table, now) = table();
        table.open([place("lists")].into()).close(End::Refused, now);
        drop(table.open([place("lists")].into()));
        assert_eq!(
            table.moment([place("lists")], now),
            VersionSnapshot { generation: 2, settled: true, apart: 0 }
        );
    }

    #[test]
    fn a_hold_ends_by_itself_and_can_be_lifted() {
        let (table, now) = table();
        let connection = TagPlace::of_connection(Name::of("acme-prod"));
        table.hold(connection, now + Duration::from_secs(60));
        assert!(!table.moment([connection], now + Duration::from_secs(59)).settled);
        assert!(table.moment([connection], now + Duration::from_secs(60)).settled);
        table.hold(connection, now);
        assert!(table.moment([connection], now).settled);
    }

    #[test]
    fn replicas_of_all_builds_count_a_tag_at_one_place() {
        assert_eq!(place("brands").number(), 3495);
        assert_eq!(TagPlace::of_number(place("brands").number()), Some(place("brands")));
        let connection = TagPlace::of_connection(Name::of("acme"));
        assert_eq!(TagPlace::of_number(connection.number()), None, "no replica tells of those");
    }

    #[test]
    fn workspaces_do_not_clear_each_other() {
        let other = TagPlace::of_tag(Name::of("umbrella"), Name::of("brands"));
        assert_ne!(place("brands"), other);
    }

    proptest! {
        /// Whatever writes do in between: if anything was cleared, the moment is another one.
        #[test]
        fn no_moment_comes_back(steps in prop::collection::vec((0_u8..4, 0_u8..3), 1..60)) {
            let (table, now) = table();
            let tags = ["a", "b", "c"].map(place);
            let mut open = Vec::new();
            let mut seen = vec![table.moment(tags, now).generation];
            for (action, tag) in steps {
                let tag = tags[usize::from(tag)];
                match action {
                    0 => open.push(table.open([tag].into())),
                    1 => table.clear(tag),
                    2 => table.hold(tag, now),
                    _ => match open.pop() {
                        Some(write) => Clearing::close(write, End::Done(Duration::ZERO), now),
                        None => table.clear(tag),
                    },
                }
                let generation = table.moment(tags, now).generation;
                prop_assert!(!seen.contains(&generation));
                seen.push(generation);
            }
        }
    }
}
