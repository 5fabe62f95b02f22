//! Answers "why was my call slow?". Keeps the last calls by their ids, until others take their
//! places.
//!
//! Of each call it keeps what the record knows: names, times, codes and counts. It keeps no path,
//! query, body, field or secret. Nothing is formatted until somebody asks. Three kinds of calls
//! have places of their own, so that many of one kind don't push out those of another:
//!
//! - *eventful* ones: that waited, took a second or more, failed, or were tried again;
//! - *quiet* ones: all others that reached an answer;
//! - *refused* ones, of which nothing was sent. Each app has [`REFUSED`] places for them, so an app
//!   that is refused a thousand times a second pushes out only its own.
//!
//! Requests without a valid key are not kept, so a stranger pushes out nothing.

mod document;
mod entry;
mod parts;
mod ring;
mod search;
mod sentence;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub use document::{CallDocument, CallEvent, Refused, Share};
pub use entry::Entry;

use crate::clock;
use crate::ids::{AppId, ConnectionId, TenantId};
use crate::record::{Marks, Observer, Record};
use entry::EntryKind;
use ring::Ring;

/// Places of each kind, unless the operator says otherwise.
pub const PLACES: usize = 2000;
/// Refused calls that are kept for each app.
pub const REFUSED: usize = 32;
/// Apps whose refused calls have places of their own.
const APPS: usize = 1000;

/// The calls that are kept.
pub struct Calls(
    /// std, not tokio: each section moves or reads entries and never awaits.
    Mutex<Kept>,
);

struct Kept {
    eventful: Ring,
    quiet: Ring,
    refused: Vec<Ring>,
    /// The index of each app's refused calls.
    whose: HashMap<(TenantId, AppId), usize>,
}

/// Which calls are wanted. `None` means any.
#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    /// Calls of this tenant.
    pub tenant: Option<TenantId>,
    /// Calls of this app.
    pub app: Option<AppId>,
    /// Calls through this connection.
    pub connection: Option<ConnectionId>,
    /// Calls of this operation.
    pub operation: Option<String>,
    /// Calls that ended with this word: `ok`, `client-gone`, `cut`, or a code.
    pub code: Option<String>,
    /// True for calls of which nothing was sent, since the gateway refused them.
    pub refused: bool,
    /// True for the slowest ones first; else the last ones come first.
    pub slowest: bool,
    /// At most this many.
    pub limit: usize,
}

/// How far back the places reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many eventful calls are kept, and when the oldest one began.
    pub eventful: (usize, Option<SystemTime>),
    /// The same for quiet calls.
    pub quiet: (usize, Option<SystemTime>),
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = |at: Option<SystemTime>| match at {
            Some(at) => format!(" since {}", clock::rfc3339(at)),
            None => String::new(),
        };
        let ((eventful, first), (quiet, other)) = (self.eventful, self.quiet);
        write!(
            f,
            "kept are the last {eventful} calls that waited, failed or were slow{}, the last {quiet} \
             others{}, and the last {REFUSED} refused ones of each app; a call under way is not there \
             until it ends",
            since(first),
            since(other)
        )
    }
}

impl Default for Calls {
    fn default() -> Self {
        let ring = || Ring::new(PLACES, PLACES);
        let (eventful, quiet) = (ring(), ring());
        Self(Mutex::new(Kept { eventful, quiet, refused: Vec::new(), whose: HashMap::new() }))
    }
}

impl Calls {
    fn keep(&self, record: &Record, marks: &Marks) {
        let Some((entry, kind)) = Entry::of(record, marks, marks.ended()) else { return };
        let mut kept = self.kept();
        let gone = match kind {
            EntryKind::Eventful => kept.eventful.push(entry),
            EntryKind::Quiet => kept.quiet.push(entry),
            EntryKind::Refused => kept.refuse(entry),
        };
        drop(kept);
        // The old entry is dropped here, outside the lock, since that may free the names that it
        // shared.
        drop(gone);
    }

    /// The refused calls of an app, the last one first.
    #[must_use]
    pub fn refused(&self, tenant: &TenantId, app: &AppId) -> Vec<Entry> {
        let kept = self.kept();
        let ring = kept.whose.get(&(tenant.clone(), app.clone()));
        let ring = ring.and_then(|at| kept.refused.get(*at));
        let mut found: Vec<Entry> = ring.into_iter().flat_map(Ring::entries).cloned().collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.ended));
        found
    }

    /// Gives each kind this many places. The last calls stay.
    pub fn resize(&self, places: usize) {
        let mut kept = self.kept();
        kept.eventful.resize(places);
        kept.quiet.resize(places);
        if places == 0 {
            kept.refused.clear();
            kept.whose.clear();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Calls {
    fn finished(&self, record: &Record, marks: &Marks) {
        self.keep(record, marks);
    }
}

impl Kept {
    fn refuse(&mut self, entry: Entry) -> Option<Entry> {
        if self.quiet.places() == 0 {
            return Some(entry);
        }
        let whose = (entry.tenant.clone(), entry.app.clone());
        let at = match self.whose.get(&whose) {
            Some(at) => *at,
            None if self.refused.len() >= APPS => return self.quiet.push(entry),
            None => {
                self.whose.insert(whose, self.refused.len());
                self.refused.push(Ring::new(REFUSED, 0));
                self.refused.len() - 1
            }
        };
        self.refused.get_mut(at)?.push(entry)
    }
}

#[cfg(test)]
mod tests;
