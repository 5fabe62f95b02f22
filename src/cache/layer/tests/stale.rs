//! Copies that stand in for the vendor.

use super::*;

/// A world that has a copy which was fresh until now, and whose vendor ends each further read like
/// this.
async fn after_a_copy(
    fields: &'static [(&'static str, &'static str)],
    fails: impl Fn() -> Result + Send + Sync + 'static,
) -> World {
    let world = world(move |call, nth| {
        now(match (nth, call.method == Method::PUT) {
            (0, _) => Ok(with(reply(200, "copy"), fields)),
            (_, true) => Ok(reply(200, "")),
            _ => fails(),
        })
    });
    world.brands().await;
    pass(133).await;
    world
}

fn away() -> Result {
    Ok(reply(503, "away"))
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_stands_in_while_the_vendor_is_away() {
    let failures: [fn() -> Result; 6] = [
        away,
        || Ok(reply(500, "")),
        || Ok(reply(429, "")),
        || Err(Error::refused(Code::VendorDown, "down")),
        || Err(Error::refused(Code::VendorTimeout, "silent")),
        || Err(Error::refused(Code::QuotaExhausted, "no room")),
    ];
    for fails in failures {
        let world = after_a_copy(&[], fails).await;
        let got = world.brands().await;
        assert_eq!((got.status, got.body.as_str()), (200, "copy"));
        let Some(Cached::Stale { age, since }) = got.cached else { panic!("{:?}", got.cached) };
        assert_eq!(age, 133 * SECOND);
        assert!((SECOND..=25 * SECOND).contains(&since), "{since:?}");
        assert!(got.says().ends_with("detail=stale-if-error"));
        assert_eq!(world.vendor.asked(), 2, "it was asked first");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_vendors_is_an_answer_and_nothing_stands_in_for_it() {
    for status in [404, 401, 501] {
        let world = after_a_copy(&[], move || Ok(reply(status, "its own"))).await;
        let got = world.brands().await;
        assert_eq!((got.status, got.body.as_str()), (status, "its own"));
    }
    let faults = [Code::Internal, Code::Loop, Code::ScopeMissing];
    for code in faults {
        let world = after_a_copy(&[], move || Err(Error::refused(code, "no"))).await;
        assert_eq!(world.send(brands(&[])).await.unwrap_err().code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_stands_in_for_ten_minutes_and_no_longer() {
    let world = after_a_copy(&[], away).await;
    pass(574).await;
    assert_eq!(world.brands().await.word(), Some("stale"));
    pass(26).await;
    assert_eq!(world.brands().await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_must_be_revalidated_does_not_stand_in() {
    let world = after_a_copy(&[("cache-control", "must-revalidate")], away).await;
    assert_eq!(world.brands().await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn what_a_write_cleared_does_not_stand_in() {
    let world = after_a_copy(&[], away).await;
    world.get(change()).await;
    assert_eq!(world.brands().await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_demands_the_vendors_answer_gets_no_stale_copy() {
    let world = after_a_copy(&[], away).await;
    for demand in ["no-cache", "max-age=1000", "min-fresh=0"] {
        let got = world.get(brands(&[("cache-control", demand)])).await;
        assert_eq!(got.status, 503, "{demand}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_time_ends_gets_the_stale_copy_and_the_call_goes_on() {
    let world = world(|_, nth| match nth {
        0 => now(Ok(reply(200, "copy"))),
        _ => Box::pin(std::future::pending()),
    });
    world.brands().await;
    pass(133).await;
    let call = brands(&[]);
    let deadline = call.deadline;
    assert_eq!(world.get(call).await.body, "copy");
    let early = deadline - Instant::now();
    assert!((Duration::from_millis(98)..=Duration::from_millis(100)).contains(&early), "{early:?}");
    assert_eq!(world.flights.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_answers_heads_and_conditions_as_a_fresh_one_does() {
    let world = after_a_copy(&[("etag", "\"a\"")], away).await;
    let head = world.get(testing::buffered(Method::HEAD, "/brands")).await;
    assert_eq!((head.status, head.body.as_str(), head.word()), (200, "", Some("stale")));
    let known = world.get(brands(&[("if-none-match", "\"a\"")])).await;
    assert_eq!((known.status, known.word()), (304, Some("stale")));
}

#[tokio::test(start_paused = true)]
async fn what_a_write_clears_while_the_vendor_is_asked_does_not_stand_in() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = gate.clone();
    let world = world(move |call, nth| {
        let waits = waits.clone();
        Box::pin(async move {
            if nth == 1 {
                waits.acquire().await.unwrap().forget();
            }
            if nth > 0 && call.method == Method::GET { away() } else { Ok(reply(200, "copy")) }
        })
    });
    world.brands().await;
    pass(133).await;
    let mut read = Box::pin(world.brands());
    assert!(read.as_mut().now_or_never().is_none());
    world.get(change()).await;
    gate.add_permits(1);
    assert_eq!(read.await.status, 503);
}
