use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::advance;

use super::super::activity::{Answering, Arriving};
use super::super::tests::limits;
use super::book::REST;
use super::*;

fn peer(host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, host])
}

impl ConnectionPlace {
    fn is_cut(&self) -> bool {
        self.guest.end.is_cancelled()
    }
}

fn seated(places: &Arc<ConnectionPlaces>, host: u8) -> Option<ConnectionPlace> {
    match places.take(peer(host))? {
        PlaceTicket::Seated(place) => Some(place),
        PlaceTicket::Waits(_) => None,
    }
}

fn waits(places: &Arc<ConnectionPlaces>, host: u8) -> PlaceWaiter {
    match places.take(peer(host)) {
        Some(PlaceTicket::Waits(waiting)) => waiting,
        Some(PlaceTicket::Seated(_)) => panic!("there was a place"),
        None => panic!("turned away"),
    }
}

impl PlaceWaiter {
    fn got(&mut self) -> Option<ConnectionPlace> {
        self.place.try_recv().ok()
    }
}

/// A place on which a call is under way until the second is dropped.
fn busy(places: &Arc<ConnectionPlaces>, host: u8) -> (ConnectionPlace, Answering) {
    let place = seated(places, host).expect("a place");
    let activity = Arc::new(Activity::new(&limits()));
    place.watch(activity.clone());
    (place, Answering::begin(activity, None))
}

/// A place on which a body never comes to its end.
fn half_sent(places: &Arc<ConnectionPlaces>, host: u8) -> (ConnectionPlace, Answering, Arriving) {
    let (place, answering) = busy(places, host);
    let arriving = answering.arriving();
    (place, answering, arriving)
}

fn for_many(sockets: usize, per_peer: Option<usize>) -> Arc<ConnectionPlaces> {
    Arc::new(ConnectionPlaces::new(Bound::ForMany { sockets, per_peer }))
}

/// The next look, as a waiting port has it.
fn look(places: &ConnectionPlaces) {
    places.held().make_room(places.bound, Instant::now());
}

#[tokio::test(start_paused = true)]
async fn an_address_that_has_its_part_gets_no_more_until_it_gives_one_back() {
    let places = for_many(10, Some(2));
    let first = seated(&places, 1).unwrap();
    let _second = seated(&places, 1).unwrap();
    assert!(places.take(peer(1)).is_none());
    let _other = seated(&places, 2).unwrap();
    drop(first);
    assert!(seated(&places, 1).is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_rests_makes_room_and_whoever_is_served_does_not() {
    let places = for_many(3, None);
    let (served, call) = busy(&places, 1);
    let resting = seated(&places, 1).unwrap();
    advance(REST / 2).await;
    let younger = seated(&places, 1).unwrap();
    advance(REST / 2).await;
    let mut newcomer = waits(&places, 2);
    assert_eq!(
        [&served, &resting, &younger].map(ConnectionPlace::is_cut),
        [false, true, false],
        "the oldest"
    );
    drop(resting);
    let second = newcomer.got().expect("who waits has the place that is given back");
    drop(call);
    advance(REST).await;
    let mut third = waits(&places, 3);
    assert!(younger.is_cut() && !served.is_cut() && !second.is_cut());
    drop(younger);
    assert!(third.got().is_some());
}

#[tokio::test(start_paused = true)]
async fn half_sent_requests_of_one_address_keep_no_other_address_out() {
    let places = for_many(50, None);
    let crowd: Vec<_> = (0..45).map(|_| half_sent(&places, 1)).collect();
    let _waiting: Vec<_> = (0..5).map(|_| waits(&places, 1)).collect();
    assert!(places.take(peer(1)).is_none(), "more of it are closed as they come");
    advance(REST).await;
    look(&places);
    assert!(!crowd.iter().any(|(place, ..)| place.is_cut()), "not for its own");
    let mut honest = waits(&places, 2);
    advance(LOOK).await;
    look(&places);
    let cut: Vec<_> = crowd.into_iter().filter(|(place, ..)| place.is_cut()).collect();
    assert_eq!(cut.len(), 1);
    drop(cut);
    assert!(honest.got().is_some(), "and not those who came first of the crowd");
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_not_cut_for_an_address_that_would_then_hold_as_much() {
    let places = for_many(3, None);
    let (one, two) = (half_sent(&places, 1), half_sent(&places, 1));
    let _served = busy(&places, 2);
    advance(REST * 5).await;
    let _newcomer = waits(&places, 2);
    assert!(!one.0.is_cut() && !two.0.is_cut());
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_or_leaves_gives_up_its_turn() {
    let places = for_many(2, None);
    let (_one, _two) = (busy(&places, 1), busy(&places, 1));
    let waiting = places.take(peer(1)).unwrap();
    assert!(waiting.place(Duration::from_secs(10)).await.is_none());
    assert!(!places.door().awaited);
    drop(waits(&places, 1));
    assert!(!places.door().awaited);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_given_to_somebody_who_left_goes_to_the_next() {
    let places = for_many(20, None);
    let mut all: Vec<_> = (0..18).map(|_| busy(&places, 1)).collect();
    let (first, mut second) = (waits(&places, 1), waits(&places, 1));
    all.pop();
    drop(first);
    assert!(second.got().is_some());
}

#[tokio::test(start_paused = true)]
async fn while_all_are_served_a_port_for_many_lets_wait_and_one_for_few_cuts_the_oldest() {
    for (bound, cut) in [
        (Bound::ForMany { sockets: 2, per_peer: None }, false),
        (Bound::ForFew { sockets: 2 }, true),
    ] {
        let places = Arc::new(ConnectionPlaces::new(bound));
        let (one, two) = (busy(&places, 1), busy(&places, 2));
        advance(REST * 60).await;
        let _waiting = waits(&places, 3);
        assert_eq!(usize::from(one.0.is_cut()) + usize::from(two.0.is_cut()), usize::from(cut));
        assert_eq!(
            places.door().open,
            !cut,
            "a port for few takes the next when this one has a place"
        );
    }
}

/// A port whose door is shut and that waits for no place would never take a connection again.
#[test]
fn a_shut_door_waits_for_somebody_whoever_leaves_meanwhile() {
    let places = Arc::new(ConnectionPlaces::new(Bound::ForFew { sockets: 2 }));
    let _one = seated(&places, 1).unwrap();
    let _two = seated(&places, 1).unwrap();
    let (come, go) = (places.clone(), AtomicBool::new(true));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while go.load(Ordering::Relaxed) {
                drop(come.take(peer(2)));
            }
        });
        let shut = |door: PlaceDoor| !door.open && !door.awaited;
        let forgotten = (0..200_000).filter(|_| shut(places.door())).count();
        go.store(false, Ordering::Relaxed);
        assert_eq!(forgotten, 0);
    });
}

#[tokio::test(start_paused = true)]
async fn a_look_waits_for_somebody_to_leave_and_no_longer_than_its_time() {
    let places = for_many(1, None);
    let one = seated(&places, 1).unwrap();
    assert!(places.look().now_or_never().is_none());
    drop(one);
    assert!(places.look().now_or_never().is_some());
}

#[test]
fn addresses_of_one_network_are_one_peer() {
    let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
    assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
    assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
    assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    assert!(!same("192.0.2.1", "192.0.2.2"));
}

/// What a client of the property below does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Rests,
    HalfSent,
    Served,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Rests), Just(Kind::HalfSent), Just(Kind::Served)]
}

/// Runs in paused time. A property test has no attribute for that.
fn inside(doing: impl FnOnce()) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    doing();
}

proptest! {
    /// On a port for few clients each newcomer finds a place, and an address that has fewer than
    /// another is never sent away.
    #[test]
    fn the_newest_finds_room_and_the_address_with_the_most_makes_it(
        peers in prop::collection::vec(0_u8..6, 1..120),
    ) {
        inside(|| {
            let places = Arc::new(ConnectionPlaces::new(Bound::ForFew { sockets: 9 }));
            let mut here: Vec<ConnectionPlace> = Vec::new();
            for host in peers {
                let place = match places.take(peer(host)).expect("never turned away") {
                    PlaceTicket::Seated(place) => place,
                    PlaceTicket::Waits(mut waiting) => {
                        let count = |peer| here.iter().filter(|p| p.guest.peer == peer).count();
                        let most = here.iter().map(|place| count(place.guest.peer)).max();
                        let at = here.iter().position(ConnectionPlace::is_cut).expect("one makes room");
                        assert_eq!(Some(count(here[at].guest.peer)), most);
                        here.remove(at);
                        waiting.got().expect("its place")
                    }
                };
                here.push(place);
                assert!(here.len() <= 9);
            }
        });
    }

    /// An address with less than its even part has a place after a few looks, and no call under way
    /// was cut for it. This holds however many places a crowd has, as long as they are not all
    /// calls under way.
    #[test]
    fn an_address_below_its_even_part_is_let_in_while_others_waste_their_places(
        crowd in prop::collection::vec((0_u8..3, kinds()), 30..90),
        sockets in 10_usize..40,
    ) {
        inside(|| {
            let places = for_many(sockets, None);
            let (mut here, mut queue) = (Vec::new(), Vec::new());
            for (host, kind) in crowd {
                match places.take(peer(host)) {
                    Some(PlaceTicket::Seated(place)) => {
                        let activity = Arc::new(Activity::new(&limits()));
                        place.watch(activity.clone());
                        let call = (!matches!(kind, Kind::Rests)).then(|| Answering::begin(activity, None));
                        let body = call.as_ref().filter(|_| matches!(kind, Kind::HalfSent));
                        let body = body.map(Answering::arriving);
                        here.push((place, call, body));
                    }
                    Some(PlaceTicket::Waits(waiting)) => queue.push(waiting),
                    None => {}
                }
            }
            let now = Instant::now() + REST;
            let wasted = |host| here.iter().any(|(place, call, body): &(ConnectionPlace, _, _)| {
                place.guest.peer == peer(host) && (call.is_none() || body.is_some())
            });
            let of = |host| here.iter().filter(|(place, ..)| place.guest.peer == peer(host)).count();
            let helps = (0..3).any(|host| wasted(host) && of(host) >= 2);
            let Some(ticket) = places.take(peer(9)) else {
                // Those who wait have no more than it would have.
                let queued = places.held().book.waiting();
                assert!(queued.iter().all(|peer| !here.iter().any(|(p, ..)| p.guest.peer == *peer)));
                return;
            };
            let PlaceTicket::Waits(mut waiting) = ticket else { return };
            for _ in 0..sockets + 10 {
                places.held().looked = None;
                places.held().make_room(places.bound, now);
                assert!(!here.iter().any(|(place, call, body)| {
                    place.is_cut() && call.is_some() && body.is_none()
                }));
                here.retain(|(place, ..)| !place.is_cut());
            }
            assert!(!helps || waiting.got().is_some());
        });
    }
}
