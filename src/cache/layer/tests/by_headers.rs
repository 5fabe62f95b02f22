//! Rows that go by the vendor's fields alone.

use super::*;

const MINUTE: (&str, &str) = ("cache-control", "max-age=60");
const TAG: (&str, &str) = ("etag", "\"a\"");

/// A world whose vendor answers with these fields, and 304 to whoever has that version.
fn versioned(fields: &'static [(&'static str, &'static str)]) -> World {
    by_fields(move |call, nth| {
        let known = call.headers.get("if-none-match").is_some_and(|tag| tag == TAG.1);
        let answer = if known { reply(304, "") } else { reply(200, nth_body(nth)) };
        now(Ok(with(answer, fields)))
    })
}

#[tokio::test(start_paused = true)]
async fn a_copy_answers_as_long_as_the_vendor_says_and_tells_its_age() {
    let world = versioned(&[MINUTE]);
    assert_eq!(world.brands().await.says(), "fwd=uri-miss; stored");
    pass(59).await;
    let got = world.brands().await;
    assert_eq!((got.body.as_str(), got.word()), ("one", Some("hit")));
    assert_eq!(got.headers["age"], "59");
    pass(1).await;
    let over = world.brands().await;
    assert_eq!((over.body.as_str(), over.says().as_str()), ("two", "fwd=stale; stored"));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_confirmed_by_the_vendor_and_fresh_again() {
    let world = versioned(&[MINUTE, TAG]);
    world.brands().await;
    pass(61).await;
    let got = world.brands().await;
    assert_eq!(world.heard(1)["if-none-match"], TAG.1);
    assert_eq!((got.status, got.body.as_str(), got.word()), (200, "one", Some("revalidated")));
    pass(59).await;
    assert_eq!(world.brands().await.word(), Some("hit"));
    assert_eq!(world.vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_304_that_speaks_of_another_version_confirms_nothing() {
    let world = by_fields(|_, nth| {
        now(Ok(match nth {
            0 => with(reply(200, "one"), &[MINUTE, TAG]),
            1 => with(reply(304, ""), &[MINUTE, ("etag", "\"b\"")]),
            _ => with(reply(200, "three"), &[MINUTE, ("etag", "\"b\"")]),
        }))
    });
    world.brands().await;
    pass(61).await;
    assert_eq!(world.brands().await.body, "three");
    assert!(!world.heard(2).contains_key("if-none-match"), "all of it is asked for");
}

#[tokio::test(start_paused = true)]
async fn without_a_lifetime_nothing_is_kept_since_nobody_guesses() {
    let world = versioned(&[]);
    for _ in 0..2 {
        assert_eq!(world.brands().await.says(), "fwd=uri-miss; detail=no-lifetime");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_and_a_head_pass_by_the_copies() {
    let world = versioned(&[MINUTE]);
    world.brands().await;
    let part = world.get(brands(&[("range", "bytes=0-1")])).await;
    assert_eq!((part.word(), part.says().as_str()), (Some("bypass"), "fwd=bypass; detail=range"));
    assert_eq!(world.heard(1)["range"], "bytes=0-1");
    let head = world.get(testing::buffered(Method::HEAD, "/brands")).await;
    assert_eq!(head.says(), "fwd=bypass; detail=method");
    assert_eq!(world.brands().await.word(), Some("hit"));
}

#[tokio::test(start_paused = true)]
async fn all_fields_reach_the_vendor_and_copies_differ_by_what_it_varies_by() {
    let world = versioned(&[MINUTE, ("vary", "x-mine")]);
    for (mine, body) in [("1", "one"), ("2", "two"), ("1", "one")] {
        assert_eq!(world.get(brands(&[("x-mine", mine)])).await.body, body);
    }
    assert_eq!(world.heard(1)["x-mine"], "2");
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_condition_goes_to_the_vendor_and_its_answer_is_not_kept() {
    let world = versioned(&[MINUTE, TAG]);
    let got = world.get(brands(&[("if-none-match", TAG.1)])).await;
    assert_eq!((got.status, got.says().as_str()), (304, "fwd=uri-miss; detail=status"));
    assert_eq!(world.brands().await.body, "two");
    let known = world.get(brands(&[("if-none-match", TAG.1)])).await;
    assert_eq!((known.status, known.word()), (304, Some("hit")), "now a copy says it");
}

#[tokio::test(start_paused = true)]
async fn a_write_clears_these_copies_too() {
    let world = versioned(&[MINUTE]);
    world.brands().await;
    world.get(change()).await;
    let got = world.brands().await;
    assert_eq!((got.body.as_str(), got.word()), ("three", Some("miss")));
}

#[tokio::test(start_paused = true)]
async fn equal_reads_at_once_are_one_call() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = gate.clone();
    let world = by_fields(move |_, nth| {
        let waits = waits.clone();
        Box::pin(async move {
            waits.acquire().await.unwrap().forget();
            Ok(with(reply(200, nth_body(nth)), &[MINUTE]))
        })
    });
    let reads = futures_util::future::join_all((0..10).map(|_| world.brands()));
    let (got, ()) = futures_util::future::join(reads, async { gate.add_permits(10) }).await;
    assert!(got.iter().all(|got| got.body == "one"));
    assert_eq!((got[0].word(), got[9].word()), (Some("stored"), Some("shared")));
    assert_eq!(world.vendor.asked(), 1);
}
