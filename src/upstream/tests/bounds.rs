//! How many sockets there are, and what is said when there is none.

use std::io;

use tokio::time::timeout;

use super::*;

/// A world with two places, of which each of the two connections finds one.
fn tight() -> World {
    let host = HostLimits { sockets: 2, ..HOST };
    world_with(host, |theirs, ours| {
        tokio::spawn(theirs.answers(OK));
        Box::pin(ready(Ok(line(ours))))
    })
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_sockets_than_allowed_and_a_waiter_takes_the_first_that_comes_free() {
    let world = tight();
    let held = world.ask(get()).await.unwrap();
    let waits = async {
        let began = Instant::now();
        let body = world.whole().await;
        (began.elapsed(), body)
    };
    let frees = async {
        sleep(Duration::from_secs(4)).await;
        assert_eq!((world.opened(), world.heard().len()), (1, 1));
        text(held).await.unwrap();
    };
    let ((waited, body), ()) = tokio::join!(waits, frees);
    assert!(is_about(waited, Duration::from_secs(4)), "{waited:?}");
    assert_eq!((body.as_str(), world.on()), ("it", vec![0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_connection_finds_its_part_of_the_places_however_much_another_wants() {
    let world = tight();
    let _held = world.ask(get()).await.unwrap();
    let wanted = timeout(Duration::from_secs(1), world.ask(get())).await;
    assert!(wanted.is_err());
    let mut other = get();
    other.caller.ix = 1.into();
    assert!(world.ask(other).await.is_ok());
    assert_eq!(world.host.sockets(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_for_a_place_hears_that_the_gateway_had_none() {
    let world = tight();
    let _held = world.ask(get()).await.unwrap();
    let (mut call, proof) = proven();
    let (began, record) = (Instant::now(), call.record.clone());
    call.deadline = began + Duration::from_secs(8);
    let error = world.ask(call).await.unwrap_err();
    assert!(is_about(began.elapsed(), Duration::from_secs(8)));
    assert_eq!(said(&error), (Code::Overloaded, Outcome::NotSent, Evidence::Nothing));
    assert_eq!(record.read(|marks| marks.shortage), Some(Shortage::Places));
    assert!(!proof.was_sent());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_is_not_waited_for() {
    let world = tight();
    let held = world.ask(get()).await.unwrap();
    assert!(timeout(Duration::from_secs(1), world.ask(get())).await.is_err());
    let (body, _) = tokio::join!(world.whole(), text(held));
    assert_eq!((body.as_str(), world.on()), ("it", vec![0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let world = world(async |mut theirs| while theirs.hear().await.is_some() {});
    for _ in 0..5 {
        assert!(timeout(Duration::from_secs(1), world.ask(get())).await.is_err());
        tokio::task::yield_now().await;
    }
    assert_eq!(world.opened(), 5);
    sleep(LATE).await;
    assert_eq!(world.host.sockets(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_cannot_be_reached_was_sent_nothing() {
    let refuses = || Cause::from(io::Error::from(io::ErrorKind::ConnectionRefused));
    let world = world_with(HOST, move |_, _| Box::pin(ready(Err(refuses()))));
    let (call, proof) = proven();
    let error = world.ask(call).await.unwrap_err();
    let wanted = (Code::VendorUnreachable, Outcome::NotSent, Evidence::Unreachable);
    assert_eq!(said(&error), wanted);
    assert!(error.cause.is_some() && !proof.was_sent());
    assert_eq!((world.opened(), world.host.sockets()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_descriptors_says_nothing_of_the_vendor() {
    let number = rustix::io::Errno::MFILE.raw_os_error();
    let full = move || Cause::from(io::Error::from_raw_os_error(number));
    let world = world_with(HOST, move |_, _| Box::pin(ready(Err(full()))));
    let (call, proof) = proven();
    let record = call.record.clone();
    let error = world.ask(call).await.unwrap_err();
    assert_eq!(said(&error), (Code::Overloaded, Outcome::NotSent, Evidence::Nothing));
    assert_eq!(record.read(|marks| marks.shortage), Some(Shortage::Descriptors));
    assert!(!proof.was_sent());
}
