//! Clients are served by threads of their own.

use std::num::NonZeroUsize;

use simulator::Options;
use tokio::net::TcpListener;
use tollgate::app::Gateway;
use tollgate::server::Workers;

use crate::process::{Process, tollgate};
use crate::rig::{Client, PORTS};
use crate::support::{Lines, Setup};

#[tokio::test]
async fn threads_share_one_quota_and_one_cache_and_end_with_nothing_left() {
    let mut options = Options::default();
    options.journal.body = 1 << 10;
    let courier = simulator::Server::new(options);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    let setup = Setup::new(&format!("{PORTS}\n[vendor]\nbase_url = \"http://{vendor}\"\n"));
    let threads = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
    let gateway =
        Gateway::start_with(setup.config(), Lines::default().log(), threads).await.unwrap();
    let key = &setup.acme;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::connect(gateway.data, false, None).await);
    }
    let mut cached = Vec::new();
    for client in &mut clients {
        let answer = client.send("GET", "/brands", key, Vec::new()).await;
        assert_eq!(answer.status(), 200);
        cached.push(answer.headers()["cache-status"].to_str().unwrap().contains("hit"));
    }
    assert_eq!(cached, [false, true, true, true], "threads have one cache");
    let mut left = Vec::new();
    for client in &mut clients {
        let answer = client.send("PUT", "/profiles/one", key, b"{\"profile\":{}}".to_vec()).await;
        assert!(answer.status().is_success(), "{}", answer.status());
        let field = answer.headers()["ratelimit"].to_str().unwrap().to_owned();
        let (_, rest) = field.split_once(";r=").unwrap();
        left.push(rest.split(';').next().unwrap().parse::<u32>().unwrap());
    }
    assert!(left.is_sorted_by(|one, next| one > next), "threads have one quota: {left:?}");
    let drained = gateway.shut_down().await;
    assert_eq!((drained.connections, drained.flights), (0, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn the_program_has_as_many_threads_for_clients_as_it_is_told() {
    let setup = Setup::new(PORTS);
    for value in ["3", "1"] {
        let mut command = tollgate();
        command.env("TOKIO_WORKER_THREADS", value);
        let gateway = Process::start_by(&setup, command);
        let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.id())).unwrap();
        let names = threads.map(|thread| {
            std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default()
        });
        let workers = names.filter(|name| name.starts_with("worker-")).count();
        assert_eq!(workers.to_string(), value);
    }
}
