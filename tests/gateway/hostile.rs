//! A hostile tenant and an honest one before the same vendor, for five minutes: the honest one must
//! not notice.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::double::{Double, Front};
use crate::support::request;

const MINUTES: u64 = 5;

/// Between two calls of the honest tenant: four fifths of its quota.
const PACE: Duration = Duration::from_millis(750);

/// What the honest tenant has seen.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    /// Statuses that are not the vendor's answer, with what is known of the outcome.
    refused: Vec<(u16, String)>,
}

impl Seen {
    fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        took[took.len() * 99 / 100]
    }
}

fn gateway(h2: bool, sockets: usize) -> Arc<Front> {
    let mut setup = Front::setup(&format!("sockets = {sockets}"), "calls = 100");
    // Its own quota shall not keep it from doing harm.
    setup.text = setup
        .text
        .replace("id = \"acme-prod\"\n", "id = \"acme-prod\"\nquota = { calls = 1000 }\n");
    Arc::new(Front::new(setup, Double { streams: 100, ..Double::new(h2) }))
}

/// Reads and sends under a key at an even pace; the vendor takes 20 to 200 ms.
async fn honest(front: Arc<Front>) -> Seen {
    let (start, mut calls) = (Instant::now(), JoinSet::new());
    let all = u32::try_from(MINUTES * 60_000 / 750).unwrap();
    for n in 0..all {
        sleep_until(start + PACE * n).await;
        let name = format!("slow-{}-{n}", 20 + n * 37 % 181);
        let key = &front.setup.umbrella;
        let call = if n % 2 == 0 {
            request("GET", &format!("/brands/{name}"), key, "")
        } else {
            let mut send =
                request("POST", &format!("/bulk/{name}"), key, "{\"message\":{\"event\":\"e\"}}");
            send.headers_mut().insert("idempotency-key", name.parse().unwrap());
            send
        };
        let answer = front.start(call);
        calls.spawn(async move {
            let begun = Instant::now();
            let reply = answer.await;
            let status = reply.status().as_u16();
            let outcome = reply.headers().get("tollgate-outcome").cloned();
            reply.into_body().collect().await.unwrap();
            (begun.elapsed(), status, outcome)
        });
    }
    let mut seen = Seen::default();
    for (took, status, outcome) in calls.join_all().await {
        seen.took.push(took);
        if status != 200 {
            let outcome = outcome.map_or_else(String::new, |word| format!("{word:?}"));
            seen.refused.push((status, outcome));
        }
    }
    seen
}

/// All that a holder of a key can do, once a minute, until it is aborted.
async fn hostile(front: Arc<Front>) {
    let key = front.setup.acme.clone();
    let mut doings = JoinSet::new();
    for round in 0.. {
        // Calls that hang, answers that nobody reads, callers that leave.
        for n in 0..300 {
            let word = if n < 200 { "hang" } else { "large" };
            doings.spawn(hold(front.get(&key, &format!("{word}-{round}-{n}"))));
        }
        for n in 0..100 {
            let call = front.get(&key, &format!("slow-150-{round}-{n}"));
            doings.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_millis(3 * n), call).await;
            });
        }
        for n in 0..40 {
            let body = format!("{{\"message\":{{\"event\":\"{}\"}}}}", "e".repeat(2 << 20));
            let word = if n % 2 == 0 { "unread" } else { "hang" };
            let upload = request("POST", &format!("/bulk/{word}-{round}-{n}"), &key, &body);
            doings.spawn(hold(front.start(upload)));
        }
        sleep(Duration::from_secs(5)).await;
        // A flood, most of which its quota refuses.
        for n in 0..1_500 {
            doings.spawn(hold(front.get(&key, &format!("ok-{round}-{n}"))));
        }
        sleep(Duration::from_secs(55)).await;
    }
}

/// Keeps an answer for almost a minute and reads nothing of it.
async fn hold(answer: impl Future<Output = tollgate::pipeline::Response>) {
    let reply = answer.await;
    sleep(Duration::from_secs(50)).await;
    drop(reply);
}

/// Gives the p99 of the honest tenant beside the other and alone.
async fn judge(h2: bool, sockets: usize) -> (Duration, Duration) {
    let alone = honest(gateway(h2, sockets)).await;
    let front = gateway(h2, sockets);
    let harm = tokio::spawn(hostile(front.clone()));
    let beside = honest(front.clone()).await;
    harm.abort();
    let (p99, before) = (beside.p99(), alone.p99());
    assert_eq!(beside.refused, [], "h2 {h2}, {sockets} sockets");
    assert!(p99 <= before.mul_f64(1.2), "h2 {h2}, {sockets} sockets: {p99:?} for {before:?}");
    let arrived = front.double.arrived();
    let sends = arrived.iter().filter(|(path, _)| path.starts_with("/bulk/slow-"));
    let sends: Vec<_> = sends.collect();
    assert_eq!(sends.len(), beside.took.len() / 2);
    assert!(sends.iter().all(|(_, times)| **times == 1), "a send arrived twice");
    let theirs = arrived.keys().filter(|path| path.contains("/large-") || path.contains("/hang-"));
    assert!(theirs.count() > 50, "the other one did its worst");
    (p99, before)
}

#[tokio::test(start_paused = true)]
async fn five_minutes_beside_a_hostile_tenant_are_like_five_minutes_alone_over_http_1() {
    println!("p99 beside it and alone, 512 sockets: {:?}", judge(false, 512).await);
    println!("p99 beside it and alone, 32 sockets: {:?}", judge(false, 32).await);
}

#[tokio::test(start_paused = true)]
async fn five_minutes_beside_a_hostile_tenant_are_like_five_minutes_alone_over_http_2() {
    println!("p99 beside it and alone, 512 sockets: {:?}", judge(true, 512).await);
    println!("p99 beside it and alone, 4 sockets: {:?}", judge(true, 4).await);
}
