//! Puts together what the live views show: figures of the quotas, of finished calls and of the
//! vendor's side, as they are now.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::{MissedTickBehavior, interval};

use super::State;
use super::facts::{self, ConfigurationFacts};
use super::loading::Loading;
use crate::admission::Outlook;
use crate::clock;
use crate::config::Config;
use crate::credentials::TokenState;
use crate::ids::ConnectionId;
use crate::live::documents::{
    ConnectionOverview, LaneWaits, Overview, ReplicasView, SlotCounts, Slow, TenantApp, epoch_ms,
    ms,
};
use crate::live::words::{Situation, words};
use crate::live::{Feed, History, Recorder};
use crate::overrides::{OverrideView, wall_ms};

/// Apps of a connection that the overview shows.
const APPS: usize = 20;
/// Apps that it shows in all: it is sent once a second, to many.
const ALL_APPS: usize = 2000;

/// What is kept for the live views.
pub(super) struct Live {
    pub(super) recorder: Arc<Recorder>,
    feed: Feed,
    pub(super) facts: ArcSwap<ConfigurationFacts>,
    pub(super) loading: Loading,
    started_at: SystemTime,
}

impl Live {
    pub(super) fn new(config: &Config) -> Self {
        let recorder = Arc::new(Recorder::default());
        recorder.keep(facts::known(config));
        Self {
            recorder,
            feed: Feed::default(),
            facts: ArcSwap::from_pointee(ConfigurationFacts::of(config)),
            loading: Loading::new(config),
            started_at: clock::wall(),
        }
    }

    /// `config` is in use from now on.
    pub(super) fn take_over(&self, config: &Config) {
        self.recorder.keep(facts::known(config));
        self.facts.store(Arc::new(ConfigurationFacts::of(config)));
        self.loading.loaded(config);
    }
}

impl State {
    /// The seconds that are kept.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.0.live.recorder
    }

    /// Where events come from.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.live.feed
    }

    /// Keeps a second each, and tells those who listen, as long as the state is in use.
    pub(super) fn watch_seconds(&self) {
        let state = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let mut seconds = interval(Duration::from_secs(1));
            seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
            // The first one is over at once.
            seconds.tick().await;
            loop {
                seconds.tick().await;
                let Some(state) = state.upgrade().map(State) else { return };
                state.recorder().tick(&state.admission().meters());
                state.feed().tick(|| state.overview_json());
            }
        });
    }

    /// The overview, as one line of JSON.
    #[must_use]
    pub fn overview_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.overview()).expect("strings, numbers and lists of them are JSON")
    }

    /// The last 15 minutes of a connection, if there is one of that name.
    #[must_use]
    pub fn history(&self, connection: &ConnectionId) -> Option<History> {
        self.recorder().history(connection, epoch_ms(clock::wall()))
    }

    /// All of it at a glance.
    #[must_use]
    pub fn overview(&self) -> Overview {
        let recorder = self.recorder();
        let rate = |connection: &ConnectionId| recorder.rates(connection).started;
        let connections = self.0.live.facts.load().connections.len();
        let apps = (ALL_APPS / connections.max(1)).clamp(1, APPS);
        let outlook = self.admission().outlook(apps, rate);
        Overview {
            at_ms: epoch_ms(clock::wall()),
            version: env!("CARGO_PKG_VERSION"),
            instance: self.instance().to_string(),
            started_at_ms: epoch_ms(self.0.live.started_at),
            ready: self.unready().map(str::trim_end),
            replicas: self.replicas(),
            connections: outlook.into_iter().map(|one| self.at_a_glance(one)).collect(),
            overrides: self.active_overrides(),
            expiring: self.0.live.facts.load().expiring(),
            slowest: recorder.slowest().into_iter().map(Slow::of).collect(),
        }
    }

    /// Temporary changes that are in force, the newest one first.
    fn active_overrides(&self) -> Vec<OverrideView> {
        let now = wall_ms();
        let all = self.overrides().list(false);
        all.iter().map(|known| OverrideView::of(known, now)).collect()
    }

    /// A connection at a glance.
    fn at_a_glance(&self, outlook: Outlook) -> ConnectionOverview {
        let id = &outlook.connection;
        let tenant = self.tenant_of(id);
        let breaker = self.breaker_of(id);
        let slots = &outlook.slots;
        let wait = outlook.wait;
        let standing = Situation {
            paused: outlook.paused,
            breaker,
            closed: Duration::from_millis(slots.closed_ms),
            limit: slots.calls,
            free: slots.free,
            waiting: [outlook.waiting.interactive, outlook.waiting.bulk],
            wait,
        };
        let named = |app| TenantApp { tenant: tenant.clone(), app };
        ConnectionOverview {
            connection: id.to_string(),
            tenant: tenant.clone(),
            mode: outlook.mode,
            slots: SlotCounts {
                limit: slots.calls,
                in_use: slots.in_use,
                resting: slots.resting,
                free: slots.free,
                window_ms: slots.window_ms,
                closed_ms: slots.closed_ms,
            },
            waiting: outlook.waiting,
            wait_ms: LaneWaits { interactive: wait[0].ms(), bulk: wait[1].ms() },
            rates: self.recorder().rates(id),
            exhausted_in_ms: outlook.exhausted.map(ms),
            words: words(&standing),
            breaker,
            paused: outlook.paused,
            token: self.token_state(id),
            shared: slots.shared,
            apps: outlook.apps.into_iter().map(named).collect(),
            workspace: outlook.workspace,
        }
    }

    /// A connection in one sentence.
    #[must_use]
    pub fn words_of(&self, connection: &ConnectionId) -> String {
        let recorder = self.recorder();
        let all = self.admission().outlook(APPS, |id| recorder.rates(id).started);
        let one = all.into_iter().find(|one| one.connection == *connection);
        one.map_or_else(String::new, |one| self.at_a_glance(one).words)
    }

    /// Whose a connection is.
    #[must_use]
    pub fn tenant_of(&self, connection: &ConnectionId) -> String {
        let facts = self.0.live.facts.load();
        facts.connections.get(connection).map_or_else(String::new, |it| it.tenant.to_string())
    }

    fn breaker_of(&self, connection: &ConnectionId) -> &'static str {
        let facts = self.0.live.facts.load();
        let Some(known) = facts.connections.get(connection) else { return "closed" };
        let vendor = self.0.vendor.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        vendor.breakers.get(&known.host).map_or("closed", |breaker| breaker.standing(connection))
    }

    /// What is known of the token that a connection uses.
    pub(super) fn token_state(&self, connection: &ConnectionId) -> &'static str {
        if self.metrics().token_refused(connection) {
            return TokenState::Refused.as_str();
        }
        let page = self.tokens().page(connection);
        page.map_or(TokenState::Ok, |page| page.state()).as_str()
    }

    fn replicas(&self) -> Option<ReplicasView> {
        let status = self.store()?.status();
        Some(ReplicasView {
            store: if status.connected { "connected" } else { "away" },
            since_ms: ms(status.since.elapsed()),
        })
    }
}
