//! What an operator may change: whether what is named exists, and what holds of it now.

use std::sync::PoisonError;

use super::State;
use super::steering::Steering;
use crate::admission::{AdmissionPlan, AppPlan, ConnectionQuotaPlan};
use crate::catalog::MOST_CALLS;
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::overrides::{Act, LONGEST_WINDOW_MS, Overlay};
use crate::wiring;

impl State {
    /// `act` with the tenant of its app.
    ///
    /// # Errors
    /// What it names is not there, or a number makes no sense; the text says what would be right.
    pub fn checked(&self, act: Act) -> Result<Act, String> {
        let steering = self.0.steering.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = steering.plan();
        match &act {
            Act::Limit { connection, calls } => {
                plan.has(connection)?;
                in_range("calls", u64::from(*calls), u64::from(MOST_CALLS))?;
            }
            Act::AppLimit { calls, window_ms, .. } => {
                in_range("calls", u64::from(*calls), u64::from(MOST_CALLS))?;
                in_range("window_ms", *window_ms, LONGEST_WINDOW_MS)?;
            }
            Act::PauseOperation { operation, connection } => {
                steering.has_operation(operation)?;
                connection.iter().try_for_each(|connection| plan.has(connection).map(drop))?;
            }
            Act::Purge { connection, tag, operation } => {
                plan.has(connection)?;
                tag.iter().try_for_each(|tag| steering.has_tag(tag))?;
                operation.iter().try_for_each(|operation| steering.has_operation(operation))?;
            }
            Act::PauseConnection { connection }
            | Act::Mode { connection, .. }
            | Act::Bypass { connection }
            | Act::Breaker { connection, .. } => drop(plan.has(connection)?),
            Act::PauseApp { .. } | Act::Lane { .. } | Act::LogLevel { .. } => {}
        }
        plan.with_tenant(act)
    }

    /// What holds now of what `act` changes, in words.
    #[must_use]
    pub fn present(&self, act: &Act) -> String {
        let steering = self.0.steering.lock().unwrap_or_else(PoisonError::into_inner);
        let overlay = self.overrides().overlay();
        let plan = wiring::admission::overlaid(steering.plan(), &overlay);
        present(&plan, &overlay, act)
    }
}

fn present(plan: &AdmissionPlan, overlay: &Overlay, act: &Act) -> String {
    let over = |connection| overlay.connections.get(connection);
    let yes_or_no = |holds: bool, yes: &str, no: &str| (if holds { yes } else { no }).to_owned();
    match act {
        Act::Limit { connection, .. } => plan.has(connection).map_or_else(
            |_| String::new(),
            |plan| {
                let pool = &plan.settings.pool;
                format!("{} calls in {} s", pool.calls, pool.window.as_secs_f64())
            },
        ),
        Act::Mode { connection, .. } => plan
            .has(connection)
            .map_or_else(|_| String::new(), |plan| plan.settings.mode.as_str().to_owned()),
        Act::PauseConnection { connection } => yes_or_no(
            over(connection).is_some_and(|over| over.paused.is_some()),
            "paused",
            "not paused",
        ),
        Act::PauseOperation { operation, connection } => {
            let paused = |(paused, on, _): &(std::sync::Arc<str>, Option<ConnectionId>, u64)| {
                paused == operation && on == connection
            };
            yes_or_no(overlay.operations.iter().any(paused), "paused", "not paused")
        }
        Act::Bypass { connection } => yes_or_no(
            over(connection).is_some_and(|over| over.bypass.is_some()),
            "no read from a copy",
            "reads from copies",
        ),
        Act::Breaker { connection, .. } => match over(connection).and_then(|over| over.breaker) {
            Some((forced, _)) => forced.as_str().to_owned(),
            None => "by itself".to_owned(),
        },
        Act::LogLevel { target, .. } => {
            let known = overlay.levels.iter().rev().find(|(known, _)| known == target);
            known.map_or("as configured", |(_, level)| level.as_str()).to_owned()
        }
        Act::AppLimit { tenant, app, .. } => of_app(plan, tenant.as_ref(), app, |app| {
            app.settings.limit.map_or_else(
                || "no limit of its own".to_owned(),
                |(calls, window)| format!("{calls} calls in {} s", window.as_secs_f64()),
            )
        }),
        Act::PauseApp { tenant, app } => {
            of_app(plan, tenant.as_ref(), app, |app| yes_or_no(app.paused, "paused", "not paused"))
        }
        Act::Lane { tenant, app, .. } => of_app(plan, tenant.as_ref(), app, |app| {
            format!("in the {} lane", app.settings.lane.as_str())
        }),
        Act::Purge { .. } => String::new(),
    }
}

/// What `say` says of the app on the first of its connections.
fn of_app(
    plan: &AdmissionPlan,
    tenant: Option<&TenantId>,
    app: &AppId,
    say: impl FnOnce(&AppPlan) -> String,
) -> String {
    let mut tenants = plan.tenants.iter().filter(|known| tenant.is_none_or(|id| *id == known.id));
    let known = tenants.find_map(|known| known.apps.iter().find(|known| known.app == *app));
    known.map(say).unwrap_or_default()
}

fn in_range(name: &str, number: u64, most: u64) -> Result<(), String> {
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => Err(format!("{name} = {number}: write a number from 1 to {most}")),
    }
}

impl AdmissionPlan {
    fn has(&self, connection: &ConnectionId) -> Result<&ConnectionQuotaPlan, String> {
        let mut all = self.tenants.iter().flat_map(|tenant| &tenant.connections);
        all.find(|known| known.id == *connection)
            .ok_or_else(|| format!("there is no connection '{connection}'"))
    }

    /// An app is the one of its tenant, or the only one of that name.
    fn with_tenant(&self, mut act: Act) -> Result<Act, String> {
        let (Act::AppLimit { tenant, app, .. }
        | Act::PauseApp { tenant, app }
        | Act::Lane { tenant, app, .. }) = &mut act
        else {
            return Ok(act);
        };
        let known = self.tenants.iter().filter(|known| {
            tenant.as_ref().is_none_or(|id| *id == known.id)
                && known.apps.iter().any(|known| known.app == *app)
        });
        let known: Vec<&TenantId> = known.map(|known| &known.id).collect();
        match known[..] {
            [one] => *tenant = Some(one.clone()),
            [] => return Err(format!("there is no app '{app}'")),
            _ => {
                let all: Vec<_> = known.iter().map(ToString::to_string).collect();
                let all = all.join(", ");
                return Err(format!("several tenants have an app '{app}': say which of {all}"));
            }
        }
        Ok(act)
    }
}

impl Steering {
    fn has_operation(&self, id: &str) -> Result<(), String> {
        let known = self.catalog().all().any(|row| *row.id == *id);
        known.then_some(()).ok_or_else(|| format!("there is no operation '{id}' in the catalogue"))
    }

    fn has_tag(&self, tag: &str) -> Result<(), String> {
        let known = self.catalog().all().any(|row| row.reads.iter().any(|known| known == tag));
        known
            .then_some(())
            .ok_or_else(|| format!("no copy is built from '{tag}': tags are the words in `reads`"))
    }
}
