//! What happens when Redis goes away, hangs, or takes no writes.

use std::time::Duration;

use tollgate::shared::StoreError;

use crate::commands::at;
use crate::rig::Rig;
use crate::servers::{Server, free_port};

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_dies_is_away_and_comes_back_by_itself_and_each_is_said_once() {
    let mut server = Server::redis("");
    let rig = Rig::connected(&at(&server)).await;
    assert_eq!(rig.metric("tollgate_shared_store_up"), 1.0);
    server.kill();
    // Nobody uses it, and yet it is noticed.
    rig.goes().await;
    rig.becomes(|status| status.cause.as_deref() == Some("connection refused")).await;
    assert_eq!(rig.metric("tollgate_shared_store_up"), 0.0);
    let key = rig.store.key("0", "a");
    assert_eq!(rig.store.get(&key).await, Err(StoreError::Away));
    assert!(rig.store.status().to_string().contains("away for"));
    server.again();
    rig.comes().await;
    assert_eq!(rig.store.get(&key).await, Ok(None));
    assert_eq!(rig.metric("tollgate_shared_store_up"), 1.0);
    assert_eq!(rig.said("the shared store is away"), 1, "{}", rig.log());
    assert_eq!(rig.said("the shared store is connected"), 2, "{}", rig.log());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_is_not_there_at_the_start_is_found_later() {
    let rig = Rig::new(&format!("redis = \"redis://127.0.0.1:{}\"", free_port()));
    assert_eq!(rig.goes().await, "connection refused");
    assert_eq!(rig.said("the shared store is away"), 1, "{}", rig.log());
    let mut server = Server::redis("");
    server.kill();
    let late = Rig::new(&at(&server));
    late.goes().await;
    server.again();
    late.comes().await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn each_command_ends_in_time_while_redis_hangs() {
    let server = Server::redis("");
    let rig = Rig::connected(&format!("{}\ntimeout = \"200ms\"", at(&server))).await;
    server.freeze();
    let key = rig.store.key("0", "a");
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (store, key) = (rig.store.clone(), key.clone());
        asked.spawn(async move { store.put(&key, b"1", Duration::from_secs(9)).await });
    }
    let ended = tokio::time::timeout(Duration::from_secs(20), asked.join_all()).await.unwrap();
    assert!(ended.iter().all(|end| *end == Err(StoreError::TimedOut)), "{ended:?}");
    assert_eq!(rig.goes().await, "no answer in time");
    assert_eq!(rig.store.get(&key).await, Err(StoreError::Away));
    server.thaw();
    rig.comes().await;
    assert!(rig.store.get(&key).await.is_ok());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_takes_no_writes_is_away() {
    let server = Server::redis("");
    let rig = Rig::connected(&at(&server)).await;
    let elsewhere = free_port().to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &elsewhere]).unwrap();
    let key = rig.store.key("0", "a");
    let refused = rig.store.put(&key, b"1", Duration::from_secs(9)).await.unwrap_err();
    assert!(refused.to_string().starts_with("READONLY: it is a replica"), "{refused}");
    assert!(rig.goes().await.starts_with("READONLY: it is a replica"));
    server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    rig.comes().await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = rig.store.put(&key, b"1", Duration::from_secs(9)).await.unwrap_err();
    assert_eq!(refused.to_string(), "OOM: its memory is full");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn gateways_of_versions_that_keep_their_data_in_other_forms_refuse_each_other() {
    let server = Server::redis("");
    let rig = Rig::connected(&at(&server)).await;
    let key = rig.store.key("0", "schema");
    assert_eq!(rig.store.get(&key).await.unwrap().unwrap(), "1");
    rig.store.put(&key, b"2", Duration::from_secs(600)).await.unwrap();
    // The one that runs sees it at its next look.
    let cause = rig.goes().await;
    assert!(cause.starts_with("a gateway of another version"), "{cause}");
    let newcomer = Rig::new(&at(&server));
    assert_eq!(newcomer.goes().await, cause);
    assert!(cause.contains("another shared.prefix"), "{cause}");
}
