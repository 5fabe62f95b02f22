//! Keys that the gateway made, by what they were made for: an SDK's own retry gets the same one.
//! Pure: time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::memory::Id;
use crate::clock::Instant;
use crate::ids::RandomId;

/// How long after a request its retry may come.
const TIME: Duration = Duration::from_secs(120);

/// Keys that are remembered; the oldest make room.
const MOST: usize = 20_000;

/// The keys of the last two minutes.
#[derive(Default)]
pub(super) struct Made {
    known: HashMap<Id, Vec<Entry>>,
    order: VecDeque<(Instant, Id)>,
}

struct Entry {
    key: RandomId,
    /// `X-Stainless-Retry-Count` of its last request.
    count: u32,
    since: Instant,
    accepted: Arc<AtomicBool>,
}

/// A key for a request.
pub(super) struct Key {
    pub(super) key: RandomId,
    /// To be set when a good answer has reached the client.
    pub(super) accepted: Arc<AtomicBool>,
    /// It was made for an earlier request, of which this is a retry.
    pub(super) recognised: bool,
}

impl Key {
    /// A key that stands for one request alone.
    pub(super) fn fresh() -> Self {
        Self { key: RandomId::new(), accepted: Arc::default(), recognised: false }
    }
}

impl Made {
    /// The key for the request `print`, which its SDK sends for the `count`th time again. Of several
    /// that fit, the oldest whose good answer never reached its client.
    pub(super) fn key(&mut self, print: Id, count: u32, now: Instant) -> Key {
        self.forget(now);
        let known = self.known.entry(print).or_default();
        // One higher is the rule; more when a retry was lost on its way to the gateway.
        let next = |entry: &Entry| entry.count.checked_add(1) == Some(count);
        let later = |entry: &Entry| entry.count < count;
        let waits = |entry: &Entry| !entry.accepted.load(Ordering::Acquire);
        let first = |fits: &dyn Fn(&Entry) -> bool| known.iter().position(fits);
        let at = first(&|entry| next(entry) && waits(entry))
            .or_else(|| first(&|entry| later(entry) && waits(entry)))
            .or_else(|| first(&next))
            .or_else(|| first(&later));
        let accepted = Arc::new(AtomicBool::new(false));
        let key = at.map_or_else(RandomId::new, |at| known.remove(at).key);
        known.push(Entry { key, count, since: now, accepted: accepted.clone() });
        self.order.push_back((now, print));
        Key { key, accepted, recognised: at.is_some() }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, print)) = self.order.front().copied() {
            if now.saturating_duration_since(since) <= TIME && self.order.len() < MOST {
                return;
            }
            self.order.pop_front();
            // One whose retry came has moved on: then nothing is as old as this.
            if let Some(known) = self.known.get_mut(&print) {
                if let Some(at) = known.iter().position(|entry| entry.since == since) {
                    known.remove(at);
                }
                if known.is_empty() {
                    self.known.remove(&print);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Id = [1; 32];
    const B: Id = [2; 32];

    #[test]
    fn a_retry_has_the_key_of_the_request_before_it() {
        let (now, mut made) = (Instant::now(), Made::default());
        let first = made.key(A, 0, now);
        let later = now + Duration::from_secs(100);
        let retry = made.key(A, 1, later);
        assert_eq!((retry.key, retry.recognised), (first.key, true));
        let third = made.key(A, 2, later + Duration::from_secs(100));
        assert_eq!(third.key, first.key);
        assert_eq!(made.known[&A].len(), 1);
    }

    #[test]
    fn what_does_not_follow_is_no_retry() {
        let (now, mut made) = (Instant::now(), Made::default());
        let first = made.key(A, 0, now);
        for (print, count, seconds) in [(A, 0, 0), (B, 1, 0), (A, 1, 121)] {
            let other = made.key(print, count, now + Duration::from_secs(seconds));
            assert!(!other.recognised && other.key != first.key, "{count} {seconds}");
        }
    }

    #[test]
    fn a_retry_that_was_lost_on_its_way_leaves_a_gap() {
        let (now, mut made) = (Instant::now(), Made::default());
        let [one, two] = [0; 2].map(|count| made.key(A, count, now));
        assert_eq!(made.key(A, 1, now).key, one.key);
        assert_eq!(made.key(A, 2, now).key, one.key, "one higher goes before a gap");
        assert_eq!(made.key(A, 2, now).key, two.key);
    }

    #[test]
    fn of_several_the_oldest_that_was_not_accepted() {
        let (now, mut made) = (Instant::now(), Made::default());
        let [one, two, three] = [0; 3].map(|count| made.key(A, count, now));
        one.accepted.store(true, Ordering::Release);
        assert_eq!(made.key(A, 1, now).key, two.key);
        assert_eq!(made.key(A, 1, now).key, three.key);
        // Its answer may have been lost on the client's own line.
        assert_eq!(made.key(A, 1, now).key, one.key);
    }

    #[test]
    fn keys_are_bounded_in_number_and_time() {
        let (now, mut made) = (Instant::now(), Made::default());
        for n in 0..50_000_u32 {
            let mut print = A;
            print[..4].copy_from_slice(&n.to_be_bytes());
            made.key(print, 0, now);
        }
        assert!(made.known.len() <= MOST && made.order.len() <= MOST);
        made.key(A, 0, now + Duration::from_secs(300));
        assert_eq!((made.known.len(), made.order.len()), (1, 1));
    }
}
