//! `tollgate demo`: a simulated Courier, a gateway before it, and two applications that use all of
//! it through real sockets. Needs no configuration, account or network.
//!
//! The simulated Courier allows 100 calls in any 5 s and counts by itself. One application goes
//! through every operation at a gentle pace; the other begins a little later, sends as fast as it
//! is let, and the first must not notice. With faults the simulated Courier also loses connections
//! and answers, before and after it has acted: every send must be accepted all the same, and none
//! be made twice.

mod board;
mod client;
mod fleet;
mod scenario;
mod summary;
mod traffic;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simulator::{Ending, LimitRule, Options, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::Gateway;
use crate::clock::Instant;
use crate::config::Config;
use crate::identity::NewKey;
use crate::ids::{KeyId, RandomId};
use crate::telemetry::logs::AccessLog;
use crate::terminal::{complain, say};
use board::DemoApp;
use client::DemoClient;
use summary::{Counted, Sends, Summary};

/// The applications of the demo; both belong to the tenant `acme`.
const APPS: [&str; 2] = ["billing", "newsletter"];

/// What the simulated Courier allows in any window.
const CALLS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(5);

/// The operation whose fate the demo is about.
const SEND: &str = "messages.send";

/// Of the sends one in seven is lost: its answer, whole or in part, after Courier has acted, or the
/// request before. Reads and replacements suffer too.
const FAULTS: &str = r#"[
    {"when": {"operation": "messages.send", "probability": 0.05}, "effect": {"wire": {"kind": "cut", "after": 0}}},
    {"when": {"operation": "messages.send", "probability": 0.05}, "effect": {"wire": {"kind": "reset", "after": 0}, "commit": false}},
    {"when": {"operation": "messages.send", "probability": 0.05}, "effect": {"wire": {"kind": "cut", "after": 120}}},
    {"when": {"method": "GET", "probability": 0.05}, "effect": {"answer": {"kind": "status", "status": 503}}},
    {"when": {"method": "PUT", "probability": 0.05}, "effect": {"wire": {"kind": "reset", "after": 0}}}
]"#;

/// Time between two lines of live figures.
const LOOK: Duration = Duration::from_secs(2);

/// Runs the demo for `time`, or until Ctrl-C; with `faults` the simulated Courier misbehaves; with
/// `replicas` there are so many gateways.
#[must_use]
pub fn run(time: Option<Duration>, faults: bool, replicas: Option<u8>) -> ExitCode {
    if let Some(replicas) = replicas {
        return fleet::run(time, replicas.into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(demo(time, faults))) {
        Ok(summary) => {
            say(&summary.to_string());
            if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&format!("the demo could not run: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn demo(time: Option<Duration>, faults: bool) -> io::Result<Summary> {
    let vendor = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = vendor.local_addr()?.to_string();
    let courier = Server::new(options(faults));
    // It outlives the traffic: the runtime ends it.
    tokio::spawn(courier.clone().serve(vendor, std::future::pending()));
    let token = TokenFile::write()?;
    let keys = APPS.map(|app| NewKey::generate(&key_id(app)));
    let config = Config::parse(&configuration(&address, &token, &keys)).map_err(|found| {
        let all: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        io::Error::other(all.join("; "))
    })?;
    let gateway = Gateway::start(config, AccessLog::none()).await.map_err(io::Error::other)?;
    say(&welcome(&gateway, &address, &keys[0].text, faults));
    let apps = APPS.map(|app| Arc::new(DemoApp::new(app)));
    let saved = Arc::new(AtomicU64::new(0));
    let [modest, noisy] = keys.map(|key| DemoClient::new(gateway.data, key.text, saved.clone()));
    let stop = CancellationToken::new();
    let calling = [
        tokio::spawn(traffic::modest(apps[0].clone(), modest, stop.clone())),
        tokio::spawn(traffic::noisy(apps[1].clone(), noisy, WINDOW, stop.clone())),
    ];
    watch(time, &apps, || refused(&courier)).await;
    stop.cancel();
    for task in calling {
        task.await.map_err(io::Error::other)?;
    }
    let saved = saved.load(Ordering::Relaxed);
    let left = gateway.shut_down().await;
    let now = courier.now();
    let most = courier.with(|simulator| simulator.largest(now, &token.text, None).worst());
    let vendor = Counted { allowed: CALLS, most, refused: refused(&courier) };
    let sends = faults.then(|| survival(&courier, &apps));
    Ok(Summary { apps: apps.into(), vendor, sends, saved, left })
}

/// What became of the sends.
fn survival(courier: &Server, apps: &[Arc<DemoApp>]) -> Sends {
    let accepted = apps.iter().map(|app| app.calls().came_right(SEND)).sum();
    courier.with(|simulator| {
        let journal = simulator.journal();
        let mut sends = Sends { accepted, attempts: 0, lost: 0, twice: journal.duplicates().len() };
        for entry in journal.entries().filter(|entry| entry.operation.as_deref() == Some(SEND)) {
            sends.attempts += 1;
            let faulted = entry.ended.is_some_and(|(_, ending)| ending == Ending::Faulted);
            sends.lost += usize::from(faulted || entry.status >= 500);
        }
        sends
    })
}

/// The documented limits of Courier, and one over all calls.
fn options(faults: bool) -> Options {
    let window_ms = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
    let mut options = Options::default();
    options.limits.push(LimitRule::global(CALLS.into(), window_ms));
    options.counters.window_ms = window_ms;
    if faults {
        let script = serde_json::from_str(FAULTS);
        options.faults = script.expect("the script in the code has the form of a script");
    }
    options
}

/// Calls that the simulated Courier refused for its quota.
fn refused(courier: &Server) -> u64 {
    courier.with(|simulator| {
        simulator.journal().entries().filter(|entry| entry.status == 429).count() as u64
    })
}

/// Prints live figures until the time is over.
async fn watch(time: Option<Duration>, apps: &[Arc<DemoApp>], refused: impl Fn() -> u64) {
    let start = Instant::now();
    let end = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let look = async {
        let mut clock = tokio::time::interval_at(start + LOOK, LOOK);
        loop {
            clock.tick().await;
            let news: Vec<String> = apps.iter().map(|app| app.news()).collect();
            let seconds = start.elapsed().as_secs();
            say(&format!("{seconds:>4} s   {}   Courier's 429s: {}", news.join("   "), refused()));
        }
    };
    tokio::select! {
        () = end => {}
        () = look => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn key_id(app: &str) -> KeyId {
    KeyId::try_from(app.to_owned()).expect("the demo's names are words of a-z")
}

/// The same file that a user would write.
fn configuration(vendor: &str, token: &TokenFile, keys: &[NewKey; 2]) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [ops]\nlisten = \"127.0.0.1:0\"\n\
         [vendor]\nbase_url = \"http://{vendor}\"\nhard_limit = \"3s\"\nfirst_byte = \"3s\"\n\
         [quota]\ncalls = {CALLS}\nwindow = \"{}s\"\nbulk_floor = 20\nmax_wait = \"10s\"\n\
         [[tenant]]\nid = \"acme\"\n\
         [[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n",
        WINDOW.as_secs(),
        token.path.display()
    );
    for (app, key) in APPS.iter().zip(keys) {
        let sha256 = &key.sha256;
        text += &format!(
            "[[tenant.app]]\nid = \"{app}\"\nkeys = [{{ id = \"{app}\", sha256 = \"{sha256}\" }}]\n"
        );
    }
    text
}

fn welcome(gateway: &Gateway, vendor: &str, key: &str, faults: bool) -> String {
    let (data, ops) = (gateway.data, gateway.ops);
    let mood = if faults { ", which loses one send in seven" } else { "" };
    format!(
        "Tollgate demo: two applications share {CALLS} calls in any {} s of a simulated Courier{mood}.

  gateway    http://{data}
  metrics    http://{ops}/metrics   health http://{ops}/readyz
  simulator  http://{vendor}   what arrived: http://{vendor}/__admin/requests

Try it (the key was made for this run):

  curl -s http://{data}/brands -H 'Authorization: Bearer {key}'

Courier's own SDKs need two settings, Python and Node alike:

  export COURIER_BASE_URL=http://{data}
  export COURIER_API_KEY={key}
",
        WINDOW.as_secs()
    )
}

/// The vendor token of the demo, by reference like any other; removed at the end.
struct TokenFile {
    path: PathBuf,
    text: String,
}

impl TokenFile {
    fn write() -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = std::env::temp_dir().join(format!("tollgate-demo-{}", RandomId::new()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        let text = format!("demo-{}", RandomId::new());
        writeln!(file, "{text}")?;
        Ok(Self { path, text })
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // Nothing depends on it: the token is worth nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
