//! The layer on a clock that stands still.

use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use hyper::body::Frame;
use tokio::time::{advance, sleep};
use tower::{Layer, Service};

use super::*;
use crate::admission::testing::{desk, quota};
use crate::call::testing::{self, Leaf, now, pieces, reply};
use crate::call::{Attempt, Room, Uploads};
use crate::error::Cause;
use crate::quota::QuotaRule;

const LIMITS: BodyLimits =
    BodyLimits { size: 10, total: Duration::from_secs(30), idle: Duration::from_secs(5) };

struct World {
    layer: Staged<BufferBody, Leaf<BufferedCall>>,
    below: Leaf<BufferedCall>,
    uploads: Uploads,
    desk: Arc<Desk>,
}

/// A world with room for so many octets whose calls take a second.
fn world(room: usize) -> World {
    on(
        room,
        Leaf::new(|call: BufferedCall, _| {
            Box::pin(async move {
                let _held = call;
                sleep(Duration::from_secs(1)).await;
                Ok(reply(200, ""))
            })
        }),
    )
}

/// A world with room for so many octets on top of `below`.
fn on(room: usize, below: Leaf<BufferedCall>) -> World {
    let mut settings = quota(1);
    settings.max_wait = Duration::from_secs(5);
    let (_, desk) = desk(settings);
    let uploads = Uploads::new(Room { total: room, body: LIMITS.size, connections: 1 });
    let table = [uploads.of(&"acme-prod".parse().unwrap())].into_iter().collect();
    let layer = BufferBody::layer(LIMITS, table, desk.clone()).layer(below.clone());
    World { layer, below, uploads, desk }
}

impl World {
    async fn post(&self, body: StreamBody) -> Result {
        self.layer.clone().call(post(body)).await
    }

    /// Uses up the quota.
    async fn spend(&self) {
        let call = Attempt::first(Arc::new(testing::buffered(Method::GET, "/brands")));
        let pass = self.desk.enter(&call).0.ok().unwrap().come().await.ok().unwrap();
        self.desk.settle(&call, pass, true);
    }
}

fn post(body: StreamBody) -> Call {
    let mut call = testing::call(Method::POST, "/send");
    call.body = Unread(Some(body));
    call
}

/// A body whose octets come one by one, so far apart; it counts how many were asked for.
fn drips(octets: u32, apart: Duration) -> (StreamBody, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counts = asked.clone();
    let stream = futures_util::stream::unfold(0, move |nth| {
        let counts = counts.clone();
        async move {
            counts.fetch_add(1, Ordering::SeqCst);
            if nth == octets {
                return None;
            }
            sleep(apart).await;
            Some((Ok::<_, Cause>(Frame::data(Bytes::from_static(b"x"))), nth + 1))
        }
    });
    (crate::call::stream(http_body_util::StreamBody::new(stream)), asked)
}

#[tokio::test(start_paused = true)]
async fn a_body_in_pieces_goes_on_as_one() {
    let world = on(
        10,
        Leaf::new(|call: BufferedCall, _| {
            assert_eq!(call.body.bytes, "all of it");
            now(Ok(reply(200, "")))
        }),
    );
    let call = post(pieces([Some("all "), Some(""), Some("of it")]));
    let record = call.record.clone();
    world.layer.clone().call(call).await.unwrap();
    assert_eq!((world.below.asked(), record.read(|marks| marks.bytes_in)), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn a_body_has_as_many_octets_as_are_allowed_and_not_one_more() {
    let world = world(100);
    assert!(world.post(pieces([Some("01234"), Some("56789")])).await.is_ok());
    let refused = world.post(pieces([Some("01234"), Some("567890")])).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyTooLarge);
    assert_eq!((world.below.asked(), world.uploads.octets()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_announces_too_much_is_refused_unread_whatever_the_quota_says() {
    let world = world(100);
    world.spend().await;
    let refused = world.post(crate::call::full("0123456789a")).await.unwrap_err();
    assert_eq!(refused.code, Code::BodyTooLarge);
    assert!(refused.retry_after.is_none(), "waiting does not help it");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_quota_would_refuse_is_refused_before_its_body_is_asked_for() {
    let world = world(100);
    world.spend().await;
    let (body, asked) = drips(3, Duration::ZERO);
    let call = post(body);
    let record = call.record.clone();
    let refused = world.layer.clone().call(call).await.unwrap_err();
    assert_eq!((refused.code, asked.load(Ordering::SeqCst)), (Code::QuotaExhausted, 0));
    let after = refused.retry_after.unwrap();
    record.read(|marks| {
        let wait = marks.timeline.waits().iter().next().unwrap();
        assert_eq!((wait.refused, wait.queued), (Some(QuotaRule::QuotaExhausted), false));
        assert_eq!(wait.left, wait.entered);
    });
    advance(after).await;
    assert!(world.post(pieces([Some("x")])).await.is_ok(), "the time was true");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_body_is_not_refused_here() {
    let world = world(100);
    world.spend().await;
    let call = testing::call(Method::GET, "/brands");
    let notes = call.notes.clone();
    assert!(world.layer.clone().call(call).await.is_ok(), "a copy may answer it");
    assert!(notes.all().rate_limit.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_pauses_too_long_is_given_up() {
    let world = world(100);
    let began = Instant::now();
    let refused = world.post(drips(3, Duration::from_secs(60)).0).await.unwrap_err();
    assert_eq!(refused.code, Code::RequestTimeout);
    assert_eq!(began.elapsed().as_secs(), LIMITS.idle.as_secs());
    assert!(world.post(drips(3, Duration::from_secs(4)).0).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_pauses_and_never_ends_is_given_up() {
    let world = world(100);
    let began = Instant::now();
    let refused = world.post(drips(10, Duration::from_secs(4)).0).await.unwrap_err();
    assert_eq!(refused.code, Code::RequestTimeout);
    assert_eq!(began.elapsed().as_secs(), LIMITS.total.as_secs());
    assert_eq!((world.below.asked(), world.uploads.octets()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_is_no_request() {
    let world = world(100);
    let refused = world.post(pieces([Some("begins"), None])).await.unwrap_err();
    assert_eq!(refused.code, Code::MalformedRequest);
    assert!(refused.cause.is_some());
    assert_eq!((world.below.asked(), world.uploads.octets()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_what_came_and_is_given_back_when_the_call_is_over() {
    let world = world(10);
    let first = world.post(pieces([Some("0123456")]));
    let look = async {
        sleep(Duration::from_millis(500)).await;
        assert_eq!(world.uploads.octets(), 7);
        let refused = world.post(pieces([Some("0123")])).await.unwrap_err();
        assert_eq!(refused.code, Code::Overloaded);
        assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
        assert!(world.post(pieces([Some("012")])).await.is_ok());
    };
    let (first, ()) = tokio::join!(first, look);
    assert!(first.is_ok());
    assert_eq!((world.below.asked(), world.uploads.octets()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_announces_more_than_there_is_room_for_is_refused_unread() {
    let world = world(10);
    let mut held = world.uploads.of(&"acme-prod".parse().unwrap()).begin();
    assert!(held.more(7));
    let announced = crate::call::full("0123");
    let refused = world.post(announced).await.unwrap_err();
    assert_eq!((refused.code, world.uploads.octets()), (Code::Overloaded, 7));
    drop(held);
    assert!(world.post(crate::call::full("0123")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_back_what_it_had_sent() {
    let world = world(10);
    let slow = world.post(drips(9, Duration::from_secs(3)).0);
    assert!(timeout(Duration::from_secs(7), slow).await.is_err());
    assert_eq!((world.below.asked(), world.uploads.octets()), (0, 0));
}
