//! What is remembered of keys: whose they are, what they were used for, and the first good answer.
//! Pure: time is an argument. The memory is bounded in bytes and time, and connections share it.
//! Nothing stays of a call that was not sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::retention::{Owner, Place, Retention};
use crate::clock::Instant;
use crate::ids::AppId;

/// Bytes that an entry takes beside its answer.
const ENTRY: usize = 400;

/// A hash that stands for a key, or for what a request asks.
pub(super) type Id = [u8; 32];

/// The id of `parts`. Each is hashed with its length, so that none can run into the next.
pub(super) fn id(parts: &[&[u8]]) -> Id {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// An answer that is kept to be given again.
#[derive(Debug)]
pub(super) struct KeptAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub(super) enum KeyState {
    /// Nothing is known.
    Nothing,
    /// A call used it for the same request, and the outcome is not settled.
    Claimed,
    /// The first good answer.
    Answered(Arc<KeptAnswer>),
    /// It was used for another request.
    OtherRequest,
    /// It belongs to another app.
    OtherApp,
}

/// Who uses a key, and for what.
#[derive(Clone, Debug)]
pub(super) struct Purpose {
    pub(super) owner: Owner,
    pub(super) app: AppId,
    pub(super) print: Id,
}

/// The memory.
pub(super) struct Memory {
    known: HashMap<Id, Entry>,
    retention: Retention<Id>,
}

struct Entry {
    app: AppId,
    print: Id,
    answer: Option<Arc<KeptAnswer>>,
    /// `None` while its call waits to be sent; until then it takes no room.
    place: Option<Place>,
}

impl Memory {
    /// A memory that keeps entries for `time`, in about `capacity` bytes.
    pub(super) fn new(capacity: usize, time: Duration) -> Self {
        Self { known: HashMap::new(), retention: Retention::new(capacity, time) }
    }

    /// What is known of `key` when it is used for `purpose`.
    pub(super) fn find(&mut self, key: &Id, purpose: &Purpose, now: Instant) -> KeyState {
        self.forget(now);
        match self.known.get(key) {
            None => KeyState::Nothing,
            Some(entry) if entry.app != purpose.app => KeyState::OtherApp,
            Some(entry) if entry.print != purpose.print => KeyState::OtherRequest,
            Some(Entry { answer: Some(answer), .. }) => KeyState::Answered(answer.clone()),
            Some(_) => KeyState::Claimed,
        }
    }

    /// A call begins under `key`, of which nothing is known. The caller frees the key or says that
    /// it was sent.
    pub(super) fn claim(&mut self, key: Id, purpose: &Purpose) {
        let (app, print) = (purpose.app.clone(), purpose.print);
        self.known.entry(key).or_insert(Entry { app, print, answer: None, place: None });
    }

    /// From now on the call under `key` counts as sent.
    pub(super) fn sent(&mut self, key: Id, purpose: &Purpose, now: Instant) {
        self.claim(key, purpose);
        let entry = self.known.get_mut(&key).filter(|entry| entry.place.is_none());
        if let Some(entry) = entry {
            entry.place = Some(self.retention.enter(purpose.owner, key, size(entry), now));
            self.forget(now);
        }
    }

    /// Keeps the first good answer under `key`, if its call is remembered.
    pub(super) fn keep(&mut self, key: Id, answer: KeptAnswer, now: Instant) {
        let Some(entry) = self.known.get_mut(&key) else { return };
        let Some(place) = entry.place else { return };
        entry.answer = Some(Arc::new(answer));
        self.retention.leave(place);
        entry.place = Some(self.retention.enter(place.owner(), key, size(entry), now));
        self.forget(now);
    }

    /// The call under `key` did nothing, so the key is free again.
    pub(super) fn free(&mut self, key: &Id) {
        if let Some(place) = self.known.remove(key).and_then(|entry| entry.place) {
            self.retention.leave(place);
        }
    }

    /// Bytes that the entries of sent calls take.
    pub(super) fn octets(&self) -> usize {
        self.retention.octets()
    }

    /// Forgets entries that are too old, or for which there is no room.
    fn forget(&mut self, now: Instant) {
        while let Some(key) = self.retention.evict(now) {
            self.known.remove(&key);
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

    fn answer(octets: usize) -> KeptAnswer {
        let body = Bytes::from(vec![0; octets]);
        KeptAnswer { status: StatusCode::ACCEPTED, headers: HeaderMap::new(), body }
    }

    fn used_by(owner: u8, name: &str, print: Id) -> Purpose {
        Purpose { owner: [owner; 16], app: app(name), print }
    }

    fn memory(capacity: usize) -> (Instant, Memory) {
        (Instant::now(), Memory::new(capacity, Duration::from_secs(60)))
    }

    #[test]
    fn a_key_belongs_to_one_app_and_one_request_until_its_time_is_over() {
        let (now, mut memory) = memory(1 << 20);
        let (key, print, other) = (id(&[b"k"]), id(&[b"p"]), id(&[b"q"]));
        let one = used_by(1, "one", print);
        assert!(matches!(memory.find(&key, &one, now), KeyState::Nothing));
        memory.claim(key, &one);
        for _ in 0..2 {
            assert!(matches!(memory.find(&key, &one, now), KeyState::Claimed));
            let found = memory.find(&key, &used_by(1, "one", other), now);
            assert!(matches!(found, KeyState::OtherRequest));
            let found = memory.find(&key, &used_by(1, "two", print), now);
            assert!(matches!(found, KeyState::OtherApp));
            memory.sent(key, &one, now);
        }
        let later = now + Duration::from_secs(50);
        memory.keep(key, answer(3), later);
        let end = later + Duration::from_secs(60);
        let last = end.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(matches!(memory.find(&key, &one, last), KeyState::Answered(_)));
        assert!(matches!(memory.find(&key, &used_by(1, "two", other), end), KeyState::Nothing));
        assert_eq!((memory.octets(), memory.known.len()), (0, 0));
    }

    #[test]
    fn octets_are_bounded_and_the_oldest_make_room() {
        let (now, mut memory) = memory(10_000);
        let use_of = |n: u32| (id(&[&n.to_be_bytes()]), used_by(1, "one", id(&[&n.to_be_bytes()])));
        for n in 0..1000_u32 {
            let (key, purpose) = use_of(n);
            memory.claim(key, &purpose);
            memory.sent(key, &purpose, now);
            memory.keep(key, answer(1_000), now);
            assert!(memory.octets() <= 10_000 && memory.known.len() <= 25, "{n}");
        }
        let (last, purpose) = use_of(999);
        assert!(matches!(memory.find(&last, &purpose, now), KeyState::Answered(_)));
        let (first, purpose) = use_of(0);
        assert!(matches!(memory.find(&first, &purpose, now), KeyState::Nothing));
    }

    #[test]
    fn calls_that_are_refused_push_out_nothing_and_leave_nothing() {
        let (now, mut memory) = memory(10_000);
        let (key, honest) = (id(&[b"k"]), used_by(1, "one", id(&[b"p"])));
        memory.claim(key, &honest);
        memory.sent(key, &honest, now);
        let octets = memory.octets();
        let (other, flood) = (id(&[b"f"]), used_by(2, "two", id(&[b"f"])));
        for _ in 0..110_000 {
            memory.claim(other, &flood);
            memory.free(&other);
        }
        assert_eq!((memory.octets(), memory.known.len()), (octets, 1));
        assert!(matches!(memory.find(&key, &honest, now), KeyState::Claimed));
    }

    #[test]
    fn sends_of_one_connection_push_out_its_own() {
        let (now, mut memory) = memory(10_000);
        let (key, honest) = (id(&[b"k"]), used_by(1, "one", id(&[b"p"])));
        memory.sent(key, &honest, now);
        memory.keep(key, answer(4_000), now);
        for n in 0..1_000_u32 {
            let key = id(&[&n.to_be_bytes()]);
            memory.sent(key, &used_by(2, "two", key), now);
        }
        assert!(memory.octets() <= 10_000);
        assert!(matches!(memory.find(&key, &honest, now), KeyState::Answered(_)));
    }

    #[test]
    fn a_key_that_is_freed_can_be_used_for_something_else() {
        let (now, mut memory) = memory(10_000);
        let (key, print) = (id(&[b"k"]), id(&[b"p"]));
        for sent in [false, true] {
            let purpose = used_by(1, "one", print);
            memory.claim(key, &purpose);
            if sent {
                memory.sent(key, &purpose, now);
            }
            memory.free(&key);
            assert!(matches!(memory.find(&key, &used_by(1, "two", key), now), KeyState::Nothing));
            assert_eq!(memory.octets(), 0);
        }
    }

    #[test]
    fn parts_of_an_id_do_not_run_into_each_other() {
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
    }
}
