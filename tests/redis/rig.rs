//! A store under a configuration, with its metrics and its log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::config::Config;
use tollgate::shared::{SharedStore, Status};
use tollgate::telemetry::metrics::Metrics;
use tracing::subscriber::DefaultGuard;

use crate::servers::Folder;

/// Nothing here takes this long.
const GUARD: Duration = Duration::from_secs(40);

pub struct Rig {
    pub store: SharedStore,
    metrics: Arc<Metrics>,
    log: Log,
    _heard: DefaultGuard,
    _folder: Folder,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Rig {
    /// The store of the lines `shared` below `[shared]`.
    pub fn new(shared: &str) -> Self {
        let folder = Folder::new();
        let token = folder.write("token", "tok-1");
        let text = format!(
            "[[tenant]]\nid = \"acme\"\n[[tenant.connection]]\nid = \"acme-prod\"\ntoken = {{ file = '{}' }}\n[shared]\n{shared}\n",
            token.display()
        );
        let config = Config::parse(&text).unwrap_or_else(|found| panic!("{:?}", found.problems));
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let heard = tracing::subscriber::set_default(subscriber);
        let metrics = Arc::new(Metrics::default());
        let store = SharedStore::open(config.store.unwrap(), &metrics);
        Self { store, metrics, log, _heard: heard, _folder: folder }
    }

    /// The same, once it is connected.
    pub async fn connected(shared: &str) -> Self {
        let rig = Self::new(shared);
        rig.comes().await;
        rig
    }

    pub async fn comes(&self) {
        self.becomes(|status| status.connected).await;
    }

    /// Waits until it is away, and says why.
    pub async fn goes(&self) -> String {
        let away = |status: &Status| !status.connected && status.cause.is_some();
        self.becomes(away).await.cause.unwrap().to_string()
    }

    pub async fn becomes(&self, fits: impl FnMut(&Status) -> bool) -> Status {
        let becomes = tokio::time::timeout(GUARD, self.store.becomes(fits)).await;
        becomes.unwrap_or_else(|_| panic!("it stays {:?}", self.store.status()))
    }

    /// The value of a series, by the beginning of its line.
    pub fn metric(&self, series: &str) -> f64 {
        let page = self.metrics.page();
        let line = page.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or_else(|| panic!("{series} is missing"))
    }

    /// All that was logged.
    pub fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// How many lines of the log have `words`.
    pub fn said(&self, words: &str) -> usize {
        self.log().lines().filter(|line| line.contains(words)).count()
    }
}
