//! What is remembered of keys: whose they are, what they were used for, and the first good answer.
//! Pure: time is an argument. Bounded in octets and time; the oldest make room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use crate::clock::Instant;
use crate::ids::AppId;

/// Octets that an entry takes beside its answer.
const ENTRY: usize = 320;

/// A hash that stands for a key, or for what a request asks.
pub(super) type Id = [u8; 32];

/// The id of `parts`, none of which can run into the next.
pub(super) fn id(parts: &[&[u8]]) -> Id {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// An answer that is given again.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A call used it for the same, and its outcome is not settled.
    Claimed,
    /// The first good answer.
    Answered(Arc<Answer>),
    /// It stands for another request.
    OtherRequest,
    /// It is another app's.
    OtherApp,
}

/// The memory.
pub(super) struct Memory {
    known: HashMap<Id, Entry>,
    /// Oldest first; an entry that was renewed is here twice, and only its last time counts.
    order: VecDeque<(Instant, Id)>,
    octets: usize,
    capacity: usize,
    time: Duration,
}

struct Entry {
    app: AppId,
    print: Id,
    answer: Option<Arc<Answer>>,
    since: Instant,
}

impl Memory {
    /// Remembers for `time`, in about `capacity` octets.
    pub(super) fn new(capacity: usize, time: Duration) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), octets: 0, capacity, time }
    }

    /// What is known of `key` when `app` uses it for the request `print`.
    pub(super) fn find(&mut self, key: &Id, app: &AppId, print: &Id, now: Instant) -> Found {
        self.forget(now);
        match self.known.get(key) {
            None => Found::Nothing,
            Some(entry) if entry.app != *app => Found::OtherApp,
            Some(entry) if entry.print != *print => Found::OtherRequest,
            Some(Entry { answer: Some(answer), .. }) => Found::Answered(answer.clone()),
            Some(_) => Found::Claimed,
        }
    }

    /// From now on `key` is `app`'s and stands for `print`.
    pub(super) fn claim(&mut self, key: Id, app: AppId, print: Id, now: Instant) {
        self.put(key, Entry { app, print, answer: None, since: now });
        self.forget(now);
    }

    /// The first good answer under `key`, which was claimed.
    pub(super) fn keep(&mut self, key: Id, answer: Answer, now: Instant) {
        let Some(mut entry) = self.release(&key) else { return };
        entry.answer = Some(Arc::new(answer));
        entry.since = now;
        self.put(key, entry);
        self.forget(now);
    }

    /// The call under `key` did nothing: it is free again.
    pub(super) fn free(&mut self, key: &Id) {
        self.release(key);
    }

    fn put(&mut self, key: Id, entry: Entry) {
        self.release(&key);
        self.octets += size(&entry);
        self.order.push_back((entry.since, key));
        self.known.insert(key, entry);
    }

    fn release(&mut self, key: &Id) -> Option<Entry> {
        let entry = self.known.remove(key)?;
        self.octets -= size(&entry);
        Some(entry)
    }

    /// Forgets what is too old or too much.
    fn forget(&mut self, now: Instant) {
        let much = |memory: &Self| {
            memory.octets > memory.capacity || memory.order.len() > memory.capacity / ENTRY + 1
        };
        while let Some((since, key)) = self.order.front().copied() {
            let old = now.saturating_duration_since(since) >= self.time;
            if !old && !much(self) {
                return;
            }
            self.order.pop_front();
            if self.known.get(&key).is_some_and(|entry| entry.since == since) {
                self.release(&key);
            }
        }
    }
}

fn size(entry: &Entry) -> usize {
    let answer = entry.answer.as_ref().map_or(0, |answer| {
        let fields = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        answer.body.len() + fields.sum::<usize>()
    });
    ENTRY + answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppId {
        name.parse().unwrap()
    }

    fn answer(octets: usize) -> Answer {
        let body = Bytes::from(vec![0; octets]);
        Answer { status: StatusCode::ACCEPTED, headers: HeaderMap::new(), body }
    }

    #[test]
    fn a_key_belongs_to_one_app_and_one_request_until_its_time_is_over() {
        let (now, mut memory) = (Instant::now(), Memory::new(1 << 20, Duration::from_secs(60)));
        let (key, print, other) = (id(&[b"k"]), id(&[b"p"]), id(&[b"q"]));
        let (one, two) = (app("one"), app("two"));
        assert!(matches!(memory.find(&key, &one, &print, now), Found::Nothing));
        memory.claim(key, one.clone(), print, now);
        assert!(matches!(memory.find(&key, &one, &print, now), Found::Claimed));
        assert!(matches!(memory.find(&key, &one, &other, now), Found::OtherRequest));
        assert!(matches!(memory.find(&key, &two, &print, now), Found::OtherApp));
        let later = now + Duration::from_secs(50);
        memory.keep(key, answer(3), later);
        let end = later + Duration::from_secs(60);
        let last = end.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(matches!(memory.find(&key, &one, &print, last), Found::Answered(_)));
        assert!(matches!(memory.find(&key, &two, &other, end), Found::Nothing));
        assert_eq!((memory.octets, memory.known.len(), memory.order.len()), (0, 0, 0));
    }

    #[test]
    fn octets_are_bounded_and_the_oldest_make_room() {
        let (now, mut memory) = (Instant::now(), Memory::new(10_000, Duration::from_secs(60)));
        for n in 0..1000_u32 {
            let key = id(&[&n.to_be_bytes()]);
            memory.claim(key, app("one"), key, now);
            memory.keep(key, answer(1_000), now);
            assert!(memory.octets <= 10_000 && memory.order.len() <= 32, "{n}");
        }
        let last = id(&[&999_u32.to_be_bytes()]);
        assert!(matches!(memory.find(&last, &app("one"), &last, now), Found::Answered(_)));
        let first = id(&[&0_u32.to_be_bytes()]);
        assert!(matches!(memory.find(&first, &app("one"), &first, now), Found::Nothing));
    }

    #[test]
    fn a_key_that_is_freed_can_be_used_for_something_else() {
        let (now, mut memory) = (Instant::now(), Memory::new(10_000, Duration::from_secs(60)));
        let (key, print) = (id(&[b"k"]), id(&[b"p"]));
        memory.claim(key, app("one"), print, now);
        memory.free(&key);
        assert!(matches!(memory.find(&key, &app("two"), &key, now), Found::Nothing));
    }

    #[test]
    fn parts_of_an_id_do_not_run_into_each_other() {
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
    }
}
