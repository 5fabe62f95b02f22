//! Why was my call slow? The last calls, by their ids, until others take their places.
//!
//! What is kept of a call is what its record knows: names, times, codes and counts; never a path, a
//! query, a body, a field or a secret. Nothing is formatted until somebody asks. Three kinds of calls
//! have places of their own, so that many of one kind don't push out those of another:
//!
//! - *eventful* ones: that waited, took a second or more, failed, or were tried again;
//! - *quiet* ones: all others that reached an answer;
//! - *refused* ones, of which nothing was sent: [`REFUSED`] an app, so that an app that is refused a
//!   thousand times a second pushes out its own only.
//!
//! Requests without a valid key are not kept: a stranger pushes out nothing.

mod document;
mod entry;
mod parts;
mod ring;
mod sentence;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub use document::{Document, Event, Refused, Share};
pub use entry::Entry;

use crate::clock;
use crate::ids::{AppId, RandomId, TenantId};
use crate::record::{Marks, Observer, Record};
use entry::Kind;
use ring::Ring;

/// Places of each kind, unless the operator says otherwise.
pub const PLACES: usize = 2000;
/// Refused calls that are kept of one app.
pub const REFUSED: usize = 32;
/// Apps whose refused calls have places of their own.
const APPS: usize = 1000;

/// The calls that are kept.
pub struct Calls(
    /// std, not tokio: each section moves or looks at entries and never awaits.
    Mutex<Kept>,
);

struct Kept {
    eventful: Ring,
    quiet: Ring,
    refused: HashMap<(TenantId, AppId), Ring>,
}

/// Which calls are wanted; `None` is any.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this app.
    pub app: Option<AppId>,
    /// The slowest ones first, not the last ones.
    pub slowest: bool,
    /// At most so many.
    pub limit: usize,
}

/// How far back the places reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Calls that are kept, and when the oldest began, of the eventful and of the quiet kind.
    pub eventful: (usize, Option<SystemTime>),
    /// See above.
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
        Self(Mutex::new(Kept { eventful: ring(), quiet: ring(), refused: HashMap::new() }))
    }
}

/// Ids that are compared under one lock: some microseconds.
const PIECE: usize = 4096;

impl Calls {
    fn keep(&self, record: &Record, marks: &Marks) {
        let Some((entry, kind)) = Entry::of(record, marks, marks.ended()) else { return };
        let mut kept = self.kept();
        let gone = match kind {
            Kind::Eventful => kept.eventful.push(entry),
            Kind::Quiet => kept.quiet.push(entry),
            Kind::Refused => kept.refuse(entry),
        };
        drop(kept);
        // The names that an old entry shared are let go of when nobody waits for the lock.
        drop(gone);
    }

    /// The call of that id, if it is kept.
    #[must_use]
    pub fn find(&self, id: RandomId) -> Option<Entry> {
        let rings: [fn(&Kept) -> &Ring; 2] = [|kept| &kept.eventful, |kept| &kept.quiet];
        for ring in rings {
            // However many are kept, the lock that every ending call needs is let go between pieces.
            for from in (0..).step_by(PIECE) {
                let kept = self.kept();
                let ring = ring(&kept);
                if from >= ring.len() {
                    break;
                }
                if let Some(entry) = ring.find(id, from..from + PIECE) {
                    return Some(entry.clone());
                }
            }
        }
        // These are few, whatever is configured: 32 of each of a thousand apps.
        let kept = self.kept();
        kept.refused.values().find_map(|ring| ring.find(id, 0..REFUSED)).cloned()
    }

    /// The calls that are wanted.
    #[must_use]
    pub fn list(&self, wanted: &Wanted) -> Vec<Entry> {
        let kept = self.kept();
        let mut found: Vec<&Entry> = kept
            .rings()
            .flat_map(Ring::entries)
            .filter(|entry| wanted.tenant.as_ref().is_none_or(|tenant| *tenant == entry.tenant))
            .filter(|entry| wanted.app.as_ref().is_none_or(|app| *app == entry.app))
            .collect();
        if wanted.slowest {
            found.sort_by_key(|entry| std::cmp::Reverse(entry.total()));
        } else {
            found.sort_by_key(|entry| std::cmp::Reverse(entry.ended));
        }
        found.into_iter().take(wanted.limit).cloned().collect()
    }

    /// The refused calls of an app, the last one first.
    #[must_use]
    pub fn refused(&self, tenant: &TenantId, app: &AppId) -> Vec<Entry> {
        let kept = self.kept();
        let ring = kept.refused.get(&(tenant.clone(), app.clone()));
        let mut found: Vec<Entry> = ring.into_iter().flat_map(Ring::entries).cloned().collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.ended));
        found
    }

    /// How far back it reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let kept = self.kept();
        let of = |ring: &Ring| (ring.len(), ring.entries().map(|entry| entry.started_at).min());
        Reach { eventful: of(&kept.eventful), quiet: of(&kept.quiet) }
    }

    /// Gives each kind so many places; the last calls stay.
    pub fn resize(&self, places: usize) {
        let mut kept = self.kept();
        kept.eventful.resize(places);
        kept.quiet.resize(places);
        if places == 0 {
            kept.refused.clear();
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
    fn rings(&self) -> impl Iterator<Item = &Ring> {
        [&self.eventful, &self.quiet].into_iter().chain(self.refused.values())
    }

    fn refuse(&mut self, entry: Entry) -> Option<Entry> {
        if self.quiet.places() == 0 {
            return Some(entry);
        }
        let whose = (entry.tenant.clone(), entry.app.clone());
        if !self.refused.contains_key(&whose) && self.refused.len() >= APPS {
            return self.quiet.push(entry);
        }
        self.refused.entry(whose).or_insert_with(|| Ring::new(REFUSED, 0)).push(entry)
    }
}

#[cfg(test)]
mod tests;
