//! One connection's calls never cost another connection a call, and what the gateway itself lacks is
//! no evidence against the vendor.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use simulator::{Effect, Fault, Latency, When};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, advance, sleep, timeout};

use crate::double::{Double, Front, settle};
use crate::process::{Process, courier, setup};
use crate::rig::{Certificate, Client, Rig};
use crate::support::{Setup, request};

const FREE: &str = "calls = 100000";

/// The status of an answer, read to its end.
async fn status(front: &Front, key: &str, name: &str) -> u16 {
    let reply = front.get(key, name).await;
    let status = reply.status().as_u16();
    reply.into_body().collect().await.unwrap();
    status
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_leave_sockets_for_all_other_connections() {
    for (h2, sockets) in [(true, 512), (true, 2), (false, 512), (false, 8)] {
        let front =
            Front::new(Front::setup(&format!("sockets = {sockets}"), FREE), Double::new(h2));
        let hanging =
            (0..100).map(|n| tokio::spawn(front.get(&front.setup.acme, &format!("hang-{n}"))));
        let hanging: Vec<_> = hanging.collect();
        settle().await;
        for n in 0..50 {
            let start = Instant::now();
            let name = format!("ok-{n}");
            let answer = status(&front, &front.setup.umbrella, &name);
            let answer = timeout(Duration::from_secs(1), answer);
            assert_eq!(answer.await.expect("it is answered at once"), 200);
            assert_eq!(start.elapsed(), Duration::from_millis(20), "h2 {h2}, {sockets} sockets");
        }
        assert_eq!(front.double.arrived().len() > 60, sockets == 512 || h2);
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gets_no_socket_in_its_time_was_not_sent_and_the_vendor_is_not_to_blame() {
    for h2 in [false, true] {
        let setup = Front::setup("sockets = 2", "calls = 20");
        let front = Front::new(setup, Double { streams: 1, ..Double::new(h2) });
        let hanging = tokio::spawn(front.get(&front.setup.acme, "hang"));
        settle().await;
        let start = Instant::now();
        let replies = (0..10).map(|n| {
            let mut call = request("GET", &format!("/brands/ok-{n}"), &front.setup.acme, "");
            call.headers_mut().insert("x-stainless-read-timeout", "3".parse().unwrap());
            front.start(call)
        });
        for reply in join_all(replies).await {
            assert_eq!(reply.status().as_u16(), 503);
            assert_eq!(reply.headers()["tollgate-outcome"], "not-sent");
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            assert!(text.contains("overloaded") && text.contains("sockets to Courier"), "{text}");
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2), "their time, and no longer");
        assert_eq!(front.state.hosts_down(), 0);
        assert_eq!(front.slots_held("acme-prod"), 1, "their slots are free");
        assert_eq!(front.double.counted(), 1);
        hanging.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_free_is_given_to_those_that_wait() {
    for h2 in [false, true] {
        let setup = Front::setup("sockets = 2", FREE);
        let front = Front::new(setup, Double { streams: 1, ..Double::new(h2) });
        let start = Instant::now();
        let calls = (0..50).map(|n| {
            let key = if n % 2 == 0 { &front.setup.acme } else { &front.setup.umbrella };
            let (front, name) = (&front, format!("ok-{n}"));
            async move { status(front, key, &name).await }
        });
        assert!(join_all(calls).await.iter().all(|status| *status == 200));
        assert_eq!(start.elapsed(), Duration::from_millis(25 * 20), "both sockets never rest");
        assert_eq!(front.double.opened.load(Ordering::SeqCst), 2, "and stay open");
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_only_rests_makes_room_for_another_connections_call() {
    for h2 in [false, true] {
        let setup = Front::setup("sockets = 4", FREE);
        let front = Front::new(setup, Double { streams: 1, ..Double::new(h2) });
        let many = (0..3).map(|n| format!("ok-{n}"));
        let many: Vec<_> = many.collect();
        let calls = many.iter().map(|name| status(&front, &front.setup.acme, name));
        assert!(join_all(calls).await.iter().all(|status| *status == 200));
        let start = Instant::now();
        let calls = many.iter().map(|name| status(&front, &front.setup.umbrella, name));
        assert!(join_all(calls).await.iter().all(|status| *status == 200));
        assert_eq!(start.elapsed(), Duration::from_millis(20), "h2 {h2}: none waited");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_stops_no_other_answer() {
    for h2 in [true, false] {
        let front = Front::new(Front::setup("", FREE), Double::new(h2));
        let unread = (0..100).map(|n| front.get(&front.setup.acme, &format!("large-{n}")));
        let unread = join_all(unread.collect::<Vec<_>>()).await;
        assert!(unread.iter().all(|reply| reply.status().as_u16() == 200));
        sleep(Duration::from_secs(1)).await;
        for key in [&front.setup.umbrella, &front.setup.acme] {
            let start = Instant::now();
            let reply = front.get(key, "large-more").await;
            let body = timeout(Duration::from_secs(20), reply.into_body().collect()).await;
            let body = body.expect("it comes at once").unwrap().to_bytes();
            assert_eq!((body.len(), start.elapsed()), (400_000, Duration::ZERO), "h2 {h2}");
        }
        drop(unread);
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_on_a_new_socket_stays_within_the_vendors_settings() {
    let greets_after = Duration::from_millis(5);
    for streams in [1, 10, 100] {
        let front = Front::new(
            Front::setup("", FREE),
            Double { streams, greets_after, ..Double::new(true) },
        );
        for round in 0..4 {
            let names: Vec<_> = (0..60).map(|n| format!("ok-{round}-{n}")).collect();
            let calls = names.iter().map(|name| status(&front, &front.setup.acme, name));
            assert!(join_all(calls).await.iter().all(|status| *status == 200), "{streams}");
            assert_eq!(front.state.hosts_down(), 0);
            assert!(front.lines.all().iter().all(|line| line["attempts"] == 1), "none was refused");
            let most = 60_usize.div_ceil(streams.min(64) as usize) * (round + 1);
            let opened = front.double.opened.load(Ordering::SeqCst);
            assert!(opened <= most, "{opened} sockets for {streams} streams on each");
            // Older than any socket may be.
            advance(Duration::from_secs(56)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_attempt_takes_the_socket_of_the_one_before() {
    for h2 in [false, true] {
        let setup = Front::setup("sockets = 2", FREE);
        let front = Front::new(setup, Double { streams: 1, ..Double::new(h2) });
        let start = Instant::now();
        assert_eq!(status(&front, &front.setup.acme, "busy").await, 200);
        assert!(start.elapsed() < Duration::from_secs(1), "h2 {h2}: {:?}", start.elapsed());
        assert_eq!(front.lines.last()["attempts"], 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answers_head_may_be_as_long_over_http_2_as_over_http_1() {
    for h2 in [false, true] {
        let front = Front::new(Front::setup("", FREE), Double::new(h2));
        let reply = front.get(&front.setup.acme, "heady").await;
        assert_eq!(reply.status().as_u16(), 200, "h2 {h2}");
        let long = reply.headers().values().filter(|value| value.len() == 1_000);
        assert_eq!(long.count(), 90, "h2 {h2}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_refuses_unseen_is_sent_again_and_shows_that_it_lives() {
    let front = Front::new(Front::setup("", FREE), Double::new(true));
    assert_eq!(status(&front, &front.setup.acme, "ok").await, 200);
    front.double.refuses.store(3, Ordering::SeqCst);
    let send = request("POST", "/bulk", &front.setup.acme, "{\"message\":{\"event\":\"e\"}}");
    let start = Instant::now();
    assert_eq!(front.start(send).await.status().as_u16(), 200);
    assert_eq!(start.elapsed(), Duration::from_millis(20), "without a pause");
    let budgets = front.state.retries().left(start);
    assert_eq!(budgets[0].1, [3, 10], "and no further attempt");
    front.double.refuses.store(u32::MAX, Ordering::SeqCst);
    for n in 0..10 {
        let reply = front.get(&front.setup.acme, &format!("ok-{n}")).await;
        assert_eq!(reply.status().as_u16(), 502);
        assert_eq!(reply.headers()["tollgate-outcome"], "not-sent");
        assert_eq!(front.state.hosts_down(), 0);
    }
    assert_eq!(front.slots_held("acme-prod"), 2, "what was refused costs nothing");
    front.double.refuses.store(0, Ordering::SeqCst);
    assert_eq!(status(&front, &front.setup.acme, "ok").await, 200);
}

#[tokio::test(start_paused = true)]
async fn calls_that_the_vendor_never_answers_close_their_own_connection_only() {
    for h2 in [false, true] {
        let front = Front::new(Front::setup("first_byte = \"5s\"", FREE), Double::new(h2));
        let hanging = (0..20).map(|_| {
            let body = "{\"message\":{\"event\":\"e\"}}";
            front.start(request("POST", "/bulk/hang", &front.setup.acme, body))
        });
        for reply in join_all(hanging.collect::<Vec<_>>()).await {
            assert_eq!(reply.status().as_u16(), 504);
        }
        let refused = front.get(&front.setup.acme, "ok").await;
        assert_eq!(refused.status().as_u16(), 503, "h2 {h2}");
        assert_eq!(status(&front, &front.setup.umbrella, "ok").await, 200, "h2 {h2}");
    }
}

/// Lets a process open no further file: the next number is beyond its limit.
fn no_more_files(pid: u32) {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap());
    let open: std::collections::HashSet<u32> = open.collect();
    let free = (0..).find(|number| !open.contains(number)).unwrap();
    files(pid, &free.to_string());
}

fn files(pid: u32, soft: &str) {
    let limit = format!("--nofile={soft}:");
    let mut set = std::process::Command::new("prlimit");
    let set = set.args(["--pid", &pid.to_string(), &limit]).status();
    assert!(set.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_descriptors_says_so_and_does_not_take_the_vendor_for_dead() {
    let (_courier, vendor) = courier().await;
    let by_address = setup(vendor);
    let named = format!("http://localhost:{}", vendor.port());
    let mut by_name = setup(vendor);
    by_name.text = by_name.text.replace(&format!("http://{vendor}"), &named);
    for setup in [by_address, by_name] {
        without_descriptors(&setup).await;
    }
}

async fn without_descriptors(setup: &Setup) {
    let process = Process::start(setup);
    let mut client = Client::h1(TcpStream::connect(process.data).await.unwrap()).await;
    let warm = client.send("GET", "/messages", &setup.acme, Vec::new()).await;
    assert_eq!(warm.status().as_u16(), 200);
    warm.into_body().collect().await.unwrap();
    no_more_files(process.id());
    for _ in 0..8 {
        let reply = client.send("GET", "/messages", &setup.umbrella, Vec::new()).await;
        assert_eq!(reply.status().as_u16(), 503);
        assert_eq!(reply.headers()["tollgate-outcome"], "not-sent");
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(text.contains("urn:tollgate:overloaded"), "{text}");
    }
    files(process.id(), "1024");
    let reply = client.send("GET", "/messages", &setup.umbrella, Vec::new()).await;
    assert_eq!(reply.status().as_u16(), 200, "it is there again at once");
}

/// A call that finds the connection's only socket in use until its time is over.
pub(crate) async fn starve(rig: &Rig, certificate: &Certificate) {
    let slow = Effect { latency: Some(Latency::Fixed { ms: 600.0 }), ..Effect::default() };
    let when = When { operation: Some("brands.get".to_owned()), times: Some(1), ..When::default() };
    let key = &rig.setup.umbrella;
    rig.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect: slow }));
    let mut first = Client::connect(rig.gateway.data, false, Some(certificate)).await;
    let first = first.send("GET", "/brands/a", key, Vec::new());
    let second = async {
        while crate::support::arrived(&rig.courier).iter().all(|call| call.target != "/brands/a") {
            tokio::task::yield_now().await;
        }
        let mut tls = certificate.connect(rig.gateway.data, b"http/1.1").await;
        let head = format!("GET /brands/b HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n");
        let head = format!("{head}x-stainless-read-timeout: 0.2\r\nConnection: close\r\n\r\n");
        tls.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // The end without a closing alert is none of the answer's.
        let _ = tls.read_to_string(&mut answer).await;
        answer
    };
    let (_, answer) = tokio::join!(first, second);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("overloaded"), "{answer}");
}
