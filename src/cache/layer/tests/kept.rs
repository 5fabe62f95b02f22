//! Rows with seconds: what is kept, for whom, and for how long.

use super::*;

/// More than the fields of these answers take.
const FIELDS: usize = 400;

#[tokio::test(start_paused = true)]
async fn a_second_read_is_answered_from_the_copy_and_the_vendor_is_not_asked() {
    let world = numbered(&[("x-of", "courier")]);
    let first = world.brands().await;
    assert_eq!((first.body.as_str(), first.says().as_str()), ("one", "fwd=uri-miss; stored"));
    pass(30).await;
    let call = brands(&[]);
    let record = call.record.clone();
    let again = world.get(call).await;
    assert_eq!((again.status, again.body.as_str()), (200, "one"));
    assert_eq!(again.headers["x-of"], "courier");
    let Some(Cached::Hit { age, left }) = again.cached else { panic!("{:?}", again.cached) };
    assert_eq!(age, 30 * SECOND);
    assert!((78 * SECOND..=102 * SECOND).contains(&left), "{left:?}");
    assert_eq!(record.read(|marks| marks.cached), again.cached, "telemetry is told the same");
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_answers_for_the_rows_time_give_or_take_a_tenth() {
    let world = numbered(&[]);
    world.brands().await;
    pass(107).await;
    assert_eq!(world.brands().await.word(), Some("hit"));
    pass(26).await;
    let over = world.brands().await;
    assert_eq!((over.body.as_str(), over.says().as_str()), ("two", "fwd=stale; stored"));
    assert_eq!(world.brands().await.body, "two");
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_says_of_the_age_counts() {
    let world = numbered(&[("age", "100"), ("cache-control", "max-age=3600")]);
    world.brands().await;
    pass(1).await;
    let copy = world.brands().await;
    assert_eq!(copy.cached.and_then(Cached::age), Some(101 * SECOND));
    assert!(!copy.headers.contains_key("age"), "the old one is not said again");
    pass(31).await;
    assert_eq!(world.brands().await.body, "two", "the row's seconds count from there");
}

#[tokio::test(start_paused = true)]
async fn apps_of_a_connection_share_its_copies_and_other_connections_never_see_them() {
    let world = numbered(&[]);
    world.brands().await;
    let mut shop = brands(&[]);
    shop.caller.app = "shop".parse().unwrap();
    assert_eq!(world.get(shop).await.word(), Some("hit"));
    for (connection, body) in [(1, "two"), (2, "three")] {
        let got = world.get(on(connection, brands(&[]))).await;
        assert_eq!((got.word(), got.body.as_str()), (Some("stored"), body));
    }
    assert_eq!(world.brands().await.body, "one");
}

#[tokio::test(start_paused = true)]
async fn copies_are_told_apart_by_what_the_vendor_says_it_varies_by() {
    let world = numbered(&[("vary", "accept-language")]);
    for (language, body) in [("de", "one"), ("en", "two"), ("de", "one"), ("en", "two")] {
        assert_eq!(world.get(brands(&[("accept-language", language)])).await.body, body);
    }
    let other = brands(&[("accept-language", "de"), ("accept", "text/html")]);
    assert_eq!(world.get(other).await.body, "one", "it does not vary by that");
}

#[tokio::test(start_paused = true)]
async fn the_vendor_hears_only_what_tells_copies_apart() {
    let world = numbered(&[]);
    let fields = [("accept", "text/html"), ("x-mine", "1"), ("if-none-match", "\"a\"")];
    world.get(brands(&fields)).await;
    let heard = world.heard(0);
    assert_eq!(heard.keys().collect::<Vec<_>>(), ["accept"]);
}

#[tokio::test(start_paused = true)]
async fn of_a_client_that_says_no_store_nothing_is_kept() {
    let world = numbered(&[]);
    let got = world.get(brands(&[("cache-control", "no-store")])).await;
    assert_eq!(got.says(), "fwd=request; detail=client-no-store");
    assert_eq!(world.brands().await.body, "two");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_the_vendors_answer_gets_it_and_others_the_copy_of_it() {
    let world = numbered(&[]);
    world.brands().await;
    let got = world.get(brands(&[("cache-control", "no-cache")])).await;
    assert_eq!((got.body.as_str(), got.says().as_str()), ("two", "fwd=request; stored"));
    assert_eq!(world.brands().await.body, "two");
    let mut unheard = brands(&[("cache-control", "no-cache")]);
    unheard.caller.asks_cache = false;
    assert_eq!(world.get(unheard).await.word(), Some("hit"), "its app has no say");
}

#[tokio::test(start_paused = true)]
async fn a_client_says_how_old_a_copy_may_be_and_how_long_it_must_last() {
    let world = numbered(&[]);
    world.brands().await;
    pass(50).await;
    for enough in ["max-age=50", "min-fresh=58"] {
        assert_eq!(world.get(brands(&[("cache-control", enough)])).await.word(), Some("hit"));
    }
    let short = world.get(brands(&[("cache-control", "max-age=49")])).await;
    assert_eq!((short.body.as_str(), short.says().as_str()), ("two", "fwd=request; stored"));
    assert_eq!(world.get(brands(&[("cache-control", "min-fresh=133")])).await.body, "three");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_a_copy_or_nothing_never_reaches_the_vendor() {
    let world = numbered(&[]);
    let asks = || brands(&[("cache-control", "only-if-cached")]);
    assert_eq!(world.send(asks()).await.unwrap_err().code, Code::NotCached);
    assert_eq!(world.vendor.asked(), 0);
    world.brands().await;
    assert_eq!(world.get(asks()).await.body, "one");
}

#[tokio::test(start_paused = true)]
async fn a_head_is_answered_from_the_copy_of_a_get_and_makes_none() {
    let world = numbered(&[]);
    let head = || testing::buffered(Method::HEAD, "/brands");
    assert_eq!(world.get(head()).await.says(), "fwd=uri-miss; detail=method");
    assert_eq!(world.brands().await.says(), "fwd=uri-miss; stored");
    let got = world.get(head()).await;
    assert_eq!((got.word(), got.body.as_str()), (Some("hit"), ""));
    assert_eq!(got.headers["content-length"], "3", "as a GET would have it");
    assert_eq!(world.vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_the_copy_is_told_so() {
    let world = numbered(&[("etag", "\"a\""), ("content-type", "application/json")]);
    let asks = |tag| brands(&[("if-none-match", tag)]);
    let first = world.get(asks("\"a\"")).await;
    assert_eq!((first.status, first.word()), (304, Some("stored")), "all of it was kept");
    let known = world.get(asks("W/\"a\"")).await;
    assert_eq!((known.status, known.word(), known.body.as_str()), (304, Some("hit"), ""));
    assert_eq!(known.headers["etag"], "\"a\"");
    assert!(!known.headers.contains_key("content-length"));
    let other = world.get(asks("\"b\"")).await;
    assert_eq!((other.status, other.body.as_str()), (200, "one"));
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_passes_whole_and_is_not_kept() {
    let world = world(|_, nth| {
        let length = LARGEST + 1 - usize::from(nth > 1) * FIELDS;
        let text = "x".repeat(length);
        now(Ok(Reply::new(match nth {
            0 => crate::call::full(text),
            _ => pieces([Some(text.leak()), Some("")]),
        })))
    });
    for _ in 0..2 {
        let got = world.brands().await;
        assert_eq!(got.body.len(), LARGEST + 1);
        assert_eq!(got.says(), "fwd=uri-miss; detail=too-large");
    }
    assert_eq!(world.brands().await.word(), Some("stored"));
    assert_eq!(world.brands().await.word(), Some("hit"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_an_error_and_is_not_kept() {
    let world = world(|_, nth| {
        let cut = Reply::new(pieces([Some("o"), None]));
        now(Ok(if nth == 0 { cut } else { reply(200, "one") }))
    });
    let error = world.send(brands(&[])).await.unwrap_err();
    assert_eq!(error.code, Code::VendorUnreachable);
    assert_eq!(world.brands().await.says(), "fwd=uri-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn what_is_of_no_use_to_others_is_not_kept_and_the_client_is_told_why() {
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(u16, Fields, &str); 6] = [
        (404, &[], "status"),
        (200, &[("cache-control", "no-store")], "no-store"),
        (200, &[("cache-control", "private")], "private"),
        (200, &[("cache-control", "no-cache")], "no-cache"),
        (200, &[("cache-control", "max-age=0")], "expired"),
        (200, &[("vary", "*")], "vary"),
    ];
    for (status, fields, why) in cases {
        let world = world(move |_, _| now(Ok(with(reply(status, "it"), fields))));
        for _ in 0..2 {
            let got = world.brands().await;
            assert_eq!((got.status, got.body.as_str()), (status, "it"));
            assert_eq!(got.says(), format!("fwd=uri-miss; detail={why}"));
        }
    }
    let world = world(|_, _| {
        let mut reply = reply(200, "it");
        reply.facts_mut().had_cookie = true;
        now(Ok(reply))
    });
    assert_eq!(world.brands().await.says(), "fwd=uri-miss; detail=set-cookie");
}
