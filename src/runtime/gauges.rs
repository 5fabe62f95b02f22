//! The page of metrics. Figures that are not counted call by call are read when somebody asks.

use std::collections::HashMap;
use std::sync::PoisonError;

use super::State;
use crate::admission::{AppFigures, Figures, LaneFigures, PoolFigures};
use crate::catalog::CONNECTION_POOL;
use crate::clock::{self, Instant};
use crate::config::{Config, Tenant};
use crate::ids::{ConnectionId, TenantId};
use crate::quota::LoanState;
use crate::telemetry::exposition::ExpositionFormat;
use crate::telemetry::metrics::{AppRow, KeyEnd, Labels, Metrics, Value, of, unix};
use crate::tls;

/// The tenant of each connection, which labels need.
pub(super) type Owners = HashMap<ConnectionId, TenantId>;

/// Tells `metrics` about a configuration that is in use from now on.
pub(super) fn take_over(config: &Config, metrics: &Metrics) -> Owners {
    let tenants = &config.settings.tenant;
    metrics.name_apps(&tenants.iter().flat_map(apps).collect::<Vec<_>>());
    metrics.show_key_ends(key_ends(config));
    config.tokens.keys().for_each(|connection| {
        metrics.token_loaded(connection);
        metrics.begin_connection(connection);
    });
    let (catalog, cache) = (&config.catalog, &config.settings.cache);
    for row in catalog.operations().iter().chain([catalog.unlisted()]) {
        metrics.begin_operation(row, row.share || cache.keeps(row), config.store.is_some());
    }
    let ports = [("data", &config.tls), ("admin", &config.admin_tls)];
    let expires = |tls: &Option<tls::Server>| tls.as_ref().map(tls::Server::expires);
    metrics.certificates(ports.map(|(port, tls)| (port, expires(tls))));
    metrics.config_loaded.set(unix(clock::wall()));
    let owned = |tenant: &Tenant| {
        let tenant_id = tenant.id.clone();
        let ids: Vec<_> = tenant.connection.iter().map(|c| c.id.clone()).collect();
        ids.into_iter().map(move |id| (id, tenant_id.clone()))
    };
    tenants.iter().flat_map(owned).collect()
}

fn apps(tenant: &Tenant) -> impl Iterator<Item = AppRow> + '_ {
    tenant.app.iter().map(|app| AppRow {
        tenant: tenant.id.clone(),
        app: app.id.clone(),
        // If one key never expires, the app has no expiry.
        keys_end: app
            .keys
            .iter()
            .map(|key| key.expires.map(|end| end.0))
            .collect::<Option<Vec<_>>>()
            .and_then(|ends| ends.into_iter().max()),
    })
}

fn key_ends(config: &Config) -> Vec<KeyEnd> {
    let apps = config.keys.rows().into_iter().filter_map(|row| {
        let app = Some((row.holder.tenant.clone(), row.holder.id.clone()));
        Some(KeyEnd { id: row.key.id.clone(), app, end: row.key.expires? })
    });
    let operators = config.admin.rows().into_iter().filter_map(|row| {
        Some(KeyEnd { id: row.key.id.clone(), app: None, end: row.key.expires? })
    });
    apps.chain(operators).collect()
}

impl State {
    /// The page of metrics, as it is now.
    pub async fn metrics_page(&self, format: ExpositionFormat) -> String {
        let kept = self.cache().bytes().await;
        // Gauges are emptied and filled again. A second reader must not see them half filled.
        let _alone = self.0.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics().cache_bytes.set(whole(kept));
        self.read_gauges();
        format.write(self.metrics().page())
    }

    fn read_gauges(&self) {
        let metrics = self.metrics();
        self.read_quotas();
        self.read_hosts();
        metrics.show_tokens(self.0.owners.load().keys());
        metrics.token_given_up.clear();
        metrics.token_unreadable.clear();
        for (connection, page) in self.tokens().pages() {
            let labels = Labels([of(&connection)]);
            metrics.token_given_up.get_or_create(&labels).set(page.given_up.into());
            metrics.token_unreadable.get_or_create(&labels).set(page.unreadable.into());
        }
        metrics.retry_budget.clear();
        for (connection, left) in self.retries().left(Instant::now()) {
            for (kind, left) in ["plain", "keyed"].into_iter().zip(left) {
                let labels = Labels([of(&connection), ("kind", Value::Word(kind))]);
                metrics.retry_budget.get_or_create(&labels).set(whole(left));
            }
        }
        metrics.flights.set(whole(self.flights().len() as u64));
        metrics.upload_bytes.set(whole(self.uploads().octets() as u64));
        metrics.ready.set(self.unready().is_none().into());
        for (kind, files) in self.unwritten() {
            let kind = Labels([("kind", Value::Word(kind))]);
            metrics.unwritten.get_or_create(&kind).set(whole(files as u64));
        }
        let dropped = self.0.telemetry.access.dropped();
        metrics.lines_dropped.inc_by(dropped.saturating_sub(metrics.lines_dropped.get()));
        metrics.read_process();
    }

    fn read_hosts(&self) {
        let metrics = self.metrics();
        metrics.host_down.clear();
        metrics.vendor_sockets.clear();
        let vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, authority), breaker) in &vendor.breakers {
            let labels = Labels([("host", Value::id(authority.as_str()))]);
            metrics.host_down.get_or_create(&labels).inc_by(breaker.is_open().into());
        }
        for ((_, authority), host) in &vendor.hosts {
            let labels = Labels([("host", Value::id(authority.as_str()))]);
            let sockets = whole(host.sockets() as u64);
            metrics.vendor_sockets.get_or_create(&labels).inc_by(sockets);
        }
    }

    fn read_quotas(&self) {
        let metrics = self.metrics();
        metrics.queue_length.clear();
        metrics.slots.clear();
        metrics.limit.clear();
        metrics.window.clear();
        metrics.closed.clear();
        metrics.pace.clear();
        metrics.app_waiting.clear();
        metrics.app_slots.clear();
        metrics.loans.clear();
        if self.store().is_some() {
            for state in LoanState::ALL {
                let state = Labels([("state", Value::Word(state.as_str()))]);
                metrics.loans.get_or_create(&state).set(0);
            }
        }
        let owners = self.0.owners.load();
        for Figures { workspace, pools, lanes, apps } in self.0.admission.figures() {
            let alone = lanes.first().filter(|_| !lanes.iter().any(differs(&lanes)));
            let shared = match alone {
                Some(lane) => of(&lane.connection),
                None => ("connection", Value::id(&format!("workspace/{workspace}"))),
            };
            pools.iter().for_each(|pool| show_pool(metrics, pool, &shared));
            for loan in pools.iter().filter_map(|pool| pool.loan) {
                let state = Labels([("state", Value::Word(loan.as_str()))]);
                metrics.loans.get_or_create(&state).inc();
            }
            lanes.iter().for_each(|lane| show_lane(metrics, lane));
            for app in &apps {
                if let Some(tenant) = owners.get(&app.connection) {
                    show_app(metrics, tenant, app);
                }
            }
        }
    }
}

/// Whether a lane belongs to another connection than the first of `lanes`.
fn differs(lanes: &[LaneFigures]) -> impl Fn(&LaneFigures) -> bool + '_ {
    move |lane| lanes.first().is_some_and(|first| first.connection != lane.connection)
}

/// Shows a connection's own pool, or a named pool under the label `shared`.
fn show_pool(metrics: &Metrics, pool: &PoolFigures, shared: &(&'static str, Value)) {
    let (connection, name) = match &pool.owner {
        Some(owner) => (of(owner), Value::Word(CONNECTION_POOL)),
        None => (shared.clone(), Value::id(&pool.name)),
    };
    let labels = Labels([connection.clone(), ("pool", name.clone())]);
    let slots = &pool.slots;
    metrics.limit.get_or_create(&labels).set(slots.limit.into());
    metrics.window.get_or_create(&labels).set(pool.window.as_secs_f64());
    metrics.closed.get_or_create(&labels).set(pool.closed.as_secs_f64());
    for (state, count) in
        [("free", slots.free), ("in_use", slots.in_use), ("resting", slots.resting)]
    {
        let state = ("state", Value::Word(state));
        let labels = Labels([connection.clone(), ("pool", name.clone()), state]);
        metrics.slots.get_or_create(&labels).set(count.into());
    }
}

fn show_lane(metrics: &Metrics, lane: &LaneFigures) {
    let labels = Labels([of(&lane.connection), ("lane", Value::Word(lane.lane.as_str()))]);
    metrics.queue_length.get_or_create(&labels).set(lane.waiting.into());
    let pace = lane.pace.unwrap_or_default();
    metrics.pace.get_or_create(&labels).set(pace.as_secs_f64());
}

fn show_app(metrics: &Metrics, tenant: &TenantId, app: &AppFigures) {
    let Labels([tenant, name]) = metrics.app_labels(tenant, &app.app);
    let lane = ("lane", Value::Word(app.lane.as_str()));
    let labels = Labels([tenant, name, of(&app.connection), lane]);
    // Added up, since several apps may share one name.
    metrics.app_waiting.get_or_create(&labels).inc_by(app.calls.waiting.into());
    metrics.app_slots.get_or_create(&labels).inc_by(app.calls.held.into());
}

fn whole(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}
