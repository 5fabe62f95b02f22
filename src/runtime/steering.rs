//! Applies what operators change for a time to a running gateway.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Inner, State};
use crate::admission::{AdmissionPlan, PauseTable};
use crate::audit::Deed;
use crate::breaker::ForcedState;
use crate::catalog::Catalog;
use crate::clock::Instant;
use crate::ids::ConnectionId;
use crate::overrides::{Act, Forced, MOST, Overlay, Override, WallMs, wall_ms};
use crate::telemetry::logs::{Level, Target};
use crate::wiring;

/// The longest time between two looks at what is over: the wall clock may be set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// An operator's levels of log lines.
pub type LogLevels = Vec<(Target, Level)>;

/// What the configuration says, and what stands before it now.
pub(super) struct Steering {
    plan: AdmissionPlan,
    catalog: Arc<Catalog>,
    applied: Overlay,
    /// The purges that were done, by id.
    purged: VecDeque<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Steering {
    pub(super) fn new(plan: AdmissionPlan, catalog: Arc<Catalog>) -> Self {
        let (applied, purged, known) = (Overlay::default(), VecDeque::new(), HashSet::new());
        Self { plan, catalog, applied, purged, known }
    }

    /// What the configuration says.
    pub(super) fn plan(&self) -> &AdmissionPlan {
        &self.plan
    }

    /// The operations.
    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Whether the purge `id` is still to be done.
    fn is_new(&mut self, id: &Arc<str>) -> bool {
        let new = self.known.insert(id.clone());
        if new {
            self.purged.push_back(id.clone());
            if self.purged.len() > 2 * MOST
                && let Some(oldest) = self.purged.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        new
    }
}

impl State {
    /// The configuration asks for `plan` from now on.
    pub(super) fn replan(&self, plan: AdmissionPlan, catalog: Arc<Catalog>) -> Result<(), String> {
        let mut steering = self.0.steering.lock().unwrap_or_else(PoisonError::into_inner);
        let overlaid = wiring::admission::overlaid(&plan, &steering.applied);
        self.0.desk.store(Arc::new(self.0.admission.desk(overlaid)?));
        (steering.plan, steering.catalog) = (plan, catalog);
        Ok(())
    }

    /// Makes everything what the overrides say now. When this returns, it holds.
    pub fn steer(&self) {
        let mut steering = self.0.steering.lock().unwrap_or_else(PoisonError::into_inner);
        self.purge(&mut steering);
        let overlay = self.overrides().overlay();
        if overlay == steering.applied {
            return;
        }
        self.0.admission.pauses().set(pauses(&overlay));
        let plan = wiring::admission::overlaid(&steering.plan, &overlay);
        self.0.admission.steer(&plan, &touched(&plan, [&steering.applied, &overlay]));
        self.0.desk.load().relabel(&plan);
        self.bypass(&steering.applied, &overlay);
        self.force_breakers(&overlay);
        self.0.log_levels.send_replace(overlay.levels.clone());
        steering.applied = overlay;
    }

    /// Says in the audit which of those that `held` are over by themselves. From now on those do
    /// that hold now.
    fn say_over(&self, held: &mut Vec<Override>) {
        let (all, now) = (self.overrides().list(true), wall_ms());
        for before in held.iter().filter(|known| !known.act.is_instant()) {
            let known = all.iter().find(|known| known.id == before.id);
            if known.is_some_and(|known| !known.holds(now) && known.ended.is_none()) {
                self.audit().done(Deed {
                    act: "expired",
                    what: before.act.to_string(),
                    because: before.because.to_string(),
                    after: Some(self.present(&before.act)).filter(|text| !text.is_empty()),
                    ..Deed::default()
                });
            }
        }
        *held = all.into_iter().filter(|known| known.holds(now)).collect();
    }

    /// What an operator made of the levels of log lines.
    #[must_use]
    pub fn log_levels(&self) -> watch::Receiver<LogLevels> {
        self.0.log_levels.subscribe()
    }

    /// Applies changes of other replicas, and ends what is over, to the second.
    pub(super) fn keep_steering(&self) {
        tokio::spawn(keep(Arc::downgrade(&self.0), self.overrides().watch()));
    }

    fn purge(&self, steering: &mut Steering) {
        for known in self.overrides().list(true) {
            let Act::Purge { connection, tag, operation } = &known.act else { continue };
            if !steering.is_new(&known.id) {
                continue;
            }
            let cache = self.cache();
            if let Some(tag) = tag {
                cache.purge_tag(connection, tag);
            }
            if let Some(operation) = operation {
                let row = steering.catalog.all().find(|row| row.id == *operation);
                for tag in row.into_iter().flat_map(|row| &row.reads) {
                    cache.purge_tag(connection, tag);
                }
            }
            if tag.is_none() && operation.is_none() {
                cache.purge_connection(connection);
            }
        }
    }

    fn bypass(&self, before: &Overlay, now: &Overlay) {
        let both = before.connections.keys().chain(now.connections.keys());
        for connection in both.collect::<HashSet<_>>() {
            let of = |overlay: &Overlay| overlay.connections.get(connection)?.bypass;
            if of(before) != of(now) {
                let until = of(now).map_or_else(Instant::now, instant);
                self.cache().bypass(connection, until);
            }
        }
    }

    fn force_breakers(&self, overlay: &Overlay) {
        let forced: HashMap<_, _> = overlay
            .connections
            .iter()
            .filter_map(|(connection, over)| {
                let state = match over.breaker? {
                    (Forced::Open, until) => ForcedState::Open(instant(until)),
                    (Forced::Closed, _) => ForcedState::Closed,
                };
                Some((connection.clone(), state))
            })
            .collect();
        let mut vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        vendor.breakers.values().for_each(|breaker| breaker.force(forced.clone()));
        vendor.forced = forced;
    }
}

/// Applies what changes for as long as the state is in use.
async fn keep(state: Weak<Inner>, mut changes: watch::Receiver<u64>) {
    let mut held = Vec::new();
    while let Some(state) = state.upgrade().map(State) {
        state.steer();
        state.say_over(&mut held);
        state.overrides().write_again().await;
        let wait = state.overrides().next_end();
        drop(state);
        match wait {
            // One more: what is left of a millisecond is over then.
            Some(wait) => {
                let wait = (wait + Duration::from_millis(1)).min(LOOK);
                let _ = timeout(wait, changes.changed()).await;
            }
            // Nobody is left who could change anything: the state is about to go.
            None => {
                if let Ok(Err(_)) = timeout(LOOK, changes.changed()).await {
                    return;
                }
            }
        }
    }
}

/// The moment on the other clock.
fn instant(until: WallMs) -> Instant {
    Instant::now() + Duration::from_millis(until.saturating_sub(wall_ms()))
}

/// The connections of which the overlays say something.
fn touched(plan: &AdmissionPlan, overlays: [&Overlay; 2]) -> HashSet<ConnectionId> {
    let apps: HashSet<_> = overlays.iter().flat_map(|overlay| overlay.apps.keys()).collect();
    let of_apps = plan.tenants.iter().flat_map(|tenant| {
        let named = tenant.apps.iter();
        let named = named.filter(|app| apps.contains(&(tenant.id.clone(), app.app.clone())));
        named.map(|app| &app.connection)
    });
    let named = overlays.iter().flat_map(|overlay| overlay.connections.keys());
    named.chain(of_apps).cloned().collect()
}

fn pauses(overlay: &Overlay) -> PauseTable {
    let apps = overlay.apps.iter();
    let connections = overlay.connections.iter();
    let operations = overlay.operations.iter();
    let shut = connections.clone().filter_map(|(id, over)| match over.breaker? {
        (Forced::Open, until) => Some((id.clone(), instant(until))),
        (Forced::Closed, _) => None,
    });
    PauseTable {
        shut: shut.collect(),
        apps: apps.filter_map(|(app, over)| Some((app.clone(), instant(over.paused?)))).collect(),
        connections: connections
            .filter_map(|(id, over)| Some((id.clone(), instant(over.paused?))))
            .collect(),
        operations: operations
            .map(|(operation, on, until)| (operation.clone(), on.clone(), instant(*until)))
            .collect(),
    }
}
