//! What goes in and out of the quota: tickets, verdicts, grants, refusals.

use std::time::Duration;

use super::moment::Moment;
use super::pools::Paid;
use super::queue::{FifoKey, Lane};
use super::queue_position::QueuePosition;

/// When to ask again about an app that an operator paused: nobody knows for how long.
const PAUSED: Duration = Duration::from_secs(60);

/// A connection of one workspace, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionNo(pub u16);

/// An app of one connection, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppNo(pub u32);

/// A price of one workspace, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PriceNo(pub u16);

/// A call that wants to start.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest {
    /// On which connection.
    pub connection: ConnectionNo,
    /// For which app.
    pub app: AppNo,
    /// What its operation pays.
    pub price: PriceNo,
    /// The operation is bulk by nature, whatever the app's lane is.
    pub bulk: bool,
    /// The latest start that is of use to the caller ([`Moment::NEVER`] if it said nothing).
    pub latest: Moment,
    /// The caller itself set `latest` (its time-out, or how long it prefers to wait), not the
    /// operator's deadline: a call that can't start by then is told that its deadline is too near.
    pub by_caller: bool,
    /// The caller asked to wait until `latest`: what bounds the wait of those who ask for nothing
    /// doesn't bind it, only the longest wait of the connection does.
    pub asked: bool,
}

/// The rule that bound a refused call; [`QuotaRule::code`] is the problem's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaRule {
    /// No slot within the operator's longest wait.
    QuotaExhausted,
    /// Too many calls wait already.
    QueueFull,
    /// No slot before the caller's own deadline.
    DeadlineTooNear,
    /// The vendor said 429 and its time is not over.
    VendorThrottled,
    /// The app's own limit.
    AppLimited,
    /// An operator paused the app.
    AppPaused,
    /// Slots are lent by a ledger that doesn't answer, and the time for which they were lent is over.
    LedgerAway,
}

impl QuotaRule {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::QuotaExhausted,
        Self::QueueFull,
        Self::DeadlineTooNear,
        Self::VendorThrottled,
        Self::AppLimited,
        Self::AppPaused,
        Self::LedgerAway,
    ];

    /// The problem code: stable, for clients, metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::QuotaExhausted => "quota-exhausted",
            Self::QueueFull => "queue-full",
            Self::DeadlineTooNear => "deadline-too-near",
            Self::VendorThrottled => "vendor-throttled",
            Self::AppLimited => "app-limited",
            Self::AppPaused => "app-paused",
            Self::LedgerAway => "ledger-away",
        }
    }
}

/// A call that is not let in. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRefusal {
    /// Why.
    pub rule: QuotaRule,
    /// When to come back, from now on: more than zero, and as long as it takes.
    pub after: Duration,
    /// Where it stood, if it was refused as it came and would have had to wait.
    pub standing: Option<QueuePosition>,
    /// How much of the connection's quota is used, and by whom.
    pub usage: QuotaUsage,
}

/// How much of a connection's quota is used at some moment, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Calls per window that the connection's pool allows; 0 where the app is on no connection.
    pub calls: u32,
    /// The window.
    pub window: Duration,
    /// Slots that are in use or rest, of all apps together.
    pub held: u32,
    /// Those of them that are the app's own, in both lanes.
    pub own: u32,
}

impl QuotaRefusal {
    pub(crate) fn new(rule: QuotaRule, after: Duration, usage: QuotaUsage) -> Self {
        let after = after.max(Duration::from_millis(1));
        Self { rule, after, standing: None, usage }
    }

    /// The app is paused, or on no connection of that number.
    pub(crate) fn paused(usage: QuotaUsage) -> Self {
        Self::new(QuotaRule::AppPaused, PAUSED, usage)
    }

    /// The value of `Retry-After`: whole seconds, rounded up, at least 1.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.after.as_secs().saturating_add(u64::from(self.after.subsec_nanos() > 0))
    }

    /// The value of `retry-after-ms`: milliseconds, rounded up.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// What would have happened to a call if the quota had not only been watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Would {
    /// It would have started as it did.
    Start,
    /// It would have waited about that long.
    Wait(Duration),
    /// It would have been refused.
    Refuse(QuotaRule),
}

/// The right to send one call. It must be settled, whatever happens to the call.
#[derive(Debug)]
#[must_use = "a grant that is not settled keeps its slots until the hard limit and the window are over"]
pub struct Grant {
    pub(crate) connection: ConnectionNo,
    pub(crate) key: FifoKey,
    pub(crate) paid: Paid,
    pub(crate) taken: Moment,
    pub(crate) would: Would,
    /// The vendor refused its call.
    pub(crate) refused: bool,
}

impl Grant {
    /// When its slots were taken; the hard limit counts from here.
    #[must_use]
    pub const fn taken(&self) -> Moment {
        self.taken
    }

    /// The connection that it is for.
    #[must_use]
    pub const fn connection(&self) -> ConnectionNo {
        self.connection
    }

    /// The lane it went through.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.key.lane
    }

    /// In shadow mode: what would have happened. Else [`Would::Start`].
    #[must_use]
    pub const fn would(&self) -> Would {
        self.would
    }

    /// The slots it holds, for the state file.
    #[must_use]
    pub const fn paid(&self) -> &Paid {
        &self.paid
    }
}

/// A place in the queue of one connection; [`super::Quota::leave`] gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueuePlace {
    pub(crate) connection: ConnectionNo,
    pub(crate) place: super::queue::FifoPlace,
}

/// The answer to a call that wants to start.
#[derive(Debug)]
pub enum AdmissionVerdict {
    /// It may go now.
    Start(Grant),
    /// It waits there, in that position; an [`QueueEvent`] says how the waiting ends.
    Wait(QueuePlace, QueuePosition),
    /// It may not.
    Refused(QuotaRefusal),
}

/// How waiting ended.
#[derive(Debug)]
pub enum QueueEvent {
    /// The call may go now.
    Start {
        /// Where it waited.
        place: QueuePlace,
        /// Its right to be sent.
        grant: Grant,
        /// When it had come.
        since: Moment,
    },
    /// The call can't start in time after all (or its app was paused).
    Refused {
        /// Where it waited.
        place: QueuePlace,
        /// Why, and when to come back.
        refusal: QuotaRefusal,
        /// When it had come.
        since: Moment,
    },
}

/// What an app could do now: the `RateLimit` field of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Calls that it could start at once.
    pub calls: u32,
    /// Until it could start one more; zero if that is not known before some call is answered.
    pub next: Duration,
}
