//! How connections stand, in few figures: cheap enough to be read once a second.

use std::time::Duration;

use super::quotas::Quotas;
use crate::ids::ConnectionId;
use crate::quota::{Gauge, Lane};

/// A connection at one moment.
#[derive(Clone, Debug)]
pub struct ConnectionMeter {
    /// The connection.
    pub connection: ConnectionId,
    /// The slots of its own pool.
    pub slots: Gauge,
    /// The window of its own pool.
    pub window: Duration,
    /// Calls that wait, in each lane.
    pub waiting: [u32; 2],
    /// Calls that took their slots since it is here, in each lane.
    pub started: [u64; 2],
}

impl Quotas {
    pub(super) fn meters(&self) -> Vec<ConnectionMeter> {
        self.look(|core, _| {
            let quota = &core.quota;
            let meter = |member: &super::members::ConnectionMember| {
                Some(ConnectionMeter {
                    connection: member.id.clone(),
                    slots: quota.gauge(member.own)?,
                    window: quota.pools().get(member.own)?.slots.rest().window,
                    waiting: Lane::ALL.map(|lane| quota.waiting(member.number, lane)),
                    started: quota.started(member.number),
                })
            };
            core.members.current().filter_map(meter).collect()
        })
    }
}
