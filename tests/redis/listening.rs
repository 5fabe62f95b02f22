//! Messages between replicas.

use std::time::Duration;

use tollgate::shared::{Notice, Subscription};

use crate::commands::at;
use crate::rig::Rig;
use crate::servers::Server;

async fn next(subscription: &mut Subscription) -> Notice {
    tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.unwrap().unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replica_hears_the_others_and_of_every_time_when_it_could_not() {
    let mut server = Server::redis("");
    let one = Rig::connected(&at(&server)).await;
    let two = Rig::connected(&at(&server)).await;
    let mut heard = one.store.subscribe("clear");
    assert_eq!(next(&mut heard).await, Notice::Gap, "what was said before is not known");
    two.store.publish("clear", b"brands").await.unwrap();
    assert_eq!(next(&mut heard).await, Notice::Message("brands".into()));
    let mut other = two.store.subscribe("other");
    assert_eq!(next(&mut other).await, Notice::Gap);
    server.again();
    // Each is told as soon as it is back.
    for subscription in [&mut heard, &mut other] {
        assert_eq!(next(subscription).await, Notice::Gap);
    }
    two.store.publish("clear", b"lists").await.unwrap();
    assert_eq!(next(&mut heard).await, Notice::Message("lists".into()));
}
