//! Equal reads at once.

use futures_util::future::{join, join_all};
use tokio::sync::Semaphore;

use super::*;

/// Reads of an automation run are shared, and never kept.
const RUN: &str = "/automations/runs/r1";

/// A world whose calls wait until they are let go, and then answer as `answer` says.
fn held(answer: impl Fn(u32) -> Result + Send + Sync + 'static) -> (World, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (waits, answer) = (gate.clone(), Arc::new(answer));
    let world = world(move |_, nth| {
        let (waits, answer) = (waits.clone(), answer.clone());
        Box::pin(async move {
            waits.acquire().await.unwrap().forget();
            answer(nth)
        })
    });
    (world, gate)
}

/// The answers to `calls`, all of which are under way before the vendor answers any.
async fn at_once(world: &World, gate: &Semaphore, calls: Vec<BufferedCall>) -> Vec<Got> {
    let reads = join_all(calls.into_iter().map(|call| world.get(call)));
    join(reads, async { gate.add_permits(100) }).await.0
}

#[tokio::test(start_paused = true)]
async fn ten_equal_reads_at_once_are_one_vendor_call_whose_answer_all_get() {
    let (world, gate) = held(|nth| Ok(reply(200, nth_body(nth))));
    let got = at_once(&world, &gate, (0..10).map(|_| brands(&[])).collect()).await;
    assert!(got.iter().all(|got| got.body == "one"));
    assert_eq!(got[0].says(), "fwd=uri-miss; stored");
    assert!(got[1..].iter().all(|got| got.says() == "fwd=uri-miss; collapsed"));
    assert_eq!(world.vendor.asked(), 1);
    assert_eq!(world.brands().await.word(), Some("hit"));
}

#[tokio::test(start_paused = true)]
async fn reads_of_other_things_do_not_wait_for_each_other() {
    let (world, gate) = held(|_| Ok(reply(200, "it")));
    let calls = vec![brands(&[]), asks("/brands?limit=2", &[]), on(1, brands(&[]))];
    let got = at_once(&world, &gate, calls).await;
    assert!(got.iter().all(|got| got.word() == Some("stored")));
    assert_eq!(world.vendor.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_its_callers_alone_is_not_handed_round() {
    let (world, gate) = held(|nth| match nth {
        0 => Ok(with(reply(200, "one"), &[("cache-control", "private")])),
        _ => Ok(reply(200, nth_body(nth))),
    });
    let got = at_once(&world, &gate, (0..3).map(|_| brands(&[])).collect()).await;
    let mut bodies: Vec<_> = got.iter().map(|got| got.body.as_str()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["one", "three", "two"]);
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_read_that_failed_asks_for_himself() {
    let (world, gate) = held(|nth| match nth {
        0 => Err(Error::refused(Code::VendorTimeout, "silent")),
        _ => Ok(reply(200, "it")),
    });
    let (first, got) = join(
        world.send(brands(&[])),
        at_once(&world, &gate, (0..3).map(|_| brands(&[])).collect()),
    )
    .await;
    assert_eq!(first.unwrap_err().code, Code::VendorTimeout);
    assert!(got.iter().all(|got| got.body == "it"));
    assert_eq!(world.vendor.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn when_a_leader_leaves_before_the_send_another_one_leads() {
    let (world, gate) = held(|nth| Ok(reply(200, nth_body(nth))));
    let leader = brands(&[]);
    let proof = leader.proof.clone();
    let mut leader = Box::pin(world.send(leader));
    assert!(leader.as_mut().now_or_never().is_none());
    proof.not_done();
    let mut others = Box::pin(join_all((0..3).map(|_| world.brands())));
    assert!(others.as_mut().now_or_never().is_none());
    assert_eq!(world.vendor.asked(), 1);
    drop(leader);
    assert!(world.flights.is_empty());
    assert!(others.as_mut().now_or_never().is_none());
    gate.add_permits(1);
    assert!(others.await.iter().all(|got| got.body == "two"));
    assert_eq!(world.vendor.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_brought_home_for_those_who_wait_when_its_leader_leaves() {
    let (world, gate) = held(|nth| Ok(reply(200, nth_body(nth))));
    let mut leader = Box::pin(world.send(brands(&[])));
    assert!(leader.as_mut().now_or_never().is_none());
    let mut other = Box::pin(world.brands());
    assert!(other.as_mut().now_or_never().is_none());
    drop(leader);
    assert_eq!(world.flights.len(), 1);
    gate.add_permits(1);
    let got = other.await;
    assert_eq!((got.body.as_str(), got.word()), ("one", Some("shared")));
    assert_eq!(world.brands().await.word(), Some("hit"), "it was kept, too");
    assert_eq!(world.vendor.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_shares_keeps_nothing() {
    let (world, gate) = held(|nth| Ok(reply(200, nth_body(nth))));
    let calls = (0..3).map(|_| asks(RUN, &[])).collect();
    let got = at_once(&world, &gate, calls).await;
    assert!(got.iter().all(|got| got.body == "one"));
    assert_eq!((got[0].word(), got[1].word()), (None, Some("shared")));
    assert_eq!(world.get(asks(RUN, &[])).await.body, "two");
}

#[tokio::test(start_paused = true)]
async fn on_a_row_that_shares_reads_are_equal_if_all_of_their_fields_are() {
    let (world, gate) = held(|_| Ok(reply(200, "it")));
    let calls = vec![asks(RUN, &[("x-mine", "1")]), asks(RUN, &[("x-mine", "2")])];
    at_once(&world, &gate, calls).await;
    assert_eq!(world.vendor.asked(), 2);
    assert_eq!(world.heard(0)["x-mine"], "1", "they pass");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_good_answer_is_not_shared() {
    let (world, gate) = held(|_| Ok(reply(404, "none")));
    let calls = (0..3).map(|_| asks(RUN, &[])).collect();
    let got = at_once(&world, &gate, calls).await;
    assert!(got.iter().all(|got| got.status == 404));
    assert_eq!(world.vendor.asked(), 3);
}
