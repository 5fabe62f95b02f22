//! The same promises over real sockets: sends that survive, answers that stream.

use std::collections::BTreeSet;

use http_body_util::BodyExt;
use simulator::{Answer as Faulty, Effect, Fault, When, Wire};
use tokio::net::TcpStream;

use crate::rig::{Client, Rig, raw};

fn fault(probability: f64, effect: Effect) -> Fault {
    Fault { id: None, when: When { probability: Some(probability), ..When::default() }, effect }
}

fn wire(wire: Wire, commit: bool) -> Effect {
    Effect { wire: Some(wire), commit: Some(commit), ..Effect::default() }
}

/// `lines` clients on sockets of their own make `sends` sends each, three in ten of which are lost.
async fn sends(lines: usize, sends: usize) {
    let rig = Rig::start("").await;
    for fault in [
        fault(0.1, wire(Wire::Reset { after: 0 }, false)),
        fault(0.1, wire(Wire::Reset { after: 0 }, true)),
        fault(0.1, wire(Wire::Cut { after: 170 }, true)),
    ] {
        rig.courier.with(|simulator| simulator.faults().add(fault));
    }
    let (data, key) = (rig.gateway.data, &rig.setup.acme);
    let calling = (0..lines).map(|line| async move {
        let mut client = Client::connect(data, line % 2 == 0, None).await;
        let mut accepted = 0;
        for n in 0..sends {
            let title = line * 1_000_000 + n;
            let body = format!(
                "{{\"message\":{{\"to\":{{\"user_id\":\"u\"}},\"content\":{{\"title\":\"{title}\",\"body\":\"b\"}}}}}}"
            );
            let answer = client.send("POST", "/send", key, body.into_bytes()).await;
            accepted += usize::from(answer.status() == 202);
            answer.into_body().collect().await.unwrap();
        }
        accepted
    });
    let accepted: usize = futures_util::future::join_all(calling).await.into_iter().sum();
    let all = lines * sends;
    assert!(accepted * 1_000 >= all * 999, "{accepted} of {all} accepted");
    rig.courier.with(|simulator| {
        let journal = simulator.journal();
        assert_eq!(journal.duplicates(), Vec::<Vec<u64>>::new());
        let done = journal.entries().filter(|entry| entry.committed.is_some());
        let bodies: BTreeSet<_> = done.map(|entry| entry.request.body.clone()).collect();
        assert_eq!(bodies.len(), all);
    });
    rig.gateway.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_over_sockets_survive() {
    sends(20, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: cargo test --release --test gateway -- --ignored endurance"]
async fn a_thousand_sends_over_sockets() {
    sends(20, 50).await;
}

/// A call of each kind of the table: its name, method, target, body, and whether it has a key.
const KINDS: [(&str, &str, &str, &str, bool); 6] = [
    ("read", "GET", "/messages", "", false),
    ("put", "PUT", "/lists/a", "{\"name\":\"a\"}", false),
    ("delete", "DELETE", "/lists/a", "", false),
    (
        "keyed",
        "POST",
        "/send",
        "{\"message\":{\"to\":{\"user_id\":\"u\"},\"content\":{\"title\":\"t\",\"body\":\"b\"}}}",
        true,
    ),
    ("other", "POST", "/bulk", "{\"message\":{\"event\":\"e\"}}", false),
    ("patch", "PATCH", "/profiles/u", "{\"patch\":[]}", false),
];

/// The kinds that try again when the first attempt meets `effect`, each before a vendor of its own.
async fn who_tries_again(effect: &Effect) -> Vec<&'static str> {
    let mut again = Vec::new();
    for (name, method, target, body, keyed) in KINDS {
        let rig = Rig::start("").await;
        let when = When { times: Some(1), ..When::default() };
        let effect = effect.clone();
        rig.courier.with(|simulator| simulator.faults().add(Fault { id: None, when, effect }));
        let key = if keyed { "Idempotency-Key: order-1\r\n" } else { "" };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\n{key}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            rig.setup.acme,
            body.len(),
        );
        let answer = raw(rig.gateway.data, request.as_bytes(), "").await;
        assert!(answer.starts_with("HTTP/1.1 "), "{name}: {answer}");
        if crate::support::arrived(&rig.courier).len() == 2 {
            again.push(name);
        }
    }
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table_holds_over_real_sockets() {
    let status = |status, commit| {
        let answer = Faulty::Status { status, body: None, content_type: None, retry_after: None };
        Effect { answer: Some(answer), commit: Some(commit), ..Effect::default() }
    };
    let harmless = ["read", "put", "delete", "keyed"];
    for commit in [false, true] {
        assert_eq!(who_tries_again(&wire(Wire::Cut { after: 0 }, commit)).await, harmless);
        assert_eq!(who_tries_again(&wire(Wire::Reset { after: 0 }, commit)).await, harmless);
        assert_eq!(who_tries_again(&status(503, commit)).await, harmless);
        assert_eq!(who_tries_again(&status(500, commit)).await, ["read"]);
    }
    let throttled = Faulty::RateLimited { retry_after: Some("1".into()) };
    let throttled = Effect { answer: Some(throttled), ..Effect::default() };
    assert_eq!(who_tries_again(&throttled).await, KINDS.map(|kind| kind.0));
    for code in [400, 409, 422] {
        assert_eq!(who_tries_again(&status(code, false)).await, [""; 0], "{code}");
    }
}

/// Kilobytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Gateway, simulator and client are in this one process, so that the bound is for all three.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "alone in its process: cargo test --release --test gateway -- --ignored large_answer"]
async fn a_large_answer_streams_through() {
    let rig = Rig::start("").await;
    let large = Effect { answer: Some(Faulty::Large { bytes: 256 << 20 }), ..Effect::default() };
    rig.courier.with(|simulator| {
        simulator.faults().add(Fault { id: None, when: When::default(), effect: large });
    });
    let mut client = Client::h1(TcpStream::connect(rig.gateway.data).await.unwrap()).await;
    let answer = client.send("GET", "/brands", &rig.setup.acme, Vec::new()).await;
    let (mut body, mut octets, mut frames, mut most) = (answer.into_body(), 0, 0, 0);
    let before = resident();
    while let Some(frame) = body.frame().await {
        octets += frame.unwrap().into_data().unwrap().len();
        frames += 1;
        if frames % 100 == 0 {
            most = most.max(resident());
        }
    }
    println!("{octets} octets, {} KiB more", most.saturating_sub(before));
    assert!(octets >= 256 << 20 && most.saturating_sub(before) < 4 << 10);
    assert!(most > 0, "it was looked at");
}
