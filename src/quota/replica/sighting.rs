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
    /// The store said that it is this one: asked at `asked`, heard at `now`. It was there at some
    /// moment between the two, so that less is sure than both together tell.
    pub fn sees(&mut self, incarnation: &str, asked: Moment, now: Moment) {
        if self.incarnation != incarnation || asked.since(self.last) > SIGHT {
            self.incarnation.replace_range(.., incarnation);
            self.first = now;
        }
        self.last = asked;
    }

    /// Nobody called before this store was there: it counts as old as can be.
    pub fn is_old(&mut self) {
        self.first = Moment::ZERO;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_what_lies_between_an_answer_and_a_later_question() {
        let at = |seconds| Moment::from(Duration::from_secs(seconds));
        let mut sighting = Sighting::default();
        sighting.sees("one", at(100), at(102));
        assert_eq!(sighting.age(), Duration::ZERO);
        sighting.sees("one", at(107), at(109));
        assert_eq!((sighting.incarnation(), sighting.age()), ("one", Duration::from_secs(5)));
        sighting.sees("one", at(123), at(123));
        assert_eq!(sighting.age(), Duration::ZERO, "nobody looked for sixteen seconds");
        sighting.sees("two", at(124), at(124));
        sighting.sees("two", at(130), at(130));
        assert_eq!((sighting.incarnation(), sighting.age()), ("two", Duration::from_secs(6)));
    }
}
