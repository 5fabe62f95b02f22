//! The figures of a workspace, for whoever shows them.

use std::time::Duration;

use super::Admission;
use super::workspace::Workspace;
use crate::ids::{AppId, ConnectionId};
use crate::quota::{AppGauge, ConnectionNo, Gauge, Lane};

/// The figures of one workspace at one moment.
pub struct Figures {
    /// Its name.
    pub workspace: String,
    /// Its pools.
    pub pools: Vec<PoolFigures>,
    /// Its connections, once for each lane.
    pub lanes: Vec<LaneFigures>,
    /// The apps of its connections, once for each lane.
    pub apps: Vec<AppFigures>,
}

/// A pool.
pub struct PoolFigures {
    /// The connection whose own pool it is; none for a named one.
    pub owner: Option<ConnectionId>,
    /// Its name.
    pub name: String,
    /// Its slots.
    pub slots: Gauge,
    /// Its window.
    pub window: Duration,
    /// For how long it stays closed.
    pub closed: Duration,
}

/// One lane of a connection.
pub struct LaneFigures {
    /// The connection.
    pub connection: ConnectionId,
    /// The lane.
    pub lane: Lane,
    /// Calls that wait in it.
    pub waiting: u32,
    /// Time between two starts that its pace leaves, if it is paced.
    pub pace: Option<Duration>,
}

/// One app on a connection, in one lane.
pub struct AppFigures {
    /// The connection.
    pub connection: ConnectionId,
    /// The app.
    pub app: AppId,
    /// The lane.
    pub lane: Lane,
    /// Its calls.
    pub calls: AppGauge,
}

impl Admission {
    /// The figures of every workspace, each as of one moment.
    #[must_use]
    pub fn figures(&self) -> Vec<Figures> {
        let named = |(name, workspace): (&String, &std::sync::Arc<Workspace>)| {
            workspace.figures(name.clone())
        };
        self.workspaces().iter().map(named).collect()
    }
}

impl Workspace {
    fn figures(&self, workspace: String) -> Figures {
        self.look(|core, connections, now| {
            let quota = &core.quota;
            let numbered = || (0..).map(ConnectionNo).zip(connections);
            let owner = |pool| numbered().find(|(no, _)| quota.own_pool(*no) == Some(pool));
            let pools = quota.pools().iter().filter_map(|(id, pool)| {
                let slots = quota.gauge(id)?;
                Some(PoolFigures {
                    owner: owner(id).map(|(_, connection)| connection.clone()),
                    name: pool.name.to_string(),
                    slots,
                    window: pool.slots.rest().window,
                    closed: slots.closed_until.since(now),
                })
            });
            let lanes = numbered().flat_map(|(no, connection)| {
                Lane::ALL.map(|lane| LaneFigures {
                    connection: connection.clone(),
                    lane,
                    waiting: quota.waiting(no, lane),
                    pace: quota.pace(no, lane),
                })
            });
            let apps = core.apps.iter().filter_map(|((connection, app), number)| {
                let (no, _) = numbered().find(|(_, known)| *known == connection)?;
                Some(Lane::ALL.map(|lane| AppFigures {
                    connection: connection.clone(),
                    app: app.clone(),
                    lane,
                    calls: quota.app_gauge(no, *number, lane),
                }))
            });
            Figures {
                workspace,
                pools: pools.collect(),
                lanes: lanes.collect(),
                apps: apps.flatten().collect(),
            }
        })
    }
}
