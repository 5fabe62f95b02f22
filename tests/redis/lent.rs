//! Quotas that replicas share: gateways in this process, before one simulator, with a real Redis.

use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use tollgate::call;
use tollgate::shared::SharedStore;

use crate::servers::{Folder, Server};
use crate::support::{Answer, Setup, Stack, arrived, request, tenant};

/// Nothing here takes this long.
const GUARD: Duration = Duration::from_secs(30);

/// One file for all replicas of a test.
struct Fleet {
    setup: Setup,
    courier: simulator::Server,
    redis: Server,
}

impl Fleet {
    fn new(head: &str, quota: &str) -> Self {
        let redis = Server::redis("");
        let shared = format!("{}\n{head}", crate::commands::at(&redis));
        let head = format!("[state]\nassume = \"fresh\"\n[shared]\n{shared}\n");
        let setup = Setup::with_quota(&head, &format!("[quota]\n{quota}\n"));
        Self { setup, courier: simulator::Server::new(simulator::Options::default()), redis }
    }

    async fn replica(&self) -> Stack {
        Self::of(&self.setup.text, self.courier.clone()).await
    }

    async fn of(text: &str, courier: simulator::Server) -> Stack {
        let stack = Stack::of_text(text, courier).unwrap();
        store(&stack).becomes(|status| status.connected).await;
        stack
    }

    fn get(&self) -> Request<call::StreamBody> {
        request("GET", "/messages", &self.setup.acme, "")
    }

    /// So many calls at once on each of `replicas`.
    async fn calls(&self, replicas: &[&Stack], each: usize) -> Vec<Answer> {
        let calls = replicas.iter().flat_map(|stack| (0..each).map(|_| stack.call(self.get())));
        join_all(calls).await
    }

    /// Calls until one is answered so.
    async fn until(&self, stack: &Stack, status: u16) -> Answer {
        let tried = async {
            loop {
                let answer = stack.call(self.get()).await;
                if answer.status.as_u16() == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(GUARD, tried).await.unwrap()
    }
}

fn store(stack: &Stack) -> &SharedStore {
    stack.state.store().unwrap()
}

fn good(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == 200).count()
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn three_replicas_use_one_quota_and_all_of_it() {
    let fleet = Fleet::new("", "calls = 100\nmax_wait = \"2s\"");
    let (a, b, c) = (fleet.replica().await, fleet.replica().await, fleet.replica().await);
    let answers = fleet.calls(&[&a, &b, &c], 60).await;
    assert!((97..=100).contains(&good(&answers)), "{} calls", good(&answers));
    assert_eq!(arrived(&fleet.courier).len(), good(&answers));
    let codes = ["quota-exhausted", "queue-full"];
    let refused = answers.iter().filter(|answer| codes.contains(&&*answer.code())).count();
    assert_eq!(refused + good(&answers), 180, "and the others know why");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_a_replica_has_when_it_stops_is_anothers_at_once_with_its_rests() {
    let fleet = Fleet::new("", "calls = 20\nmax_wait = \"2s\"");
    let a = fleet.replica().await;
    assert_eq!(good(&fleet.calls(&[&a], 5).await), 5);
    a.state.leave().await;
    drop(a);
    let b = fleet.replica().await;
    assert_eq!(good(&fleet.calls(&[&b], 25).await), 15);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replica_without_redis_uses_what_it_has_to_the_end_of_its_lease_and_says_so_after_it() {
    let fleet = Fleet::new("lease = \"2s\"\ntimeout = \"200ms\"", "calls = 50\nmax_wait = \"0s\"");
    let stack = fleet.replica().await;
    fleet.until(&stack, 200).await;
    fleet.redis.freeze();
    assert_eq!(stack.call(fleet.get()).await.status.as_u16(), 200, "it has slots, and its lease");
    let refused = fleet.until(&stack, 503).await;
    assert_eq!(refused.code(), "ledger-away");
    assert!(refused.headers.contains_key("retry-after"));
    let said = stack.state.readiness();
    assert!(said.contains("1 shared quotas can't be used"), "{said}");
    let me = stack.call(request("GET", "/.tollgate/me", &fleet.setup.acme, "")).await;
    let shared = &me.json()["connections"][0]["shared"];
    assert_eq!((&shared["state"], &shared["calls"]), (&"away".into(), &50.into()), "{shared}");
    let sent = arrived(&fleet.courier).len();
    fleet.calls(&[&stack], 20).await;
    assert_eq!(arrived(&fleet.courier).len(), sent, "nothing goes out after the lease");
    fleet.redis.thaw();
    fleet.until(&stack, 200).await;
    let said = stack.state.readiness();
    assert!(!said.contains("can't be used"), "{said}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_lost_everything_lends_no_slot_twice() {
    let fleet = Fleet::new("lease = \"2s\"\ntimeout = \"200ms\"", "calls = 40\nmax_wait = \"3s\"");
    let (a, b) = (fleet.replica().await, fleet.replica().await);
    assert_eq!(good(&fleet.calls(&[&a, &b], 15).await), 30);
    fleet.redis.ask(&["FLUSHALL"]).unwrap();
    // Those that hold slots claim them; a newcomer gets nothing.
    let c = fleet.replica().await;
    let good = good(&fleet.calls(&[&a, &b, &c], 40).await);
    assert!(good <= 10, "{good} calls more");
    assert_eq!(arrived(&fleet.courier).len(), 30 + good);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_connection_is_known_by_its_token_and_by_its_name() {
    let fleet = Fleet::new("", "calls = 10\nmax_wait = \"1s\"");
    let a = fleet.replica().await;
    assert_eq!(good(&fleet.calls(&[&a], 6).await), 6);
    a.state.leave().await;
    // The same token under another name.
    let renamed = fleet.setup.text.replace("acme-prod", "acme-live");
    let b = Fleet::of(&renamed, fleet.courier.clone()).await;
    assert_eq!(good(&fleet.calls(&[&b], 3).await), 3);
    b.state.leave().await;
    // That name with another token.
    let folder = Folder::new();
    let (token, text) = (folder.write("token", "another-token"), tenant("acme", "").0);
    let before = text.lines().find(|line| line.starts_with("token =")).unwrap();
    assert!(before.contains("file"));
    let mine = renamed.lines().find(|line| line.starts_with("token =")).unwrap();
    let other = format!("token = {{ file = '{}' }}", token.display());
    let c = Fleet::of(&renamed.replacen(mine, &other, 1), fleet.courier.clone()).await;
    assert_eq!(good(&fleet.calls(&[&c], 5).await), 1, "nine of ten are used");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn calls_without_the_ledger_count_when_a_gateway_shares_again() {
    let fleet = Fleet::new("", "calls = 10\nmax_wait = \"1s\"");
    let folder = Folder::new();
    let state =
        |text: &str| text.replace("assume = \"fresh\"", &format!("dir = '{}'", folder.0.display()));
    let a = fleet.replica().await;
    assert_eq!(good(&fleet.calls(&[&a], 1).await), 1, "the ledger is there, and knows little");
    a.state.leave().await;
    drop(a);
    let (before, after) = fleet.setup.text.split_once("[shared]").unwrap();
    let (_, after) = after.split_once("[quota]").unwrap();
    let alone = Stack::of_text(&state(&format!("{before}[quota]{after}")), fleet.courier.clone());
    assert_eq!(good(&fleet.calls(&[&alone.unwrap()], 10).await), 10);
    let shared = Fleet::of(&state(&fleet.setup.text), fleet.courier.clone()).await;
    assert_eq!(good(&fleet.calls(&[&shared], 5).await), 0);
    drop(shared);
    // And back: the folder knows nothing of what was lent.
    let alone = Stack::of_text(&state(&format!("{before}[quota]{after}")), fleet.courier.clone());
    assert_eq!(good(&fleet.calls(&[&alone.unwrap()], 5).await), 0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_limit_that_one_replica_loads_holds_on_all() {
    let fleet = Fleet::new("", "calls = 40\nmax_wait = \"1s\"");
    let (mut a, b) = (fleet.replica().await, fleet.replica().await);
    assert_eq!(good(&fleet.calls(&[&a, &b], 1).await), 2);
    a.reload(&fleet.setup.text.replace("calls = 40", "calls = 10")).unwrap();
    let shown = |stack: &Stack| stack.state.admission().view()[0].pools[0].shared.unwrap().calls;
    let told = async {
        while (shown(&a), shown(&b)) != (10, 10) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(GUARD, told).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let good = good(&fleet.calls(&[&a, &b], 20).await);
    // Those before may rest on slots that are no more.
    assert!((7..=10).contains(&good), "{good} calls in a window that began later");
}
