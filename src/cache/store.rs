//! The copies: bounded in bytes by `moka`, their freshness judged by the gateway's own clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use moka::future::Cache;

use super::key::CacheKey;
use super::policy::Life;
use super::terms::CacheTerms;
use super::validate;
use super::variant::Variant;
use crate::call::{self, Reply};
use crate::clock::Instant;

/// An entry is at most this part of the capacity.
const LARGEST: usize = 1000;

/// Fields that the gateway adds to an answer: its own, and those that a server adds.
const OWN_FIELDS: usize = 9;

/// What a copy takes beside its octets: the entry, the map's and moka's own nodes.
const OVERHEAD: usize = 760;

/// What one field takes beside its octets.
const FIELD_OVERHEAD: usize = 160;

/// What a field takes that selects among copies, beside its octets.
const NAME_OVERHEAD: usize = 40;

/// One complete answer.
pub struct Copy {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// When the vendor was asked for it, at the earliest.
    asked: Instant,
    /// When it came, and how old it was then.
    stored: Instant,
    life: Life,
    /// The generation of its tags when it was fetched.
    generation: u64,
    /// For whom it was made.
    variant: Variant,
    /// What the vendor's fields allow, where the row goes by them alone.
    terms: Option<CacheTerms>,
}

/// Keeps copies.
pub struct Store {
    entries: Cache<CacheKey, Entry>,
    capacity: usize,
}

/// What is kept under a key.
#[derive(Clone)]
enum Entry {
    Copy(Arc<Copy>),
    /// The fields that select among the copies of a URL.
    Varies(Arc<[HeaderName]>),
}

// === impl Copy ===

impl Copy {
    /// A copy of an answer that came `now`, made for the requests that `variant` says. Its octets
    /// are its own: nothing larger stays alive by it.
    #[must_use]
    pub fn new(
        (status, fields): (StatusCode, &HeaderMap),
        body: &[u8],
        life: Life,
        generation: u64,
        variant: Variant,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(fields.len() + 1);
        for (name, value) in fields {
            let mut own = HeaderValue::from_bytes(value.as_bytes());
            if let Ok(own) = &mut own {
                own.set_sensitive(value.is_sensitive());
            }
            headers.append(plain(name), own.expect("the octets were a field's value before"));
        }
        // A HEAD is answered from it, too. A 204 has none (RFC 9110, section 8.6).
        if status != StatusCode::NO_CONTENT {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        headers.remove(header::AGE);
        let stored = Instant::now();
        Self {
            status,
            headers,
            body: Bytes::copy_from_slice(body),
            asked: stored,
            stored,
            life,
            generation,
            variant,
            terms: None,
        }
    }

    /// The same, for which the vendor was asked at `asked`, or later.
    #[must_use]
    pub fn asked_at(mut self, asked: Instant) -> Self {
        self.asked = asked;
        self
    }

    /// When the vendor was asked for it, at the earliest.
    #[must_use]
    pub fn asked(&self) -> Instant {
        self.asked
    }

    /// The same under `terms`.
    #[must_use]
    pub fn with_terms(mut self, terms: CacheTerms) -> Self {
        self.terms = Some(terms);
        self
    }

    /// What the vendor's fields allow, where the row goes by them alone.
    #[must_use]
    pub fn terms(&self) -> Option<&CacheTerms> {
        self.terms.as_ref()
    }

    /// For whom it was made.
    #[must_use]
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// True when it answers requests for `url` with the fields `request`, too.
    #[must_use]
    pub fn fits(&self, url: &CacheKey, request: &HeaderMap) -> bool {
        self.variant.fits(url, request, &self.headers)
    }

    /// The generation that it was fetched under.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The octets.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        self.life.age + now.saturating_duration_since(self.stored)
    }

    /// How long it is still fresh; `None`: it is not.
    #[must_use]
    pub fn fresh_for(&self, now: Instant) -> Option<Duration> {
        let left = (self.stored + self.life.fresh).checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// How long ago it ceased to be fresh, while it may still stand in for the vendor.
    #[must_use]
    pub fn stale_since(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.stored + self.life.fresh);
        (since < self.life.stale).then_some(since)
    }

    /// The answer to `method` with the fields `request`: that the client has it, if its conditions
    /// say so. `HEAD` gets no octets.
    #[must_use]
    pub fn reply(&self, method: &Method, request: &HeaderMap) -> Reply {
        let known = validate::has_it(request, self.status, &self.headers);
        let no_octets = known || *method == Method::HEAD;
        let body = if no_octets { call::empty() } else { call::full(self.body.clone()) };
        let mut reply = Reply::new(body);
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        // One allocation, with room for what the gateway says of every answer.
        headers.reserve(self.headers.len() + OWN_FIELDS);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        if known {
            *reply.status_mut() = StatusCode::NOT_MODIFIED;
            validate::not_modified(reply.headers_mut());
        }
        reply
    }

    /// What it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            name.as_str().len() + value.len() + FIELD_OVERHEAD
        };
        let fields = self.headers.iter().map(field).sum::<usize>() + names(self.variant.varies());
        fields + self.body.len() + OVERHEAD
    }
}

/// What the names of fields take.
fn names(names: &[HeaderName]) -> usize {
    names.iter().map(|name| name.as_str().len() + NAME_OVERHEAD).sum()
}

/// A name that shares no octets with the head it came in.
fn plain(name: &HeaderName) -> HeaderName {
    HeaderName::from_bytes(name.as_str().as_bytes()).expect("it was a field's name before")
}

// === impl Store ===

impl Store {
    /// None yet; all of them take at most `capacity` octets.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let weigh = |_: &CacheKey, entry: &Entry| u32::try_from(entry.size()).unwrap_or(u32::MAX);
        let entries = Cache::builder().max_capacity(capacity as u64).weigher(weigh).build();
        Self { entries, capacity }
    }

    /// What all copies may take.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The octets of the largest body that is kept.
    #[must_use]
    pub fn largest(&self) -> usize {
        (self.capacity / LARGEST).saturating_sub(OVERHEAD)
    }

    /// What all copies take, as far as moka has counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Where the answer to a request for `url` with the fields `request` is kept, by what is known
    /// of that URL, and the copy that is there, whatever has become of it. Its codings may be
    /// others.
    pub async fn find(&self, url: CacheKey, request: &HeaderMap) -> (CacheKey, Option<Arc<Copy>>) {
        match self.entries.get(&url).await {
            Some(Entry::Copy(copy)) => (url, Some(copy)),
            Some(Entry::Varies(names)) => {
                let key = url.variant(request, &names);
                let copy = self.entries.get(&key).await;
                (key, copy.and_then(Entry::into_copy))
            }
            None => (url, None),
        }
    }

    /// From now on `names` select among the copies of `url`.
    pub async fn learn(&self, url: CacheKey, names: &[HeaderName]) {
        let known = match self.entries.get(&url).await {
            Some(Entry::Varies(known)) => *known == *names,
            _ => names.is_empty(),
        };
        if !known {
            self.insert(url, Entry::Varies(names.into())).await;
        }
    }

    /// Keeps `copy` among those of its URL. False: it is too large.
    pub async fn put(&self, copy: Arc<Copy>) -> bool {
        self.insert(*copy.variant.key(), Entry::Copy(copy)).await
    }

    async fn insert(&self, key: CacheKey, entry: Entry) -> bool {
        let fits = entry.size() <= self.capacity / LARGEST;
        if fits {
            self.entries.insert(key, entry).await;
        }
        fits
    }

    /// Does what moka has put off.
    pub async fn tidy(&self) {
        self.entries.run_pending_tasks().await;
    }
}

// === impl Entry ===

impl Entry {
    fn size(&self) -> usize {
        match self {
            Self::Copy(copy) => copy.size(),
            Self::Varies(names) => self::names(names) + OVERHEAD,
        }
    }

    fn into_copy(self) -> Option<Arc<Copy>> {
        match self {
            Self::Copy(copy) => Some(copy),
            Self::Varies(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::fields;
    use crate::cache::key::Parts;

    const LIFE: Life = Life {
        fresh: Duration::from_secs(60),
        stale: Duration::from_secs(600),
        age: Duration::from_secs(5),
    };

    fn key(n: usize) -> CacheKey {
        let connection = "acme".parse().unwrap();
        let target = format!("/brands?n={n}").parse().unwrap();
        let parts =
            Parts { connection: &connection, epoch: 0, operation: "b", reads: 0, target: &target };
        CacheKey::whole(parts, &HeaderMap::new())
    }

    /// The only one of `url`.
    fn variant(url: &CacheKey) -> Variant {
        Variant::of(url, &HeaderMap::new(), Box::default())
    }

    fn copy_of(url: &CacheKey, size: usize) -> Arc<Copy> {
        Arc::new(Copy::new(
            (StatusCode::OK, &HeaderMap::new()),
            &vec![b'x'; size],
            LIFE,
            0,
            variant(url),
        ))
    }

    fn copy(size: usize) -> Arc<Copy> {
        copy_of(&key(0), size)
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_ages_by_the_gateways_clock() {
        let (copy, now) = (copy(10), Instant::now());
        let after = |s| now + Duration::from_secs(s);
        assert_eq!(copy.age(after(7)).as_secs(), 12);
        assert_eq!(copy.fresh_for(after(59)), Some(Duration::from_secs(1)));
        assert_eq!(copy.fresh_for(after(60)), None);
        assert_eq!(copy.stale_since(after(70)), Some(Duration::from_secs(10)));
        assert_eq!(copy.stale_since(after(660)), None);
    }

    #[tokio::test]
    async fn the_store_is_bounded_in_bytes_and_no_entry_takes_more_than_its_part() {
        let store = Store::new(1 << 20);
        assert!(store.largest() < (1 << 20) / 1000);
        assert!(!store.put(copy(1000)).await);
        let none = HeaderMap::new();
        assert!(store.find(key(0), &none).await.1.is_none(), "larger than a thousandth");
        for n in 0..5000 {
            assert!(store.put(copy_of(&key(n), 100)).await);
        }
        store.tidy().await;
        assert!(store.bytes() > 1 << 19 && store.bytes() <= 1 << 20, "{}", store.bytes());
    }

    #[tokio::test]
    async fn a_copy_under_terms_takes_no_more_than_its_size_says() {
        let mut answer = http::Response::new(());
        for (name, value) in [
            ("cache-control", "public, max-age=600, s-maxage=60"),
            ("vary", "accept, accept-encoding, accept-language, x-own"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("expires", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("age", "1"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let (url, request) = (key(0), HeaderMap::new());
        let now = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut copy = None;
        let took = allocation_counter::measure(|| {
            let terms = CacheTerms::of(&answer, Duration::ZERO, now).unwrap();
            let variant = Variant::of(&url, &request, fields::vary(answer.headers()).unwrap());
            let new =
                Copy::new((answer.status(), answer.headers()), &[b'x'; 100], LIFE, 0, variant)
                    .with_terms(terms);
            copy = Some(Arc::new(new));
        });
        let (size, took) = (copy.unwrap().size(), usize::try_from(took.bytes_current).unwrap());
        assert!(took > size / 2 && took <= size, "{took} of {size}");
    }

    #[tokio::test]
    async fn head_gets_the_length_and_no_octets() {
        let reply = copy(10).reply(&Method::HEAD, &HeaderMap::new());
        assert_eq!(reply.headers()[header::CONTENT_LENGTH], "10");
        assert!(hyper::body::Body::is_end_stream(reply.body()));
    }

    #[tokio::test]
    async fn the_latest_answer_says_what_tells_the_copies_of_a_url_apart() {
        let store = Store::new(1 << 20);
        let names = [header::ACCEPT];
        let one = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("a/b"))]);
        let (url, other) = (key(0), HeaderMap::new());
        store.learn(url, &[]).await;
        store.put(copy(10)).await;
        assert!(
            store.find(url, &one).await.1.is_some() && store.find(url, &other).await.1.is_some()
        );
        store.learn(url, &names).await;
        let made = Variant::of(&url, &one, names.clone().into());
        store
            .put(Arc::new(Copy::new((StatusCode::OK, &HeaderMap::new()), b"", LIFE, 0, made)))
            .await;
        assert!(store.find(url, &one).await.1.is_some());
        let (place, none) = store.find(url, &other).await;
        assert!(place == url.variant(&other, &names) && none.is_none());
        store.learn(url, &[]).await;
        assert_eq!(store.find(url, &one).await.0, url);
        assert!(store.find(url, &one).await.1.is_none());
    }
}
