//! Long runs in which the configuration never stays as it is: reloads under saturation, and a process
//! that is killed, with any change in between. The simulator counts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use simulator::Latency;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tollgate::identity::NewKey;
use tollgate::ids::{KeyId, RandomId};

use crate::process::Process;
use crate::rig::{Client, PORTS};
use crate::support::{Setup, Stack, request};

/// Calls of a connection in a window, at most; its limit is never above it.
const MOST: u64 = 10;
/// Calls of a narrow operation.
const NARROW: u64 = 3;

/// A connection that is always the same, whatever it is called.
struct Connection {
    token: String,
    name: String,
    file: PathBuf,
    workspace: Option<String>,
    present: bool,
    key: NewKey,
}

/// A configuration that changes.
struct World {
    dice: Rng,
    head: String,
    window: String,
    tenant: String,
    connections: Vec<Connection>,
    pool: String,
    dear: u64,
    calls: u64,
    guests: u64,
    catalog: PathBuf,
}

fn scratch(contents: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tollgate-shifts-{}", RandomId::new()));
    std::fs::write(&path, contents).unwrap();
    path
}

impl World {
    fn new(seed: u64, head: &str, window: &str) -> Self {
        let connection = |n: usize| Connection {
            token: format!("token-{n}"),
            name: format!("c{n}"),
            file: scratch(&format!("token-{n}")),
            workspace: None,
            present: true,
            key: NewKey::generate(&KeyId::try_from(format!("k{n}")).unwrap()),
        };
        Self {
            dice: Rng::with_seed(seed),
            head: head.into(),
            window: window.into(),
            tenant: "t".into(),
            connections: (0..3).map(connection).collect(),
            pool: "narrow".into(),
            dear: 2,
            calls: MOST,
            guests: 0,
            catalog: scratch(""),
        }
    }

    /// Another change of the file; says which.
    fn change(&mut self) -> &'static str {
        let number = self.dice.u64(..1_000_000);
        let at = usize::try_from(self.dice.u64(..3)).unwrap();
        let connection = &mut self.connections[at];
        match self.dice.u64(..10) {
            0 => {
                connection.name = format!("c{number}");
                "name"
            }
            1 => {
                self.tenant = format!("t{number}");
                "tenant"
            }
            2 => {
                connection.workspace = match number % 4 {
                    0 => None,
                    1 => Some(format!("w{number}")),
                    shared => Some(format!("w{shared}")),
                };
                "workspace"
            }
            3 => {
                let _ = std::fs::remove_file(&connection.file);
                connection.file = scratch(&connection.token);
                "token's file"
            }
            4 => {
                self.pool = format!("p{number}");
                "pool"
            }
            5 => {
                self.dear = 1 + number % 5;
                "price"
            }
            6 => {
                self.calls = 6 + number % 5;
                "limit"
            }
            7 => {
                self.guests = number % 3;
                "apps"
            }
            8 => {
                self.connections.swap(at, 0);
                "order"
            }
            _ => {
                connection.present = !connection.present;
                if self.connections.iter().all(|connection| !connection.present) {
                    self.connections[at].present = true;
                }
                "connection"
            }
        }
    }

    fn text(&self) -> String {
        let Self { head, window, tenant, pool, dear, calls, .. } = self;
        let row = |id: &str, path: &str, pools: &str| {
            format!(
                "[[operation]]\nid = \"{id}\"\ngroup = \"messages\"\nmethod = \"GET\"\npath = \"{path}\"\naccess = \"read\"\npools = {{ {pools} }}\n"
            )
        };
        let rows = [
            row("audiences.list", "/audiences", &format!("connection = 1, {pool} = 1")),
            row("dear", "/dear", &format!("connection = {dear}")),
        ];
        std::fs::write(
            &self.catalog,
            format!(
                "extends = \"courier\"\n[[pool]]\nid = \"{pool}\"\ncalls = {NARROW}\nwindow = \"{window}\"\n{}",
                rows.concat()
            ),
        )
        .unwrap();
        let mut text = format!(
            "{head}catalog = '{}'\n[quota]\ncalls = {calls}\nwindow = \"{window}\"\nmax_wait = \"500s\"\ndepth = 1000\napp_depth = 1000\n[[tenant]]\nid = \"{tenant}\"\n",
            self.catalog.display()
        );
        let present = || self.connections.iter().filter(|connection| connection.present);
        for Connection { name, file, workspace, .. } in present() {
            let workspace = workspace.iter().map(|w| format!("workspace = \"{w}\"\n"));
            text += &format!(
                "[[tenant.connection]]\nid = \"{name}\"\ntoken = {{ file = '{}' }}\n{}",
                file.display(),
                workspace.collect::<String>()
            );
        }
        for Connection { name, token, key, .. } in present() {
            text += &format!(
                "[[tenant.app]]\nid = \"of-{token}\"\nconnections = [\"{name}\"]\nkeys = [{{ id = \"k{}\", sha256 = \"{}\" }}]\n",
                token.trim_start_matches("token-"),
                key.sha256
            );
            for guest in 0..self.guests {
                text += &format!(
                    "[[tenant.app]]\nid = \"guest-{guest}-{token}\"\nconnections = [\"{name}\"]\nkeys = [{{ id = \"g{guest}{}\", sha256 = \"{}\" }}]\n",
                    token.trim_start_matches("token-"),
                    "0".repeat(64)
                );
            }
        }
        text
    }

    fn clean(self) {
        let files = self.connections.iter().map(|connection| &connection.file);
        for file in files.chain([&self.catalog]) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// What `courier` counted is never more than allowed.
fn check(courier: &simulator::Server, what: &str) {
    let now = courier.now();
    for token in 0..3 {
        let token = format!("token-{token}");
        let all = courier.with(|simulator| simulator.largest(now, &token, None)).worst();
        let narrow = courier
            .with(|simulator| simulator.largest(now, &token, Some("audiences.list")))
            .worst();
        assert!(all <= MOST as f64, "{what}, {token}: {all} in one window");
        assert!(narrow <= NARROW as f64, "{what}, {token}: {narrow} narrow ones in one window");
    }
}

/// Calls in a loop, with one key, by the pipeline of the moment; every end is told.
async fn saturate(
    pipeline: Arc<Mutex<tollgate::pipeline::Pipeline>>,
    key: String,
    target: &'static str,
    over: Arc<AtomicBool>,
) -> Vec<u16> {
    let mut ends = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let pipeline = pipeline.lock().unwrap().clone();
        let answer = pipeline.answer(request("GET", target, &key, "")).await;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        ends.push(status);
        if status == 401 {
            // Its connection isn't there now.
            sleep(Duration::from_millis(500)).await;
        }
    }
    ends
}

async fn reload_often(seed: u64, reloads: usize) -> usize {
    let mut world = World::new(seed, "[server]\ndeadline = \"600s\"\n[vendor]\n", "10s");
    let mut options = simulator::Options { seed, limits: Vec::new(), ..Default::default() };
    options.counters.window_ms = 10_000;
    options.latency = Some(Latency::Exponential { mean_ms: 200.0 });
    let mut stack = Stack::of_text(&world.text(), simulator::Server::new(options)).unwrap();
    let pipeline = Arc::new(Mutex::new(stack.pipeline.clone()));
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for connection in &world.connections {
        let key = &connection.key.text;
        for target in ["/messages", "/messages", "/messages", "/messages", "/audiences"] {
            let call = saturate(pipeline.clone(), key.clone(), target, over.clone());
            clients.push(tokio::spawn(call));
        }
    }
    for turn in 0..reloads {
        sleep(Duration::from_millis(500 + world.dice.u64(..2_000))).await;
        let what = world.change();
        let reloaded = stack.reload(&world.text());
        assert_eq!(reloaded, Ok(()), "seed {seed}, reload {turn}: {what}");
        *pipeline.lock().unwrap() = stack.pipeline.clone();
    }
    over.store(true, Ordering::Relaxed);
    let mut good = 0;
    for ends in join_all(clients).await {
        for end in ends.unwrap() {
            assert!(end == 200 || end == 401, "seed {seed}: a call ended with {end}");
            good += usize::from(end == 200);
        }
    }
    check(&stack.courier, &format!("seed {seed}"));
    world.clean();
    good
}

#[tokio::test(start_paused = true)]
async fn fifty_reloads_under_saturation_make_no_second_quota_and_lose_no_call() {
    for seed in 0..2 {
        let good = reload_often(seed, 50).await;
        assert!(good > 100, "seed {seed}: {good}");
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "a minute: cargo test --test gateway thousand_reloads -- --ignored --nocapture"]
async fn a_thousand_reloads_under_saturation_make_no_second_quota_and_lose_no_call() {
    let good = reload_often(7, 1_000).await;
    println!("1000 reloads, {good} calls answered, none lost");
    assert!(good > 2_000, "{good}");
}

/// Calls on a socket of its own until the gateway is gone.
async fn press(data: std::net::SocketAddr, key: String, target: &'static str) {
    let Ok(socket) = tokio::net::TcpStream::connect(data).await else { return };
    let Client::H1(mut sender) = Client::h1(socket).await else { return };
    loop {
        let request =
            http::Request::get(target).header("host", "gateway").header("x-api-key", &key);
        let request = request.body(http_body_util::Full::default()).unwrap();
        let Ok(()) = sender.ready().await else { return };
        let Ok(answer) = sender.send_request(request).await else { return };
        if answer.into_body().collect().await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: cargo test --test gateway hundred_kills -- --ignored --nocapture"]
async fn a_hundred_kills_with_changes_in_between_make_no_second_quota() {
    let folder = std::env::temp_dir().join(format!("tollgate-kills-{}", RandomId::new()));
    let mut options = simulator::Options { limits: Vec::new(), ..Default::default() };
    options.counters.window_ms = 1_000;
    options.latency = Some(Latency::Uniform { min_ms: 1.0, max_ms: 60.0 });
    let courier = simulator::Server::new(options);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vendor = port.local_addr().unwrap();
    tokio::spawn(courier.clone().serve(port, std::future::pending()));
    let head = format!(
        "{PORTS}[state]\ndir = '{}'\n[vendor]\nbase_url = \"http://{vendor}\"\nhard_limit = \"500ms\"\nfirst_byte = \"500ms\"\n",
        folder.display()
    );
    let mut world = World::new(11, &head, "1s");
    let begin = Instant::now();
    for kill in 0..100 {
        let mut setup = Setup { text: world.text(), acme: String::new(), umbrella: String::new() };
        let mut process = Process::start(&setup);
        let keys = world.connections.iter().filter(|connection| connection.present);
        let mut clients = Vec::new();
        for key in keys.map(|connection| &connection.key.text) {
            for target in ["/messages", "/messages", "/messages", "/messages", "/audiences"] {
                clients.push(tokio::spawn(press(process.data, key.clone(), target)));
            }
        }
        sleep(Duration::from_millis(100 + world.dice.u64(..700))).await;
        let what = world.change();
        if kill % 3 == 0 {
            setup.text = world.text();
            process.configure(&setup.text);
            process.signal("HUP");
            tokio::task::block_in_place(|| process.line("configuration reloaded"));
            sleep(Duration::from_millis(world.dice.u64(..300))).await;
            world.change();
        }
        process.signal("KILL");
        drop(process);
        join_all(clients).await;
        check(&courier, &format!("kill {kill}, then {what}"));
    }
    let sent = crate::support::arrived(&courier).len();
    println!("100 kills in {:?}, {sent} calls kept in the journal", begin.elapsed());
    assert!(sent > 500, "{sent}");
    world.clean();
    std::fs::remove_dir_all(folder).unwrap();
}
