//! The program killed in the middle of sends, again and again: an SDK repeats what broke, and no send
//! is made twice. The simulator, which outlives the gateway, is the judge.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use simulator::Latency;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tollgate::ids::RandomId;

use crate::process::Process;
use crate::rig::PORTS;
use crate::support::{Setup, arrived};

fn body(text: &str) -> String {
    format!(
        "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"t\",\"body\":\"{text}\"}}}}}}"
    )
}

/// One try of a send, on a socket of its own; `None` when the gateway was or went away.
async fn attempt(gateway: SocketAddr, key: &str, text: &str, count: u32) -> Option<StatusCode> {
    let socket = TcpStream::connect(gateway).await.ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.ok()?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/send")
        .header("host", "gateway.example")
        .header("x-api-key", key)
        .header("content-type", "application/json")
        .header("x-stainless-retry-count", count)
        .body(Full::<Bytes>::from(body(text)))
        .unwrap();
    let answer = sender.send_request(request).await;
    let status = match answer {
        Ok(answer) => {
            let status = answer.status();
            answer.into_body().collect().await.ok().map(|_| status)
        }
        Err(_) => None,
    };
    connection.abort();
    status
}

/// Sends as an SDK does that repeats until it is accepted, `from` the so manieth try on; how many
/// tries broke.
async fn send(gateway: &watch::Receiver<SocketAddr>, key: &str, text: &str, from: u32) -> usize {
    let mut broken = 0;
    for count in from..100 {
        let at = *gateway.borrow();
        match attempt(at, key, text, count).await {
            Some(StatusCode::ACCEPTED) => return broken,
            None => broken += 1,
            Some(_) => {}
        }
        sleep(Duration::from_millis(100 + 50 * u64::from(count % 5))).await;
    }
    panic!("'{text}' was never accepted");
}

/// A vendor on a port, and a gateway's configuration with a state folder.
async fn vendor(latency: Latency) -> (simulator::Server, Setup) {
    let mut options = simulator::Options { limits: Vec::new(), ..simulator::Options::default() };
    options.latency = Some(latency);
    options.journal.entries = 100_000;
    options.journal.bytes = 1 << 30;
    let courier = simulator::Server::new(options);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    let dir = std::env::temp_dir().join(format!("tollgate-kills-{}", RandomId::new()));
    let setup = Setup::new(&format!(
        "{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n[state]\ndir = '{}'\n[logs]\nlevels = {{ access = \"warn\" }}\n",
        dir.display()
    ));
    (courier, setup)
}

/// Groups of journal entries that are one send made more than once, as `/__admin/duplicates` has them.
fn duplicates(courier: &simulator::Server) -> Vec<Vec<u64>> {
    courier.with(|simulator| {
        assert_eq!(simulator.journal().dropped(), 0, "the journal has all of it");
        simulator.journal().duplicates()
    })
}

fn committed(courier: &simulator::Server) -> usize {
    courier.with(|simulator| {
        simulator.journal().entries().filter(|entry| entry.committed.is_some()).count()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_send_that_was_under_way_when_the_gateway_was_killed_is_the_same_send() {
    let (courier, setup) = vendor(Latency::Fixed { ms: 500.0 }).await;
    let first = Process::start(&setup);
    let (data, key) = (first.data, setup.acme.clone());
    let sending = tokio::spawn(async move { attempt(data, &key, "a", 0).await });
    while committed(&courier) == 0 {
        tokio::task::yield_now().await;
    }
    first.kill();
    assert_eq!(sending.await.unwrap(), None);
    let second = Process::start(&setup);
    let (_told, gateway) = watch::channel(second.data);
    // Courier says 409 while the first try still runs, and an SDK repeats that, too.
    send(&gateway, &setup.acme, "a", 1).await;
    assert_eq!(committed(&courier), 1);
    let key = |call: &simulator::Request| call.field("idempotency-key").unwrap().to_owned();
    let keys: Vec<_> = arrived(&courier).iter().map(key).collect();
    assert!(keys.len() >= 2 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute and a half: cargo test --test gateway kills -- --ignored"]
async fn eight_thousand_sends_under_a_kill_every_four_seconds_are_made_once() {
    const CLIENTS: usize = 32;
    const SENDS: usize = 8_000;
    let (courier, setup) = vendor(Latency::Uniform { min_ms: 50.0, max_ms: 450.0 }).await;
    let mut process = Process::start(&setup);
    let (told, gateway) = watch::channel(process.data);
    let clients = (0..CLIENTS).map(|client| {
        let (gateway, key) = (gateway.clone(), setup.acme.clone());
        tokio::spawn(async move {
            let mut broken = 0;
            for n in 0..SENDS / CLIENTS {
                broken += send(&gateway, &key, &format!("{client}-{n}"), 0).await;
            }
            broken
        })
    });
    let mut clients = tokio::spawn(join_all(clients.collect::<Vec<_>>()));
    let (begun, mut kills) = (Instant::now(), 0);
    let broken: usize = loop {
        kills += 1;
        tokio::select! {
            broken = &mut clients => break broken.unwrap().into_iter().map(Result::unwrap).sum(),
            () = sleep_until(begun + Duration::from_secs(4) * kills) => {}
        }
        process.kill();
        process = tokio::task::block_in_place(|| Process::start(&setup));
        told.send_replace(process.data);
    };
    let duplicates = duplicates(&courier);
    println!(
        "{SENDS} sends in {:?}, {} kills, {broken} tries broke, {} made twice",
        begun.elapsed(),
        kills - 1,
        duplicates.len()
    );
    assert_eq!(duplicates, Vec::<Vec<u64>>::new());
    assert_eq!(committed(&courier), SENDS);
    assert!(kills > 5 && broken > 50, "hardly anything broke: {kills} kills, {broken} tries");
}
