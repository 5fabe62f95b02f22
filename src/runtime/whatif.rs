//! What the last hour would have been under another limit.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::State;
use crate::admission::{ConnectionQuotaPlan, TenantPlan};
use crate::clock::{self, Instant};
use crate::ids::ConnectionId;
use crate::live::arrivals::ArrivalSecond;
use crate::live::documents::epoch_ms;
use crate::live::whatif::{MOST, ReplayFigures, Scenario, replay, words};
use crate::wiring;

/// Where the host has not answered yet.
const LATENCY: Duration = Duration::from_millis(200);

/// The comparison.
#[derive(Debug, Serialize)]
pub struct WhatIf {
    connection: String,
    calls: u32,
    window_ms: u64,
    from_at_ms: u64,
    to_at_ms: u64,
    arrivals: u64,
    now: ReplayFigures,
    then: ReplayFigures,
    words: String,
}

/// A question that takes a while to answer.
pub struct WhatIfQuestion {
    connection: ConnectionId,
    hour: Vec<ArrivalSecond>,
    begun: SystemTime,
    now: Scenario,
    then: Scenario,
}

impl State {
    /// The question what `calls` in `window` would have done to `connection`; in the window that it
    /// has without one. With a fixed part of the quota, `calls` are those of all replicas. `None`:
    /// there is no such connection.
    #[must_use]
    pub fn what_if(
        &self,
        connection: &ConnectionId,
        calls: u32,
        window: Option<Duration>,
    ) -> Option<WhatIfQuestion> {
        let plan = {
            let steering = self.0.steering.lock().unwrap_or_else(PoisonError::into_inner);
            wiring::admission::overlaid(steering.plan(), &self.overrides().overlay())
        };
        let (tenant, of) = plan.tenants.iter().find_map(|tenant| {
            let of = tenant.connections.iter().find(|known| known.id == *connection)?;
            Some((tenant, of))
        })?;
        let (hour, base) = self.recorder().hour(connection)?;
        let now = scenario(tenant, of, self.recorder().latency(connection).unwrap_or(LATENCY));
        let mut then = now.clone();
        then.settings = then.settings.with_calls(wiring::admission::part(calls, of.share));
        then.settings.pool.window = window.unwrap_or(then.settings.pool.window);
        let begun = clock::wall() - (Instant::now() - base);
        Some(WhatIfQuestion {
            connection: connection.clone(),
            hour: latest(hour),
            begun,
            now,
            then,
        })
    }
}

impl WhatIfQuestion {
    /// The answer. It takes up to some seconds of a core. `None`: no quota could be like that.
    #[must_use]
    pub fn answer(self) -> Option<WhatIf> {
        let now = replay(&self.hour, &self.now)?;
        let then = replay(&self.hour, &self.then)?;
        let at = |second: u64| epoch_ms(self.begun + Duration::from_secs(second));
        let ends = (self.hour.first(), self.hour.last());
        let to = ends.1.map_or_else(|| epoch_ms(clock::wall()), |last| at(last.second + 1));
        let pool = &self.then.settings.pool;
        Some(WhatIf {
            connection: self.connection.to_string(),
            calls: pool.calls,
            window_ms: u64::try_from(pool.window.as_millis()).unwrap_or(u64::MAX),
            from_at_ms: ends.0.map_or(to, |first| at(first.second)),
            to_at_ms: to,
            arrivals: self.hour.iter().map(|second| second.len() as u64).sum(),
            words: words(pool.calls, pool.window, &now, &then),
            now,
            then,
        })
    }
}

/// The last of them, so many that they can be looked at.
fn latest(mut hour: Vec<ArrivalSecond>) -> Vec<ArrivalSecond> {
    let mut calls = 0;
    let fits = |second: &&ArrivalSecond| {
        calls += second.len();
        calls <= MOST
    };
    let kept = hour.iter().rev().take_while(fits).count();
    hour.drain(..hour.len() - kept);
    hour
}

fn scenario(tenant: &TenantPlan, of: &ConnectionQuotaPlan, latency: Duration) -> Scenario {
    let apps = tenant.apps.iter().filter(|app| app.connection == of.id);
    Scenario {
        settings: of.settings.clone(),
        apps: apps.map(|app| (app.app.clone(), app.settings.clone())).collect(),
        tenant: tenant.id.to_string(),
        latency,
    }
}
