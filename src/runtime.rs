//! What outlives a reload, such as vendor sockets, flights, the room for uploads, and telemetry.
//!
//! A [`Pipeline`](crate::pipeline::Pipeline) holds handles to it; [`State::reconfigure`] changes it
//! in place.

mod acts;
mod expiring;
mod facts;
mod gauges;
mod key_ring;
mod live;
mod loading;
mod reloads;
mod reminders;
mod steering;
mod unwritten;
mod vendor;
mod views;
mod whatif;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::admission::{Admission, Desk, SlotStore};
use crate::audit::Audit;
use crate::cache::{Cache, Shelf};
use crate::call::{Room, Uploads};
use crate::config::Config;
use crate::credentials::{TokenBook, TokenState};
use crate::detached::Flights;
use crate::history::Calls;
use crate::idempotency::SendKeys;
use crate::ids::{ConnectionId, RandomId};
use crate::live::Recorder;
use crate::overrides::Overrides;
use crate::record::Observer;
use crate::retry::Budgets;
use crate::revocations::Revocations;
use crate::shared::SharedStore;
use crate::telemetry::{Both, Telemetry};
#[cfg(feature = "testing")]
use crate::upstream::Dial;
use crate::usage::{Usage, UsageReport};
use crate::wiring;
pub use key_ring::KeyFacts;
use key_ring::KeyRing;
pub use reloads::ReloadOrder;
pub use steering::LogLevels;
use steering::Steering;
use vendor::{Dialing, VendorSide, host_limits};

/// A handle; clones share one state.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    instance: Arc<str>,
    flights: Flights,
    telemetry: Arc<Telemetry>,
    usage: Option<Arc<Usage>>,
    /// What replicas share.
    store: Option<SharedStore>,
    /// The state folder, whose slots are not used while a store lends them; it is ours all the same.
    _folder: Option<SlotStore>,
    observer: Arc<dyn Observer>,
    calls: Arc<Calls>,
    audit: Audit,
    ready: AtomicBool,
    /// True once it was logged that the state folder is not the one of the start any more.
    folder_gone: AtomicBool,
    uploads: Uploads,
    admission: Admission,
    overrides: Overrides,
    /// std, not tokio: held while a change is applied, so that one follows the other.
    steering: Mutex<Steering>,
    log_levels: watch::Sender<LogLevels>,
    reloads: reloads::Reloads,
    desk: ArcSwap<Desk>,
    retries: Arc<Budgets>,
    keys: Arc<SendKeys>,
    tokens: TokenBook,
    ring: KeyRing,
    cache: Cache,
    live: live::Live,
    owners: ArcSwap<gauges::Owners>,
    /// std, not tokio: held while a page of metrics is written.
    scrape: Mutex<()>,
    /// std, not tokio: only a reload changes it, and it is read when a pipeline is built.
    vendor: Mutex<VendorSide>,
}

/// Time for giving slots back.
const LEAVING: Duration = Duration::from_secs(2);

impl State {
    /// The state of a gateway that starts with `config`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the state folder can't be used.
    pub fn new(config: &Config, telemetry: Telemetry) -> Result<Self, String> {
        Self::make(config, telemetry, Dialing::Configured)
    }

    /// The same, but with another way to open sockets to the vendor, which no reload changes.
    ///
    /// # Errors
    /// When the state folder can't be used.
    #[cfg(feature = "testing")]
    pub fn with_dial(
        config: &Config,
        telemetry: Telemetry,
        dial: Arc<dyn Dial>,
    ) -> Result<Self, String> {
        Self::make(config, telemetry, Dialing::Given(dial))
    }

    fn make(config: &Config, telemetry: Telemetry, dialing: Dialing) -> Result<Self, String> {
        let open = |dir: std::path::PathBuf| SlotStore::open(&dir, config.settings.state.assume);
        let slots = config.state_dir().map(open).transpose()?;
        let telemetry = Arc::new(telemetry);
        let store = config.store.clone().map(|store| SharedStore::open(store, &telemetry.metrics));
        let (admission, folder) = wiring::admission::admission(config, store.as_ref(), slots)?;
        // This comes after the slots, whose lock keeps other processes out of the folder.
        let keys =
            config.state_dir().map(|dir| SendKeys::open(&dir)).transpose()?.unwrap_or_default();
        let instance: Arc<str> = RandomId::new().to_string().into();
        telemetry.traces.reconfigure(
            wiring::traces::rules(config),
            wiring::traces::collector(config, &instance),
        );
        let (calls, audit) = records(config, &telemetry);
        let usage = config.state_dir().map(|dir| Usage::open(&dir)).transpose()?;
        let live = live::Live::new(config);
        let heard = (calls.clone(), live.recorder.clone());
        let observer = observer(&telemetry, heard, usage.as_ref());
        let owners = gauges::take_over(config, &telemetry.metrics);
        let ring = KeyRing::open(config, store.as_ref())?;
        let overrides = Overrides::open(config.state_dir().as_deref(), store.as_ref());
        let overlay = overrides.overlay();
        let plan = wiring::admission::plan(config);
        let desk = admission.desk(wiring::admission::overlaid(&plan, &overlay))?;
        let cache = Cache::shared(config.settings.cache.capacity.get(), store.as_ref());
        let state = Self(Arc::new(Inner {
            instance,
            flights: Flights::new(),
            usage,
            keys: Arc::new(keys.sharing(store.clone())),
            store,
            _folder: folder,
            calls,
            audit,
            observer,
            telemetry,
            ready: AtomicBool::new(true),
            folder_gone: AtomicBool::new(false),
            uploads: Uploads::new(room(config)),
            desk: ArcSwap::from_pointee(desk),
            admission,
            overrides,
            steering: Mutex::new(Steering::new(plan, config.catalog.clone())),
            log_levels: watch::Sender::default(),
            reloads: reloads::Reloads::default(),
            retries: Arc::default(),
            tokens: TokenBook::default(),
            ring,
            cache,
            live,
            owners: ArcSwap::from_pointee(owners),
            scrape: Mutex::default(),
            vendor: Mutex::new(VendorSide::new(config, dialing)),
        }));
        state.begin(config.state_dir().is_some());
        Ok(state)
    }

    /// Starts what goes on by itself.
    fn begin(&self, has_folder: bool) {
        self.watch_ends();
        if has_folder {
            self.watch_folder();
        }
        self.watch_seconds();
        self.steer();
        self.keep_steering();
    }

    /// Applies what a reload may change. Call it before the new pipeline is built.
    ///
    /// # Errors
    /// The quotas can't become what `config` says while they are in use. Then nothing is changed.
    pub fn reconfigure(&self, config: &Config) -> Result<(), String> {
        self.replan(wiring::admission::plan(config), config.catalog.clone())?;
        self.0.calls.resize(config.settings.admin.calls);
        self.take_keys(config);
        self.0.audit.write_to(config.settings.admin.audit.as_deref());
        self.0.live.take_over(config);
        self.0.owners.store(Arc::new(gauges::take_over(config, self.metrics())));
        self.traces().reconfigure(
            wiring::traces::rules(config),
            wiring::traces::collector(config, self.instance()),
        );
        self.0.uploads.reconfigure(room(config));
        let mut vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        // While the same roots are trusted, earlier TLS sessions can be resumed.
        if !vendor.tls.trusts_as(&config.vendor_tls) {
            vendor.tls = config.vendor_tls.clone();
            vendor.dial = vendor.dialing.by(&config.vendor_tls);
        }
        if vendor.limits == host_limits(config) {
            let dial = vendor.dial.clone();
            vendor.hosts.values().for_each(|host| host.redial(dial.clone()));
        } else {
            // Other limits mean other sockets; calls under way keep theirs.
            vendor.limits = host_limits(config);
            vendor.hosts.clear();
        }
        Ok(())
    }

    /// This gateway's name in `Via`, fresh at each start.
    #[must_use]
    pub fn instance(&self) -> &Arc<str> {
        &self.0.instance
    }

    /// Calls that go on without their callers.
    #[must_use]
    pub fn flights(&self) -> &Flights {
        &self.0.flights
    }

    /// The request bodies that are held.
    #[must_use]
    pub fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// The observer that gets finished records.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<dyn Observer> {
        &self.0.observer
    }

    /// The instruments.
    #[must_use]
    pub fn metrics(&self) -> &Arc<crate::telemetry::metrics::Metrics> {
        &self.0.telemetry.metrics
    }

    /// The last calls, which can be explained.
    #[must_use]
    pub fn calls(&self) -> &Arc<Calls> {
        &self.0.calls
    }

    /// What operators did.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Where spans go.
    #[must_use]
    pub fn traces(&self) -> &crate::telemetry::traces::Traces {
        &self.0.telemetry.traces
    }

    /// The desk where calls meet the quotas.
    #[must_use]
    pub fn desk(&self) -> Arc<Desk> {
        self.0.desk.load_full()
    }

    /// The quotas.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// What operators changed for a time.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        &self.0.overrides
    }

    /// How the tokens stand.
    #[must_use]
    pub fn tokens(&self) -> &TokenBook {
        &self.0.tokens
    }

    /// How the token of each connection stands, and when it took the place of another one.
    #[must_use]
    pub fn token_states(&self) -> Vec<(ConnectionId, TokenState, Option<SystemTime>)> {
        let pages = self.tokens().pages().into_iter();
        pages.map(|(id, page)| (id, page.state(), page.changed_at)).collect()
    }

    /// The revoked keys.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.0.ring.revocations
    }

    /// The memory of idempotency keys.
    #[must_use]
    pub fn keys(&self) -> &Arc<SendKeys> {
        &self.0.keys
    }

    /// The budgets of further attempts.
    #[must_use]
    pub fn retries(&self) -> &Arc<Budgets> {
        &self.0.retries
    }

    /// The shelf of what is kept under `config`.
    #[must_use]
    pub fn shelf(&self, config: &Config) -> Shelf {
        self.0.cache.shelf(wiring::cache::plan(config))
    }

    /// The cache, for purges and bypasses.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// The Redis that replicas share, if there is one.
    #[must_use]
    pub fn store(&self) -> Option<&SharedStore> {
        self.0.store.as_ref()
    }

    /// The usage of the last `days` days; `None` if it is not counted.
    ///
    /// # Errors
    /// Why it can't be read.
    pub async fn usage(&self, days: u32) -> Option<std::io::Result<UsageReport>> {
        let usage = self.0.usage.clone()?;
        // A panic in it is in the log.
        let read = tokio::task::spawn_blocking(move || usage.last(days)).await;
        Some(read.unwrap_or_else(|_| Ok(UsageReport::default())))
    }

    /// Writes the usage that is not in its file yet.
    pub async fn write_usage(&self) {
        if let Some(usage) = &self.0.usage {
            Usage::write_aside(usage.clone()).await;
        }
    }

    /// Gives lent slots back, so that other replicas have them at once. What can't be given back in
    /// time goes to them when the lease is over.
    pub async fn leave(&self) {
        let _ = tokio::time::timeout(LEAVING, self.0.admission.leave()).await;
    }

    /// Marks the memory of slots as whole. Nothing is sent after this.
    pub fn close(&self) {
        self.0.admission.close();
    }

    /// Why the gateway takes no new requests, in one line; `None` if it is ready.
    #[must_use]
    pub fn unready(&self) -> Option<&'static str> {
        if !self.0.ready.load(Ordering::Acquire) {
            Some("draining\n")
        } else if self.store().is_some_and(|store| !store.status().was_connected) {
            Some("waiting for the shared store, without which no call can be made\n")
        } else if !self.0.admission.is_usable() {
            Some("resting: of no connection it is known what was called before the start\n")
        } else {
            None
        }
    }

    /// From now on health checks say that the gateway drains.
    pub fn drain(&self) {
        self.0.ready.store(false, Ordering::Release);
    }
}

/// The last calls, and what operators do.
fn records(config: &Config, telemetry: &Telemetry) -> (Arc<Calls>, Audit) {
    let admin = &config.settings.admin;
    let calls = Arc::new(Calls::default());
    calls.resize(admin.calls);
    let audit = Audit::new(telemetry.metrics.audit_unwritten.clone());
    audit.write_to(admin.audit.as_deref());
    (calls, audit)
}

/// All who hear of finished records.
fn observer(
    telemetry: &Arc<Telemetry>,
    (calls, recorder): (Arc<Calls>, Arc<Recorder>),
    usage: Option<&Arc<Usage>>,
) -> Arc<dyn Observer> {
    let told = Arc::new(Both(Arc::new(Both(telemetry.clone(), calls)), recorder));
    match usage {
        Some(usage) => {
            usage.keep();
            Arc::new(Both(told, usage.clone()))
        }
        None => told,
    }
}

fn room(config: &Config) -> Room {
    let server = &config.settings.server;
    Room {
        total: server.uploads_total.get(),
        body: server.body_size.get(),
        connections: config.base_urls().count(),
    }
}
