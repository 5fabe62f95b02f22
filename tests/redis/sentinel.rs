//! A failover by sentinels.

use std::time::Duration;

use crate::rig::Rig;
use crate::servers::Server;

/// Three sentinels that know `primary` as `main`.
fn sentinels(primary: &Server) -> Vec<Server> {
    let settings = format!(
        "sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000",
        primary.port
    );
    (0..3).map(|_| Server::sentinel(&settings)).collect()
}

fn hosts(servers: &[Server]) -> String {
    let hosts: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    hosts.join(",")
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_primary_that_the_sentinels_choose_is_used() {
    let mut primary = Server::redis("repl-diskless-sync-delay 0");
    let replica = Server::redis(&format!("replicaof 127.0.0.1 {}", primary.port));
    let sentinels = sentinels(&primary);
    let rig =
        Rig::connected(&format!("redis = \"redis://{}\"\nsentinel = \"main\"", hosts(&sentinels)))
            .await;
    let key = rig.store.key("0", "a");
    rig.store.put(&key, b"1", Duration::from_secs(60)).await.unwrap();
    assert_eq!(
        primary.ask(&["GET", key.as_str()]).unwrap(),
        redis::Value::BulkString(b"1".to_vec())
    );
    // The sentinels learn of the replica from the primary, and of each other through it.
    let known = |server: &Server| {
        let info = server.ask(&["INFO", "sentinel"]).unwrap();
        format!("{info:?}").contains("slaves=1,sentinels=3")
    };
    while !sentinels.iter().all(known) {}
    primary.kill();
    rig.goes().await;
    rig.comes().await;
    rig.store.put(&key, b"2", Duration::from_secs(60)).await.unwrap();
    assert_eq!(
        replica.ask(&["GET", key.as_str()]).unwrap(),
        redis::Value::BulkString(b"2".to_vec())
    );
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_name_that_no_sentinel_knows_is_told() {
    let primary = Server::redis("");
    let sentinels = sentinels(&primary);
    let rig = Rig::new(&format!("redis = \"redis://{}\"\nsentinel = \"other\"", hosts(&sentinels)));
    let cause = rig.goes().await;
    assert!(cause.starts_with("no sentinel knows a primary of that name"), "{cause}");
}
