//! The copies: bounded in bytes by `moka`, their freshness judged by the gateway's own clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_cache_semantics::CachePolicy;
use moka::future::Cache;

use super::key::Key;
use super::policy::Life;
use crate::call::{self, Reply};
use crate::clock::Instant;

/// An entry is at most this part of the capacity.
const LARGEST: usize = 1000;

/// What a copy takes beside its octets: the entry, the map's and moka's own nodes.
const OVERHEAD: usize = 720;

/// What one field takes beside its octets.
const FIELD_OVERHEAD: usize = 160;

/// One complete answer.
pub struct Copy {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// When it came, and how old it was then.
    stored: Instant,
    life: Life,
    /// The generation of its tags when it was fetched.
    generation: u64,
    /// What the vendor's fields mean, where the row goes by them alone.
    policy: Option<Box<CachePolicy>>,
}

/// Keeps copies.
pub struct Store {
    copies: Cache<Key, Arc<Copy>>,
    capacity: usize,
}

// === impl Copy ===

impl Copy {
    /// A copy of an answer that came `now`. Its octets are its own: nothing larger stays alive by it.
    #[must_use]
    pub fn new(answer: &http::Response<()>, body: &[u8], life: Life, generation: u64) -> Self {
        let mut headers = HeaderMap::with_capacity(answer.headers().len() + 1);
        for (name, value) in answer.headers() {
            let mut own = HeaderValue::from_bytes(value.as_bytes());
            if let Ok(own) = &mut own {
                own.set_sensitive(value.is_sensitive());
            }
            headers.append(plain(name), own.expect("the octets were a field's value before"));
        }
        // A HEAD is answered from it, too.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.remove(header::AGE);
        Self {
            status: answer.status(),
            headers,
            body: Bytes::copy_from_slice(body),
            stored: Instant::now(),
            life,
            generation,
            policy: None,
        }
    }

    /// The same with what the vendor's fields mean.
    #[must_use]
    pub fn with_policy(mut self, policy: CachePolicy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// What the vendor's fields mean, where the row goes by them alone.
    #[must_use]
    pub fn policy(&self) -> Option<&CachePolicy> {
        self.policy.as_deref()
    }

    /// The generation that it was fetched under.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
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

    /// The answer to `method`; `HEAD` gets no octets.
    #[must_use]
    pub fn reply(&self, method: &Method) -> Reply {
        let body =
            if *method == Method::HEAD { call::empty() } else { call::full(self.body.clone()) };
        let mut reply = Reply::new(body);
        *reply.status_mut() = self.status;
        *reply.headers_mut() = self.headers.clone();
        reply
    }

    /// What it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            name.as_str().len() + value.len() + FIELD_OVERHEAD
        };
        // What is known of the vendor's fields repeats them.
        let times = if self.policy.is_some() { 3 } else { 1 };
        self.headers.iter().map(field).sum::<usize>() * times + self.body.len() + OVERHEAD
    }
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
        let weigh = |_: &Key, copy: &Arc<Copy>| u32::try_from(copy.size()).unwrap_or(u32::MAX);
        let copies = Cache::builder().max_capacity(capacity as u64).weigher(weigh).build();
        Self { copies, capacity }
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
        self.copies.weighted_size()
    }

    /// The copy of `key`, whatever has become of it.
    pub async fn get(&self, key: &Key) -> Option<Arc<Copy>> {
        self.copies.get(key).await
    }

    /// Keeps `copy`, unless it is too large.
    pub async fn put(&self, key: Key, copy: Arc<Copy>) {
        if copy.size() <= self.capacity / LARGEST {
            self.copies.insert(key, copy).await;
        }
    }

    /// Does what moka has put off.
    pub async fn tidy(&self) {
        self.copies.run_pending_tasks().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::Parts;

    const LIFE: Life = Life {
        fresh: Duration::from_secs(60),
        stale: Duration::from_secs(600),
        age: Duration::from_secs(5),
    };

    fn key(n: usize) -> Key {
        let connection = "acme".parse().unwrap();
        let target = format!("/brands?n={n}").parse().unwrap();
        let parts = Parts { connection: &connection, epoch: 0, operation: "b", target: &target };
        Key::whole(parts, &HeaderMap::new())
    }

    fn copy(size: usize) -> Arc<Copy> {
        Arc::new(Copy::new(&http::Response::new(()), &vec![b'x'; size], LIFE, 0))
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
        store.put(key(0), copy(1000)).await;
        assert!(store.get(&key(0)).await.is_none(), "larger than a thousandth");
        for n in 0..5000 {
            store.put(key(n), copy(100)).await;
        }
        store.tidy().await;
        assert!(store.bytes() > 1 << 19 && store.bytes() <= 1 << 20, "{}", store.bytes());
    }

    #[tokio::test]
    async fn head_gets_the_length_and_no_octets() {
        let reply = copy(10).reply(&Method::HEAD);
        assert_eq!(reply.headers()[header::CONTENT_LENGTH], "10");
        assert!(http_body::Body::is_end_stream(reply.body()));
    }
}
