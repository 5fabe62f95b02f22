//! The quota on the clock: what makes [`quota`](crate::quota) wait, wake and remember.
//!
//! One [`Workspace`] holds the pure quota of the connections that see each other's writes, behind one
//! mutex; waiters are woken at computed times by one task, not by timers of their own. A [`Desk`]
//! knows, for one configuration, where each call stands. A [`Pass`] is a call's right to be sent,
//! which settles itself whatever becomes of the call. The [`Store`] keeps slots over a restart.

mod desk;
mod figures;
mod pass;
mod plan;
mod store;
mod view;
mod workspace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use desk::whole_seconds;
pub use desk::{Desk, Turn};
pub use figures::{AppFigures, Figures, LaneFigures, PoolFigures};
pub use pass::{Pass, Throttled};
pub use plan::{AppPlan, Plan, WorkspacePlan};
pub use store::{Assume, Store};
pub use view::{AppView, ConnectionView, Outlook, PoolView, Waiting};
pub use workspace::Workspace;

use crate::ids::{AppId, ConnectionId};

/// The workspaces of this gateway. Clones share them.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    store: Option<Store>,
    /// std, not tokio: changed by a reload only.
    workspaces: Mutex<HashMap<String, Arc<Workspace>>>,
}

impl Admission {
    /// No workspace yet; `store` keeps their slots over a restart.
    #[must_use]
    pub fn new(store: Option<Store>) -> Self {
        Self(Arc::new(Inner { store, workspaces: Mutex::default() }))
    }

    /// Makes the workspaces what `plan` says, and a desk for it. Those that keep their shape keep
    /// their slots, queues and calls; one whose shape changes begins with the rests of the old one.
    ///
    /// Must be called inside the runtime.
    #[must_use]
    pub fn desk(&self, plan: Plan) -> Desk {
        let mut workspaces = self.workspaces();
        let mut desk = Desk::new(plan.prices);
        let mut kept = HashMap::new();
        for planned in plan.workspaces {
            let old = workspaces.remove(&planned.name);
            let workspace = match old {
                Some(old) if old.has_shape_of(&planned) => old,
                old => Workspace::start(&planned, old.as_deref(), self.0.store.as_ref()),
            };
            desk.seat(&workspace, &planned);
            kept.insert(planned.name, workspace);
        }
        *workspaces = kept;
        desk
    }

    /// Pauses an app on a connection or lets it go on; calls that were sent are not touched. False when
    /// there is no such app.
    pub fn pause(&self, connection: &ConnectionId, app: &AppId, paused: bool) -> bool {
        self.workspaces().values().any(|workspace| workspace.pause(connection, app, paused))
    }

    /// Who waits for what, on every connection, by their names.
    #[must_use]
    pub fn view(&self) -> Vec<ConnectionView> {
        let workspaces = self.0.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<ConnectionView> =
            workspaces.iter().flat_map(|(name, workspace)| workspace.view(name)).collect();
        views.sort_by(|one, other| one.connection.cmp(&other.connection));
        views
    }

    /// True unless every connection still rests because nothing is known of its past.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let workspaces = self.workspaces();
        workspaces.is_empty() || workspaces.values().any(|workspace| workspace.is_usable())
    }

    /// Marks the state as whole and writes it to the disk: nothing is sent after this.
    pub fn close(&self) {
        self.workspaces().values().for_each(|workspace| workspace.close());
    }

    fn workspaces(&self) -> MutexGuard<'_, HashMap<String, Arc<Workspace>>> {
        self.0.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
