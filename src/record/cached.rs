//! What the cache did for a call, and how it is said (RFC 9211).

use std::time::Duration;

/// What the cache did for a call on a cacheable row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// A fresh copy answered.
    Hit {
        /// How old it is.
        age: Duration,
        /// How long it stays fresh.
        left: Duration,
    },
    /// A copy that is no longer fresh stood in for the vendor.
    Stale {
        /// How old it is.
        age: Duration,
        /// How long ago it ceased to be fresh.
        since: Duration,
    },
    /// The answer of another call that was under way.
    Shared,
    /// The vendor said that the copy is still right.
    Revalidated,
    /// The vendor answered.
    Missed {
        /// Why the call went on.
        why: Forward,
        /// The answer was kept.
        stored: bool,
    },
}

/// Why a call went on to the vendor: `fwd` of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// There is no copy.
    Miss,
    /// There is one, which is not fresh.
    Stale,
    /// The request asked for it.
    Request,
    /// Nothing is kept of such calls.
    Bypass,
}

impl Cached {
    /// The word in access lines and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Stale { .. } => "stale",
            Self::Shared => "shared",
            Self::Revalidated => "revalidated",
            Self::Missed { stored: true, .. } => "stored",
            Self::Missed { why: Forward::Bypass, .. } => "bypass",
            Self::Missed { .. } => "miss",
        }
    }

    /// True when no vendor call was made for it.
    #[must_use]
    pub const fn saves_quota(self) -> bool {
        match self {
            Self::Hit { .. } | Self::Stale { .. } | Self::Shared => true,
            Self::Revalidated | Self::Missed { .. } => false,
        }
    }

    /// How old a reused answer is.
    #[must_use]
    pub const fn age(self) -> Option<Duration> {
        match self {
            Self::Hit { age, .. } | Self::Stale { age, .. } => Some(age),
            Self::Shared | Self::Revalidated | Self::Missed { .. } => None,
        }
    }

    /// The member of `Cache-Status`.
    #[must_use]
    pub fn status(self) -> String {
        match self {
            Self::Hit { left, .. } => format!("tollgate; hit; ttl={}", left.as_secs()),
            Self::Stale { since, .. } => {
                format!("tollgate; hit; ttl=-{}; detail=stale-if-error", since.as_secs().max(1))
            }
            Self::Shared => "tollgate; fwd=uri-miss; collapsed".into(),
            Self::Revalidated => "tollgate; fwd=stale; fwd-status=304; stored".into(),
            Self::Missed { why, stored } => {
                let stored = if stored { "; stored" } else { "" };
                format!("tollgate; fwd={}{stored}", why.as_str())
            }
        }
    }
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "uri-miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Bypass => "bypass",
        }
    }
}
