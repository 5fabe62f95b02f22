use std::time::Duration;

use proptest::prelude::*;

use super::super::pools::Price;
use super::super::{
    AdmissionRequest, AdmissionVerdict, AppSettings, ConnectionNo, ConnectionSettings, Moment,
    PoolId, PoolSettings, PriceNo, QueueEvent, Quota, Settlement,
};

const WINDOW: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Moment {
    Moment::from(Duration::from_secs(1000 + seconds))
}

fn settings(calls: u32) -> ConnectionSettings {
    let mut settings = ConnectionSettings::of("own", calls, WINDOW);
    settings.max_wait = Duration::from_secs(3600);
    (settings.depth, settings.app_depth) = (1000, 1000);
    settings
}

fn named(name: &str, calls: u32) -> PoolSettings {
    PoolSettings { name: name.into(), ..settings(calls).pool }
}

/// A quota with one connection, one app and the price of one slot under number 0.
fn quota(calls: u32) -> (Quota, ConnectionNo, PoolId, AdmissionRequest) {
    let mut quota = Quota::empty(at(0));
    let connection = quota.add_connection(settings(calls), None, at(0));
    let own = quota.own_pool(connection).unwrap();
    quota.set_price(connection, PriceNo(0), Price::new(&[(own, 1)]).unwrap());
    let app = quota.add_app(connection, AppSettings::default(), at(0)).unwrap();
    let ticket = AdmissionRequest {
        connection,
        app,
        price: PriceNo(0),
        bulk: false,
        latest: Moment::NEVER,
        by_caller: false,
        asked: false,
    };
    (quota, connection, own, ticket)
}

#[test]
fn calls_that_wait_keep_their_places_while_prices_and_pools_come() {
    let (mut quota, connection, own, ticket) = quota(1);
    let AdmissionVerdict::Start(first) = quota.enter(at(0), &ticket) else { panic!() };
    let mut places = Vec::new();
    for number in 0..20_u16 {
        let AdmissionVerdict::Wait(place, _) = quota.enter(at(0), &ticket) else { panic!() };
        places.push(place);
        let pool = quota.add_pool(&named(&format!("p{number}"), 1), None, at(0));
        let price = Price::new(&[(own, 1), (pool, 1)]).unwrap();
        quota.set_price(connection, PriceNo(number + 1), price);
    }
    quota.settle(first, Settlement::FirstByteAt(at(0)), at(0));
    for (turn, place) in (1..).zip(places) {
        let now = at(11 * turn);
        let Some(QueueEvent::Start { place: next, grant, .. }) = quota.poll(now) else { panic!() };
        assert_eq!(next, place);
        assert!(quota.poll(now).is_none());
        quota.settle(grant, Settlement::FirstByteAt(now), now);
    }
}

#[test]
fn a_waiting_call_pays_what_its_price_means_by_then() {
    let (mut quota, connection, own, ticket) = quota(2);
    let narrow = quota.add_pool(&named("narrow", 1), None, at(0));
    let held: Vec<_> = (0..2).map(|_| quota.enter(at(0), &ticket)).collect();
    let AdmissionVerdict::Wait(..) = quota.enter(at(0), &ticket) else { panic!() };
    quota.set_price(connection, PriceNo(0), Price::new(&[(own, 1), (narrow, 1)]).unwrap());
    for verdict in held {
        let AdmissionVerdict::Start(grant) = verdict else { panic!() };
        quota.settle(grant, Settlement::NothingSent, at(1));
    }
    let Some(QueueEvent::Start { grant, .. }) = quota.poll(at(1)) else { panic!() };
    assert_eq!(quota.gauge(narrow).unwrap().in_use, 1);
    quota.settle(grant, Settlement::FirstByteAt(at(1)), at(1));
    assert_eq!(quota.gauge(narrow).unwrap().resting, 1);
    quota.assert_balance();
}

#[test]
fn a_vacant_number_holds_nothing_of_who_had_it() {
    let (mut quota, connection, own, ticket) = quota(2);
    let AdmissionVerdict::Start(grant) = quota.enter(at(0), &ticket) else { panic!() };
    assert!(!quota.is_idle(own, at(0)));
    quota.settle(grant, Settlement::FirstByteAt(at(0)), at(0));
    assert!(!quota.is_idle(own, at(9)) && quota.is_idle(own, at(11)));
    let vacant = Some((connection, own));
    assert_eq!(quota.add_connection(settings(5), vacant, at(11)), connection);
    assert_eq!(quota.own_pool(connection), Some(own));
    assert_eq!(quota.gauge(own).unwrap().free, 5);
    quota.assert_balance();
}

proptest! {
    /// Whatever is carried: at no moment are fewer slots taken than calls may count, up to the
    /// limit, and the books of the apps stay right.
    #[test]
    fn what_is_carried_counts(
        limit in 1_u32..12,
        calls in prop::collection::vec((0_u64..5, any::<bool>()), 0..12),
        carried in prop::collection::vec(0_u64..40, 0..20),
    ) {
        let (mut quota, _, own, ticket) = quota(limit);
        let mut until = Vec::new();
        for (after, answered) in calls {
            match quota.enter(at(0), &ticket) {
                AdmissionVerdict::Start(grant) if answered => {
                    until.extend(quota.settle(grant, Settlement::FirstByteAt(at(after)), at(5)));
                }
                // Nobody says how it ended: it is taken back after the hard limit.
                AdmissionVerdict::Start(_) => until.push(at(60) + WINDOW),
                AdmissionVerdict::Wait(place, _) => assert!(quota.leave(place)),
                AdmissionVerdict::Refused(_) => {}
            }
        }
        let carried: Vec<Moment> = carried.into_iter().map(at).collect();
        quota.carry(own, &carried, at(5));
        quota.assert_balance();
        until.extend(carried);
        for second in 5..80 {
            let rest = until.iter().filter(|until| **until > at(second)).count();
            prop_assert!(quota.poll(at(second)).is_none());
            let free = quota.gauge(own).unwrap().free;
            let most = (limit as usize).saturating_sub(rest);
            prop_assert!(free as usize <= most, "{free} free at {second}, of {most}");
            quota.assert_balance();
        }
    }
}
