//! What an operator changes on one gateway holds on all of them, and a store that forgets ends none
//! of it.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate::overrides::Act;

use crate::gateways::{Fleet, Gateway};
use crate::servers::Server;

async fn acts(gateway: &Gateway, act: Value) -> String {
    let act: Act = serde_json::from_value(act).unwrap();
    let act = gateway.state().checked(act).unwrap();
    let overrides = gateway.state().overrides();
    let made = overrides.add(act, Duration::from_secs(600), "a test", "ops").unwrap();
    gateway.state().steer();
    assert!(overrides.spread().await.everywhere);
    made.id.to_string()
}

/// Waits until a read is answered so.
async fn becomes(gateway: &Gateway, status: u16) {
    while gateway.get("/messages").await.status != status {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_pause_on_one_gateway_holds_on_all_and_is_ended_on_any() {
    let redis = Server::redis("");
    let fleet = Fleet::new();
    let (one, two) = (fleet.gateway(redis.port, "").await, fleet.gateway(redis.port, "").await);
    becomes(&two, 200).await;
    let made = acts(&one, json!({"kind": "pause-app", "app": "acme"})).await;
    assert_eq!(one.get("/messages").await.status, 403, "at once");
    becomes(&two, 403).await;
    let late = fleet.gateway(redis.port, "").await;
    becomes(&late, 403).await;
    two.state().overrides().end(&made, "ops").unwrap();
    two.state().steer();
    assert!(two.state().overrides().spread().await.everywhere);
    becomes(&one, 200).await;
    becomes(&late, 200).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_store_that_forgets_everything_is_told_again() {
    let redis = Server::redis("");
    let fleet = Fleet::new();
    let one = fleet.gateway(redis.port, "").await;
    acts(&one, json!({"kind": "pause-connection", "connection": "acme-prod"})).await;
    redis.ask(&["FLUSHALL"]).unwrap();
    let late = fleet.gateway(redis.port, "").await;
    becomes(&late, 503).await;
    assert_eq!(one.get("/messages").await.status, 503);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_the_store_a_change_holds_here_and_everywhere_once_it_is_back() {
    let mut redis = Server::redis("");
    let fleet = Fleet::new();
    let (one, two) = (fleet.gateway(redis.port, "").await, fleet.gateway(redis.port, "").await);
    becomes(&two, 200).await;
    redis.kill();
    let act: Act = serde_json::from_value(json!({"kind": "pause-app", "app": "acme"})).unwrap();
    let act = one.state().checked(act).unwrap();
    one.state().overrides().add(act, Duration::from_secs(600), "a test", "ops").unwrap();
    one.state().steer();
    assert!(!one.state().overrides().spread().await.everywhere, "and that is said");
    assert_eq!(one.get("/messages").await.status, 403);
    redis.again();
    becomes(&two, 403).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_purge_on_one_gateway_ends_the_copies_of_all() {
    let redis = Server::redis("");
    let fleet = Fleet::new();
    let lines = "[cache]\nshared = \"bounded\"\n";
    let (one, two) =
        (fleet.gateway(redis.port, lines).await, fleet.gateway(redis.port, lines).await);
    while !two.get("/brands").await.is_hit() {}
    acts(&one, json!({"kind": "purge", "connection": "acme-prod", "tag": "brands"})).await;
    while two.get("/brands").await.is_hit() {
        tokio::task::yield_now().await;
    }
}
