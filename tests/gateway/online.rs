//! `tollgate check --online`: one line for each question, and 1 where an answer is bad.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tollgate::ids::RandomId;

use crate::process::tollgate;
use crate::rig::PORTS;
use crate::support::{Setup, arrived, token};

/// A simulator at the machine's time, `skew_ms` away from it.
async fn courier(skew_ms: i64, rejected: &[&str]) -> (simulator::Server, SocketAddr) {
    let mut options = simulator::Options::default();
    options.clock.epoch = "real".into();
    options.clock.skew_ms = skew_ms;
    options.rejected_tokens = rejected.iter().map(|tenant| token(tenant)).collect();
    let courier = simulator::Server::new(options);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    (courier, address)
}

async fn check(head: &str, vendor: SocketAddr) -> (Option<i32>, Vec<String>, String) {
    let setup = Setup::new(&format!("{head}[vendor]\nbase_url = \"http://{vendor}\"\n"));
    let file = std::env::temp_dir().join(format!("tollgate-online-{}.toml", RandomId::new()));
    std::fs::write(&file, &setup.text).unwrap();
    let mut command = tollgate();
    command.args(["check", "--online"]).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let lines = text(&output.stdout).lines().map(str::to_owned).collect();
    (output.status.code(), lines, text(&output.stderr))
}

fn has(lines: &[String], begin: &str, part: &str) -> bool {
    lines.iter().any(|line| line.starts_with(begin) && line.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_online_check_asks_each_connection_once_and_finds_all_good() {
    let (courier, vendor) = courier(0, &[]).await;
    let state = std::env::temp_dir().join(format!("tollgate-online-{}", RandomId::new()));
    let head = format!("{PORTS}[state]\ndir = '{}'\n", state.display());
    let (code, lines, wrong) = check(&head, vendor).await;
    assert_eq!(code, Some(0), "{lines:#?} {wrong}");
    for (begin, part) in [
        ("good: server.listen: 127.0.0.1:0", "is free"),
        ("good: ops.listen: 127.0.0.1:0", "is free"),
        ("good: state folder", "can be written"),
        ("good: connection 'acme-prod': http://127.0.0.1", "is reached"),
        ("good: connection 'acme-prod': its token is taken", "brands.list"),
        ("good: connection 'acme-prod': its clock", "agree"),
        ("good: connection 'umbrella-prod': its token is taken", "brands.list"),
    ] {
        assert!(has(&lines, begin, part), "{begin}: {lines:#?}");
    }
    assert_eq!(arrived(&courier).len(), 2, "one call a connection");
    assert!(lines.iter().all(|line| !line.contains(&token("acme"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_a_wrong_clock_and_a_port_that_is_taken_are_bad() {
    let (_courier, vendor) = courier(60_000, &["acme"]).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap();
    let head = PORTS.replacen("127.0.0.1:0", &port.to_string(), 1);
    let (code, lines, wrong) = check(&head, vendor).await;
    assert_eq!(code, Some(1), "{lines:#?} {wrong}");
    assert!(has(&lines, "bad: ", &format!("{port} cannot be taken")), "{lines:#?}");
    assert!(has(
        &lines,
        "bad: connection 'acme-prod': its token is refused",
        "put a valid one into"
    ));
    assert!(has(&lines, "good: connection 'umbrella-prod': its token is taken", ""), "{lines:#?}");
    assert!(
        has(&lines, "bad: connection 'umbrella-prod': its clock", "ahead of this one"),
        "{lines:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_where_nobody_listens_is_not_reached() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (code, lines, wrong) = check(PORTS, nobody).await;
    assert_eq!(code, Some(1), "{lines:#?} {wrong}");
    assert!(has(&lines, "bad: connection 'acme-prod'", "is not reached"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_online_check_asks_the_shared_store() {
    let (_, vendor) = courier(0, &[]).await;
    let alone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let head = format!("{PORTS}[shared]\nredis = \"redis://{alone}\"\n");
    let (code, lines, _) = check(&head, vendor).await;
    assert_eq!(code, Some(1));
    let bad = format!("bad: shared.redis: redis://{alone} can't be used");
    assert!(has(&lines, &bad, "connection refused"), "{lines:#?}");
}
