//! What a vendor that throttles does to the pool.

use std::time::UNIX_EPOCH;

use super::*;
use crate::call::Throttled;
use crate::quota::Would;

/// A vendor that refuses its first call in this way, and answers the others.
fn refusing(
    settings: ConnectionSettings,
    status: u16,
    fields: &[(&'static str, &'static str)],
) -> World {
    let fields = fields.to_vec();
    world(settings, move |call, nth| {
        call.sending();
        let mut answer = reply(if nth == 0 { status } else { 200 }, "");
        for (name, value) in fields.iter().filter(|_| nth == 0) {
            answer.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        now(Ok(answer))
    })
}

/// How long a call waits that comes after one that was refused so; the answer to that one says it.
async fn closed_for(world: &World) -> u64 {
    let answer = world.ask(get()).await.unwrap();
    let told = answer.facts().throttled.as_ref().map_or(0, Throttled::seconds);
    let began = Instant::now();
    world.ask(get()).await.unwrap();
    assert_eq!(told, began.elapsed().as_secs());
    told
}

#[tokio::test(start_paused = true)]
async fn a_429_closes_the_pool_for_its_time() {
    let world = refusing(quota(100), 429, &[("retry-after", "7")]);
    let call = get();
    let record = call.record.clone();
    let answer = world.ask(call).await.unwrap();
    let pause = Duration::from_secs(7);
    let closed = Throttled { pool: "acme-prod".into(), pause, held: true };
    assert_eq!(answer.facts().throttled, Some(closed));
    assert!(record.read(|marks| marks.quota.throttled));
    let began = Instant::now();
    world.ask(get()).await.unwrap();
    assert!(began.elapsed() >= pause && began.elapsed() < pause + LATE);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_come_back_is_held_within_bounds() {
    for (told, seconds) in [("0", 1), ("1.5", 2), ("9", 9)] {
        let world = refusing(quota(100), 429, &[("retry-after", told)]);
        assert_eq!(closed_for(&world).await, seconds, "{told}");
    }
    let world = refusing(quota(100), 429, &[("retry-after", "100000")]);
    let closed = world.ask(get()).await.unwrap().facts().throttled.clone().unwrap();
    assert_eq!(closed.pause, Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_date_counts_on_the_clock_that_wrote_it() {
    let told = [
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT"),
    ];
    let world = refusing(quota(100), 429, &told);
    assert!(clock::wall() > UNIX_EPOCH + Duration::from_secs(784_111_797), "ours is ahead");
    assert_eq!(closed_for(&world).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_503_closes_the_pool_only_if_it_names_a_time() {
    for (fields, seconds) in [(&[("retry-after", "3")][..], 3), (&[][..], 0)] {
        assert_eq!(closed_for(&refusing(quota(100), 503, fields)).await, seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_pool_is_closed_a_call_without_time_to_wait_hears_why() {
    let mut settings = quota(100);
    settings.max_wait = Duration::from_secs(5);
    let world = refusing(settings, 429, &[("retry-after", "30")]);
    world.ask(get()).await.unwrap();
    let refused = world.ask(get()).await.unwrap_err();
    assert_eq!(refused.code, Code::VendorThrottled);
    let after = refused.retry_after.unwrap();
    assert!(after >= Duration::from_secs(30) && after < Duration::from_secs(32), "{after:?}");
    advance(after).await;
    assert!(world.ask(get()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_only_watches_holds_nothing_back_and_says_what_it_would_have_done() {
    let mut settings = quota(1);
    settings.mode = Mode::Shadow;
    let world = refusing(settings, 429, &[("retry-after", "7")]);
    let answer = world.ask(get()).await.unwrap();
    assert!(!answer.facts().throttled.as_ref().unwrap().held);
    let (began, call) = (Instant::now(), get());
    let record = call.record.clone();
    world.ask(call).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    let would = record.read(|marks| marks.quota.would).unwrap();
    assert!(!matches!(would, Would::Start), "{would:?}");
}
