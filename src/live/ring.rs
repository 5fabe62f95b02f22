//! The last 15 minutes of one connection, a second each. Pure.

use std::collections::VecDeque;

use serde::Serialize;

/// Seconds that are kept.
pub const KEPT: usize = 900;
/// Seconds that a rate is the mean of.
pub const RATED: usize = 60;

/// What happened in one second, and how it stood at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Calls that took their slots, in each lane.
    pub started: [u32; 2],
    /// Calls that the quota refused.
    pub refused: u32,
    /// Calls that the cache answered without Courier.
    pub saved: u32,
    /// Answers of Courier's that were a 429.
    pub vendor_429: u32,
    /// Calls that waited at the end, in each lane.
    pub waiting: [u32; 2],
    /// Slots whose call ran.
    pub in_use: u32,
    /// Slots that rested.
    pub resting: u32,
    /// Slots in all.
    pub limit: u32,
}

/// Seconds in their order.
#[derive(Debug, Default)]
pub struct SecondRing(VecDeque<Second>);

/// What happens each second, as the mean of the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Calls that took their slots.
    pub started: f64,
    /// Calls that the quota refused.
    pub refused: f64,
    /// Calls that the cache answered.
    pub saved: f64,
    /// How many times Courier said 429 in that minute.
    pub vendor_429: u64,
}

/// The seconds of a connection as columns, the oldest one first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// The connection.
    pub connection: String,
    /// The length of a step.
    pub step_ms: u64,
    /// When the first step began.
    pub from_at_ms: u64,
    /// Interactive calls that started in each step.
    pub interactive: Vec<u32>,
    /// Bulk calls that started.
    pub bulk: Vec<u32>,
    /// Calls that the quota refused.
    pub refused: Vec<u32>,
    /// Calls that the cache answered.
    pub saved: Vec<u32>,
    /// Interactive calls that waited at the end of each step.
    pub waiting_interactive: Vec<u32>,
    /// Bulk calls that waited.
    pub waiting_bulk: Vec<u32>,
    /// Slots whose call ran.
    pub in_use: Vec<u32>,
    /// Slots that rested.
    pub resting: Vec<u32>,
    /// Slots in all.
    pub limit: Vec<u32>,
}

impl SecondRing {
    /// Keeps one second more, in place of the oldest if there are [`KEPT`].
    pub fn push(&mut self, second: Second) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(second);
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Second>()
    }

    /// The means of the last minute, or of as much of it as there is.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let last = self.0.iter().rev().take(RATED);
        let seconds = f64::from(u32::try_from(last.len().max(1)).unwrap_or(u32::MAX));
        let [mut started, mut refused, mut saved, mut vendor_429] = [0_u64; 4];
        for second in last {
            started += second.started.iter().copied().map(u64::from).sum::<u64>();
            refused += u64::from(second.refused);
            saved += u64::from(second.saved);
            vendor_429 += u64::from(second.vendor_429);
        }
        let mean = |count: u64| hundredths(whole(count) / seconds);
        Rates { started: mean(started), refused: mean(refused), saved: mean(saved), vendor_429 }
    }

    /// Its seconds as columns; the last one ended at `now_ms`.
    #[must_use]
    pub fn columns(&self, connection: String, now_ms: u64) -> History {
        let column = |of: fn(&Second) -> u32| self.0.iter().map(of).collect();
        let kept = self.0.len() as u64 * 1000;
        History {
            connection,
            step_ms: 1000,
            from_at_ms: now_ms.saturating_sub(kept),
            interactive: column(|second| second.started[0]),
            bulk: column(|second| second.started[1]),
            refused: column(|second| second.refused),
            saved: column(|second| second.saved),
            waiting_interactive: column(|second| second.waiting[0]),
            waiting_bulk: column(|second| second.waiting[1]),
            in_use: column(|second| second.in_use),
            resting: column(|second| second.resting),
            limit: column(|second| second.limit),
        }
    }
}

/// To two decimals.
#[must_use]
pub fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of a minute are far below 2^52")]
fn whole(count: u64) -> f64 {
    count as f64
}
