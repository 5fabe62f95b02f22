//! The paces of one connection: what spreads its calls in time beside the slots.

use std::time::Duration;

use super::moment::Moment;
use super::queue::Lane;
use super::rate_limit::{MinimumRate, RateLimiter};
use super::settings::ConnectionSettings;

/// The operator's pace is this part below the quota's rate: at the rate itself a vendor that counts
/// by two weighted buckets still refuses more than one call in a hundred.
const PACED_BELOW: u32 = 50;

/// The bulk lane's pace and least rate, and the operator's pace over all calls.
#[derive(Debug)]
pub(crate) struct Paces {
    bulk: Option<RateLimiter>,
    burst: Option<RateLimiter>,
    floor: MinimumRate,
}

impl Paces {
    /// The paces for the calls of a connection's pool.
    pub(crate) fn new(settings: &ConnectionSettings, now: Moment) -> Self {
        let ConnectionSettings { pool, burst, bulk_floor, .. } = settings;
        let refill = pool.calls - pool.calls.div_ceil(PACED_BELOW);
        let paced = *burst < pool.calls;
        Self {
            bulk: RateLimiter::new(pool.calls, pool.window, 1, now),
            burst: paced.then(|| RateLimiter::new(refill, pool.window, *burst, now)).flatten(),
            floor: MinimumRate::new((*bulk_floor).min(pool.calls), pool.window, now),
        }
    }

    /// `None`: the operator's pace lets a call go; else when to ask again.
    pub(crate) fn burst_ready(&self, now: Moment) -> Option<Moment> {
        self.burst.as_ref().and_then(|burst| burst.ready(now))
    }

    /// `None`: the bulk lane's pace lets a call go; else when to ask again.
    pub(crate) fn bulk_ready(&self, now: Moment) -> Option<Moment> {
        self.bulk.as_ref().and_then(|bulk| bulk.ready(now))
    }

    /// `None`: a bulk call is due; else when one will be.
    pub(crate) fn floor_ready(&self, now: Moment) -> Option<Moment> {
        self.floor.ready(now)
    }

    /// When the bulk call after `before` others may go by its pace; `None` without a pace.
    pub(crate) fn estimate_bulk(&self, before: u32, now: Moment) -> Option<Moment> {
        self.bulk.as_ref().map(|bulk| bulk.estimate(before, now))
    }

    /// When the bulk call after `before` others is due.
    pub(crate) fn estimate_floor(&self, before: u32, now: Moment) -> Moment {
        self.floor.estimate(before, now)
    }

    /// A call that takes slots went.
    pub(crate) fn spend(&mut self, lane: Lane, now: Moment) {
        if let Some(burst) = &mut self.burst {
            burst.spend();
        }
        if lane == Lane::Bulk {
            if let Some(bulk) = &mut self.bulk {
                bulk.spend();
            }
            self.floor.spend(now);
        }
    }

    /// Time between two starts in a lane in the long run, if a pace spreads them.
    pub(crate) fn period(&self, lane: Lane) -> Option<Duration> {
        let bulk = self.bulk.as_ref().filter(|_| lane == Lane::Bulk);
        bulk.into_iter().chain(&self.burst).map(RateLimiter::period).max()
    }
}
