//! The layer on a clock that stands still.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, Service};

use super::*;
use crate::call::Result;
use crate::call::testing::{self, Leaf, now, reply, text};
use crate::clock::Instant;
use crate::error::Outcome;
use crate::record::{Marks, Observer, Record};

/// The caller's time in these tests.
const TIME: Duration = Duration::from_secs(50);

/// Longer than a timer is late.
const LATE: Duration = Duration::from_millis(10);

/// The layer above a vendor that may answer long after the caller's time.
struct World {
    layer: Staged<CallerDeadline, Leaf<Call>>,
    flights: Flights,
    /// The number of calls that came to their own end.
    settled: Arc<AtomicU32>,
}

/// A world whose vendor does what `answer` says after `after`.
fn world(after: Duration, answer: impl Fn(&Call) -> Result + Send + Sync + 'static) -> World {
    let (flights, settled) = (Flights::new(), Arc::new(AtomicU32::new(0)));
    let (counts, answer) = (settled.clone(), Arc::new(answer));
    let vendor = Leaf::new(move |call: Call, _| {
        let (counts, answer) = (counts.clone(), answer.clone());
        Box::pin(async move {
            sleep(after).await;
            counts.fetch_add(1, Ordering::SeqCst);
            answer(&call)
        })
    });
    World { layer: CallerDeadline::layer(flights.clone()).layer(vendor), flights, settled }
}

/// A world whose vendor answers after `after`.
fn answering(after: Duration) -> World {
    world(after, |_| Ok(reply(200, "it")))
}

impl World {
    async fn ask(&self, call: Call) -> Result {
        self.layer.clone().call(call).await
    }

    /// Lets the call run until it waits for the vendor; then its caller hangs up.
    async fn hang_up(&self, call: Call) {
        assert!(timeout(Duration::from_secs(1), self.ask(call)).await.is_err());
    }

    fn settled(&self) -> u32 {
        self.settled.load(Ordering::SeqCst)
    }
}

fn unsent() -> Call {
    testing::call(Method::GET, "/brands")
}

/// A call of which an attempt was sent to the vendor.
fn sent() -> Call {
    let call = unsent();
    call.sending();
    call
}

fn is_about(passed: Duration, wanted: Duration) -> bool {
    passed >= wanted && passed < wanted + LATE
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_time_is_handed_over_as_it_is() {
    let world = answering(TIME - LATE);
    let reply = world.ask(sent()).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(text(reply).await.unwrap(), "it");
    assert!(world.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_time_is_handed_over_as_it_is() {
    let world = world(LATE, |_| {
        Err(Error::refused(Code::VendorUnreachable, "broke").with_outcome(Outcome::Unknown))
    });
    let error = world.ask(sent()).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::VendorUnreachable, Outcome::Unknown));
    assert!(world.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_very_end_of_the_callers_time_is_not_thrown_away() {
    let world = answering(TIME);
    assert_eq!(world.ask(sent()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_the_caller_hears_of_it_and_a_sent_call_goes_on() {
    let (world, began) = (answering(2 * TIME), Instant::now());
    let call = sent();
    let id = call.record.call_id;
    let error = world.ask(call).await.unwrap_err();
    assert!(is_about(began.elapsed(), TIME), "{:?}", began.elapsed());
    assert_eq!((error.code, error.outcome), (Code::VendorTimeout, Outcome::Unknown));
    assert_eq!(world.flights.list(), [(id, "brands.list".to_owned())]);
    assert_eq!(world.settled(), 0);
    world.flights.landed().await;
    assert!(is_about(began.elapsed(), 2 * TIME), "{:?}", began.elapsed());
    assert_eq!((world.settled(), world.flights.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_a_call_that_was_not_sent_ends() {
    let world = answering(2 * TIME);
    let error = world.ask(unsent()).await.unwrap_err();
    assert_eq!((error.code, error.outcome), (Code::VendorTimeout, Outcome::NotSent));
    assert!(world.flights.is_empty());
    advance(2 * TIME).await;
    world.flights.landed().await;
    assert_eq!(world.settled(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_transport_gave_back_counts_as_not_sent() {
    let (world, call) = (answering(2 * TIME), sent());
    call.not_sent();
    assert_eq!(world.ask(call).await.unwrap_err().outcome, Outcome::NotSent);
    assert!(world.flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_ones_send_ends_and_knows_no_outcome() {
    let (world, call) = (answering(2 * TIME), unsent());
    call.proof.share(true);
    assert_eq!(world.ask(call).await.unwrap_err().outcome, Outcome::Unknown);
    assert!(world.flights.is_empty(), "the other one goes on by itself");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_without_a_caller_that_hung_up_only_if_it_was_sent() {
    let world = answering(2 * TIME);
    world.hang_up(unsent()).await;
    assert!(world.flights.is_empty());
    world.hang_up(sent()).await;
    world.hang_up(sent()).await;
    assert_eq!(world.flights.len(), 2);
    world.flights.landed().await;
    assert_eq!(world.settled(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_is_no_longer_bound_to_its_callers_deadline() {
    let (world, began) = (answering(10 * TIME), Instant::now());
    world.hang_up(sent()).await;
    world.flights.landed().await;
    assert!(is_about(began.elapsed(), 10 * TIME), "{:?}", began.elapsed());
    assert_eq!(world.settled(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_gateway_stops_who_waits_hears_what_became_of_the_call() {
    for (call, outcome, go_on) in [(sent(), Outcome::Unknown, 1), (unsent(), Outcome::NotSent, 0)] {
        let (world, began) = (answering(TIME / 2), Instant::now());
        let stops = async {
            sleep(Duration::from_secs(5)).await;
            world.flights.end_waits();
        };
        let (told, ()) = tokio::join!(world.ask(call), stops);
        let error = told.unwrap_err();
        assert!(is_about(began.elapsed(), Duration::from_secs(5)));
        assert_eq!((error.code, error.outcome), (Code::Stopping, outcome));
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(world.flights.len(), go_on);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_no_answer_that_is_there() {
    let flights = Flights::new();
    let vendor = Leaf::new(|_: Call, _| now(Ok(reply(200, "it"))));
    let mut layer = CallerDeadline::layer(flights.clone()).layer(vendor);
    flights.end_waits();
    assert_eq!(layer.call(sent()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_after_its_caller_left_holds_up_no_stop() {
    let world = world(2 * TIME, |_| panic!("below"));
    world.hang_up(sent()).await;
    assert_eq!(world.flights.list().len(), 1);
    world.flights.landed().await;
    assert!(world.flights.list().is_empty());
}

/// Notes when each record comes.
#[derive(Default)]
struct Seen(Mutex<Vec<Instant>>);

impl Observer for Seen {
    fn finished(&self, _: &Record, marks: &Marks) {
        self.0.lock().unwrap().extend(marks.ended_at);
    }
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_call_that_goes_on_comes_once_and_when_it_is_over() {
    let (world, seen, began) = (answering(2 * TIME), Arc::new(Seen::default()), Instant::now());
    let mut call = unsent();
    call.record = Record::open(seen.clone());
    call.sending();
    assert!(world.ask(call).await.is_err());
    assert!(seen.0.lock().unwrap().is_empty());
    world.flights.landed().await;
    let ended: Vec<_> = seen.0.lock().unwrap().iter().map(|at| *at - began).collect();
    assert!(matches!(ended[..], [once] if is_about(once, 2 * TIME)), "{ended:?}");
}
