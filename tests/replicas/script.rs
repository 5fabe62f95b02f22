//! The script and the model, side by side.

use super::super::{LEDGER, LookReply, LookRequest, SyncReply, SyncRequest};
use super::callers::Callers;
use super::ledger::Ledger;
use super::mutation::Mutation;
use crate::redis::Redis;

const STATE: &str = "tg:{0}:conn:one";
const WATCH: &str = "tg:{0}:birth";

/// The script at a given time, in a given run of the store.
fn at(redis: &mut Redis, request: &str, now: i64, run: &str) -> String {
    let now = now.to_string();
    let said = redis.ask(&["EVAL", LEDGER, "2", STATE, WATCH, request, &now, run]);
    said.unwrap().expect("a text")
}

fn now(redis: &mut Redis, request: &str) -> String {
    redis.ask(&["EVAL", LEDGER, "2", STATE, WATCH, request]).unwrap().expect("a text")
}

/// Equal, but for the last digits of shares: Lua writes fourteen.
fn assert_same(one: &SyncReply, other: &SyncReply, what: &str) {
    let (one, shares) = apart(one);
    let (other, others) = apart(other);
    assert_eq!(one, other, "{what}");
    let near = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-9;
    assert!(shares.iter().zip(&others).all(near), "{what}: {shares:?}, {others:?}");
}

/// A reply without its shares, and these.
fn apart(reply: &SyncReply) -> (SyncReply, Vec<f64>) {
    let (mut reply, mut shares) = (reply.clone(), Vec::new());
    if let SyncReply::Ok { pools, .. } = &mut reply {
        for share in pools.iter_mut().flat_map(|pool| pool.shares.values_mut()) {
            shares.push(std::mem::take(share));
        }
    }
    (reply, shares)
}

#[derive(Debug, Default)]
struct Seen {
    granted: usize,
    lost: usize,
    given: u32,
    epochs: usize,
    old: usize,
}

impl Seen {
    fn note(&mut self, reply: &SyncReply) {
        match reply {
            SyncReply::Old { .. } => self.old += 1,
            SyncReply::Epoch { .. } => self.epochs += 1,
            SyncReply::Ok { pools, .. } => {
                for pool in pools {
                    self.granted += pool.grant.len();
                    self.lost += pool.lost.len();
                    self.given += pool.give;
                }
            }
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn the_script_answers_as_the_model_does() {
    let mut redis = Redis::start("script");
    let mut seen = Seen::default();
    for seed in 0..100 {
        redis.ask(&["FLUSHALL"]).unwrap();
        let mut model = Ledger::new(Mutation::Faithful);
        let mut callers = Callers::new(seed);
        let (mut time, mut run) = (1_764_000_000_000, 0);
        for turn in 0..200 {
            time += callers.time_goes();
            if callers.once_in(60) {
                run += 1;
            }
            if callers.once_in(90) {
                redis.ask(&["FLUSHALL"]).unwrap();
                (model.state, model.watch) = (None, None);
            }
            let (caller, request) = callers.request();
            let text = serde_json::to_string(&request).unwrap();
            let name = format!("run{run}");
            let said = at(&mut redis, &text, time, &name);
            let reply: SyncReply = serde_json::from_str(&said).expect(&said);
            let asked: SyncRequest = serde_json::from_str(&text).unwrap();
            let what = format!("seed {seed}, request {turn}: {text}");
            assert_same(&reply, &model.run(&asked, time, &name), &what);
            seen.note(&reply);
            callers.reply(caller, &request, &reply);
        }
    }
    println!("{seen:?}");
    assert!(seen.granted > 1000 && seen.lost > 100 && seen.given > 100, "{seen:?}");
    assert!(seen.epochs > 100 && seen.old > 100, "{seen:?}");
}

#[test]
#[ignore = "needs redis-server"]
fn a_store_is_known_by_its_run_and_by_its_birth() {
    let mut redis = Redis::start("birth");
    let mut look = |nonce: &str| {
        let request = serde_json::to_string(&LookRequest { nonce: nonce.to_owned() }).unwrap();
        let said: LookReply = serde_json::from_str(&now(&mut redis, &request)).unwrap();
        said.incarnation
    };
    let first = look("one");
    let parts: Vec<&str> = first.split(':').collect();
    assert!(matches!(parts[..], [run, replid, "one"] if run.len() == 40 && replid.len() == 40));
    assert_eq!(look("two"), first);
    redis.ask(&["FLUSHALL"]).unwrap();
    let request = SyncRequest {
        replica: "replica".to_owned(),
        seq: 1,
        nonce: "three".to_owned(),
        incarnation: first.clone(),
        age: 20_000,
        lease: 5000,
        trace: 15_000,
        ..SyncRequest::default()
    };
    let said = now(&mut redis, &serde_json::to_string(&request).unwrap());
    let SyncReply::Ok { incarnation, .. } = serde_json::from_str(&said).unwrap() else {
        panic!("{said}");
    };
    assert_eq!(incarnation, first.replace(":one", ":three"));
}
