//! The same two applications without a gateway, before a simulated Courier of their own. They do
//! what Courier's SDKs do when they are refused: they try twice more, half a second and a second
//! later, and then the call has failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use simulator::Server;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::DemoClient;
use super::traffic::{AT_ONCE, PACE};
use super::{APPS, options};

/// Before each further try.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// What the noisy one sends.
const MESSAGE: &str =
    r#"{"message":{"to":{"user_id":"u1"},"content":{"title":"News","body":"Hello"}}}"#;

/// The calls of one application.
#[derive(Default)]
pub(super) struct DirectApp {
    made: AtomicU64,
    failed: AtomicU64,
}

/// Both applications, and their Courier.
pub(super) struct Direct {
    apps: [Arc<DirectApp>; 2],
    address: SocketAddr,
}

impl Direct {
    /// Starts a simulated Courier for them.
    pub(super) async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        // The runtime ends it.
        tokio::spawn(Server::new(options(false)).serve(listener, std::future::pending()));
        Ok(Self { apps: Default::default(), address })
    }

    /// Calls until `stop`.
    pub(super) fn call(&self, stop: &CancellationToken) -> JoinSet<()> {
        let mut calling = JoinSet::new();
        let client = || DemoClient::new(self.address, "direct".into(), Arc::default());
        let (modest, noisy) = (client(), Arc::new(client()));
        let (app, ends) = (self.apps[0].clone(), stop.clone());
        calling.spawn(async move {
            while !ends.is_cancelled() {
                app.call(&modest, "GET", "/brands", "").await;
                sleep(PACE).await;
            }
        });
        for _ in 0..AT_ONCE {
            let (app, client, ends) = (self.apps[1].clone(), noisy.clone(), stop.clone());
            calling.spawn(async move {
                while !ends.is_cancelled() {
                    app.call(&client, "POST", "/send", MESSAGE).await;
                }
            });
        }
        calling
    }

    /// What became of it so far.
    pub(super) fn news(&self) -> String {
        let each = APPS.iter().zip(&self.apps).map(|(name, app)| {
            let (made, failed) =
                (app.made.load(Ordering::Relaxed), app.failed.load(Ordering::Relaxed));
            format!("{name} {failed} of {made} calls failed")
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

impl DirectApp {
    async fn call(&self, client: &DemoClient, method: &str, path: &str, body: &str) {
        let mut good = false;
        for again in std::iter::once(None).chain(AGAIN.map(Some)) {
            if let Some(pause) = again {
                sleep(pause).await;
            }
            let answer = client.call(method, path, body.to_owned()).await;
            good = answer.is_ok_and(|(status, _)| status.is_success());
            if good {
                break;
            }
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(!good), Ordering::Relaxed);
    }
}
