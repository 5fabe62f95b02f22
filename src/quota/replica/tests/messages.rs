//! The messages are what the script reads and writes.

use super::super::super::Moment;
use super::super::super::pools::{Pools, SlotPool};
use super::super::super::rest::RestRule;
use super::super::super::slots::Slots;
use super::super::{
    AppDemand, DemandClass, Replica, Report, SharedPool, Sighting, SyncReply, SyncRequest,
};
use super::ledger::Ledger;
use super::mutation::Mutation;
use super::scene::{at, seconds};

fn fleet_of_one(calls: u32) -> (Replica, Pools) {
    let mut pools = Pools::default();
    let rest = RestRule::of(seconds(60.0), seconds(60.0));
    let id = pools.add(SlotPool::new("own", Slots::none(0, rest)));
    let shared = SharedPool { id, name: "own".to_owned(), calls, block: 1, version: 1 };
    (Replica::new("one".to_owned(), seconds(20.0), vec![shared]), pools)
}

fn request(replica: &mut Replica, pools: &mut Pools, now: Moment) -> SyncRequest {
    let own = pools.iter().next().unwrap().0;
    let demand =
        [(own, vec![AppDemand("an app".to_owned(), 2, 3.0, DemandClass::Interactive)])].into();
    let sighting = &Sighting::default();
    let report = Report {
        demand,
        waiting: 3,
        interactive: 0,
        hurries: false,
        sighting,
        nonce: "dice".to_owned(),
    };
    replica.request(pools, report, now, |_, _| ())
}

#[test]
fn requests_and_replies_are_the_scripts_json() {
    let (mut replica, mut pools) = fleet_of_one(4);
    replica.wants(3, at(1.0));
    let first = request(&mut replica, &mut pools, at(1.0));
    let json = serde_json::to_value(&first).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "r": "one", "seq": 1, "ack": 0, "el": 0, "ep": "", "en": 0, "inc": "", "age": 0,
            "lease": 20_000, "q": 140_060, "nonce": "dice", "bye": false,
            "pools": [{"p": "own", "n": 4, "v": 1, "hold": {}, "ret": {},
                "apps": [["an app", 2, 3.0, 0]]}],
        })
    );
    let mut ledger = Ledger::new(Mutation::Faithful);
    let said = ledger.call(&json.to_string(), 5, "store");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        said,
        serde_json::json!({
            "st": "ok", "seq": 1, "ep": "dice", "en": 1, "inc": "store:dice",
            "pools": [{"p": "own", "n": 4, "v": 1, "t": 4, "give": 0, "grant": {}, "lost": {},
                "eff": {"an app": 3.0}, "hot": 1, "soon": 0, "i": 3}],
        })
    );
    let reply: SyncReply = serde_json::from_value(said).unwrap();
    assert!(replica.accept(&mut pools, &reply, at(1.1), |_, _| ()));
    assert!(replica.may_take(at(1.0 + 19.97)) && !replica.may_take(at(1.0 + 19.99)));
    let second = request(&mut replica, &mut pools, at(1.4));
    assert_eq!((second.ack, second.elapsed), (1, 400));
    assert!(!replica.accept(&mut pools, &reply, at(1.5), |_, _| ()), "not awaited");
}

#[test]
fn a_grant_is_read_with_its_rest_and_an_odd_list_is_not() {
    let text = r#"{"st":"ok","seq":1,"ep":"e","en":1,"inc":"i","pools":[{"p":"own","n":4,"v":1,
        "t":2,"give":0,"grant":[3,0,1,2500],"lost":{},"eff":{},"hot":0}]}"#;
    let (mut replica, mut pools) = fleet_of_one(4);
    replica.wants(3, at(1.0));
    request(&mut replica, &mut pools, at(1.0));
    let reply: SyncReply = serde_json::from_str(text).unwrap();
    assert!(replica.accept(&mut pools, &reply, at(2.0), |_, _| ()));
    let slots = &pools.iter().next().unwrap().1.slots;
    assert_eq!((slots.free(), slots.resting(), slots.limit()), (1, 1, 2));
    assert_eq!(slots.next_release(), Some(at(4.5)));
    let odd = text.replace("3,0,1,2500", "3,0,1");
    assert!(serde_json::from_str::<SyncReply>(&odd).is_err());
}
