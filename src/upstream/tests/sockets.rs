//! Which call goes on which socket.

use tokio::sync::oneshot;
use tokio::time::advance;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_socket_whose_answer_was_read_carries_the_next_call() {
    let world = saying(OK);
    for _ in 0..3 {
        assert_eq!(world.whole().await, "it");
    }
    assert_eq!(world.on(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_answer_is_still_read_carries_no_other_call() {
    let world = saying(OK);
    let unread = world.ask(get()).await.unwrap();
    world.whole().await;
    assert_eq!(world.on(), [0, 1]);
    assert_eq!(text(unread).await.unwrap(), "it");
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_answer_was_given_up_is_closed() {
    let (closed, gone) = oneshot::channel();
    let closed = Mutex::new(Some(closed));
    let world = world(move |mut theirs| {
        let closed = closed.lock().unwrap().take();
        async move {
            theirs.hear().await;
            theirs.say("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").await;
            assert!(theirs.hear().await.is_none());
            closed.into_iter().for_each(|closed| closed.send(()).unwrap());
        }
    });
    drop(world.ask(get()).await.unwrap());
    gone.await.unwrap();
    assert_eq!(world.host.sockets(), 0);
    drop(world.ask(get()).await.unwrap());
    assert_eq!(world.on(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_rested_too_long_is_not_used() {
    let world = saying(OK);
    world.whole().await;
    advance(HOST.idle - Duration::from_secs(1)).await;
    world.whole().await;
    advance(HOST.idle).await;
    world.whole().await;
    assert_eq!(world.on(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_too_old_takes_no_new_call() {
    let world = saying(OK);
    let rests = HOST.idle - Duration::from_secs(1);
    let uses = u32::try_from(HOST.max_age.as_secs() / rests.as_secs()).unwrap();
    for _ in 0..=uses {
        world.whole().await;
        advance(rests).await;
    }
    assert_eq!(world.opened(), 1);
    world.whole().await;
    assert_eq!(world.opened(), 2, "though it rested for less than it may");
}

#[tokio::test(start_paused = true)]
async fn a_connection_uses_its_own_sockets_only() {
    let world = saying(OK);
    for ix in [0, 1, 0, 1] {
        let mut call = get();
        call.caller.ix = ix.into();
        text(world.ask(call).await.unwrap()).await.unwrap();
    }
    assert_eq!(world.on(), [0, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_says_close_is_not_asked_on_that_socket_again() {
    let world = saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nit");
    world.whole().await;
    world.whole().await;
    assert_eq!(world.on(), [0, 1]);
}

/// A world whose first line is closed when the sender is used, after an answer.
fn closing() -> (World, oneshot::Sender<()>) {
    let (close, closes) = oneshot::channel();
    let closes = Mutex::new(Some(closes));
    let world = world(move |mut theirs| {
        let closes = closes.lock().unwrap().take();
        async move {
            if let Some(closes) = closes {
                theirs.hear().await;
                theirs.say(OK).await;
                closes.await.unwrap();
            } else {
                theirs.answers(OK).await;
            }
        }
    });
    (world, close)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_met_a_socket_in_its_closing_takes_the_next_one_in_the_same_attempt() {
    let (world, close) = closing();
    world.whole().await;
    // Its socket rests by then.
    sleep(LATE).await;
    let (mut call, proof) = proven();
    call.headers.insert("x-mine", HeaderValue::from_static("1"));
    let record = call.record.clone();
    // Nobody here has seen it when the call takes the socket.
    close.send(()).unwrap();
    assert_eq!(text(world.ask(call).await.unwrap()).await.unwrap(), "it");
    assert_eq!(world.on(), [0, 1]);
    assert_eq!((proof.sent(), record.read(|marks| marks.timeline.attempts())), (1, 1));
    let again = &world.heard()[1].1;
    assert_eq!(again.matches("x-mine: 1").count(), 1, "{again}");
    assert_eq!(again.matches("host: ").count(), 1, "{again}");
    assert_eq!(again.matches("authorization: ").count(), 1, "{again}");
}

#[tokio::test(start_paused = true)]
async fn a_new_socket_that_closes_at_once_proves_that_nothing_was_sent() {
    let world = world(async |theirs| drop(theirs));
    let (call, proof) = proven();
    let error = world.ask(call).await.unwrap_err();
    let wanted = (Code::VendorUnreachable, Outcome::NotSent, Evidence::Unreachable);
    assert_eq!(said(&error), wanted);
    assert_eq!((proof.was_sent(), world.opened()), (false, 1), "not tried again here");
}
