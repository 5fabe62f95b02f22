//! The layer on a clock that stands still.

mod answers;
mod outcomes;

use http::Method;
use tower::{Layer, Service};

use super::*;
use crate::admission::testing::{desk, quota};
use crate::call::Throttled;
use crate::call::testing::{self, Leaf, now, reply, text};

type Layered = Staged<Retry, Leaf<Attempt>>;

/// The layer on `vendor`, with pauses of the dice that begin with `seed`.
fn seeded(vendor: &Leaf<Attempt>, seed: u64) -> Layered {
    layered(vendor, seed, desk(quota(100)).1)
}

fn layered(vendor: &Leaf<Attempt>, seed: u64, desk: Arc<Desk>) -> Layered {
    let pauses = Arc::new(Budgets::seeded(seed));
    let budgets = [pauses.of(&"acme-prod".parse().unwrap())].into_iter().collect();
    Retry::layer(budgets, pauses, desk).layer(vendor.clone())
}

/// A vendor that always answers with `status`, and never gets tired of it.
fn answers(status: u16) -> Leaf<Attempt> {
    Leaf::new(move |_, _| now(Ok(reply(status, "it"))))
}

/// A vendor that answers with the statuses of `all`, and then with the last of them.
fn in_turn<const N: usize>(all: [u16; N]) -> Leaf<Attempt> {
    Leaf::new(move |_, nth| now(Ok(reply(all[(nth as usize).min(N - 1)], "it"))))
}

/// A send, with a key or without.
fn send(key: Option<&'static str>) -> BufferedCall {
    let mut call = testing::buffered(Method::POST, "/send");
    if let Some(key) = key {
        call.headers.insert(KEY, HeaderValue::from_static(key));
    }
    call
}

fn get() -> BufferedCall {
    testing::buffered(Method::GET, "/brands")
}

/// Nothing of the attempt left the gateway.
fn not_sent() -> Result {
    Err(Error::refused(Code::VendorUnreachable, "not there"))
}

/// The attempt was sent, and nothing came back.
fn no_answer(attempt: &Attempt) -> Result {
    attempt.sending();
    Err(Error::refused(Code::VendorTimeout, "silent").with_outcome(Outcome::Unknown))
}

/// A 429 that closed a pool for `seconds`.
fn throttled(held: bool, seconds: u64) -> Reply {
    let mut reply = reply(429, "too many");
    let pause = Duration::from_secs(seconds);
    reply.facts_mut().throttled = Some(Throttled { pool: "connection".into(), pause, held });
    reply
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_a_connection_is_shared_by_its_calls_and_comes_back() {
    let vendor = answers(503);
    let mut layer = seeded(&vendor, 1);
    for asked in [4, 5] {
        assert_eq!(layer.call(get()).await.unwrap().status(), 503);
        assert_eq!(vendor.asked(), asked, "three further attempts need no calls");
    }
    tokio::time::advance(Duration::from_secs(12)).await;
    layer.call(get()).await.unwrap();
    assert_eq!(vendor.asked(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_key_pays_from_a_budget_of_its_own() {
    let vendor = answers(503);
    let mut layer = seeded(&vendor, 1);
    layer.call(get()).await.unwrap();
    layer.call(get()).await.unwrap();
    assert_eq!(vendor.asked(), 5, "nothing is left for calls without a key");
    layer.call(send(Some("k"))).await.unwrap();
    assert_eq!(vendor.asked(), 7);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_pauses_and_their_bound_doubles() {
    async fn pauses(seed: u64) -> Vec<Duration> {
        let begun = Arc::new(std::sync::Mutex::new(Vec::new()));
        let times = begun.clone();
        let vendor = Leaf::new(move |_, _| {
            times.lock().unwrap().push(Instant::now());
            now(Ok(reply(503, "")))
        });
        seeded(&vendor, seed).call(get()).await.unwrap();
        let begun = begun.lock().unwrap();
        begun.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
    let one = pauses(7).await;
    assert_eq!(one, pauses(7).await);
    assert_ne!(one, pauses(8).await);
    let mut longest = [Duration::ZERO; 3];
    for seed in 0..200 {
        for (longest, pause) in longest.iter_mut().zip(pauses(seed).await) {
            *longest = pause.max(*longest);
        }
    }
    // A timer's tick is 1 ms.
    for (longest, bound) in longest.into_iter().zip([100, 200, 400].map(Duration::from_millis)) {
        assert!(longest > bound / 2 && longest <= bound + Duration::from_millis(1), "{longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_that_could_not_before_the_deadline() {
    for (seconds, asked, status) in [(4, 1, 429), (6, 2, 200)] {
        let vendor = Leaf::new(|_, nth| {
            let mut refused = reply(429, "");
            refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            now(Ok(if nth == 0 { refused } else { reply(200, "") }))
        });
        let began = Instant::now();
        let mut call = get();
        call.deadline = began + Duration::from_secs(seconds);
        let answer = seeded(&vendor, 1).call(call).await.unwrap();
        assert_eq!((vendor.asked(), answer.status().as_u16()), (asked, status));
        let waited = if asked == 1 { 0 } else { 5 };
        assert_eq!(began.elapsed().as_secs(), waited, "nobody waits in vain");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_throttled_goes_back_to_its_line_with_the_time_it_first_came() {
    let began = Instant::now();
    let vendor = Leaf::new(move |attempt: Attempt, nth| {
        assert_eq!(attempt.back_since, (nth > 0).then_some(began));
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(if nth < 9 { throttled(true, 1) } else { reply(202, "sent") })
        })
    });
    let mut layer = seeded(&vendor, 1);
    // Neither its kind nor the budget counts: it was not done.
    assert_eq!(layer.call(send(None)).await.unwrap().status(), 202);
    assert_eq!(vendor.asked(), 10);
    assert_eq!(layer.stage().pauses.left(Instant::now())[0].1, [3, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_not_find_a_place_in_its_line_in_time_is_told() {
    let mut narrow = quota(1);
    narrow.max_wait = Duration::from_secs(5);
    let (_admission, desk) = desk(narrow);
    let first = Attempt::first(Arc::new(get()));
    let pass = desk.enter(&first).0.ok().unwrap().come().await.ok().unwrap();
    desk.settle(&first, pass, true);
    let vendor = Leaf::new(|_, _| now(Ok(throttled(true, 1))));
    let answer = layered(&vendor, 1, desk).call(get()).await.unwrap();
    assert_eq!((vendor.asked(), answer.status().as_u16()), (1, 429));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_held_back_a_429_is_tried_again_after_its_time_or_told() {
    for (pause, asked) in [(3, 2), (10, 2), (11, 1)] {
        let vendor = Leaf::new(move |_, nth| {
            now(Ok(if nth == 0 { throttled(false, pause) } else { reply(200, "") }))
        });
        let began = Instant::now();
        let mut layer = seeded(&vendor, 1);
        layer.call(get()).await.unwrap();
        assert_eq!(vendor.asked(), asked, "{pause} s");
        let waited = if asked == 2 { pause } else { 0 };
        assert_eq!(began.elapsed().as_secs(), waited);
        let left = if asked == 2 { 2 } else { 3 };
        assert_eq!(layer.stage().pauses.left(Instant::now())[0].1[0], left, "the budget pays");
    }
}
