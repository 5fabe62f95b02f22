//! How old the store surely is: what one process saw of it.
//!
//! A slot that another process was granted in an earlier life of the store is at least as old as
//! the store that is there now. So who has seen it for long need not wait for those slots.

use std::time::Duration;

use super::super::moment::Moment;

/// A store that was not seen for so long may have been another one meanwhile.
const SIGHT: Duration = Duration::from_secs(15);

/// The store that a process sees, and since when.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    incarnation: String,
    first: Moment,
    last: Moment,
}

impl Sighting {
    /// The store said at `now` that it is this one.
    pub fn sees(&mut self, incarnation: &str, now: Moment) {
        if self.incarnation != incarnation || now.since(self.last) > SIGHT {
            self.incarnation.replace_range(.., incarnation);
            self.first = now;
        }
        self.last = now;
    }

    /// The store; empty if none was seen.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// For how long it has been there, at least.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.last.since(self.first)
    }
}
