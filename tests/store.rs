//! What kept answers take, counted in octets. Alone in its process: what other threads look up in
//! stores of theirs delays the end of what this one has evicted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::Arc;

use allocation_counter::measure;
use futures_util::FutureExt;
use http::{HeaderMap, Response};
use tollgate::cache::key::{CacheKey, Parts};
use tollgate::cache::policy::Life;
use tollgate::cache::store::{Copy, Store};
use tollgate::cache::variant::Variant;

fn random_key(random: &mut impl FnMut() -> u64) -> CacheKey {
    let connection = "acme".parse().unwrap();
    let target = format!("/brands/{:x}{:x}", random(), random()).parse().unwrap();
    let parts =
        Parts { connection: &connection, epoch: 0, operation: "b", reads: 0, target: &target };
    CacheKey::listed(parts, &HeaderMap::new(), &[])
}

fn random_copy(url: &CacheKey, random: &mut impl FnMut() -> u64, largest: usize) -> Copy {
    let seconds = std::time::Duration::from_secs;
    let life = Life { fresh: seconds(60), stale: seconds(600), age: seconds(0) };
    // Many short ones, some long ones.
    let size = (random() % largest as u64) >> (random() % 12);
    let body = vec![b'x'; usize::try_from(size).unwrap()];
    let mut answer = Response::new(());
    for n in 0..random() % 12 {
        let name = format!("x-field-{n}-{:x}", random() % 256);
        let value = "v".repeat(usize::try_from(random() % 60).unwrap());
        let name: http::HeaderName = name.parse().unwrap();
        answer.headers_mut().append(name, value.parse().unwrap());
    }
    let head = (answer.status(), answer.headers());
    Copy::new(head, &body, life, 0, Variant::of(url, &HeaderMap::new(), Box::default()))
}

#[tokio::test]
async fn kept_answers_take_no_more_than_is_configured_and_a_tenth() {
    const CAPACITY: usize = 256 << 20;
    let store = Store::new(CAPACITY);
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut live = 0;
    let mut most = 0;
    let mut offered = 0;
    while offered < 3 * CAPACITY {
        let taken = measure(|| {
            for _ in 0..64 {
                let url = random_key(&mut random);
                let copy = random_copy(&url, &mut random, store.largest());
                offered += copy.size();
                store.put(Arc::new(copy)).now_or_never().expect("nobody else writes");
            }
        });
        live += taken.bytes_current;
        most = most.max(live);
    }
    store.tidy().await;
    let (bytes, most) = (store.bytes(), u64::try_from(most).unwrap());
    println!("{bytes} counted, {most} live at most, of {CAPACITY}");
    assert!(bytes > CAPACITY as u64 / 2, "the store was filled: {bytes}");
    assert!(most <= CAPACITY as u64 / 10 * 11, "{most} live, {bytes} counted");
}
