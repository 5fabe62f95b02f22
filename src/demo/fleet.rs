//! `tollgate demo --replicas N`: several gateways, as processes of their own, share one quota
//! through a Redis on this machine. One is killed on the way, and another one joins.

mod processes;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use simulator::Server;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::DemoClient;
use super::{CALLS, LOOK, TokenFile, WINDOW, key_id, options, refused};
use crate::clock::Instant;
use crate::identity::NewKey;
use crate::terminal::{complain, say};
use processes::{GatewayProcess, Redis};

/// How long it runs unless somebody says it.
const TIME: Duration = Duration::from_secs(40);
/// Calls that are always under way at each replica.
const AT_ONCE: usize = 12;
/// An application that was refused comes back after this, or when it was told to.
const AGAIN: Duration = Duration::from_millis(200);
/// The one application.
const APP: &str = "billing";

/// One replica, as the demo sees it: its process while it runs, and its calls that came right.
struct Seat {
    name: String,
    process: Mutex<Option<GatewayProcess>>,
    right: AtomicU64,
    /// Those that were told before.
    told: AtomicU64,
    calling: CancellationToken,
}

/// What is the same for all replicas.
struct Common {
    text: String,
    key: String,
    courier: Server,
    token: TokenFile,
}

/// Runs the demo with `replicas` of them for `time`.
pub(super) fn run(time: Option<Duration>, replicas: usize) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(demo(time.unwrap_or(TIME), replicas))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("the demo could not run: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn demo(time: Duration, replicas: usize) -> io::Result<bool> {
    let redis = Redis::start()?;
    let vendor = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = vendor.local_addr()?;
    let courier = Server::new(options(false));
    tokio::spawn(courier.clone().serve(vendor, std::future::pending()));
    let (token, key) = (TokenFile::write()?, NewKey::generate(&key_id(APP)));
    let text = configuration(address, redis.port(), &token, &key);
    let common = Common { text, key: key.text, courier, token };
    let mut calling = JoinSet::new();
    let mut seats = Vec::new();
    for number in 1..=replicas {
        seats.push(common.join(number, &mut calling).await?);
    }
    say(&welcome(replicas, address, redis.port()));
    let start = Instant::now();
    let third = time / 3;
    common.watch(&seats, start, third).await;
    if let Some(first) = seats.first() {
        say(&format!(
            "       {} is killed: its slots come back when its lease is over",
            first.name
        ));
        first.end();
    }
    common.watch(&seats, start, third * 2).await;
    say(&format!("       replica {} joins", replicas + 1));
    seats.push(common.join(replicas + 1, &mut calling).await?);
    common.watch(&seats, start, time).await;
    say("finishing…");
    seats.iter().for_each(|seat| seat.calling.cancel());
    calling.join_all().await;
    Ok(common.sum_up(&seats, start.elapsed()))
}

impl Common {
    /// A further replica, with applications that call it.
    async fn join(&self, number: usize, calling: &mut JoinSet<()>) -> io::Result<Arc<Seat>> {
        let process = GatewayProcess::start(&self.text).await?;
        let seat = Arc::new(Seat {
            name: format!("replica {number}"),
            right: AtomicU64::new(0),
            told: AtomicU64::new(0),
            calling: CancellationToken::new(),
            process: Mutex::default(),
        });
        for _ in 0..AT_ONCE {
            let client = DemoClient::new(process.data, self.key.clone(), Arc::default());
            calling.spawn(seat.clone().call(client));
        }
        *seat.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(seat)
    }

    /// Tells how it goes until `end` from the start.
    async fn watch(&self, seats: &[Arc<Seat>], start: Instant, end: Duration) {
        while start.elapsed() < end {
            let next = (Instant::now() + LOOK).min(start + end);
            tokio::time::sleep_until(next).await;
            let news: Vec<String> = seats.iter().map(|seat| seat.news()).collect();
            let (seconds, refused) = (start.elapsed().as_secs(), refused(&self.courier));
            say(&format!("{seconds:>4} s   {}   Courier's 429s: {refused}", news.join("   ")));
        }
    }

    /// What Courier saw; true if it was within its quota.
    fn sum_up(&self, seats: &[Arc<Seat>], time: Duration) -> bool {
        let now = self.courier.now();
        let most = self.courier.with(|all| all.largest(now, &self.token.text, None).worst());
        let refused = refused(&self.courier);
        say("");
        for seat in seats {
            say(&format!("{:>12}: {} calls", seat.name, seat.right.load(Ordering::Relaxed)));
        }
        let right: u64 = seats.iter().map(|seat| seat.right.load(Ordering::Relaxed)).sum();
        let windows = time.as_secs_f64() / WINDOW.as_secs_f64();
        say(&format!(
            "     Courier: at most {most:.0} calls in any {} s, of {CALLS}; {refused} refused (429); {:.0} in each such time",
            WINDOW.as_secs(),
            f64::from(u32::try_from(right).unwrap_or(u32::MAX)) / windows
        ));
        most <= f64::from(CALLS) && refused == 0 && right > 0
    }
}

impl Seat {
    /// Calls until somebody says that it is enough.
    async fn call(self: Arc<Self>, client: DemoClient) {
        while !self.calling.is_cancelled() {
            let answer = client.call("GET", "/messages", String::new()).await;
            if answer.is_ok_and(|(status, _)| status.is_success()) {
                self.right.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            tokio::select! {
                () = self.calling.cancelled() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Kills its process.
    fn end(&self) {
        self.calling.cancel();
        drop(self.process.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn news(&self) -> String {
        let right = self.right.load(Ordering::Relaxed);
        let new = right - self.told.swap(right, Ordering::Relaxed);
        let runs = self.process.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if runs {
            format!("{} {new:>3} calls", self.name)
        } else {
            format!("{} is gone", self.name)
        }
    }
}

fn configuration(vendor: SocketAddr, redis: u16, token: &TokenFile, key: &NewKey) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n\
         [ops]\nlisten = \"127.0.0.1:0\"\n\
         [vendor]\nbase_url = \"http://{vendor}\"\nhard_limit = \"3s\"\nfirst_byte = \"3s\"\n\
         [state]\nassume = \"fresh\"\n\
         [shared]\nredis = \"redis://127.0.0.1:{redis}\"\nlease = \"3s\"\ntimeout = \"500ms\"\n\
         [quota]\ncalls = {CALLS}\nwindow = \"{}s\"\n\
         [[tenant]]\nid = \"acme\"\n\
         [[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n\
         [[tenant.app]]\nid = \"{APP}\"\nkeys = [{{ id = \"{APP}\", sha256 = \"{}\" }}]\n",
        WINDOW.as_secs(),
        token.path.display(),
        key.sha256
    )
}

fn welcome(replicas: usize, vendor: SocketAddr, redis: u16) -> String {
    format!(
        "Tollgate demo: {replicas} gateways share {CALLS} calls in any {} s of a simulated Courier.

  redis      redis://127.0.0.1:{redis}
  simulator  http://{vendor}   what arrived: http://{vendor}/__admin/requests
",
        WINDOW.as_secs()
    )
}
