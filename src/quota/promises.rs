//! What refused clients of an app were told: each is owed a slot when it comes back.
//!
//! A client that is served may call again at once, and would take the slot that another one was
//! told to come back for: of a crowd without a pause half came in vain. So newcomers of an app
//! leave the slots that its returning clients were told of. A call does not say whose it is: who
//! comes at a moment that somebody was told, by the milliseconds or the whole seconds, is taken for
//! that one. Nothing is left for clients of an app whose clients don't come back when told.

use std::collections::VecDeque;
use std::time::Duration;

use super::moment::Moment;

/// A client is on time within this part of the window …
const ON_TIME: u32 = 600;
/// … and is waited for for this part of it.
const GRACE: u32 = 30;
/// The most clients of an app that are waited for.
const MOST: usize = 64;
/// How much one client weighs that came on time, or didn't, against those before it.
const WEIGHT: f64 = 0.125;

/// A time to come back: to the millisecond, and by whole seconds.
#[derive(Clone, Copy, Debug)]
struct Promise {
    exact: Moment,
    whole: Moment,
}

/// The clients of an app that are to come back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// In the order of the exact times.
    list: VecDeque<Promise>,
    /// The part of them that came on time of late.
    kept: f64,
}

impl Promises {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets those who did not come.
    pub(crate) fn forget(&mut self, window: Duration, now: Moment) {
        while let Some(first) = self.list.front()
            && first.whole + window / GRACE < now
        {
            self.list.pop_front();
            self.count(false);
        }
    }

    /// How many others are owed a slot until then, whoever comes now.
    pub(crate) fn others(&self, by: Moment, window: Duration, now: Moment) -> u32 {
        if self.kept < 0.5 {
            return 0;
        }
        let owed = self.list.partition_point(|promise| promise.exact <= by);
        let own = usize::from(self.due(window, now).is_some_and(|at| at < owed));
        u32::try_from(owed - own).unwrap_or(u32::MAX)
    }

    /// A client came, and was let in or told another time.
    pub(crate) fn came(&mut self, window: Duration, now: Moment) {
        if let Some(at) = self.due(window, now)
            && let Some(promise) = self.list.remove(at)
        {
            let Promise { exact, whole } = promise;
            self.count(on_time(exact, window, now) || on_time(whole, window, now));
        }
    }

    /// A client was told to come back.
    pub(crate) fn promise(&mut self, exact: Moment, whole: Moment) {
        if self.list.len() < MOST {
            let at = self.list.partition_point(|promise| promise.exact <= exact);
            self.list.insert(at, Promise { exact, whole });
        }
    }

    /// Whose time it is.
    fn due(&self, window: Duration, now: Moment) -> Option<usize> {
        let position = |is_it: &dyn Fn(&Promise) -> bool| self.list.iter().position(is_it);
        position(&|promise| on_time(promise.whole, window, now))
            .or_else(|| position(&|promise| on_time(promise.exact, window, now)))
            .or_else(|| position(&|promise| promise.whole <= now))
    }

    fn count(&mut self, on_time: bool) {
        self.kept += WEIGHT * (f64::from(u8::from(on_time)) - self.kept);
    }
}

/// Whether a client that was told that time comes at it.
fn on_time(told: Moment, window: Duration, now: Moment) -> bool {
    told <= now && now <= told + window / ON_TIME
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(ms: u64) -> Moment {
        Moment::from(Duration::from_millis(ms))
    }

    #[test]
    fn who_comes_when_told_is_owed_a_slot_and_who_comes_between_is_not() {
        let mut promises = Promises { kept: 1.0, ..Promises::default() };
        promises.promise(at(10_200), at(10_800));
        promises.promise(at(20_000), at(20_400));
        let others = |now| promises.others(at(10_900), WINDOW, at(now));
        assert_eq!([others(9000), others(10_250), others(10_500), others(10_800)], [1, 0, 1, 0]);
        promises.came(WINDOW, at(10_800));
        assert_eq!(promises.others(at(30_000), WINDOW, at(11_000)), 1);
    }

    #[test]
    fn nothing_is_left_for_clients_that_do_not_come_back() {
        let mut promises = Promises { kept: 1.0, ..Promises::default() };
        for turn in 0..10 {
            promises.promise(at(turn * 1000), at(turn * 1000));
        }
        promises.forget(WINDOW, at(60_000));
        assert!(promises.is_empty());
        promises.promise(at(70_000), at(70_000));
        assert_eq!(promises.others(at(80_000), WINDOW, at(60_000)), 0);
        for turn in 0..1000 {
            promises.promise(at(turn), at(turn));
        }
        assert_eq!(promises.list.len(), MOST);
    }
}
