//! The quota under load over real sockets and in real time: minutes, so these are asked for by name.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::rig::{Client, Rig};
use crate::support::token;

/// Calls from `clients` sockets for `time`; how many came back with 200.
async fn press(rig: &Rig, clients: usize, time: Duration) -> usize {
    let end = Instant::now() + time;
    let calling = (0..clients).map(|n| async move {
        let connect =
            async || Client::h1(TcpStream::connect(rig.gateway.data).await.unwrap()).await;
        let mut client = connect().await;
        let mut done = 0;
        while Instant::now() < end {
            let response = client.send("GET", "/brands", &rig.setup.acme, Vec::new()).await;
            let pause = response
                .headers()
                .get("retry-after-ms")
                .map(|ms| ms.to_str().unwrap().parse().unwrap());
            done += usize::from(response.status().as_u16() == 200);
            response.into_body().collect().await.unwrap();
            if let Some(pause) = pause {
                sleep(Duration::from_millis(pause) + Duration::from_millis(n as u64)).await;
                // The gateway may have closed a socket that rested that long.
                client = connect().await;
            }
        }
        done
    });
    join_all(calling).await.into_iter().sum()
}

fn options(window: Duration) -> simulator::Options {
    let mut options = simulator::Options { limits: Vec::new(), ..simulator::Options::default() };
    options.counters.window_ms = u64::try_from(window.as_millis()).unwrap();
    options.clock.drift_ppm = 500;
    options
}

fn worst(rig: &Rig) -> f64 {
    let now = rig.courier.now();
    rig.courier.with(|simulator| simulator.largest(now, &token("acme"), None).worst())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute: cargo test --test gateway load -- --ignored"]
async fn ten_thousand_calls_over_sockets_keep_a_quota_of_a_thousand_in_two_seconds() {
    let window = Duration::from_secs(2);
    let rig =
        Rig::with_quota(options(window), "calls = 1000\nwindow = \"2s\"\nmax_wait = \"10s\"").await;
    let done = press(&rig, 200, Duration::from_secs(24)).await;
    println!("{done} calls, at most {} in a window", worst(&rig));
    assert!(done >= 10_000, "{done}");
    assert!(worst(&rig) <= 1000.0, "{}", worst(&rig));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "three minutes: cargo test --test gateway load -- --ignored"]
async fn three_minutes_at_the_real_quota_keep_it() {
    let window = Duration::from_secs(60);
    let rig =
        Rig::with_quota(options(window), "calls = 100\nwindow = \"60s\"\nmax_wait = \"60s\"").await;
    let done = press(&rig, 40, Duration::from_secs(190)).await;
    println!("{done} calls, at most {} in a window", worst(&rig));
    assert!(done >= 400, "{done}: the quota was used");
    assert!(worst(&rig) <= 100.0, "{}", worst(&rig));
}
