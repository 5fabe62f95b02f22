//! Which overrides there are: a set that replicas can put together in any order. Pure.
//!
//! An override never changes but for its end, and the earliest end counts. So two replicas that
//! know the same overrides know the same ends, whoever told whom first, and a store that forgot
//! everything is told again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::act::Act;

/// Milliseconds since 1970.
pub type WallMs = u64;

/// The longest that one may last: 30 days.
pub const LONGEST_MS: u64 = 30 * 24 * 3600 * 1000;
/// For how long one that is over can still be looked at.
pub const KEPT_MS: u64 = 24 * 3600 * 1000;
/// The longest reason, in characters.
pub const REASON: usize = 200;
/// The most at a time, those that are over included.
pub const MOST: usize = 1000;

/// A change that undoes itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Override {
    /// Its name, such as `k3f9x2`.
    pub id: Arc<str>,
    /// What is changed.
    pub act: Act,
    /// Why.
    pub because: Arc<str>,
    /// The public part of the key of who made it.
    pub by: Arc<str>,
    /// Since when.
    pub from: WallMs,
    /// It is over then.
    pub until: WallMs,
    /// When and how it ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EarlyEnd>,
}

/// The end of an override before its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct EarlyEnd {
    /// When.
    pub at: WallMs,
    /// Who ended it; without, another took its place.
    pub by: Option<Arc<str>>,
}

/// Why there is no such override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotEnd {
    /// Nobody made it, or it is long over.
    #[error("there is no override of that id")]
    Unknown,
    /// It is over.
    #[error("that override is over already")]
    Over,
}

/// All of them, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverrideSet {
    overrides: BTreeMap<Arc<str>, Override>,
}

impl Override {
    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: WallMs) -> bool {
        self.ended.is_none() && now < self.until
    }

    /// When it ended or will.
    #[must_use]
    pub fn end(&self) -> WallMs {
        self.ended.as_ref().map_or(self.until, |end| end.at.min(self.until))
    }

    /// Whether it can still be looked at.
    #[must_use]
    pub fn is_shown(&self, now: WallMs) -> bool {
        now < self.end().saturating_add(KEPT_MS)
    }

    /// Whether it is still to be known: one that ended before its time must not come back from a
    /// replica that has not heard of that.
    #[must_use]
    pub fn is_kept(&self, now: WallMs) -> bool {
        self.is_shown(now) || now < self.until
    }

    /// Whether anybody could have made it: nothing else is taken from a file or a store.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let line = |text: &str| text.len() <= 4 * REASON && !text.chars().any(char::is_control);
        self.act.is_sound()
            && line(&self.because)
            && line(&self.by)
            && line(&self.id)
            && self.until.checked_sub(self.from).is_some_and(|life| life <= LONGEST_MS)
    }
}

impl fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(by) => write!(f, "ended by {by}"),
            None => f.write_str("replaced"),
        }
    }
}

impl OverrideSet {
    /// Adds one; those that change the same end now, and are given back. `None`: there is no room.
    pub fn add(&mut self, new: Override) -> Option<Vec<Override>> {
        self.forget(new.from);
        self.make_room(new.from);
        if self.overrides.len() >= MOST {
            return None;
        }
        let now = new.from;
        let met =
            self.overrides.values_mut().filter(|old| old.holds(now) && old.act.meets(&new.act));
        let replaced = met.map(|old| {
            old.ended = Some(EarlyEnd { at: now, by: None });
            old.clone()
        });
        let replaced = replaced.collect();
        self.overrides.insert(new.id.clone(), new);
        Some(replaced)
    }

    /// Where there is no room, what is over goes first, and purges: the oldest of them.
    fn make_room(&mut self, now: WallMs) {
        while self.overrides.len() >= MOST {
            let over = self.overrides.values();
            let over = over.filter(|known| !known.holds(now) || known.act.is_instant());
            let Some(oldest) = over.min_by_key(|known| known.end()) else { return };
            let id = oldest.id.clone();
            self.overrides.remove(&id);
        }
    }

    /// Ends one before its time.
    ///
    /// # Errors
    /// When there is none that holds.
    pub fn end(&mut self, id: &str, by: Arc<str>, now: WallMs) -> Result<Override, CannotEnd> {
        let known = self.overrides.get_mut(id).ok_or(CannotEnd::Unknown)?;
        if !known.holds(now) {
            return Err(CannotEnd::Over);
        }
        known.ended = Some(EarlyEnd { at: now, by: Some(by) });
        Ok(known.clone())
    }

    /// Takes in what somebody else knows. True if something is new here.
    pub fn merge(&mut self, others: impl IntoIterator<Item = Override>, now: WallMs) -> bool {
        let mut news = false;
        for other in others {
            if !other.is_kept(now) || !other.is_sound() {
                continue;
            }
            let room = self.overrides.len() < MOST;
            match self.overrides.get_mut(&other.id) {
                None if room => {
                    self.overrides.insert(other.id.clone(), other);
                    news = true;
                }
                None => {}
                Some(known) => {
                    let end = [&known.ended, &other.ended].into_iter().flatten().min().cloned();
                    news |= known.ended != end;
                    known.ended = end;
                }
            }
        }
        news
    }

    /// Drops what is long over.
    pub fn forget(&mut self, now: WallMs) {
        self.overrides.retain(|_, known| known.is_kept(now));
    }

    /// All that are kept, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &Override> {
        let mut all: Vec<&Override> = self.overrides.values().collect();
        all.sort_by(|one, other| (other.from, &other.id).cmp(&(one.from, &one.id)));
        all.into_iter()
    }

    /// Those that hold and last, the newest first: of two that change the same, the first counts.
    pub fn in_force(&self, now: WallMs) -> impl Iterator<Item = &Override> {
        self.all().filter(move |known| known.holds(now) && !known.act.is_instant())
    }

    /// When the next one that holds is over.
    #[must_use]
    pub fn next_end(&self, now: WallMs) -> Option<WallMs> {
        self.in_force(now).map(|known| known.until).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pause(id: &str, app: &str, from: WallMs, until: WallMs) -> Override {
        let act = Act::PauseApp { tenant: None, app: app.parse().unwrap() };
        Override {
            id: id.into(),
            act,
            because: "a test".into(),
            by: "ops".into(),
            from,
            until,
            ended: None,
        }
    }

    fn ids<'a>(found: impl Iterator<Item = &'a Override>) -> Vec<&'a str> {
        found.map(|known| &*known.id).collect()
    }

    #[test]
    fn an_override_holds_from_its_making_to_the_millisecond_of_its_end() {
        let mut set = OverrideSet::default();
        assert_eq!(set.add(pause("a", "x", 1000, 3000)), Some(Vec::new()));
        assert_eq!(ids(set.in_force(2999)), ["a"]);
        assert_eq!(ids(set.in_force(3000)), Vec::<&str>::new());
        assert_eq!(set.next_end(1000), Some(3000));
        assert_eq!(ids(set.all()), ["a"], "it can still be looked at");
        set.forget(3000 + KEPT_MS);
        assert_eq!(set, OverrideSet::default());
    }

    #[test]
    fn of_two_that_change_the_same_the_newer_one_holds() {
        let mut set = OverrideSet::default();
        set.add(pause("a", "x", 1000, 9000)).unwrap();
        set.add(pause("b", "y", 1000, 9000)).unwrap();
        let replaced = set.add(pause("c", "x", 2000, 5000)).unwrap();
        assert_eq!(replaced.iter().map(|old| &*old.id).collect::<Vec<_>>(), ["a"]);
        assert_eq!(ids(set.in_force(3000)), ["c", "b"]);
        assert_eq!(set.all().find(|old| &*old.id == "a").unwrap().end(), 2000);
    }

    #[test]
    fn one_that_is_over_can_not_be_ended_again() {
        let mut set = OverrideSet::default();
        set.add(pause("a", "x", 1000, 9000)).unwrap();
        assert_eq!(set.end("b", "ops".into(), 2000), Err(CannotEnd::Unknown));
        assert_eq!(set.end("a", "ops".into(), 2000).unwrap().end(), 2000);
        assert_eq!(set.end("a", "ops".into(), 2001), Err(CannotEnd::Over));
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let mut set = OverrideSet::default();
        for number in 0..MOST {
            set.add(pause(&format!("{number}"), &format!("a{number}"), 1000, 9000)).unwrap();
        }
        assert_eq!(set.add(pause("more", "x", 1000, 9000)), None);
        assert!(!set.merge([pause("more", "x", 1000, 9000)], 1000));
        assert!(set.add(pause("later", "x", 9000 + KEPT_MS, 9001 + KEPT_MS)).is_some());
    }

    #[test]
    fn where_there_is_no_room_what_is_over_makes_it() {
        let mut set = OverrideSet::default();
        for number in 0..MOST as u64 {
            let app = format!("a{number}");
            set.add(pause(&format!("{number}"), &app, 1000 + number, 9_000_000)).unwrap();
        }
        set.end("7", "ops".into(), 500_000).unwrap();
        set.end("5", "ops".into(), 600_000).unwrap();
        assert!(set.add(pause("more", "x", 700_000, 900_000)).is_some());
        let known = |id: &str| set.all().any(|known| &*known.id == id);
        assert!(known("more") && !known("7") && known("5"), "the oldest goes");
        assert!(set.add(pause("again", "y", 700_000, 900_000)).is_some());
        assert_eq!(set.add(pause("none", "z", 700_000, 900_000)), None, "all hold");
    }

    #[test]
    fn one_that_was_ended_is_known_until_its_time_is_over_and_shown_for_a_day() {
        let mut long = pause("a", "x", 0, LONGEST_MS);
        long.ended = Some(EarlyEnd { at: 1000, by: None });
        assert!(long.is_shown(KEPT_MS) && !long.is_shown(KEPT_MS + 1000));
        assert!(long.is_kept(LONGEST_MS - 1) && !long.is_kept(LONGEST_MS));
    }

    /// What replicas do: make some, end some, tell each other some of it.
    fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
        prop::collection::vec((0..4_u8, 0..3_u8, 0..6_u8), 0..60)
    }

    proptest! {
        #[test]
        fn replicas_that_told_each_other_all_hold_the_same(steps in steps()) {
            let mut replicas = [OverrideSet::default(), OverrideSet::default(), OverrideSet::default()];
            for (now, (what, who, which)) in steps.into_iter().enumerate() {
                let now = now as u64 * 100;
                let at = usize::from(who);
                match what {
                    0 => {
                        let id = format!("{which}-{now}");
                        let app = format!("app{}", which % 3);
                        replicas[at].add(pause(&id, &app, now, now + 700)).unwrap();
                    }
                    1 => {
                        let known: Vec<Arc<str>> =
                            replicas[at].in_force(now).map(|known| known.id.clone()).collect();
                        if let Some(id) = known.get(usize::from(which)) {
                            replicas[at].end(id, format!("ops{who}").into(), now).unwrap();
                        }
                    }
                    _ => {
                        let told = replicas[usize::from(which) % 3].clone();
                        replicas[at].merge(told.all().cloned(), now);
                    }
                }
            }
            // Everybody tells everybody, in different orders.
            for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (2, 1)] {
                let told = replicas[from].clone();
                replicas[to].merge(told.all().cloned(), 0);
            }
            let [one, two, three] = replicas;
            prop_assert_eq!(&one, &two);
            prop_assert_eq!(&two, &three);
        }

        #[test]
        fn to_be_told_twice_changes_nothing(steps in steps()) {
            let mut set = OverrideSet::default();
            for (now, (_, who, which)) in steps.into_iter().enumerate() {
                let now = now as u64;
                set.add(pause(&format!("{now}"), &format!("a{which}"), now, now + u64::from(who)));
            }
            let told = set.clone();
            prop_assert!(!set.merge(told.all().cloned(), 0));
            prop_assert_eq!(set, told);
        }
    }
}
