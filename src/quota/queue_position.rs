//! Where a call stands that can't start at once: plain data. `position` fills it in.

use std::time::Duration;

use super::pools::PoolId;

/// What keeps a call back: of all rules the one that keeps it longest, by the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// Every slot of the pool that is free in time is taken, or goes to a call before it.
    Slot(PoolId),
    /// Slots are free, or will be, but are kept: for apps below their share, or for interactive
    /// calls.
    Share,
    /// The bulk lane's pace, or the operator's `burst`.
    Pace,
    /// The vendor said 429; the pool is closed until its time.
    Vendor(PoolId),
    /// The app's own limit.
    AppLimit,
    /// The ledger that lends the pool's slots does not answer.
    Ledger(PoolId),
}

/// Where a call stood when it came and could not start at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// Calls before it; see `position`.
    pub ahead: u32,
    /// Those of them that are its own app's.
    pub own: u32,
    /// Apps that have calls before it, its own among them if it has.
    pub apps: u32,
    /// What it waits for.
    pub bound: LimitedBy,
    /// How long it should wait, by the estimate; for a refused call, how long it would have.
    pub expected: Duration,
}

impl LimitedBy {
    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slot(_) => "slot",
            Self::Share => "share",
            Self::Pace => "pace",
            Self::Vendor(_) => "vendor",
            Self::AppLimit => "app-limit",
            Self::Ledger(_) => "ledger",
        }
    }

    /// The pool, where it is one.
    #[must_use]
    pub const fn pool(self) -> Option<PoolId> {
        match self {
            Self::Slot(pool) | Self::Vendor(pool) | Self::Ledger(pool) => Some(pool),
            Self::Share | Self::Pace | Self::AppLimit => None,
        }
    }
}
