//! What is to be expected of a connection: how long a call that came now would wait in each lane,
//! and when its last free slot will be taken. Looking changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use super::members::ConnectionMember;
use super::quotas::{Core, Quotas};
use super::view::{AppView, PoolView, WaitingCalls, pool_view};
use crate::catalog::CONNECTION_POOL;
use crate::ids::{AppId, ConnectionId};
use crate::quota::{AdmissionPreview, AppNo, Lane, Moment, QuotaRule, SlotState};

/// A connection.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Its name.
    pub connection: ConnectionId,
    /// Whose writes it sees.
    pub workspace: String,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// Its own pool.
    pub slots: PoolView,
    /// Calls that wait.
    pub waiting: WaitingCalls,
    /// How long a call would wait, in each lane.
    pub wait: [LaneWait; 2],
    /// When no slot will be free, if that is to be seen.
    pub exhausted: Option<Duration>,
    /// Each of its apps is paused.
    pub paused: bool,
    /// Its apps, those with most waiting calls first.
    pub apps: Vec<AppView>,
}

/// How long a call would wait that came now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneWait {
    /// No app could call in this lane.
    Nobody,
    /// So long, and no longer for another app.
    Wait(Duration),
    /// It would be refused.
    Refused,
}

/// What a slot does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// `in-use`, `resting` or `free`.
    pub state: &'static str,
    /// The app whose call has it or had it last; none before a restart or where it is free.
    pub app: Option<AppId>,
    /// For how long it has been so.
    pub since: Option<Duration>,
    /// When it is free again, if that is known.
    pub free_in: Option<Duration>,
}

impl LaneWait {
    /// In whole milliseconds; none if a call would be refused, or could not be.
    #[must_use]
    pub fn ms(self) -> Option<u64> {
        match self {
            Self::Wait(wait) => Some(super::view::ms(wait)),
            Self::Nobody | Self::Refused => None,
        }
    }

    /// The longer one of two apps: a lane is told by who waits longest in it. What one app alone is
    /// refused for says nothing of a lane where others may call.
    fn or(self, app: Self) -> Self {
        match (self, app) {
            (Self::Wait(one), Self::Wait(other)) => Self::Wait(one.max(other)),
            (Self::Nobody, app) => app,
            (before, Self::Nobody) | (before @ Self::Wait(_), Self::Refused) => before,
            (Self::Refused, app) => app,
        }
    }

    fn of(preview: &AdmissionPreview) -> Self {
        match &preview.start {
            Ok(None) => Self::Wait(Duration::ZERO),
            Ok(Some(position)) => Self::Wait(position.expected),
            Err(refusal) if refusal.rule == QuotaRule::AppPaused => Self::Nobody,
            Err(_) => Self::Refused,
        }
    }
}

impl Quotas {
    pub(super) fn outlook(
        &self,
        apps: usize,
        rate: &impl Fn(&ConnectionId) -> f64,
    ) -> Vec<Outlook> {
        let current = |core: &mut Core, _| -> Vec<ConnectionId> {
            core.members.current().map(|member| member.id.clone()).collect()
        };
        // One at a time: calls of the others need the lock meanwhile.
        let each = self.look(current).into_iter();
        each.filter_map(|id| self.look(|core, now| core.outlook(&id, apps, rate(&id), now)))
            .collect()
    }

    pub(super) fn slots(&self, connection: &ConnectionId, most: usize) -> Option<Vec<SlotView>> {
        self.look(|core, now| {
            let member = core.members.current().find(|member| member.id == *connection)?;
            Some(core.slots(member, most, now))
        })
    }
}

impl Core {
    fn outlook(
        &mut self,
        id: &ConnectionId,
        most: usize,
        rate: f64,
        now: Moment,
    ) -> Option<Outlook> {
        let Self { quota, members, plain, .. } = self;
        let member = members.current().find(|member| member.id == *id)?;
        let number = member.number;
        let waiting = |app: AppNo| -> u32 {
            Lane::ALL.iter().map(|lane| quota.app_gauge(number, app, *lane).waiting).sum()
        };
        let mut apps: Vec<(u32, &AppId, AppNo)> =
            members.apps_of(number).map(|(app, no)| (waiting(no), app, no)).collect();
        apps.sort_by(|(one, id, _), (other, its, _)| (other, *id).cmp(&(one, *its)));
        apps.truncate(most);
        let (mut views, mut wait, mut paused) =
            (Vec::new(), [LaneWait::Nobody; 2], !apps.is_empty());
        for (_, app, no) in &apps {
            let Some(preview) = quota.preview(number, *no, *plain, now) else { continue };
            let lane = preview.settings.lane.index();
            wait[lane] = wait[lane].or(LaneWait::of(&preview));
            paused &= preview.paused;
            views.push(AppView::of(app, &preview));
        }
        if wait[Lane::Bulk.index()] == LaneWait::Nobody
            && let Some((_, _, no)) = apps.first()
            && let Some(preview) = quota.preview_in((number, *no), *plain, true, now)
        {
            wait[Lane::Bulk.index()] = LaneWait::of(&preview);
        }
        Some(Outlook {
            connection: member.id.clone(),
            workspace: member.workspace.clone(),
            mode: quota.mode(number).as_str(),
            slots: pool_view(quota, member.own, CONNECTION_POOL, now)?,
            waiting: WaitingCalls {
                interactive: quota.waiting(number, Lane::Interactive),
                bulk: quota.waiting(number, Lane::Bulk),
            },
            wait,
            exhausted: quota.exhausted(member.own, rate, now),
            paused,
            apps: views,
        })
    }

    fn names(&self, member: &ConnectionMember) -> HashMap<AppNo, &AppId> {
        self.members.apps_of(member.number).map(|(app, no)| (no, app)).collect()
    }

    fn slots(&self, member: &ConnectionMember, most: usize, now: Moment) -> Vec<SlotView> {
        let names = self.names(member);
        let rest = self.quota.pools().get(member.own).map(|pool| *pool.slots.rest());
        let rests = rest.map_or(Duration::ZERO, |rest| rest.window + rest.guard);
        let each = self.quota.slots(member.own, most).into_iter();
        each.map(|(state, app)| {
            let app = app.and_then(|no| names.get(&no)).map(|app| (*app).clone());
            let (state, since, free_in) = match state {
                SlotState::InUse(taken) => ("in-use", Some(now.since(taken)), None),
                SlotState::Resting(until) => {
                    let left = until.since(now);
                    ("resting", Some(rests.saturating_sub(left)), Some(left))
                }
                SlotState::Free | SlotState::Absent => ("free", None, None),
            };
            SlotView { state, app, since, free_in }
        })
        .collect()
    }
}
