//! Descriptors and places: what many idle connections can't take from operators, the vendor and others.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tollgate::app::Gateway;
use tollgate::ids::RandomId;

use crate::process::{Process, courier, setup, status, tollgate, under};
use crate::rig::{PORTS, Rig, raw};
use crate::support::{Lines, Setup};

const SCRAPE: &str = "Host: prometheus.example\r\nAccept: text/plain\r\n";

/// An answer of a port that needs no key.
async fn get(port: SocketAddr, path: &str, fields: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
    raw(port, request.as_bytes(), "").await
}

async fn crowd(port: SocketAddr, connections: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..connections {
        crowd.push(TcpStream::connect(port).await.unwrap());
    }
    crowd
}

/// Seconds of CPU that `process` used so far.
fn cpu(process: &Process) -> u64 {
    let stat = procfs::process::Process::new(process.id().cast_signed()).unwrap().stat().unwrap();
    (stat.utime + stat.stime) / procfs::ticks_per_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_take_no_descriptor_from_operators_and_the_vendor() {
    let (_courier, vendor) = courier().await;
    let setup = setup(vendor);
    let process = Process::start_by(&setup, under("ulimit -n 128"));
    let said: Vec<_> = process.said.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let warned = |text: &&&str| text.contains("a process may have 128 here");
    assert!(said.iter().find(warned).is_some_and(|text| text.contains("LimitNOFILE")), "{said:?}");
    let budget = process.said.iter().find(|line| line["message"] == "file descriptors").unwrap();
    assert_eq!((&budget["limit"], &budget["clients"]), (&128.into(), &24.into()), "{budget}");

    let request = format!("GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\n\r\n", setup.acme);
    let mut idle = crowd(process.data, 7).await;
    for client in &mut idle {
        client.write_all(request.as_bytes()).await.unwrap();
    }
    for client in &mut idle {
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200", "there are descriptors for the vendor");
    }
    idle.extend(crowd(process.data, 233).await);
    for path in ["/livez", "/readyz", "/metrics"].iter().cycle().take(60) {
        let answer = get(process.ops, path, SCRAPE).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
    assert!(cpu(&process) < 2, "nothing spins");
    drop(idle);
    // The gateway hears of their end when it reads; until then a newcomer may find no room.
    let mut answer = String::new();
    for _ in 0..1000 {
        answer = raw(process.data, request.as_bytes(), "\r\n\r\n").await;
        if !answer.is_empty() {
            break;
        }
    }
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    process.signal("TERM");
    let (_, rest) = process.end();
    assert!(!rest.contains("accept failed"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_is_raised_to_the_hard_one() {
    let (_courier, vendor) = courier().await;
    let process = Process::start_by(&setup(vendor), under("ulimit -Sn 64; ulimit -Hn 1024"));
    let budget = process.said.iter().find(|line| line["message"] == "file descriptors").unwrap();
    assert_eq!(budget["limit"], 1024, "{budget}");
    let limits = procfs::process::Process::new(process.id().cast_signed()).unwrap().limits();
    let soft = limits.unwrap().max_open_files.soft_limit;
    assert!(matches!(soft, procfs::process::LimitValue::Value(1024)), "{soft:?}");
}

#[test]
fn check_warns_of_sockets_that_the_process_may_not_have_and_calls_the_file_good() {
    let setup = Setup::new(&format!("{PORTS}sockets = 20000\n"));
    let file = std::env::temp_dir().join(format!("tollgate-check-{}.toml", RandomId::new()));
    std::fs::write(&file, &setup.text).unwrap();
    let check = |mut command: std::process::Command| {
        let output = command.arg("check").arg(&file).output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, said, warned) = check(under("ulimit -n 1024"));
    assert_eq!(code, Some(0), "{warned}");
    assert!(said.contains("good: 2 tenants"), "{said}");
    assert!(warned.contains(".toml:6:1: warning: server.sockets = 20000"), "{warned}");
    std::fs::write(&file, setup.text.replace("20000", "100\n[vendor]\nsockets = 100")).unwrap();
    let (code, _, warned) = check(tollgate());
    assert_eq!((code, warned.as_str()), (Some(0), ""));
    std::fs::remove_file(&file).unwrap();
}

/// Idle from the start, or kept open behind one answer.
async fn strangers(port: SocketAddr) -> Vec<TcpStream> {
    let mut strangers = crowd(port, 200).await;
    for stranger in strangers.iter_mut().step_by(2) {
        // Those that made room for others are closed already.
        let _ = stranger.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    }
    strangers
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_strangers_keep_nobody_out_of_the_operators_ports() {
    let (_courier, vendor) = courier().await;
    let digest = "0".repeat(64);
    let admin = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\nkeys = [{{ id = \"a\", sha256 = \"{digest}\" }}]\n"
    );
    let setup = Setup::new(&format!("{PORTS}[vendor]\nbase_url = \"http://{vendor}\"\n{admin}"));
    let gateway = Gateway::start(setup.config(), Lines::default().log()).await.unwrap();
    let ports = [(gateway.ops, "200"), (gateway.admin.unwrap(), "401")];
    for (port, status) in ports {
        let _crowd = strangers(port).await;
        for path in ["/livez", "/readyz", "/metrics"] {
            // Before the strangers' own time is over, and with the patience of probes.
            let asked = timeout(Duration::from_secs(3), get(port, path, "Host: localhost\r\n"));
            let answer = asked.await.expect("a place at once");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_browser_reads_the_metrics_under_an_address_only_and_a_scraper_under_any_name() {
    let rig = Rig::start("").await;
    let ops = rig.gateway.ops;
    let seen = |path: &'static str, fields: &'static str| async move {
        get(ops, path, fields).await.get(9..12).map(str::to_owned)
    };
    let browsers = [
        "Accept-Language: en\r\n",
        "Origin: http://evil.example\r\n",
        "Referer: http://evil.example/\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
    ];
    assert_eq!(seen("/metrics", SCRAPE).await.unwrap(), "200");
    for browser in browsers {
        for (host, status) in [
            ("evil.example:9090", "403"),
            ("localhost.evil.example", "403"),
            ("127.0.0.1:9090", "200"),
            ("[::1]:9090", "200"),
            ("localhost", "200"),
        ] {
            let fields = format!("Host: {host}\r\n{browser}");
            let answer = get(ops, "/metrics", &fields).await;
            assert_eq!(answer.get(9..12), Some(status), "{fields}: {answer}");
        }
        let probe: &'static str = "Host: evil.example\r\nAccept-Language: en\r\n";
        assert_eq!(seen("/livez", probe).await.unwrap(), "200", "it tells nothing");
    }
}

/// A connection to `port` from an address of this machine.
async fn from(address: &str, port: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(port).await.unwrap()
}

/// Whether `client` is served: it gets an answer, or the end.
async fn is_served(client: &mut TcpStream) -> bool {
    let _ = client.write_all(b"GET /.tollgate/health HTTP/1.1\r\nHost: a\r\n\r\n").await;
    matches!(client.read(&mut [0; 512]).await, Ok(1..))
}

#[tokio::test]
async fn an_address_has_its_part_of_the_data_ports_places_and_others_have_theirs() {
    let rig = Rig::start("sockets_per_peer = 2\n").await;
    let data = rig.gateway.data;
    let (mut one, mut two) = (from("127.0.0.1", data).await, from("127.0.0.1", data).await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    assert!(!is_served(&mut from("127.0.0.1", data).await).await, "a third is closed");
    assert!(is_served(&mut from("127.0.0.2", data).await).await, "another address is not bound");
    let page = get(rig.gateway.ops, "/metrics", SCRAPE).await;
    assert!(page.contains("\ntollgate_client_sockets_turned_away_total 1\n"), "{page}");
    drop(one);
    // The gateway hears of the end when it reads.
    let mut tries = 0;
    while !is_served(&mut from("127.0.0.1", data).await).await {
        tries += 1;
        assert!(tries < 1000, "the place that was given back is free");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_no_descriptors_that_clients_may_use_already() {
    let (_courier, vendor) = courier().await;
    let mut setup = setup(vendor);
    setup.text = setup.text.replace("grace =", "sockets = 300\ngrace =");
    setup.text = setup.text.replace("[vendor]", "[vendor]\nsockets = 10");
    let mut process = Process::start_by(&setup, under("ulimit -n 400"));
    for (sockets, said) in [
        ("sockets = 512", "configuration not reloaded; the old one stays"),
        ("sockets = 15", "configuration reloaded"),
    ] {
        process.configure(&setup.text.replace("sockets = 10\n", &format!("{sockets}\n")));
        process.signal("HUP");
        let line = process.line(said);
        let told = line["reason"].as_str().is_none_or(|reason| reason.contains("300 sockets of"));
        assert!(told, "{line}");
    }
    assert_eq!(status(process.data, "/messages", &setup.acme).await, 200);
}

#[tokio::test]
async fn connections_that_rest_make_room_on_a_full_data_port_and_calls_under_way_are_not_cut() {
    let rig = Rig::start("sockets = 4\n").await;
    let data = rig.gateway.data;
    let slow = format!(
        "GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nx-simulator-latency-ms: 5000\r\n\r\n",
        rig.setup.acme
    );
    let mut served = TcpStream::connect(data).await.unwrap();
    served.write_all(slow.as_bytes()).await.unwrap();
    let mut strangers = crowd(data, 3).await;
    assert!(is_served(&mut strangers[0]).await, "kept open behind one answer");
    // Long before their own time is over.
    let newcomer = async {
        let mut newcomer = TcpStream::connect(data).await.unwrap();
        is_served(&mut newcomer).await
    };
    assert!(timeout(Duration::from_secs(4), newcomer).await.expect("a place soon"));
    let mut answer = [0; 12];
    served.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

/// A body of which a part never comes, or a socket on which nothing comes.
async fn wasted(address: &str, data: SocketAddr, key: &str, half_sent: bool) -> TcpStream {
    let mut client = from(address, data).await;
    if half_sent {
        let head = format!("POST /send HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n");
        let _ = client.write_all(format!("{head}Content-Length: 100\r\n\r\n{{").as_bytes()).await;
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_wastes_its_places_keeps_no_other_address_out() {
    let rig = Rig::start("sockets = 50\n").await;
    let (data, key) = (rig.gateway.data, &rig.setup.acme);
    let mut crowd = Vec::new();
    for n in 0..200 {
        crowd.push(wasted("127.0.0.2", data, key, n % 3 > 0).await);
    }
    let get = format!("GET /messages HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\n\r\n");
    for _ in 0..3 {
        let mut honest = from("127.0.0.1", data).await;
        honest.write_all(get.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        // Long before the limits of head and body would make room.
        let served = timeout(Duration::from_secs(5), honest.read_exact(&mut answer)).await;
        served.expect("a place soon").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
}
