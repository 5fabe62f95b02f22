//! Reads through one gateway after writes through another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::cluster;
use crate::gateways::{Fleet, Gateway};
use crate::proxy::Proxy;
use crate::servers::Server;

const STRICT: &str = "[cache]\nsettle = \"0s\"\nshared = \"strict\"";
const BOUNDED: &str = "[cache]\nsettle = \"0s\"";
const BOUND: Duration = Duration::from_secs(1);
/// Nothing here takes this long.
const GUARD: Duration = Duration::from_secs(40);

async fn write(gateway: &Gateway) {
    let answer = gateway.send("PUT", "/lists/x1", "{\"name\":\"n\"}").await;
    assert!((200..300).contains(&answer.status), "{}", answer.status);
}

/// Reads until a copy answers.
async fn warm(gateway: &Gateway) {
    let begun = Instant::now();
    while !gateway.get("/lists").await.is_hit() {
        assert!(
            begun.elapsed() < GUARD,
            "nothing is kept: {}",
            gateway.get("/lists").await.cached()
        );
    }
}

/// A write through `one`, then a read through `two`, which has a copy of before. False: Redis could
/// not be told in time, since this machine stood still.
async fn read_after_write(one: &Gateway, two: &Gateway) -> bool {
    let untold = || one.metric("tollgate_cache_untold_writes_total");
    let before = untold();
    warm(two).await;
    write(one).await;
    let seen = two.get("/lists").await;
    let truth = one.get("/lists").await;
    if untold() > before {
        return false;
    }
    assert!(seen.version() >= truth.version(), "{} {}", seen.version(), seen.cached());
    assert!(!seen.is_hit(), "{}", seen.cached());
    true
}

/// Writes that were answered, and when.
#[derive(Default)]
struct Written {
    all: Vec<(u64, Instant)>,
    hits: u32,
    unconfirmed: u32,
}

impl Written {
    /// A write through `one`, whose own copies no write leaves stale.
    async fn write(&mut self, one: &Gateway) {
        write(one).await;
        let at = Instant::now();
        self.all.push((one.get("/lists").await.version(), at));
    }

    /// A read through `two` shows every write that was answered the bound before it.
    async fn read(&mut self, two: &Gateway) {
        let begun = Instant::now();
        let answer = two.get("/lists").await;
        let long_ago = self.all.iter().filter(|(_, at)| *at + BOUND <= begun);
        let floor = long_ago.map(|(version, _)| *version).max().unwrap_or_default();
        assert!(answer.version() >= floor, "{} < {floor}: {}", answer.version(), answer.cached());
        self.hits += u32::from(answer.is_hit());
        self.unconfirmed += u32::from(answer.cached().contains("detail=unconfirmed"));
    }

    /// Reads, and writes now and then, for so long.
    async fn go_on(&mut self, one: &Gateway, two: &Gateway, time: Duration) {
        let mut dice = fastrand::Rng::with_seed(7);
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.read(two).await;
            if dice.u8(..) < 4 {
                self.write(one).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn strict_no_read_is_older_than_a_write_through_the_other_gateway() {
    let (server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, STRICT).await;
    let two = fleet.gateway(server.port, STRICT).await;
    write(&one).await;
    let mut after = [0, 0];
    while after[1] < 2_000 {
        for (writer, reader) in [(&one, &two), (&two, &one)] {
            after[usize::from(read_after_write(writer, reader).await)] += 1;
        }
    }
    assert!(after[0] < 100, "{} writes were not told in time", after[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn bounded_no_read_is_older_than_a_second_though_a_fifth_of_the_pushes_is_lost() {
    let (server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, BOUNDED).await;
    let line = Proxy::before(server.port, 5).await;
    let two = fleet.gateway(line.port, BOUNDED).await;
    let mut written = Written::default();
    written.write(&one).await;
    written.go_on(&one, &two, Duration::from_secs(8)).await;
    let lost = line.lost.load(Ordering::Relaxed);
    assert!(written.all.len() > 30 && written.hits > 300 && lost > 5, "{} {lost}", written.hits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn bounded_no_read_is_older_than_a_second_while_redis_hangs_and_after_it() {
    let (server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, BOUNDED).await;
    let two = fleet.gateway(server.port, BOUNDED).await;
    let mut written = Written::default();
    written.write(&one).await;
    warm(&two).await;
    for hangs in [300, 1_500, 5_000] {
        server.freeze();
        written.go_on(&one, &two, Duration::from_millis(hangs)).await;
        server.thaw();
        written.go_on(&one, &two, Duration::from_millis(2_000)).await;
    }
    assert!(written.unconfirmed > 0 && written.hits > 100, "{}", written.unconfirmed);
    assert_eq!(f64::from(written.unconfirmed), two.metric("tollgate_cache_unconfirmed_total"));
    assert!(one.metric("tollgate_cache_untold_writes_total") > 0.0);
    warm(&two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn strict_no_copy_is_served_while_redis_hangs_and_each_call_goes_on() {
    let (server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, STRICT).await;
    let two = fleet.gateway(server.port, STRICT).await;
    write(&one).await;
    warm(&two).await;
    server.freeze();
    for _ in 0..60 {
        write(&one).await;
        let seen = two.get("/lists").await;
        let truth = one.get("/lists").await;
        assert!(seen.version() >= truth.version() && !seen.is_hit(), "{}", seen.cached());
        assert!(!truth.is_hit(), "{}", truth.cached());
    }
    assert!(one.metric("tollgate_cache_untold_writes_total") > 0.0);
    server.thaw();
    warm(&two).await;
    warm(&one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn what_redis_loses_makes_no_copy_stale() {
    let (mut server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, STRICT).await;
    let two = fleet.gateway(server.port, STRICT).await;
    for round in 0..20 {
        let both = [&one, &two];
        for gateway in both {
            gateway.connected().await;
            warm(gateway).await;
        }
        write(&one).await;
        let untold = one.metric("tollgate_cache_untold_writes_total");
        if round % 5 == 4 {
            server.again();
        } else {
            server.ask(&["EVAL", "return redis.call('DEL', 'tg:{cache}:writes1')", "0"]).unwrap();
        }
        let seen = two.get("/lists").await;
        let fresh = seen.version() >= one.get("/lists").await.version();
        assert!(fresh || untold > 0.0, "{}", seen.cached());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn in_a_cluster_a_write_ends_the_copies_of_all() {
    let (nodes, fleet) = (cluster(), Fleet::new());
    let lines = |cache: &str| format!("cluster = true\n{cache}");
    let one = fleet.gateway(nodes[0].port, &lines(STRICT)).await;
    let two = fleet.gateway(nodes[1].port, &lines(STRICT)).await;
    let three = fleet.gateway(nodes[2].port, &lines(BOUNDED)).await;
    let mut after = [0, 0];
    while after[1] < 50 {
        warm(&three).await;
        after[usize::from(read_after_write(&one, &two).await)] += 1;
        let truth = one.get("/lists").await.version();
        let begun = Instant::now();
        while three.get("/lists").await.version() < truth {
            assert!(begun.elapsed() < BOUND);
        }
    }
    assert!(after[0] < 50, "{} writes were not told in time", after[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn gateways_that_nobody_reads_from_ask_nothing_and_no_name_lies_in_redis() {
    let (server, fleet) = (Server::redis(""), Fleet::new());
    let one = fleet.gateway(server.port, BOUNDED).await;
    let two = fleet.gateway(server.port, BOUNDED).await;
    write(&one).await;
    warm(&two).await;
    let asked = || two.metric("tollgate_shared_store_commands_total{outcome=\"done\"}");
    // What was read a moment ago is asked for once more.
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    let before = asked();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    // The looks for revoked keys and overrides of others go on: three and two at most in that time.
    let looks = asked() - before;
    assert!(looks <= 6.0, "{looks} commands");
    let keys = server.ask(&["KEYS", "*"]).unwrap();
    let log = server.ask(&["LRANGE", "tg:{cache}:writes1", "0", "-1"]).unwrap();
    let said = format!("{keys:?}{log:?}");
    assert!(said.contains("o:0:") && said.contains("d:0:"), "{said}");
    assert!(!said.contains("acme") && !said.contains("lists"), "{said}");
}
