//! Hears of every finished call, and keeps the seconds of each connection.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::arrivals::ArrivalSecond;
use super::ring::{History, Rates};
use super::slowest::{SlowCall, Slowest};
use super::tally::{AppTimes, HostTally, HostTimes, Tally};
use super::under_way::{OpenCall, OpenCalls};
use crate::admission::ConnectionMeter;
use crate::catalog::Lane;
use crate::clock::Instant;
use crate::ids::{AppId, ConnectionId};
use crate::record::{Cached, Marks, Observer, Record};
use crate::telemetry::metrics::is_rule;

/// See the top of `live.rs`.
#[derive(Default)]
pub struct Recorder {
    /// The connections of the configuration, and nobody else: so it can't grow.
    known: ArcSwap<HashMap<ConnectionId, Known>>,
    slowest: Slowest,
    open: OpenCalls,
    /// Seconds since the start.
    seconds: AtomicU64,
}

#[derive(Clone)]
struct Known {
    tally: Arc<Tally>,
    host: Arc<HostTally>,
    name: Arc<str>,
}

/// A connection of the configuration.
pub struct KnownConnection {
    /// Its name.
    pub id: ConnectionId,
    /// Its apps.
    pub apps: HashSet<AppId>,
    /// The host that it calls.
    pub host: Arc<str>,
}

impl Recorder {
    /// From now on these are the connections. What was kept of one that stays is kept.
    pub fn keep(&self, connections: Vec<KnownConnection>) {
        let before = self.known.load();
        let mut hosts: HashMap<Arc<str>, Arc<HostTally>> =
            before.values().map(|known| (known.name.clone(), known.host.clone())).collect();
        let known = connections.into_iter().map(|KnownConnection { id, apps, host }| {
            let tally = before.get(&id).map(|known| known.tally.clone()).unwrap_or_default();
            tally.apps.rcu(|all| {
                let mut all = HashMap::clone(all);
                all.retain(|app, _| apps.contains(app));
                all
            });
            let name = host.clone();
            let host = hosts.entry(host).or_default().clone();
            (id, Known { tally, host, name })
        });
        self.known.store(Arc::new(known.collect()));
    }

    /// A second is over, and the quotas stand like this.
    pub fn tick(&self, meters: &[ConnectionMeter]) {
        let known = self.known.load();
        for meter in meters {
            if let Some(known) = known.get(&meter.connection) {
                known.tally.tick(meter);
            }
        }
        let seconds = self.seconds.fetch_add(1, Ordering::Relaxed) + 1;
        if seconds.is_multiple_of(10) {
            for known in known.values() {
                known.tally.apps.load().values().for_each(|app| app.turn_refused());
            }
        }
        if seconds.is_multiple_of(60) {
            self.slowest.turn();
            let mut turned = HashSet::new();
            for Known { tally, host, .. } in known.values() {
                tally.apps.load().values().for_each(|app| app.waits.turn());
                if turned.insert(Arc::as_ptr(host)) {
                    host.turn();
                }
            }
        }
    }

    /// The means of a connection's last minute.
    #[must_use]
    pub fn rates(&self, connection: &ConnectionId) -> Rates {
        let known = self.known.load();
        known
            .get(connection)
            .map(|known| known.tally.read(super::ring::SecondRing::rates))
            .unwrap_or_default()
    }

    /// The last 15 minutes of a connection, the last of which ended at `now_ms`.
    #[must_use]
    pub fn history(&self, connection: &ConnectionId, now_ms: u64) -> Option<History> {
        let known = self.known.load();
        let tally = &known.get(connection)?.tally;
        Some(tally.read(|ring| ring.columns(connection.to_string(), now_ms)))
    }

    /// The calls of the last hour that came to the quota of a connection, and the beginning of their
    /// seconds.
    #[must_use]
    pub fn hour(&self, connection: &ConnectionId) -> Option<(Vec<ArrivalSecond>, Instant)> {
        Some(self.known.load().get(connection)?.tally.arrivals.hour())
    }

    /// How long the host of a connection usually takes to answer.
    #[must_use]
    pub fn latency(&self, connection: &ConnectionId) -> Option<Duration> {
        let known = self.known.load();
        let times = known.get(connection)?.host.times();
        times.latency_ms.p50.map(Duration::from_millis)
    }

    /// How the calls of an app fared on a connection, in the last minutes.
    #[must_use]
    pub fn app(&self, connection: &ConnectionId, app: &AppId) -> AppTimes {
        let known = self.known.load();
        let apps = known.get(connection).map(|known| known.tally.apps.load());
        apps.and_then(|apps| Some(apps.get(app)?.times())).unwrap_or_default()
    }

    /// How each host answered in the last minutes, by its name.
    #[must_use]
    pub fn hosts(&self) -> std::collections::BTreeMap<Arc<str>, HostTimes> {
        let known = self.known.load();
        let mut hosts = std::collections::BTreeMap::new();
        for Known { name, host, .. } in known.values() {
            hosts.entry(name.clone()).or_insert_with(|| host.times());
        }
        hosts
    }

    /// The slowest calls of the last 15 minutes, the slowest first.
    #[must_use]
    pub fn slowest(&self) -> Vec<SlowCall> {
        self.slowest.all()
    }

    /// The calls of apps that are under way, at most 1,000, the oldest first.
    #[must_use]
    pub fn under_way(&self) -> Vec<OpenCall> {
        self.open.list()
    }

    /// Bytes of the seconds that are kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.known
            .load()
            .values()
            .map(|known| known.tally.read(super::ring::SecondRing::bytes))
            .sum()
    }
}

impl Observer for Recorder {
    fn opened(&self, record: &Arc<Record>) {
        self.open.opened(record);
    }

    fn finished(&self, record: &Record, marks: &Marks) {
        self.open.ended(record.call_id);
        self.slowest.note(record, marks);
        let Some(connection) = &marks.caller.connection else { return };
        let known = self.known.load();
        // A call of an earlier configuration.
        let Some(Known { tally, host, .. }) = known.get(connection) else { return };
        let refused = marks.code.is_some_and(is_rule);
        if refused {
            tally.refused.fetch_add(1, Ordering::Relaxed);
        }
        let mut tried = false;
        for (attempt, took) in marks.timeline.answers(record.started) {
            tried = true;
            let status = attempt.status.map(|status| status.as_u16());
            if status == Some(429) {
                tally.vendor_429.fetch_add(1, Ordering::Relaxed);
            }
            host.note(took, status);
        }
        if !tried && marks.cached.is_some_and(Cached::saves_quota) {
            tally.saved.fetch_add(1, Ordering::Relaxed);
        }
        // What never asked for a turn did not wait for one.
        let waits = marks.timeline.waits();
        if let Some(app) = marks.caller.app.as_ref().filter(|_| !waits.is_empty()) {
            let length =
                |wait: &crate::record::Wait| wait.left.saturating_duration_since(wait.entered);
            if let (Some(first), Some(row)) = (waits.iter().next(), &marks.operation) {
                let bulk = row.lane == Some(Lane::Bulk);
                tally.arrivals.note(first.entered, app, bulk, row.own_cost());
            }
            tally.app(app).note(waits.iter().map(length).sum::<Duration>(), refused);
        }
    }
}
