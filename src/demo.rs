//! `tollgate demo`: a simulated Courier, a gateway before it, and two applications that use all of
//! it through real sockets. Needs no configuration, account or network.
//!
//! The simulated Courier allows 100 calls in any 5 s and counts by itself. One application goes
//! through every operation at a gentle pace; the other sends as fast as it is let, and after a
//! window the first must not notice. Beside it the same is done without a gateway, and counted. The admin port is
//! served, so that the page and the commands of operators can be tried. With faults the simulated
//! Courier also loses connections and answers, before and after it has acted: every send must be
//! accepted all the same, and none be made twice.

mod board;
mod client;
mod direct;
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
use crate::units::Span;
use board::DemoApp;
use client::DemoClient;
use direct::Direct;
use summary::{Counted, Sends, Summary};

/// The applications of the demo; both belong to the tenant `acme`.
const APPS: [&str; 2] = ["billing", "newsletter"];

/// The key of the operator.
const OPERATOR: &str = "operator";

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

/// How the demo is run.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// How long to run, such as 20s; without it the demo runs until Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = span)]
    r#for: Option<Span>,
    /// Make the simulated Courier lose connections and answers, before and after it has acted.
    #[arg(long)]
    faults: bool,
    /// The gateway's port; metrics, the page and the simulated Courier take the three after it. With
    /// 0 all of them are free ones.
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(..=65_532))]
    port: u16,
    /// Run so many gateways that share the quota through a local redis-server; one is killed on the
    /// way, and another one joins.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=8), conflicts_with_all = ["faults", "port"])]
    replicas: Option<u8>,
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned())
}

/// Runs the demo.
#[must_use]
pub fn run(args: &DemoArgs) -> ExitCode {
    let time = args.r#for.map(Span::get);
    if let Some(replicas) = args.replicas {
        return fleet::run(time, replicas.into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(demo(time, args.faults, args.port))) {
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

/// The keys of a run.
struct DemoKeys {
    apps: [NewKey; 2],
    operator: NewKey,
}

async fn demo(time: Option<Duration>, faults: bool, port: u16) -> io::Result<Summary> {
    let vendor = listen(if port == 0 { 0 } else { port + 3 }).await?;
    let address = vendor.local_addr()?.to_string();
    let courier = Server::new(options(faults));
    // It outlives the traffic: the runtime ends it.
    tokio::spawn(courier.clone().serve(vendor, std::future::pending()));
    let token = TokenFile::write()?;
    let key = |id| NewKey::generate(&key_id(id));
    let keys = DemoKeys { apps: APPS.map(key), operator: key(OPERATOR) };
    let config = Config::parse(&configuration(&address, &token, &keys, port)).map_err(|found| {
        let all: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        io::Error::other(all.join("; "))
    })?;
    let gateway = Gateway::start(config, AccessLog::none()).await.map_err(taken)?;
    say(&welcome(&gateway, &address, &keys, faults));
    let apps = APPS.map(|app| Arc::new(DemoApp::new(app)));
    let saved = Arc::new(AtomicU64::new(0));
    let [modest, noisy] =
        keys.apps.map(|key| DemoClient::new(gateway.data, key.text, saved.clone()));
    let stop = CancellationToken::new();
    let calling = [
        tokio::spawn(traffic::modest(apps[0].clone(), modest, stop.clone())),
        tokio::spawn(traffic::noisy(apps[1].clone(), noisy, stop.clone())),
    ];
    let direct = Direct::open().await?;
    let calling_direct = direct.call(&stop);
    watch(time, &apps, &direct, &gateway, || refused(&courier)).await;
    stop.cancel();
    say("finishing the calls under way …");
    drop(calling_direct);
    for task in calling {
        task.await.map_err(io::Error::other)?;
    }
    let saved = saved.load(Ordering::Relaxed);
    let left = gateway.shut_down().await;
    let now = courier.now();
    let most = courier.with(|simulator| simulator.largest(now, &token.text, None).worst());
    let vendor = Counted { allowed: CALLS, most, refused: refused(&courier) };
    let sends = faults.then(|| survival(&courier, &apps));
    Ok(Summary { apps: apps.into(), vendor, sends, saved, direct: direct.news(), left })
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| taken(format!("cannot listen on 127.0.0.1:{port}: {error}")))
}

fn taken(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{error}; `--port 9180` takes other ports, `--port 0` free ones"))
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
async fn watch(
    time: Option<Duration>,
    apps: &[Arc<DemoApp>],
    direct: &Direct,
    gateway: &Gateway,
    refused: impl Fn() -> u64,
) {
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
            say(&format!(
                "{seconds:>4} s   {}   {:<29}   Courier's 429s: {}   without the gateway: {}",
                news.join("   "),
                waiting(gateway),
                refused(),
                direct.news(),
            ));
        }
    };
    tokio::select! {
        () = end => {}
        () = look => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Who waits, and how long a call of theirs that came now would.
fn waiting(gateway: &Gateway) -> String {
    let view = gateway.state().admission().view();
    let apps = view.iter().flat_map(|connection| &connection.apps);
    let waits = apps.filter(|app| app.waiting > 0).map(|app| {
        let time = app.wait_ms.map_or_else(|| "too long".to_owned(), seconds);
        format!("{} of {} wait {time}", app.waiting, app.app)
    });
    let waits: Vec<String> = waits.collect();
    if waits.is_empty() { "nobody waits".into() } else { waits.join(", ") }
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", Duration::from_millis(millis).as_secs_f64())
}

fn key_id(app: &str) -> KeyId {
    KeyId::try_from(app.to_owned()).expect("the demo's names are words of a-z")
}

/// The same file that a user would write.
fn configuration(vendor: &str, token: &TokenFile, keys: &DemoKeys, port: u16) -> String {
    let [data, ops, admin] = [0, 1, 2].map(|more| if port == 0 { 0 } else { port + more });
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{data}\"\n\
         [ops]\nlisten = \"127.0.0.1:{ops}\"\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n\
         keys = [{{ id = \"{OPERATOR}\", sha256 = \"{}\", rights = \"change\" }}]\n\
         [vendor]\nbase_url = \"http://{vendor}\"\nhard_limit = \"3s\"\nfirst_byte = \"3s\"\n\
         [quota]\ncalls = {CALLS}\nwindow = \"{}s\"\nbulk_floor = 20\nmax_wait = \"10s\"\n\
         [[tenant]]\nid = \"acme\"\n\
         [[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n",
        keys.operator.sha256,
        WINDOW.as_secs(),
        token.path.display()
    );
    for (app, key) in APPS.iter().zip(&keys.apps) {
        let sha256 = &key.sha256;
        text += &format!(
            "[[tenant.app]]\nid = \"{app}\"\nkeys = [{{ id = \"{app}\", sha256 = \"{sha256}\" }}]\n"
        );
    }
    text
}

fn welcome(gateway: &Gateway, vendor: &str, keys: &DemoKeys, faults: bool) -> String {
    let (data, ops) = (gateway.data, gateway.ops);
    let admin = gateway.admin.map_or_else(String::new, |admin| admin.to_string());
    let (key, operator) = (&keys.apps[0].text, &keys.operator.text);
    let mood = if faults { ", which loses one send in seven" } else { "" };
    format!(
        "Tollgate demo: two applications share {CALLS} calls in any {} s of a simulated Courier{mood}.

  the page   http://{admin}/   key: {operator}
  gateway    http://{data}
  metrics    http://{ops}/metrics   health http://{ops}/readyz
  simulator  http://{vendor}   what arrived: http://{vendor}/__admin/requests

Try it (the key was made for this run):

  curl -s http://{data}/brands -H 'Authorization: Bearer {key}'

See who waits, and change it (the page does the same):

  export TOLLGATE_ADMIN={admin} TOLLGATE_ADMIN_KEY={operator}
  tollgate top
  tollgate pause newsletter --for 30s --because 'to see what happens'

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
