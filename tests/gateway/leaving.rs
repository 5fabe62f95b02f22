//! A caller may leave at any moment: what the vendor cannot have counted costs no slot.

use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use tollgate::call;

use crate::double::{Double, Front, Stage, settle};
use crate::support::request;

/// How far a call has come when its caller leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// In the fair queue: the slots are used up.
    Queue,
    /// While a line is opened.
    Opening(Stage),
    /// While all sockets are in use.
    Place,
    /// The vendor has the head, and reads no body.
    Head,
    /// The vendor has all of it and does not answer.
    Sent,
    /// The head of the answer is here.
    FirstByte,
    /// A part of its body was read.
    Body,
}

const MOMENTS: [Moment; 10] = [
    Moment::Queue,
    Moment::Opening(Stage::Name),
    Moment::Opening(Stage::Tcp),
    Moment::Opening(Stage::Tls),
    Moment::Opening(Stage::Silence),
    Moment::Place,
    Moment::Head,
    Moment::Sent,
    Moment::FirstByte,
    Moment::Body,
];

/// How its caller leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It hangs up.
    HangsUp,
    /// Its deadline comes.
    Deadline,
    /// It hangs up, and in the same moment the vendor's side goes on.
    HangsUpAsTheVendorGoesOn,
    /// The gateway stops, and its grace is over.
    GatewayStops,
}

const WAYS: [Way; 4] =
    [Way::HangsUp, Way::Deadline, Way::HangsUpAsTheVendorGoesOn, Way::GatewayStops];

/// Slots of the connection.
const CALLS: usize = 5;

/// Brings a gateway to where the next call comes as far as `moment`.
async fn before(moment: Moment, h2: bool) -> Front {
    let setup = Front::setup(
        "sockets = 2",
        &format!("calls = {CALLS}\nwindow = \"10s\"\nmax_wait = \"60s\""),
    );
    let front = Front::new(setup, Double { streams: 1, ..Double::new(h2) });
    let used = match moment {
        Moment::Queue => CALLS,
        Moment::Place => {
            tokio::spawn(front.get(&front.setup.acme, "hang-before"));
            settle().await;
            0
        }
        _ => 0,
    };
    for n in 0..used {
        front.get(&front.setup.acme, &format!("ok-{n}")).await.into_body().collect().await.unwrap();
    }
    if let Moment::Opening(stage) = moment {
        *front.double.hold.lock().unwrap() = Some(stage);
    }
    front
}

/// A call that comes as far as `moment`, with 3 s to wait for the head of its answer.
fn call(front: &Front, moment: Moment) -> call::Request {
    let key = &front.setup.acme;
    let mut call = match moment {
        Moment::Head => {
            // More than both sides hold for a body that nobody reads.
            let body = format!("{{\"message\":{{\"event\":\"{}\"}}}}", "e".repeat(3 << 20));
            request("POST", "/bulk/unread", key, &body)
        }
        Moment::Sent => request("GET", "/brands/hang", key, ""),
        Moment::FirstByte | Moment::Body => request("GET", "/brands/drip", key, ""),
        _ => request("GET", "/brands/ok", key, ""),
    };
    if moment != Moment::Queue {
        call.headers_mut().insert("x-stainless-read-timeout", "4".parse().unwrap());
    }
    call
}

/// Whether the call is where it was to come, as the vendor and the quota see it.
fn has_come(front: &Front, moment: Moment) -> bool {
    let (held, counted) = (front.double.held.load(Ordering::SeqCst), front.double.counted());
    match moment {
        Moment::Queue => (front.waiting("acme-prod"), counted) == (1, CALLS),
        Moment::Opening(_) => (held, counted) == (1, 0),
        Moment::Place => (front.slots_held("acme-prod"), counted) == (2, 1),
        Moment::Head => counted == 1 && front.double.whole.lock().unwrap().is_empty(),
        Moment::Sent | Moment::FirstByte | Moment::Body => counted == 1,
    }
}

/// Lets a call come as far as `moment` and its caller leave by `way`.
async fn leave(front: &Front, moment: Moment, way: Way) {
    let mut calling = Box::pin(front.start(call(front, moment)));
    let mut answer = None;
    for _ in 0..500 {
        if answer.is_none()
            && let Poll::Ready(reply) = futures_util::poll!(&mut calling)
        {
            answer = Some(reply);
        }
        tokio::task::yield_now().await;
    }
    assert!(has_come(front, moment), "{moment:?}, {way:?}");
    let headed = [Moment::FirstByte, Moment::Body].contains(&moment);
    assert_eq!(answer.is_some(), headed, "{moment:?}, {way:?}");
    if way == Way::HangsUpAsTheVendorGoesOn {
        front.double.go_on();
    }
    if let Some(reply) = answer {
        let mut body = reply.into_body();
        if moment == Moment::Body {
            body.frame().await.unwrap().unwrap();
        }
        return;
    }
    if way == Way::GatewayStops {
        front.state.flights().end_waits();
    }
    if [Way::Deadline, Way::GatewayStops].contains(&way) {
        let start = Instant::now();
        let reply = calling.await;
        if way == Way::GatewayStops {
            assert_eq!((reply.status().as_u16(), start.elapsed()), (503, Duration::ZERO));
            assert_eq!(reply.headers()["retry-after"], "1", "{moment:?}");
        }
        assert!(!reply.status().is_success(), "{moment:?}");
        assert!(start.elapsed() <= Duration::from_secs(3), "{moment:?}");
        let sent = [Moment::Head, Moment::Sent].contains(&moment);
        let outcome = if sent { "unknown" } else { "not-sent" };
        assert_eq!(reply.headers()["tollgate-outcome"], outcome, "{moment:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_costs_a_slot_if_and_only_if_the_vendor_may_have_counted_its_call() {
    for h2 in [false, true] {
        for (moment, way) in MOMENTS.iter().flat_map(|moment| WAYS.map(|way| (*moment, way))) {
            let is_none = match (moment, way) {
                // A call whose deadline comes before its turn is refused when it comes.
                (Moment::Queue, Way::Deadline) => true,
                // The deadline is for the head.
                (Moment::FirstByte | Moment::Body, Way::Deadline | Way::GatewayStops) => true,
                // Over HTTP/1.1 the vendor says nothing first.
                (Moment::Opening(Stage::Silence), _) => !h2,
                _ => false,
            };
            if is_none {
                continue;
            }
            let front = before(moment, h2).await;
            leave(&front, moment, way).await;
            settle().await;
            sleep(Duration::from_millis(100)).await;
            let (held, counted) = (front.slots_held("acme-prod"), front.double.counted());
            assert_eq!(held, counted, "h2 {h2}, {moment:?}, {way:?}");
            assert_eq!(front.waiting("acme-prod"), 0, "h2 {h2}, {moment:?}, {way:?}");
            assert_eq!(front.state.hosts_down(), 0, "h2 {h2}, {moment:?}, {way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_leave_while_a_socket_is_opened_leave_the_connection_as_it_was() {
    for h2 in [false, true] {
        let front = before(Moment::Opening(Stage::Tls), h2).await;
        for round in 0..10 {
            let calls = (0..CALLS).map(|_| tokio::spawn(front.get(&front.setup.acme, "ok")));
            let calls: Vec<_> = calls.collect();
            settle().await;
            assert_eq!(front.slots_held("acme-prod"), CALLS, "round {round}");
            calls.iter().for_each(tokio::task::JoinHandle::abort);
            settle().await;
            assert_eq!(front.slots_held("acme-prod"), 0, "round {round}");
        }
        front.double.go_on();
        let start = Instant::now();
        let reply = front.get(&front.setup.acme, "ok").await;
        assert_eq!((reply.status().as_u16(), front.double.counted()), (200, 1));
        assert!(start.elapsed() < Duration::from_secs(1), "h2 {h2}: {:?}", start.elapsed());
    }
}
