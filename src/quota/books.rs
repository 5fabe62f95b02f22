//! What a connection as a whole holds: slots per lane, virtual time per lane, the usual answer.

use std::time::Duration;

use super::queue::Lane;

/// How long a short answer takes, before any was seen.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Books {
    /// Start tag of the last call sent, per lane.
    clock: [u64; 2],
    /// Slots of the own pool in use or resting, per lane.
    held: [u32; 2],
    /// Usual time to the first byte.
    answer: Duration,
}

impl Default for Books {
    fn default() -> Self {
        Self { clock: [0; 2], held: [0; 2], answer: FIRST_GUESS }
    }
}

impl Books {
    /// The virtual time of a lane.
    pub(crate) const fn clock(&self, lane: Lane) -> u64 {
        self.clock[lane.index()]
    }

    /// Slots of the own pool that a lane uses or that rest for it.
    pub(crate) const fn held(&self, lane: Lane) -> u32 {
        self.held[lane.index()]
    }

    /// The usual time to the first byte.
    pub(crate) const fn usual_answer(&self) -> Duration {
        self.answer
    }

    /// A call with that start tag went, which takes `cost` slots.
    pub(crate) fn started(&mut self, lane: Lane, cost: u32, start: u64) {
        let clock = &mut self.clock[lane.index()];
        *clock = start.max(*clock);
        self.held[lane.index()] += cost;
    }

    /// A slot came back.
    pub(crate) const fn released(&mut self, lane: Lane) {
        let held = &mut self.held[lane.index()];
        *held = held.saturating_sub(1);
    }

    /// An answer took so long to its first byte.
    pub(crate) fn answered(&mut self, took: Duration) {
        self.answer = (self.answer * 7 + took) / 8;
    }
}
