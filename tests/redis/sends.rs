//! A send stays one send, whichever replica its retry comes to.

use futures_util::StreamExt as _;
use futures_util::stream;
use http::Request;
use simulator::{Effect, Wire};
use tollgate::call::StreamBody;

use crate::senders::Gateways;
use crate::servers::Server;

const GUARD: std::time::Duration = std::time::Duration::from_secs(30);

/// A quota under which the second of two sends waits.
const WAITS: &str = "calls = 1\nwindow = \"10s\"\nmax_wait = \"50s\"\ndepth = 4\napp_depth = 4";

fn cut() -> Effect {
    Effect { wire: Some(Wire::Cut { after: 0 }), ..Effect::default() }
}

/// An SDK's `count`th retry.
fn sdk(gateways: &Gateways, text: &str, count: u32) -> Request<StreamBody> {
    gateways.send(text, &[("x-stainless-retry-count", &count.to_string())])
}

/// What Redis holds, by the kind of its keys: names and values as text.
fn held(redis: &Server, kind: &str) -> Vec<String> {
    let names = redis.ask(&["KEYS", &format!("*:{kind}:*")]).unwrap();
    redis::from_redis_value(names).unwrap()
}

fn dump(redis: &Server) -> String {
    let mut text = String::new();
    for name in held(redis, "made") {
        let all = redis.ask(&["HGETALL", &name]).unwrap();
        text += &format!("{name} {:?}\n", redis::from_redis_value::<Vec<String>>(all).unwrap());
    }
    for name in held(redis, "answer") {
        let value: Vec<u8> = redis::from_redis_value(redis.ask(&["GET", &name]).unwrap()).unwrap();
        text += &format!("{name} {}\n", String::from_utf8_lossy(&value));
    }
    text
}

/// Waits for what is told behind a request's back.
async fn until(fits: impl Fn() -> bool) {
    let told = async {
        while !fits() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(GUARD, told).await.expect("it is told");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn of_2000_sends_whose_retries_come_to_another_replica_none_is_sent_twice() {
    let redis = Server::redis("");
    let gateways = &Gateways::sharing(&redis).await;
    let one = |n: usize| async move {
        let (text, key) = (format!("text {n}"), format!("key-{n}"));
        let call = |count: u32| match n % 2 {
            0 => sdk(gateways, &text, count),
            _ => gateways.send(&text, &[("idempotency-key", &key)]),
        };
        // A third of the answers are lost: once, or twice in a row.
        let lost = [0, 0, 1, 0, 2, 0][n % 6];
        for count in 0..lost {
            gateways.lose((n + count as usize) % 2, call(count)).await;
        }
        gateways.ask((n + lost as usize) % 2, call(lost)).await.status.as_u16()
    };
    let statuses: Vec<_> = stream::iter(0..2_000).map(one).buffer_unordered(16).collect().await;
    let others: Vec<_> = statuses.iter().filter(|status| **status != 202).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(gateways.committed(), 2_000);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_retry_of_a_send_with_an_unknown_outcome_has_its_key_on_another_replica() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    gateways.next(100, cut());
    let first = gateways.ask(0, sdk(&gateways, "a", 0)).await;
    assert_eq!((first.status.as_u16(), first.header("tollgate-outcome")), (502, "unknown"));
    gateways.next(0, Effect::default());
    assert_eq!(gateways.ask(1, sdk(&gateways, "a", 1)).await.status.as_u16(), 202);
    // One that was lost on its way to the gateways is no reason for a fresh key.
    assert_eq!(gateways.ask(0, sdk(&gateways, "a", 3)).await.status.as_u16(), 202);
    let keys = gateways.keys();
    assert!(keys.iter().all(|key| *key == keys[0] && key.starts_with("tollgate-")), "{keys:?}");
    assert_eq!(gateways.committed(), 1);
    // The same sent anew is another send.
    assert_eq!(gateways.ask(1, sdk(&gateways, "a", 0)).await.status.as_u16(), 202);
    assert_eq!(gateways.committed(), 2);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn of_two_equal_sends_a_retry_repeats_the_one_whose_answer_was_lost() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    assert_eq!(gateways.ask(0, sdk(&gateways, "a", 0)).await.status.as_u16(), 202);
    until(|| dump(&redis).contains(" 0 a")).await;
    gateways.lose(1, sdk(&gateways, "a", 0)).await;
    assert_eq!(gateways.ask(0, sdk(&gateways, "a", 1)).await.status.as_u16(), 202);
    let keys = gateways.keys();
    assert!(keys[0] != keys[1] && keys[2] == keys[1], "{keys:?}");
    assert_eq!(gateways.committed(), 2);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn an_sdk_that_counts_nothing_is_recognised_while_its_send_is_in_doubt() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    let call = || gateways.send("a", &[("user-agent", "courier-node/5.7.0")]);
    gateways.next(100, cut());
    assert_eq!(gateways.ask(0, call()).await.status.as_u16(), 502);
    gateways.next(0, Effect::default());
    until(|| dump(&redis).contains(" d\"")).await;
    assert_eq!(gateways.ask(1, call()).await.status.as_u16(), 202);
    until(|| dump(&redis).contains(" a\"")).await;
    assert_eq!(gateways.ask(0, call()).await.status.as_u16(), 202);
    let keys = gateways.keys();
    let (last, before) = keys.split_last().unwrap();
    assert!(before.iter().all(|key| *key == keys[0]) && *last != keys[0], "{keys:?}");
    assert_eq!(gateways.committed(), 2);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_first_good_answer_under_a_given_key_is_every_replicas() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    let call = |text: &str| gateways.send(text, &[("idempotency-key", "order-1")]);
    let first = gateways.ask(0, call("a")).await;
    until(|| !held(&redis, "answer").is_empty()).await;
    let again = gateways.ask(1, call("a")).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = gateways.ask(1, call("b")).await;
    assert_eq!(other.status.as_u16(), 422, "the key stands for another request");
    assert_eq!(gateways.keys().len(), 1);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_holds_hashes_and_each_for_its_time() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    gateways.ask(0, sdk(&gateways, "what-was-said", 0)).await;
    gateways.ask(0, gateways.send("what-was-said", &[("idempotency-key", "order-1")])).await;
    until(|| !held(&redis, "answer").is_empty()).await;
    let text = dump(&redis);
    for word in ["what-was-said", "order-1", "acme", "billing", "tok-1", "tg_k1"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    for (kind, most) in [("made", 120_000), ("answer", 24 * 3_600_000)] {
        let names = held(&redis, kind);
        assert_eq!(names.len(), 1, "{kind}");
        let left: i64 = redis::from_redis_value(redis.ask(&["PTTL", &names[0]]).unwrap()).unwrap();
        assert!(left > 0 && left <= most, "{kind}: {left}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn of_equal_sends_a_bounded_number_is_remembered() {
    let redis = Server::redis("");
    let gateways = Gateways::sharing(&redis).await;
    for _ in 0..80 {
        gateways.lose(0, sdk(&gateways, "a", 0)).await;
    }
    let names = held(&redis, "made");
    let fields: i64 = redis::from_redis_value(redis.ask(&["HLEN", &names[0]]).unwrap()).unwrap();
    assert_eq!((names.len(), fields), (1, 64));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_retry_finds_the_send_that_still_waits_at_another_replica() {
    let redis = Server::redis("");
    let gateways = Gateways::limited(&redis, WAITS).await;
    gateways.ask(0, sdk(&gateways, "a", 0)).await;
    // Its client gives it up, and the replica does not hear of it.
    let _waits = gateways.begin(0, sdk(&gateways, "b", 0));
    until(|| held(&redis, "made").len() == 2).await;
    assert_eq!(gateways.ask(1, sdk(&gateways, "b", 1)).await.status.as_u16(), 202);
    let keys = gateways.keys();
    assert!(keys[1..].iter().all(|key| *key == keys[1]), "{keys:?}");
    assert!(gateways.committed() <= 2);
    for name in held(&redis, "made") {
        let fields: Vec<String> =
            redis::from_redis_value(redis.ask(&["HKEYS", &name]).unwrap()).unwrap();
        assert_eq!(fields.len(), 1, "the retry has no key of its own");
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn of_a_send_that_was_refused_nothing_stays_in_redis() {
    let redis = Server::redis("");
    let gateways = Gateways::limited(&redis, WAITS).await;
    gateways.ask(0, sdk(&gateways, "a", 0)).await;
    let waits = gateways.begin(0, sdk(&gateways, "b", 0));
    until(|| held(&redis, "made").len() == 2).await;
    drop(waits);
    until(|| held(&redis, "made").len() == 1).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn behind_a_redis_that_hangs_sends_go_out_and_no_sdk_repeats_what_is_unknown() {
    let redis = Server::redis("");
    let gateways = Gateways::hurried(&redis).await;
    for at in 0..2 {
        assert_eq!(gateways.ask(at, gateways.read()).await.status.as_u16(), 200);
    }
    redis.freeze();
    // A command of the store has 10 s; no call waits that long.
    assert_eq!(gateways.ask_soon(0, sdk(&gateways, "a", 0)).await.status.as_u16(), 202);
    let given = gateways.send("b", &[("idempotency-key", "order-1")]);
    assert_eq!(gateways.ask_soon(0, given).await.status.as_u16(), 202);
    gateways.next(100, cut());
    let unknown = gateways.ask(0, sdk(&gateways, "c", 0)).await;
    assert_eq!((unknown.status.as_u16(), unknown.header("tollgate-outcome")), (502, "unknown"));
    assert_eq!(unknown.header("x-should-retry"), "false");
    gateways.next(0, Effect::default());
    // A retry on the same replica is recognised without Redis.
    assert_eq!(gateways.ask_soon(0, sdk(&gateways, "c", 1)).await.status.as_u16(), 202);
    let arrived = gateways.keys().len();
    // Nobody knows which send this one repeats.
    let retry = gateways.ask_soon(1, sdk(&gateways, "c", 1)).await;
    assert_eq!((retry.status.as_u16(), retry.header("tollgate-outcome")), (503, "unknown"));
    assert_eq!(retry.header("x-should-retry"), "false");
    assert_eq!((gateways.keys().len(), gateways.committed()), (arrived, 3));
    redis.thaw();
}
