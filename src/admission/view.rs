//! What can be seen of the quotas: for operators who is waiting behind whom, for an app what it
//! could do now. Looking changes nothing and costs no call.

use serde::Serialize;
use std::time::Duration;

use super::members::{ConnectionMember, Members};
use super::quotas::{Core, Quotas};
use crate::ids::{AppId, ConnectionId};
use crate::quota::{AdmissionPreview, Lane, LoanView, Moment, PoolId, PriceNo, Quota};

/// A connection, as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionView {
    /// Its name.
    pub connection: String,
    /// Whose writes it sees; connections of one workspace share the named pools.
    pub workspace: String,
    /// `enforce`, or `shadow` if calls are only watched.
    pub mode: &'static str,
    /// Its own pool first, then the named ones.
    pub pools: Vec<PoolView>,
    /// Calls that wait in each lane.
    pub waiting: WaitingCalls,
    /// Its apps, those with most waiting calls first.
    pub apps: Vec<AppView>,
}

/// The slots of a pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolView {
    /// `connection`, or the name in the catalogue.
    pub pool: String,
    /// Calls in any window.
    pub calls: u32,
    /// The window.
    pub window_ms: u64,
    /// Slots that could be taken.
    pub free: u32,
    /// Slots whose call runs.
    pub in_use: u32,
    /// Slots that rest.
    pub resting: u32,
    /// For how long the vendor has closed it.
    pub closed_ms: u64,
    /// Where replicas share its slots: how it stands with them. The other figures are this replica's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedView>,
}

/// A replica's part of the slots that all replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SharedView {
    /// `lent`, `asleep` (nothing is lent, and nobody calls), `asking` or `away` (Redis does not
    /// answer, and calls are refused).
    pub state: &'static str,
    /// Calls in any window, of all replicas together.
    pub calls: u32,
    /// For how long slots may be taken if Redis does not answer from now on.
    pub lease_ms: u64,
}

/// Calls that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingCalls {
    /// Where somebody is waiting for the answer.
    pub interactive: u32,
    /// Where nobody is.
    pub bulk: u32,
}

/// An app on one connection: what it has, and what a call of it would meet now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppView {
    /// Its name.
    pub app: String,
    /// The lane of its calls.
    pub lane: &'static str,
    /// Its part when apps want more than there is.
    pub weight: u32,
    /// An operator has paused it.
    pub paused: bool,
    /// Its calls that wait.
    pub waiting: u32,
    /// Slots of the connection's pool that it uses or that rest for it.
    pub held: u32,
    /// Calls that it could start at once.
    pub room: u32,
    /// How long a call that came now should wait; none if it would be refused.
    pub wait_ms: Option<u64>,
    /// Calls that would be before it.
    pub ahead: u32,
    /// What it would wait for.
    pub bound: Option<&'static str>,
    /// Why it would be refused.
    pub refused: Option<&'static str>,
    /// When it would be told to come back.
    pub retry_after_ms: Option<u64>,
}

/// What an app sees of one of its connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppQuotaView {
    /// The connection.
    pub connection: String,
    /// Calls in any window, of all apps together.
    pub calls: u32,
    /// The window.
    pub window_ms: u64,
    /// Until one more slot is free.
    pub next_slot_ms: u64,
    /// Where replicas share its slots: how this one stands with them. `calls` are then those that it
    /// has or shall have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedView>,
    /// The app itself.
    #[serde(flatten)]
    pub app: AppView,
}

/// Whole milliseconds, rounded up: a client that comes back then is not too early.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl AppView {
    pub(super) fn of(app: &AppId, preview: &AdmissionPreview) -> Self {
        let standing = preview.start.unwrap_or_else(|refusal| refusal.standing);
        let refusal = preview.start.err();
        let wait = preview.start.ok().map(|at| at.map_or(0, |standing| ms(standing.expected)));
        Self {
            app: app.to_string(),
            lane: preview.settings.lane.as_str(),
            weight: preview.settings.weight.max(1),
            paused: preview.paused,
            waiting: preview.waiting,
            held: preview.held,
            room: preview.room.calls,
            wait_ms: wait,
            ahead: standing.map_or(0, |standing| standing.ahead),
            bound: standing.map(|standing| standing.bound.as_str()),
            refused: refusal.map(|refusal| refusal.rule.code()),
            retry_after_ms: refusal.map(|refusal| refusal.millis()),
        }
    }
}

impl AppQuotaView {
    pub(super) fn of(connection: &ConnectionId, app: &AppId, preview: &AdmissionPreview) -> Self {
        Self {
            connection: connection.to_string(),
            calls: preview.calls,
            window_ms: ms(preview.window),
            next_slot_ms: ms(preview.room.next),
            shared: preview.loan.as_ref().map(SharedView::of),
            app: AppView::of(app, preview),
        }
    }
}

impl Quotas {
    /// Its connections, as operators see them.
    pub(super) fn view(&self) -> Vec<ConnectionView> {
        self.look(|core, now| {
            let Core { quota, members, plain, .. } = core;
            members
                .current()
                .map(|member| connection(quota, members, (member, *plain), now))
                .collect()
        })
    }
}

fn connection(
    quota: &mut Quota,
    members: &Members,
    (member, price): (&ConnectionMember, PriceNo),
    now: Moment,
) -> ConnectionView {
    let number = member.number;
    let mut apps: Vec<AppView> = members
        .apps_of(number)
        .filter_map(|(app, no)| Some(AppView::of(app, &quota.preview(number, no, price, now)?)))
        .collect();
    apps.sort_by(|one, other| (other.waiting, &one.app).cmp(&(one.waiting, &other.app)));
    let own = pool_view(quota, member.own, crate::catalog::CONNECTION_POOL, now);
    let named = members.named_of(&member.workspace);
    let named = named.filter_map(|named| pool_view(quota, named.pool, &named.name, now));
    ConnectionView {
        connection: member.id.to_string(),
        workspace: member.workspace.clone(),
        mode: quota.mode(number).as_str(),
        pools: own.into_iter().chain(named).collect(),
        waiting: WaitingCalls {
            interactive: quota.waiting(number, Lane::Interactive),
            bulk: quota.waiting(number, Lane::Bulk),
        },
        apps,
    }
}

pub(super) fn pool_view(quota: &Quota, id: PoolId, name: &str, now: Moment) -> Option<PoolView> {
    let gauge = quota.gauge(id)?;
    let pool = quota.pools().get(id)?;
    Some(PoolView {
        pool: name.into(),
        calls: gauge.limit,
        window_ms: ms(pool.slots.rest().window),
        free: gauge.free,
        in_use: gauge.in_use,
        resting: gauge.resting,
        closed_ms: ms(gauge.closed_until.since(now)),
        shared: shared_view(quota, id, now),
    })
}

fn shared_view(quota: &Quota, id: PoolId, now: Moment) -> Option<SharedView> {
    quota.loan_view(id, now).as_ref().map(SharedView::of)
}

impl SharedView {
    fn of(loan: &LoanView) -> Self {
        Self { state: loan.state.as_str(), calls: loan.calls, lease_ms: ms(loan.lease) }
    }
}
