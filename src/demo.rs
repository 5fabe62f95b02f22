//! `tollgate demo`: a simulated Courier, a gateway before it, and two applications that use all of
//! it through real sockets. Needs no configuration, account or network.

mod client;
mod scenario;
mod summary;
mod traffic;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::Gateway;
use crate::config::Config;
use crate::identity::NewKey;
use crate::ids::{KeyId, RandomId};
use crate::telemetry::logs::AccessLog;
use crate::terminal::{complain, say};
use summary::Summary;

/// The applications of the demo; both belong to the tenant `acme`.
const APPS: [&str; 2] = ["billing", "newsletter"];

/// Runs the demo for `time`, or until Ctrl-C.
#[must_use]
pub fn run(time: Option<Duration>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(demo(time))) {
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

async fn demo(time: Option<Duration>) -> io::Result<Summary> {
    let vendor = TcpListener::bind(("127.0.0.1", 0)).await?;
    let vendor_address = vendor.local_addr()?;
    let stop = CancellationToken::new();
    let courier = simulator::Server::new(simulator::Options::default());
    // It outlives the traffic: the runtime ends it.
    tokio::spawn(courier.serve(vendor, std::future::pending()));
    let token = TokenFile::write()?;
    let keys = APPS.map(|app| NewKey::generate(&key_id(app)));
    let text = configuration(&vendor_address.to_string(), &token, &keys);
    let config = Config::parse(&text).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        io::Error::other(all.join("; "))
    })?;
    let gateway = Gateway::start(config, AccessLog::none()).await.map_err(io::Error::other)?;
    say(&welcome(&gateway, &vendor_address.to_string(), &keys[0].text));
    let traffic = APPS.iter().zip(&keys).map(|(app, key)| {
        tokio::spawn(traffic::run(app, gateway.data, key.text.clone(), stop.clone()))
    });
    let traffic: Vec<_> = traffic.collect();
    wait(time).await;
    stop.cancel();
    let mut summary = Summary::default();
    for (app, task) in APPS.iter().zip(traffic) {
        summary.add(app, task.await.map_err(io::Error::other)?);
    }
    summary.drained(gateway.shut_down().await);
    Ok(summary)
}

async fn wait(time: Option<Duration>) {
    let over = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
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
         [vendor]\nbase_url = \"http://{vendor}\"\n\
         [[tenant]]\nid = \"acme\"\n\
         [[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n",
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

fn welcome(gateway: &Gateway, vendor: &str, key: &str) -> String {
    let (data, ops) = (gateway.data, gateway.ops);
    format!(
        "Tollgate demo: two applications call a simulated Courier through the gateway.

  gateway    http://{data}
  metrics    http://{ops}/metrics   health http://{ops}/readyz
  simulator  http://{vendor}   what arrived: http://{vendor}/__admin/requests

Try it (the key was made for this run):

  curl -s http://{data}/brands -H 'Authorization: Bearer {key}'

Courier's own SDKs need two settings, Python and Node alike:

  export COURIER_BASE_URL=http://{data}
  export COURIER_API_KEY={key}
"
    )
}

/// The vendor token of the demo, by reference like any other; removed at the end.
struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    fn write() -> io::Result<Self> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = std::env::temp_dir().join(format!("tollgate-demo-{}", RandomId::new()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "demo-{}", RandomId::new())?;
        Ok(Self { path })
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // Nothing depends on it: the token is worth nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
