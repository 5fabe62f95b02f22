//! What the cache did for a call, and how it is said (RFC 9211).

use std::fmt::{self, Display};
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
        /// What became of its answer.
        kept: Kept,
    },
}

/// What became of a vendor's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None came, or none that could be judged.
    Undecided,
    /// It was kept.
    Stored,
    /// It was not.
    Not(Unkept),
}

/// Why an answer was not kept: `detail` of `Cache-Status` (RFC 9211, section 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unkept {
    /// Such a method makes no copy.
    Method,
    /// A part of the whole was asked for.
    Range,
    /// The client asked for none.
    ClientNoStore,
    /// Its status is of no use to others.
    Status,
    /// It came with a cookie.
    SetCookie,
    /// It depends on what cannot be compared.
    Vary,
    /// The vendor forbids it.
    NoStore,
    /// The vendor wrote it for one user.
    Private,
    /// The vendor wants to be asked each time.
    NoCache,
    /// Its time was over when it came.
    Expired,
    /// The vendor names no time, and the row has none.
    NoLifetime,
    /// It is larger than a copy may be.
    TooLarge,
    /// A write is under way, or its effects may still come.
    WriteUnderWay,
    /// Something was written while it was fetched.
    WrittenSince,
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
    /// There is one, and the shared store could not confirm that no other replica wrote since.
    Unconfirmed,
}

impl Cached {
    /// Each word that a call can have.
    pub const WORDS: [&'static str; 7] =
        ["hit", "stale", "shared", "revalidated", "stored", "bypass", "miss"];

    /// The word in access lines and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Stale { .. } => "stale",
            Self::Shared => "shared",
            Self::Revalidated => "revalidated",
            Self::Missed { kept: Kept::Stored, .. } => "stored",
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
    pub fn status(self) -> impl Display {
        fmt::from_fn(move |f| match self {
            Self::Hit { left, .. } => write!(f, "tollgate; hit; ttl={}", left.as_secs()),
            Self::Stale { since, .. } => {
                write!(f, "tollgate; hit; ttl=-{}; detail=stale-if-error", since.as_secs().max(1))
            }
            Self::Shared => f.write_str("tollgate; fwd=uri-miss; collapsed"),
            Self::Revalidated => f.write_str("tollgate; fwd=stale; fwd-status=304; stored"),
            Self::Missed { why, kept } => {
                write!(f, "tollgate; fwd={}", why.as_str())?;
                if kept == Kept::Stored {
                    f.write_str("; stored")?;
                }
                self.detail().map_or(Ok(()), |word| write!(f, "; detail={word}"))
            }
        })
    }

    /// Why a copy did not answer, or why the vendor's answer was not kept.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Missed { why: Forward::Unconfirmed, .. } => Some("unconfirmed"),
            Self::Missed { kept: Kept::Not(reason), .. } => Some(reason.as_str()),
            _ => None,
        }
    }
}

impl Unkept {
    /// The word in `Cache-Status` and in access lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Range => "range",
            Self::ClientNoStore => "client-no-store",
            Self::Status => "status",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::NoCache => "no-cache",
            Self::Expired => "expired",
            Self::NoLifetime => "no-lifetime",
            Self::TooLarge => "too-large",
            Self::WriteUnderWay => "write-under-way",
            Self::WrittenSince => "written-since",
        }
    }
}

impl Forward {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "uri-miss",
            // RFC 9211 has no word of its own for a copy that may be old.
            Self::Stale | Self::Unconfirmed => "stale",
            Self::Request => "request",
            Self::Bypass => "bypass",
        }
    }
}
