//! What is shown of one thing, as JSON.

use serde::Serialize;
use serde_json::Value;

use super::documents::{Expiring, ms};
use super::histogram::Quantiles;
use super::ring::hundredths;
use super::tally::HostTimes;
use crate::admission::{ConnectionView, SlotView};
use crate::record::Cached;

/// A connection and whose it is.
#[derive(Debug, Serialize)]
pub struct TenantConnection {
    /// The connection.
    #[serde(flatten)]
    pub view: ConnectionView,
    /// Its tenant.
    pub tenant: String,
}

/// All of a connection.
#[derive(Debug, Serialize)]
pub struct ConnectionDetail {
    /// The connection.
    #[serde(flatten)]
    pub of: TenantConnection,
    /// How it stands, in one sentence.
    pub words: String,
    /// Its slots, at most [`SLOTS`].
    pub slots: Vec<SlotDetail>,
    /// Its apps.
    pub shares: Vec<AppShare>,
}

/// Slots that are shown of a connection.
pub const SLOTS: usize = 1000;

/// One slot.
#[derive(Debug, Serialize)]
pub struct SlotDetail {
    /// `in-use`, `resting` or `free`.
    pub state: &'static str,
    /// The app that uses it or used it last.
    pub app: Option<String>,
    /// For how long it has been so.
    pub since_ms: Option<u64>,
    /// When it is free again.
    pub free_in_ms: Option<u64>,
}

/// What one app may have and gets.
#[derive(Debug, Serialize)]
pub struct AppShare {
    /// Its tenant.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// Its part of the slots, if it and those that are active want more than there is.
    pub share: f64,
    /// Its weight.
    pub weight: u32,
    /// How long its calls waited, in the last minutes: half of them no longer.
    pub waited_ms_p50: Option<u64>,
    /// 99 of 100 no longer.
    pub waited_ms_p99: Option<u64>,
    /// Its calls that were refused in the last minute.
    pub refused_60s: u64,
}

/// What the cache does.
#[derive(Debug, Default, Serialize)]
pub struct CacheView {
    /// What all copies take.
    pub bytes: u64,
    /// What they may take.
    pub capacity: u64,
    /// Calls that were answered without Courier since the start.
    pub saved_calls: u64,
    /// Calls of rows that are kept.
    pub reads: u64,
    /// The part of them that was answered without Courier.
    pub hit_rate: f64,
    /// The same by operation.
    pub operations: Vec<CachedOperation>,
}

/// What the cache does for one operation.
#[derive(Debug, Serialize)]
pub struct CachedOperation {
    /// The operation.
    pub operation: String,
    /// Answered by a fresh copy.
    pub hits: u64,
    /// Answered by Courier.
    pub misses: u64,
    /// Answered by an old copy in Courier's place.
    pub stale: u64,
    /// Answered with the answer of another call.
    pub joined: u64,
    /// The part that was answered without Courier.
    pub hit_rate: f64,
}

/// The vendor's side.
#[derive(Debug, Serialize)]
pub struct VendorView {
    /// Its hosts.
    pub hosts: Vec<HostView>,
    /// The tokens of the connections.
    pub tokens: Vec<TokenView>,
}

/// A host of the vendor.
#[derive(Debug, Serialize)]
pub struct HostView {
    /// Its name.
    pub host: String,
    /// `closed`, `open` or `probing`.
    pub breaker: &'static str,
    /// Its sockets.
    pub sockets: SocketCounts,
    /// How it answered in the last five minutes.
    #[serde(flatten)]
    pub times: HostTimes,
}

/// Sockets of a host.
#[derive(Debug, Serialize)]
pub struct SocketCounts {
    /// All that are open or being opened.
    pub open: usize,
    /// Those that carry a call, or are being opened for one.
    pub busy: usize,
}

/// The token of a connection.
#[derive(Debug, Serialize)]
pub struct TokenView {
    /// The connection.
    pub connection: String,
    /// `ok`, `refused` or `unreadable`.
    pub state: &'static str,
    /// Where it is.
    pub source: String,
    /// When another one was taken over, if that was since the start.
    pub changed_at_ms: Option<u64>,
}

/// The configuration that is in use.
#[derive(Debug, Serialize)]
pub struct ConfigurationView {
    /// Its file; none where it came from elsewhere.
    pub file: Option<String>,
    /// When it was loaded.
    pub loaded_at_ms: u64,
    /// What it says, defaults included, without secrets.
    pub settings: Value,
    /// What is legal but most likely not meant.
    pub warnings: Vec<String>,
    /// How the last reload ended.
    pub last_reload: Option<ReloadView>,
    /// What expires soon.
    pub expiring: Vec<Expiring>,
}

/// How a reload ended.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadView {
    /// When.
    pub at_ms: u64,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    pub problems: Vec<String>,
}

impl SlotDetail {
    /// The slot as it is shown.
    #[must_use]
    pub fn of(slot: SlotView) -> Self {
        Self {
            state: slot.state,
            app: slot.app.map(|app| app.to_string()),
            since_ms: slot.since.map(ms),
            free_in_ms: slot.free_in.map(ms),
        }
    }
}

impl AppShare {
    /// The apps of a connection of `tenant`; `times` says how long each waited, and how often it was
    /// refused.
    #[must_use]
    pub fn of(
        view: &ConnectionView,
        tenant: &str,
        times: impl Fn(&str) -> (Quantiles, u64),
    ) -> Vec<Self> {
        let active = |waiting: u32, held: u32| waiting + held > 0;
        let all: u64 = view
            .apps
            .iter()
            .filter(|app| active(app.waiting, app.held))
            .map(|app| u64::from(app.weight))
            .sum();
        let share = |app: &crate::admission::AppView| {
            let own = u64::from(app.weight);
            let others = if active(app.waiting, app.held) { all - own } else { all };
            hundredths(part(own, own + others))
        };
        let shares = view.apps.iter().map(|app| {
            let (waits, refused) = times(&app.app);
            Self {
                tenant: tenant.to_owned(),
                app: app.app.clone(),
                share: share(app),
                weight: app.weight,
                waited_ms_p50: waits.p50,
                waited_ms_p99: waits.p99,
                refused_60s: refused,
            }
        });
        shares.collect()
    }
}

impl CacheView {
    /// What `counts` say, which are those of [`Cached::WORDS`] by operation.
    #[must_use]
    pub fn of(
        (bytes, capacity): (u64, u64),
        counts: Vec<(std::sync::Arc<str>, [u64; Cached::WORDS.len()])>,
    ) -> Self {
        let mut all = Self { bytes, capacity, ..Self::default() };
        for (operation, [hits, stale, joined, revalidated, stored, bypass, miss]) in counts {
            let (saved, misses) = (hits + stale + joined, revalidated + stored + bypass + miss);
            all.saved_calls += saved;
            all.reads += saved + misses;
            all.operations.push(CachedOperation {
                operation: operation.to_string(),
                hits,
                misses,
                stale,
                joined,
                hit_rate: hundredths(part(saved, saved + misses)),
            });
        }
        all.hit_rate = hundredths(part(all.saved_calls, all.reads));
        all
    }
}

/// `some` of `all`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "it is shown with two decimals")]
fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{AppView, WaitingCalls};

    fn app(name: &str, weight: u32, waiting: u32, held: u32) -> AppView {
        AppView {
            app: name.into(),
            lane: "interactive",
            weight,
            paused: false,
            waiting,
            held,
            room: 0,
            wait_ms: Some(0),
            ahead: 0,
            bound: None,
            refused: None,
            retry_after_ms: None,
        }
    }

    #[test]
    fn a_share_is_that_of_the_weight_among_the_apps_that_are_active() {
        let view = ConnectionView {
            connection: "acme-prod".into(),
            workspace: "w".into(),
            mode: "enforce",
            pools: Vec::new(),
            waiting: WaitingCalls { interactive: 0, bulk: 0 },
            apps: vec![app("a", 3, 1, 0), app("b", 1, 0, 7), app("idle", 4, 0, 0)],
        };
        let shares = AppShare::of(&view, "acme", |_| (Quantiles::default(), 2));
        let told: Vec<_> = shares.iter().map(|one| (one.app.as_str(), one.share)).collect();
        assert_eq!(told, [("a", 0.75), ("b", 0.25), ("idle", 0.5)], "as if it called, too");
        assert!(shares.iter().all(|one| one.tenant == "acme" && one.refused_60s == 2));
    }

    #[test]
    fn what_the_cache_did_not_save_was_a_miss() {
        let none = CacheView::of((0, 10), Vec::new());
        assert_eq!((none.reads, none.hit_rate.to_string().as_str()), (0, "0"));
        let counts =
            vec![("a.get".into(), [5, 1, 2, 1, 1, 1, 1]), ("b.get".into(), [0, 0, 0, 0, 8, 0, 0])];
        let all = CacheView::of((5, 10), counts);
        let [a, b] = &*all.operations else { panic!("{all:?}") };
        assert_eq!((a.hits, a.stale, a.joined, a.misses), (5, 1, 2, 4));
        assert_eq!((b.misses, a.hit_rate.to_string().as_str()), (8, "0.67"));
        assert_eq!((all.saved_calls, all.reads, all.hit_rate.to_string().as_str()), (8, 20, "0.4"));
    }
}
