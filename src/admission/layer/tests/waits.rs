//! A call waits for its turn or is refused, and its slots come back.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_quota_waits_for_its_turn() {
    let world = prompt(quota(1));
    world.ask(get()).await.unwrap();
    let (began, call) = (Instant::now(), get());
    let record = call.record.clone();
    world.ask(call).await.unwrap();
    assert!(began.elapsed() >= REST && began.elapsed() < REST + LATE, "{:?}", began.elapsed());
    record.read(|marks| {
        let wait = marks.timeline.waits().iter().next().unwrap();
        assert!(wait.queued && !wait.left_early && wait.refused.is_none());
        assert!(wait.left - wait.entered >= REST);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_too_long_is_refused_with_the_time_of_the_next_place() {
    let mut settings = quota(1);
    settings.max_wait = Duration::from_secs(5);
    let world = prompt(settings);
    world.ask(get()).await.unwrap();
    let call = get();
    let record = call.record.clone();
    let refused = world.ask(call).await.unwrap_err();
    assert_eq!((refused.code, refused.outcome), (Code::QuotaExhausted, Outcome::NotSent));
    assert_eq!(refused.code.status(), StatusCode::TOO_MANY_REQUESTS);
    let after = refused.retry_after.unwrap();
    assert!(after >= REST && after < Duration::from_secs(12), "{after:?}");
    record.read(|marks| {
        let wait = marks.timeline.waits().iter().next().unwrap();
        assert_eq!((wait.refused, wait.queued), (Some(QuotaRule::QuotaExhausted), false));
    });
    advance(after).await;
    let began = Instant::now();
    world.ask(get()).await.unwrap();
    assert!(began.elapsed() < LATE, "the time was true");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_wait_than_may() {
    let mut settings = quota(1);
    (settings.depth, settings.app_depth) = (1, 1);
    let world = prompt(settings);
    world.ask(get()).await.unwrap();
    let (waits, refused) = tokio::join!(world.ask(get()), world.ask(get()));
    assert!(waits.is_ok());
    assert_eq!(refused.unwrap_err().code, Code::QueueFull);
    assert_eq!(world.vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_would_have_left_by_its_turn_is_refused_at_once() {
    let world = prompt(quota(1));
    world.ask(get()).await.unwrap();
    let (began, mut call) = (Instant::now(), get());
    (call.deadline, call.own_deadline) = (began + Duration::from_secs(4), true);
    assert_eq!(world.ask(call).await.unwrap_err().code, Code::DeadlineTooNear);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_paused_is_told_so() {
    let world = prompt(quota(1));
    let mut plan = plan(quota(1));
    plan.tenants[0].apps[0].paused = true;
    world.admission.steer(&plan, &["acme-prod".parse().unwrap()].into());
    let refused = world.ask(get()).await.unwrap_err();
    assert_eq!((refused.code, world.vendor.asked()), (Code::AppPaused, 0));
    plan.tenants[0].apps[0].paused = false;
    world.admission.steer(&plan, &["acme-prod".parse().unwrap()].into());
    assert!(world.ask(get()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slot_rests_from_the_moment_that_the_answers_head_is_here() {
    let world = world(quota(3), |call, _| {
        Box::pin(async move {
            call.sending();
            sleep(Duration::from_secs(7)).await;
            Ok(Reply::new(testing::pieces([Some("more"), Some(" comes")])))
        })
    });
    let (mut asked, watched) = (Box::pin(world.ask(get())), sleep(Duration::from_secs(5)));
    tokio::select! {
        _ = &mut asked => panic!("it takes 7 s"),
        () = watched => assert_eq!(world.slots(), (2, 1, 0)),
    }
    let answer = asked.await.unwrap();
    assert_eq!(world.slots(), (2, 0, 1), "its body is not read yet");
    assert_eq!(text(answer).await.unwrap(), "more comes");
    advance(REST).await;
    assert_eq!(world.slots(), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slot_of_which_nothing_was_sent_is_free_at_once() {
    let world = world(quota(1), |_, _| now(Err(Error::refused(Code::VendorUnreachable, "no"))));
    for _ in 0..3 {
        let began = Instant::now();
        assert!(world.ask(get()).await.is_err());
        assert_eq!((began.elapsed(), world.slots()), (Duration::ZERO, (1, 0, 0)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_slot_of_a_call_that_was_sent_and_not_answered_is_not_free_before_the_hard_limit() {
    let world = world(quota(1), |call, _| {
        call.sending();
        let silent = Error::refused(Code::VendorTimeout, "silent");
        now(Err(silent.with_outcome(Outcome::Unknown)))
    });
    assert!(world.ask(get()).await.is_err());
    advance(Duration::from_secs(59)).await;
    assert_eq!(world.slots().0, 0);
    advance(Duration::from_secs(1) + REST).await;
    assert_eq!(world.slots(), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_attempt_that_was_sent_holds_no_slot_of_a_later_one() {
    let world = world(quota(1), |_, _| now(Err(Error::refused(Code::VendorUnreachable, "no"))));
    let call = get();
    call.sending();
    assert!(world.ask(call).await.is_err());
    assert_eq!(world.slots(), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_slot_of_a_caller_that_leaves_is_free_unless_its_call_was_sent() {
    for (sent, free) in [(false, 1), (true, 0)] {
        let world = world(quota(1), move |call, _| {
            Box::pin(async move {
                if sent {
                    call.sending();
                }
                std::future::pending().await
            })
        });
        assert!(timeout(Duration::from_secs(1), world.ask(get())).await.is_err());
        assert_eq!((world.vendor.asked(), world.slots().0), (1, free));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_while_it_waits_leaves_its_turn_to_the_next() {
    let mut settings = quota(1);
    (settings.depth, settings.app_depth) = (2, 2);
    let world = prompt(settings);
    world.ask(get()).await.unwrap();
    let (leaver, began) = (get(), Instant::now());
    let record = leaver.record.clone();
    let leaves = timeout(Duration::from_secs(1), world.ask(leaver));
    let (left, stayed) = tokio::join!(leaves, world.ask(get()));
    assert!(left.is_err() && stayed.is_ok());
    assert!(began.elapsed() < REST + LATE, "{:?}", began.elapsed());
    assert_eq!(world.vendor.asked(), 2);
    record.read(|marks| {
        let wait = marks.timeline.waits().iter().next().unwrap();
        assert!(wait.queued && wait.left_early);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_what_its_app_can_do_after_it() {
    let world = prompt(quota(3));
    for left in [2, 1, 0] {
        let call = get();
        let notes = call.notes.clone();
        world.ask(call).await.unwrap();
        let told = notes.all().rate_limit.unwrap();
        assert_eq!(told.policy, "\"connection\";q=3;w=10");
        assert_eq!((&*told.pool, told.left), ("connection", left));
    }
}
