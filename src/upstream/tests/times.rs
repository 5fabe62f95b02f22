//! What takes too long.

use super::*;

/// A world that takes requests and says nothing.
fn silent() -> World {
    world(async |mut theirs| while theirs.hear().await.is_some() {})
}

/// A world that opens lines, of which a connection may have one, after `after`.
fn slow_to_open(after: Duration) -> World {
    let host = HostLimits { sockets: 2, ..HOST };
    world_with(host, move |theirs, ours| {
        Box::pin(async move {
            sleep(after).await;
            tokio::spawn(theirs.answers(OK));
            Ok(line(ours))
        })
    })
}

/// A world that says `OK` in pieces: each after its time.
fn dripping(pieces: &'static [(u64, &'static str)]) -> World {
    world(move |mut theirs| async move {
        theirs.hear().await;
        for (seconds, piece) in pieces {
            sleep(Duration::from_secs(*seconds)).await;
            theirs.say(piece).await;
        }
        theirs.hear().await;
    })
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_silent_has_its_time_for_the_first_octet_and_may_have_acted() {
    let (world, (call, proof), began) = (silent(), proven(), Instant::now());
    let error = world.ask(call).await.unwrap_err();
    assert!(is_about(began.elapsed(), LIMITS.first_byte), "{:?}", began.elapsed());
    assert_eq!(said(&error), (Code::VendorTimeout, Outcome::Unknown, Evidence::Silent));
    assert!(proof.was_sent());
    sleep(LATE).await;
    assert_eq!(world.host.sockets(), 0, "its answer would be the next one's");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_does_not_open_in_time_carried_nothing() {
    let (world, (call, proof)) = (slow_to_open(HOST.connect + LATE), proven());
    let began = Instant::now();
    let error = world.ask(call).await.unwrap_err();
    assert!(is_about(began.elapsed(), HOST.connect), "{:?}", began.elapsed());
    assert_eq!(said(&error), (Code::VendorTimeout, Outcome::NotSent, Evidence::Unreachable));
    assert!(!proof.was_sent());
    assert_eq!((world.host.sockets(), world.heard().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_time_to_open_a_line_is_not_taken_from_the_vendors() {
    let world = slow_to_open(HOST.connect - LATE);
    assert_eq!(world.whole().await, "it");
}

#[tokio::test(start_paused = true)]
async fn the_hard_limit_counts_from_when_the_slots_were_taken() {
    let (world, (call, _), began) = (silent(), proven(), Instant::now());
    let taken = began - (LIMITS.hard_limit - Duration::from_secs(6));
    let error = world.send(call, taken).await.unwrap_err();
    assert!(is_about(began.elapsed(), Duration::from_secs(6)), "{:?}", began.elapsed());
    assert_eq!(said(&error), (Code::VendorTimeout, Outcome::Unknown, Evidence::Silent));
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_its_socket_after_the_hard_limit_is_not_sent() {
    let (world, (call, proof)) = (saying(OK), proven());
    let error = world.send(call, Instant::now() - LIMITS.hard_limit).await.unwrap_err();
    assert_eq!(said(&error), (Code::VendorTimeout, Outcome::NotSent, Evidence::Nothing));
    assert!(!proof.was_sent());
    assert!(world.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_vendor_after_an_earlier_attempt_is_silent_about_its_own() {
    let (world, (call, proof)) = (saying(OK), proven());
    proof.sending();
    let error = world.send(call, Instant::now() - LIMITS.hard_limit).await.unwrap_err();
    assert_eq!(said(&error), (Code::VendorTimeout, Outcome::NotSent, Evidence::Nothing));
    assert_eq!(proof.sent(), 1, "the first one stays as unknown as it was");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_sent_does_not_end_with_its_callers_time() {
    let (world, mut call) = (dripping(&[(9, OK)]), get());
    call.deadline = Instant::now() + Duration::from_secs(1);
    assert_eq!(text(world.ask(call).await.unwrap()).await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_the_line_of_another_waits_no_longer_than_its_time() {
    let (world, mut call) = (slow_to_open(HOST.connect - LATE), get());
    let began = Instant::now();
    call.deadline = began + Duration::from_secs(1);
    // The first call opens the one line that there may be, the second one waits for it.
    let late = async {
        tokio::task::yield_now().await;
        let told = world.ask(call).await;
        (told.unwrap_err(), began.elapsed())
    };
    let (body, (error, waited)) = tokio::join!(world.whole(), late);
    assert_eq!((body.as_str(), error.outcome), ("it", Outcome::NotSent));
    assert!(is_about(waited, Duration::from_secs(1)), "{waited:?}");
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_body_may_come_slowly_if_it_never_stops_for_too_long() {
    let world = dripping(&[(0, HEAD), (4, "a"), (4, "b"), (4, "c"), (4, "de")]);
    assert_eq!(world.whole().await, "abcde");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_cut_off() {
    let world = dripping(&[(0, HEAD), (0, "ab"), (6, "cde")]);
    let reply = world.ask(get()).await.unwrap();
    let began = Instant::now();
    assert!(text(reply).await.is_err());
    assert!(is_about(began.elapsed(), LIMITS.body_idle), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_cut_off_at_its_whole_time() {
    let world = dripping(&[(0, HEAD), (4, "a"), (4, "b"), (4, "c"), (4, "d"), (5, "e")]);
    let reply = world.ask(get()).await.unwrap();
    let began = Instant::now();
    assert!(text(reply).await.is_err());
    assert!(is_about(began.elapsed(), LIMITS.body_total), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_not_taken_for_a_vendor_that_stops() {
    let world = dripping(&[(0, HEAD), (0, "ab"), (0, "cde")]);
    let mut body = world.ask(get()).await.unwrap().into_body();
    sleep(2 * LIMITS.body_idle).await;
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        sleep(2 * LIMITS.body_idle).await;
    }
    assert_eq!(read, 5);
}
