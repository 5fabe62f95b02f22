//! Whether a call may be tried again: by proof, not by status alone. Pure.
//!
//! | what is known | any method | GET HEAD PUT DELETE | POST with a key that Courier honours | other POST, PATCH |
//! | --- | --- | --- | --- | --- |
//! | nothing was sent | again | | | |
//! | 429 | back to its line | | | |
//! | no answer came, or none that can be read | | again | again, same key | never |
//! | 502, 503, 504 | | again | once, same key | never |
//! | 500 | | GET and HEAD only | never: Courier replays it | never |
//! | 409 to our own further attempt | | | wait, again: the first still runs | |
//! | the token is refused | back to its line, once, if its source has another one by now | | | |
//! | the gateway's own refusal, any other answer | never | | | |
//!
//! An answer with `x-should-retry: false` ends a call, whatever its status.
//!
//! A call that goes back to its line was not done, and not for a fault of its own: it takes the
//! place that it would have there by now, and no budget of attempts is charged. Its longest wait
//! counts from when it first came, and the vendor's pause of at least 1 s lies before it each time:
//! so it goes back at most once a second of that wait, and [`RETURNS`] times in any case. Where
//! nothing holds calls back (the quota only watches, or the row pays nothing) a 429 is tried again
//! after its time, out of the budget.

use std::time::Duration;

use http::{Method, StatusCode};

/// Attempts of a call that proves its repetition harmless by a key.
const ATTEMPTS_KEYED: u32 = 8;

/// Attempts of any other call.
const ATTEMPTS: u32 = 4;

/// How often a call goes back to its line.
const RETURNS: u32 = 60;

/// The longest that a 429's own time is waited for outside of a line; beyond it the caller is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a call may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeatable {
    /// GET and HEAD: it changes nothing.
    Read,
    /// PUT and DELETE: doing it twice is doing it once.
    Idempotent,
    /// POST with a key that the vendor honours.
    Keyed,
    /// It may do it twice.
    Other,
}

/// What an attempt taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The transport proved that nothing was sent.
    NotSent,
    /// No answer came, or none that can be read: the vendor may have acted.
    NoAnswer,
    /// The vendor answered; with 429, the time that it asked for.
    Answered(StatusCode, Option<Duration>),
    /// The vendor refused the call for its own quota, and a pool is closed for that.
    Throttled,
    /// The vendor refused our token.
    Rejected {
        /// Its source has another one by now.
        changed: bool,
    },
    /// The gateway itself refused the attempt.
    Refused,
}

/// What earlier attempts of the call came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// Attempts so far, without those that went back to their line.
    pub(super) attempts: u32,
    /// How often it went back.
    pub(super) returns: u32,
    /// One of them may have been acted on.
    pub(super) open: bool,
    /// A 502, 503 or 504 was tried again.
    pub(super) unavailable: bool,
    /// A changed token was tried.
    pub(super) token: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This is the answer.
    Done,
    /// One more attempt, at the earliest after this time, if deadline and budget allow.
    Again(Duration),
    /// Back to its place in the line.
    Back,
}

impl Repeatable {
    /// How a call of `method` may be repeated; `keyed` when it carries a key that the vendor
    /// honours.
    #[must_use]
    pub(super) fn of(method: &Method, keyed: bool) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::PUT | Method::DELETE => Self::Idempotent,
            Method::POST if keyed => Self::Keyed,
            _ => Self::Other,
        }
    }

    const fn attempts(self) -> u32 {
        if matches!(self, Self::Keyed) { ATTEMPTS_KEYED } else { ATTEMPTS }
    }
}

impl Course {
    /// The course after an attempt that taught `known` and that will be followed by another.
    #[must_use]
    pub(super) fn then(self, known: Known) -> Self {
        let unavailable = matches!(known, Known::Answered(status, _) if is_unavailable(status));
        let back = matches!(known, Known::Throttled | Known::Rejected { .. });
        Self {
            attempts: self.attempts + u32::from(!back),
            returns: self.returns + u32::from(back),
            open: self.open || unavailable || known == Known::NoAnswer,
            unavailable: self.unavailable || unavailable,
            token: self.token || matches!(known, Known::Rejected { .. }),
        }
    }
}

/// The table. `course` is what came before the attempt that taught `known`.
#[must_use]
pub(super) fn decide(kind: Repeatable, known: Known, course: Course) -> Decision {
    match known {
        Known::Throttled | Known::Rejected { .. } if course.returns >= RETURNS => {
            return Decision::Done;
        }
        Known::Throttled => return Decision::Back,
        Known::Rejected { changed } if changed && !course.token => return Decision::Back,
        Known::Rejected { .. } => return Decision::Done,
        _ => {}
    }
    if course.attempts + 1 >= kind.attempts() {
        return Decision::Done;
    }
    let again = match known {
        Known::NotSent => true,
        Known::NoAnswer => kind != Repeatable::Other,
        Known::Refused | Known::Throttled | Known::Rejected { .. } => false,
        Known::Answered(StatusCode::TOO_MANY_REQUESTS, time) => {
            let time = time.unwrap_or_default();
            return if time <= PATIENCE { Decision::Again(time) } else { Decision::Done };
        }
        Known::Answered(StatusCode::INTERNAL_SERVER_ERROR, _) => kind == Repeatable::Read,
        Known::Answered(StatusCode::CONFLICT, _) => kind == Repeatable::Keyed && course.open,
        Known::Answered(status, _) if is_unavailable(status) => match kind {
            Repeatable::Read | Repeatable::Idempotent => true,
            Repeatable::Keyed => !course.unavailable,
            Repeatable::Other => false,
        },
        Known::Answered(..) => false,
    };
    if again { Decision::Again(Duration::ZERO) } else { Decision::Done }
}

/// True when the answer says nothing of what an earlier attempt did: then that one's outcome
/// counts.
#[must_use]
pub(super) fn is_inconclusive(known: Known, course: Course) -> bool {
    match known {
        Known::Refused => course.attempts > 0,
        Known::Throttled | Known::Rejected { .. } => course.open,
        Known::Answered(StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS, _) => course.open,
        Known::Answered(..) | Known::NotSent | Known::NoAnswer => false,
    }
}

fn is_unavailable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

#[cfg(test)]
mod tests;
