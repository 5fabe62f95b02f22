//! What the commands do, with one Redis.

use std::time::Duration;

use tollgate::shared::{Batch, Script, StoreError};

use crate::rig::Rig;
use crate::servers::Server;

const MINUTE: Duration = Duration::from_secs(60);

pub fn at(server: &Server) -> String {
    format!("redis = \"redis://127.0.0.1:{}\"", server.port)
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_one_replica_puts_the_others_get() {
    let server = Server::redis("");
    let one = Rig::connected(&at(&server)).await.store;
    let two = Rig::connected(&at(&server)).await.store;
    let key = one.key("0", "name");
    assert_eq!(two.get(&key).await, Ok(None));
    one.put(&key, b"value", MINUTE).await.unwrap();
    assert_eq!(two.get(&key).await.unwrap().unwrap(), "value");
    assert_eq!(two.put_new(&key, b"other", Some(MINUTE)).await, Ok(false));
    assert_eq!(two.put_new(&two.key("0", "new"), b"other", None).await, Ok(true));
    let batch = Batch::default().put(&key, b"next", MINUTE).get(&key).get(&one.key("0", "none"));
    let answers = two.run(&batch).await.unwrap();
    assert_eq!(answers, [Some("OK".into()), Some("next".into()), None]);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn keys_and_databases_are_those_of_the_configuration() {
    let server = Server::redis("");
    let settings = format!("{}/3\"\nprefix = \"blue\"", at(&server).trim_end_matches('"'));
    let rig = Rig::connected(&settings).await;
    rig.store.put(&rig.store.key("b", "conn:1"), b"1", MINUTE).await.unwrap();
    let key = |words: &[&str]| server.ask(words).unwrap();
    assert_eq!(key(&["EXISTS", "blue:{b}:conn:1"]), redis::Value::Int(0));
    let moved = key(&[
        "EVAL",
        "redis.call('SELECT', 3); return redis.call('PTTL', KEYS[1])",
        "1",
        "blue:{b}:conn:1",
    ]);
    let redis::Value::Int(left) = moved else { panic!("{moved:?}") };
    assert!((1..=60_000).contains(&left), "{left}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_script_runs_whether_or_not_redis_knows_it() {
    let mut server = Server::redis("");
    let rig = Rig::connected(&at(&server)).await;
    let store = &rig.store;
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1]) .. ''");
    let key = store.key("0", "count");
    let add = async |number: &[u8]| store.eval(&script, &[&key], &[number]).await;
    assert_eq!(add(b"2").await.unwrap(), "2");
    server.ask(&["SCRIPT", "FLUSH"]).unwrap();
    assert_eq!(add(b"3").await.unwrap(), "5");
    server.again();
    rig.goes().await;
    rig.comes().await;
    assert_eq!(add(b"4").await.unwrap(), "4", "an empty Redis, which does not know it");
    assert_eq!(rig.metric("tollgate_shared_store_commands_total{outcome=\"done\"}"), 3.0);
    assert_eq!(
        rig.metric("tollgate_shared_store_command_duration_seconds_count{outcome=\"done\"}"),
        3.0
    );
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_redis_refuses_is_told_by_its_first_word() {
    let server = Server::redis("");
    let rig = Rig::connected(&at(&server)).await;
    let key = rig.store.key("0", "text");
    let script = Script::new("return redis.error_reply('NOWAY my secret: ' .. ARGV[1])");
    let refused = rig.store.eval(&script, &[&key], &[b"hunter2"]).await.unwrap_err();
    assert_eq!(refused, StoreError::Refused("NOWAY".into()));
    let table = Script::new("return {1, 2}");
    assert_eq!(rig.store.eval(&table, &[], &[]).await, Err(StoreError::Unreadable));
    assert_eq!(rig.metric("tollgate_shared_store_commands_total{outcome=\"refused\"}"), 1.0);
    assert!(rig.store.status().connected, "the connection is not at fault");
}
