//! What writes make of copies and of reads under way.

use tokio::sync::Semaphore;

use super::*;

/// A world whose reads answer at once with their number, and whose writes end as `ends` says.
fn written(ends: impl Fn() -> Result + Send + Sync + 'static) -> World {
    world(move |call, nth| {
        now(if call.method == Method::GET { Ok(reply(200, nth_body(nth))) } else { ends() })
    })
}

#[tokio::test(start_paused = true)]
async fn after_a_write_on_the_connection_the_next_read_goes_out() {
    let world = written(|| Ok(reply(200, "")));
    assert_eq!(world.brands().await.body, "one");
    let write = change();
    let record = write.record.clone();
    assert_eq!(world.get(write).await.cached, None, "nothing is said of a write");
    assert!(record.read(|marks| marks.clears));
    assert_eq!(world.brands().await.body, "three");
}

#[tokio::test(start_paused = true)]
async fn a_write_counts_for_its_workspace_and_for_no_other() {
    let world = written(|| Ok(reply(200, "")));
    for connection in [0, 1, 2] {
        world.get(on(connection, brands(&[]))).await;
    }
    world.get(on(1, change())).await;
    assert_eq!(world.get(on(0, brands(&[]))).await.word(), Some("miss"));
    assert_eq!(world.get(on(1, brands(&[]))).await.word(), Some("miss"));
    assert_eq!(world.get(on(2, brands(&[]))).await.word(), Some("hit"));
}

#[tokio::test(start_paused = true)]
async fn a_write_clears_what_its_row_names_and_nothing_else() {
    let world = written(|| Ok(reply(200, "")));
    world.brands().await;
    world.get(asks("/lists", &[])).await;
    world.get(change()).await;
    assert_eq!(world.get(asks("/lists", &[])).await.word(), Some("hit"));
}

#[tokio::test(start_paused = true)]
async fn for_three_seconds_after_a_write_nothing_is_kept_since_its_effects_may_follow() {
    let world = written(|| Ok(reply(200, "")));
    world.get(change()).await;
    for _ in 0..2 {
        assert_eq!(world.brands().await.says(), "fwd=uri-miss; detail=write-under-way");
    }
    pass(4).await;
    assert_eq!(world.brands().await.word(), Some("stored"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_refused_or_never_sent_holds_nothing_back() {
    let refused = written(|| Ok(reply(400, "")));
    refused.get(change()).await;
    assert_eq!(refused.brands().await.word(), Some("stored"));
    let unsent = world(|call, _| {
        if call.method == Method::GET {
            return now(Ok(reply(200, "it")));
        }
        call.not_sent();
        now(Err(Error::refused(Code::VendorUnreachable, "not there")))
    });
    assert!(unsent.send(change()).await.is_err());
    assert_eq!(unsent.brands().await.word(), Some("stored"));
}

#[tokio::test(start_paused = true)]
async fn a_write_in_doubt_may_be_done_as_long_as_it_may_be_under_way() {
    let doubts: [fn() -> Result; 3] = [
        || Ok(reply(500, "")),
        || Ok(reply(408, "")),
        || Err(Error::refused(Code::VendorTimeout, "silent")),
    ];
    for doubt in doubts {
        let world = written(doubt);
        let _ = world.send(change()).await;
        pass(59).await;
        assert_eq!(world.brands().await.says(), "fwd=uri-miss; detail=write-under-way");
        pass(2).await;
        assert_eq!(world.brands().await.word(), Some("stored"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_leaves_after_the_send_is_in_doubt() {
    let world = world(|call, _| match call.method {
        Method::GET => now(Ok(reply(200, "it"))),
        _ => Box::pin(std::future::pending()),
    });
    drop(world.layer.clone().call(change()));
    pass(59).await;
    assert_eq!(world.brands().await.says(), "fwd=uri-miss; detail=write-under-way");
    pass(2).await;
    assert_eq!(world.brands().await.word(), Some("stored"));
}

/// A world whose calls of `method` wait until they are let go.
fn held(method: Method) -> (World, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    let world = world(move |call, nth| {
        let waits = (call.method == method).then(|| waits.clone());
        Box::pin(async move {
            if let Some(gate) = waits {
                gate.acquire().await.unwrap().forget();
            }
            Ok(reply(200, nth_body(nth)))
        })
    });
    (world, gate)
}

#[tokio::test(start_paused = true)]
async fn while_a_write_is_under_way_reads_go_out_and_are_not_kept() {
    let (world, gate) = held(Method::PUT);
    world.brands().await;
    let mut write = Box::pin(world.send(change()));
    assert!(write.as_mut().now_or_never().is_none());
    for body in ["three", "more"] {
        let got = world.brands().await;
        assert_eq!((got.body.as_str(), got.word()), (body, Some("miss")));
    }
    gate.add_permits(1);
    write.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_read_that_ran_while_a_write_passed_is_not_kept() {
    let (world, gate) = held(Method::GET);
    let mut read = Box::pin(world.brands());
    assert!(read.as_mut().now_or_never().is_none());
    world.get(change()).await;
    gate.add_permits(1);
    let got = read.await;
    assert_eq!(got.body, "one", "its caller gets it all the same");
    assert_eq!(got.says(), "fwd=uri-miss; detail=written-since");
    pass(4).await;
    gate.add_permits(1);
    assert_eq!(world.brands().await.body, "three");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_begins_after_a_write_does_not_wait_for_one_that_began_before() {
    let (world, gate) = held(Method::GET);
    let mut before = Box::pin(world.brands());
    assert!(before.as_mut().now_or_never().is_none());
    world.get(change()).await;
    let mut after = Box::pin(world.brands());
    assert!(after.as_mut().now_or_never().is_none());
    assert_eq!(world.vendor.asked(), 3);
    gate.add_permits(2);
    assert_eq!((before.await.body, after.await.body), ("one".into(), "three".into()));
}
