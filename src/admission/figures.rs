//! The figures of a workspace, for whoever shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::members::ConnectionMember;
use super::quotas::{Core, Quotas};
use crate::ids::{AppId, ConnectionId};
use crate::quota::{AppGauge, Gauge, Lane, LoanState, Moment, PoolId};

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
    /// How it stands with the ledger that lends its slots, if one does.
    pub loan: Option<LoanState>,
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

impl Quotas {
    /// The figures of each of its workspaces.
    pub(super) fn figures(&self) -> Vec<Figures> {
        self.look(|core, now| {
            let mut workspaces: BTreeMap<&str, Vec<&ConnectionMember>> = BTreeMap::new();
            for member in core.members.current() {
                workspaces.entry(&member.workspace).or_default().push(member);
            }
            let each = workspaces.into_iter();
            each.map(|(workspace, members)| core.figures(workspace, &members, now)).collect()
        })
    }
}

impl Core {
    fn figures(&self, workspace: &str, members: &[&ConnectionMember], now: Moment) -> Figures {
        let quota = &self.quota;
        let own = members.iter().filter_map(|member| {
            let name = quota.pools().get(member.own)?.name.to_string();
            self.pool_figures(member.own, name, Some(member.id.clone()), now)
        });
        let named = self.members.named_of(workspace);
        let named = named.filter_map(|n| self.pool_figures(n.pool, n.name.clone(), None, now));
        let lanes = members.iter().flat_map(|member| {
            Lane::ALL.map(|lane| LaneFigures {
                connection: member.id.clone(),
                lane,
                waiting: quota.waiting(member.number, lane),
                pace: quota.pace(member.number, lane),
            })
        });
        let apps = members.iter().flat_map(|member| {
            self.members.apps_of(member.number).flat_map(|(app, number)| {
                Lane::ALL.map(|lane| AppFigures {
                    connection: member.id.clone(),
                    app: app.clone(),
                    lane,
                    calls: quota.app_gauge(member.number, number, lane),
                })
            })
        });
        Figures {
            workspace: workspace.to_owned(),
            pools: named.chain(own).collect(),
            lanes: lanes.collect(),
            apps: apps.collect(),
        }
    }

    fn pool_figures(
        &self,
        pool: PoolId,
        name: String,
        owner: Option<ConnectionId>,
        now: Moment,
    ) -> Option<PoolFigures> {
        let slots = self.quota.gauge(pool)?;
        let window = self.quota.pools().get(pool)?.slots.rest().window;
        let (closed, loan) = (slots.closed_until.since(now), self.quota.loan(pool));
        Some(PoolFigures { owner, name, slots, window, closed, loan })
    }
}
