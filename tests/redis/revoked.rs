//! A key that is revoked at one replica is refused by all, whatever becomes of Redis.

use std::time::Duration;

use tollgate::identity::Revocation;
use tollgate::ids::KeyId;

use crate::servers::Server;
use crate::support::{Setup, Stack, request};

/// Nothing here takes this long.
const GUARD: Duration = Duration::from_secs(30);

/// One file for all replicas of a test.
struct Fleet {
    setup: Setup,
    redis: Server,
}

impl Fleet {
    fn new() -> Self {
        let redis = Server::redis("");
        let setup = Setup::new(&format!("[shared]\n{}\n", crate::commands::at(&redis)));
        Self { setup, redis }
    }

    async fn replica(&self) -> Stack {
        let options = simulator::Options::default();
        let stack = Stack::with(&self.setup, options);
        stack.state.store().unwrap().becomes(|status| status.connected).await;
        stack
    }

    fn revoke(&self, at: &Stack, id: &str) {
        let id = KeyId::try_from(id.to_owned()).unwrap();
        let key = at.state.key_state(&id).unwrap().key;
        at.state.revocations().add(&[Revocation {
            key: key.id,
            print: key.sha256.print(),
            at_ms: 1,
            by: "ops1".into(),
            because: "a \"leak\",\nof two lines".into(),
        }]);
    }

    /// Waits until `key` is refused by `stack`.
    async fn refused(&self, stack: &Stack, key: &str) {
        let tried = async {
            while stack.call(request("GET", "/.tollgate/me", key, "")).await.status != 401 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(GUARD, tried).await.unwrap();
    }

    async fn taken(&self, stack: &Stack, key: &str) -> bool {
        stack.call(request("GET", "/.tollgate/me", key, "")).await.status == 200
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_key_that_is_revoked_at_one_replica_is_refused_by_all() {
    let fleet = Fleet::new();
    let (one, two) = (fleet.replica().await, fleet.replica().await);
    assert!(fleet.taken(&two, &fleet.setup.acme).await);
    fleet.revoke(&one, "acme");
    assert!(!fleet.taken(&one, &fleet.setup.acme).await);
    fleet.refused(&two, &fleet.setup.acme).await;
    let id = KeyId::try_from("acme".to_owned()).unwrap();
    let known = two.state.key_state(&id).unwrap().revoked.unwrap();
    assert_eq!((known.by.as_str(), known.because.lines().count()), ("ops1", 2));
    assert!(fleet.taken(&two, &fleet.setup.umbrella).await);
    fleet.refused(&fleet.replica().await, &fleet.setup.acme).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_lost_everything_is_told_again() {
    let fleet = Fleet::new();
    let (one, two) = (fleet.replica().await, fleet.replica().await);
    fleet.revoke(&one, "acme");
    fleet.refused(&two, &fleet.setup.acme).await;
    fleet.redis.ask(&["FLUSHALL"]).unwrap();
    drop(one);
    // Only the second one can tell the third.
    fleet.refused(&fleet.replica().await, &fleet.setup.acme).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_is_revoked_while_redis_is_away_is_told_when_it_is_back() {
    let mut fleet = Fleet::new();
    let (one, two) = (fleet.replica().await, fleet.replica().await);
    fleet.revoke(&one, "acme");
    fleet.refused(&two, &fleet.setup.acme).await;
    fleet.redis.kill();
    fleet.revoke(&two, "umbrella");
    assert!(!fleet.taken(&two, &fleet.setup.umbrella).await, "here it is at once");
    assert!(fleet.taken(&one, &fleet.setup.umbrella).await);
    fleet.redis.again();
    fleet.refused(&one, &fleet.setup.umbrella).await;
    fleet.refused(&fleet.replica().await, &fleet.setup.acme).await;
}
