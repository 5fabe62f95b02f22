//! What apps below their part are likely to want soon, and what is kept for it.
//!
//! Slots that were taken together come back together. Between two such moments whoever asks finds
//! nothing, however little it wants, and can't wait for as long as that. So slots are kept for the
//! calls that the last window lets expect, as far as others don't come back meanwhile. Where slots come
//! back one by one, whoever is below its part has the next one soon, and next to nothing is kept.
//!
//! **Demand** is what was let in within the last window, and what was refused for want of a slot: an
//! app that is turned away wants no less than one that is served. A refusal counts for about a window,
//! until the app's next call starts, and once in a while however often a client tries again, so that
//! trying often gains nothing.
//!
//! **From a cold start** nothing is known of anybody's demand. A part of the slots is then given out
//! evenly over the first window to whoever asks first: so those who come late find some, and from then
//! on these slots come back one by one. Where no other app may call, nothing is held back.

use std::time::Duration;

use super::moment::Moment;
use super::pools::Pools;
use super::queue::{FifoKey, Lane};
use super::scheduler::Scheduler;

/// Looks in a window. In between a forecast stands, so that nobody is woken for each small change.
const LOOKS: u32 = 240;
/// Parts of the window ahead at which demand and slots are compared.
const AHEAD: [f64; 8] = [0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0];
/// So many deviations (of a Poisson process) more calls than usual are reckoned with.
const DEVIATIONS: f64 = 2.0;
/// A call may wait for this part of the window for a slot that comes back.
const PATIENCE: u32 = 60;
/// No more than this part of the slots is kept, whatever is expected.
const MOST_KEPT: f64 = 0.25;
/// A rate counted over less of a window than this part says little.
const LEAST_COUNTED: f64 = 0.25;
/// Of a client that tries again and again, so many refusals count in a window at the most.
const MOST_COUNTED: u32 = 30;
/// At a cold start so many slots are given out to anybody at once, …
const AT_ONCE: u32 = 20;
/// … and of the others all but this part.
const SPREAD: u32 = 4;

/// Slots that are kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forecast {
    /// For calls of apps below their part, of all of them.
    kept: f64,
    /// For apps that have not called yet.
    pub(crate) unseen: f64,
    /// Interactive calls of the last window, let in or refused, of all apps.
    pub(crate) interactive: f64,
    /// Apps that may make interactive calls, as long as the first window is not over.
    pub(crate) apps: u32,
    /// What is kept is given out evenly until the first window is over.
    cold: bool,
    /// Slots that came back since the last look.
    back: u32,
    /// When that was.
    looked: Moment,
    /// It stands until then.
    until: Moment,
}

impl Forecast {
    /// All that is kept, if that is still known.
    pub(crate) fn kept(&self, now: Moment) -> Option<f64> {
        (now < self.until).then_some(self.kept + self.unseen)
    }
}

/// Calls of an app in about the last window, those that come close together counted as one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    calls: f64,
    faded: Moment,
    counted: Moment,
}

impl Count {
    /// A call came; no more than `most` are counted.
    pub(crate) fn note(&mut self, most: f64, window: Duration, now: Moment) {
        if now.since(self.counted) >= window / MOST_COUNTED {
            self.fade(window, now);
            self.calls = (self.calls + 1.0).min(most);
            self.counted = now;
        }
    }

    /// A call of the app was let in: it may be the one that was refused.
    pub(crate) fn served(&mut self) {
        self.calls = (self.calls - 1.0).max(0.0);
    }

    /// Forgets by and by what was long ago.
    fn fade(&mut self, window: Duration, now: Moment) {
        let age = now.since(self.faded).as_secs_f64() / window.as_secs_f64();
        self.calls *= (-age).exp();
        self.faded = now;
    }

    /// How many, as of the last look.
    pub(crate) const fn calls(&self) -> f64 {
        self.calls
    }

    /// Whether something is left that matters.
    pub(crate) fn matters(&self) -> bool {
        self.calls >= 0.5
    }
}

/// Slots that are to be free now for so many calls a window; `back` says how many come back within a
/// part of the window.
pub(crate) fn need(calls: f64, deviations: f64, back: impl Fn(f64) -> u32) -> f64 {
    let lacking = AHEAD.iter().map(|ahead| {
        let mean = calls * ahead;
        mean + deviations * mean.sqrt() - f64::from(back(*ahead))
    });
    lacking.fold(0.0, f64::max)
}

impl Scheduler {
    /// Looks ahead, if the last look is too old.
    pub(crate) fn foresee(&mut self, pools: &Pools, now: Moment) {
        if now < self.forecast.until {
            return;
        }
        let Some(pool) = pools.get(self.main) else { return };
        let window = self.rest.window;
        let age = now.since(self.began).as_secs_f64() / window.as_secs_f64();
        let slots = f64::from(pool.slots.limit().saturating_sub(self.held[Lane::Bulk.index()]));
        let calls = self.expect(slots, age, now);
        let need = need(calls, DEVIATIONS, |ahead| {
            pool.slots.back_by(now + window.mul_f64(ahead) + window / PATIENCE)
        });
        let spread = self.spread() * (1.0 - age).max(0.0);
        let kept = if calls > 0.0 { need.max(spread).min(slots * MOST_KEPT) } else { 0.0 };
        for app in &self.listed[0] {
            let app = &mut self.apps[*app as usize];
            app.expects *= kept / calls.max(f64::MIN_POSITIVE);
        }
        let (apps, uncalled) = if age < 1.0 { self.to_come() } else { (0, 0) };
        let unseen = if uncalled > 0 { spread } else { 0.0 };
        let cold = spread > 0.0 && (unseen > 0.0 || spread >= need);
        self.forecast = Forecast {
            kept,
            unseen,
            interactive: self.forecast.interactive,
            apps,
            cold,
            back: 0,
            looked: now,
            until: now + window / LOOKS,
        };
    }

    /// Slots that rest and are free within a part of the window from the last look, or a little later.
    pub(crate) fn back_within(&self, pools: &Pools, ahead: f64) -> u32 {
        let window = self.rest.window;
        let at = self.forecast.looked + window.mul_f64(ahead) + window / LOOKS;
        pools.get(self.main).map_or(0, |pool| pool.slots.back_by(at))
    }

    /// Fills in how many calls of each app below its part are to be expected in a window; returns the
    /// sum. `age` is that of the line, in windows.
    fn expect(&mut self, slots: f64, age: f64, now: Moment) -> f64 {
        let seen_for = age.clamp(LEAST_COUNTED, 1.0);
        let unit = slots / self.weights().max(1.0);
        let mut calls = 0.0;
        self.forecast.interactive = 0.0;
        for app in &self.listed[0] {
            let app = &mut self.apps[*app as usize];
            app.told.missed.fade(self.rest.window, now);
            app.told.moments.fade(self.rest.window, now);
            let part = unit * f64::from(app.settings.weight.max(1));
            let has = f64::from(app.lanes[0].held + app.lanes[0].waiting);
            self.forecast.interactive += has + app.told.missed.calls;
            let wants = ((has + app.told.missed.calls) / seen_for).min(part);
            app.expects = if has < part { wants } else { 0.0 };
            calls += app.expects;
        }
        calls
    }

    /// Apps that may make interactive calls, and how many of them have made none.
    fn to_come(&self) -> (u32, u32) {
        let apps = self
            .apps
            .iter()
            .filter(|app| app.settings.lane == Lane::Interactive && !app.removed && !app.paused);
        apps.fold((0, 0), |(all, quiet), app| (all + 1, quiet + u32::from(!app.told.called)))
    }

    /// The weights of the apps that hold or want something.
    fn weights(&self) -> f64 {
        let weights = self.listed[0].iter().map(|app| self.apps[*app as usize].settings.weight);
        weights.map(|weight| f64::from(weight.max(1))).sum()
    }

    /// Notes a refusal for want of a slot of the own pool.
    pub(crate) fn miss(&mut self, pools: &Pools, number: u32, now: Moment) {
        self.list(number, Lane::Interactive);
        let slots = pools.get(self.main).map_or(0, |pool| pool.slots.limit());
        let slots = f64::from(slots.saturating_sub(self.held[Lane::Bulk.index()]));
        let unit = slots / self.weights().max(1.0);
        let app = &mut self.apps[number as usize];
        let part = unit * f64::from(app.settings.weight.max(1));
        if f64::from(app.lanes[0].held + app.lanes[0].waiting) < part {
            app.told.missed.note(part, self.rest.window, now);
        }
    }

    /// Slots that are given out evenly over the first window.
    fn spread(&self) -> f64 {
        f64::from(self.settings.pool.calls.saturating_sub(AT_ONCE) / SPREAD)
    }

    /// When so many slots more are given out than are now, while the line is cold.
    pub(crate) fn given_out(&self, more: f64, now: Moment) -> Option<Moment> {
        if !self.forecast.cold {
            return None;
        }
        let after = self.rest.window.mul_f64((more.max(0.0) + 0.01) / self.spread().max(1.0));
        let at = now + after + self.rest.window / LOOKS;
        (at <= self.began + self.rest.window).then_some(at)
    }

    /// Whether an app has called, from now on; returns what it was.
    pub(crate) fn set_called(&mut self, number: u32, called: bool) -> bool {
        let before = std::mem::replace(&mut self.apps[number as usize].told.called, called);
        if before != called {
            self.forecast.until = Moment::ZERO;
        }
        before
    }

    /// A call came.
    pub(crate) fn came(&mut self, key: FifoKey, now: Moment) {
        self.set_called(key.app, true);
        if key.lane == Lane::Interactive {
            let told = &mut self.apps[key.app as usize].told;
            told.moments.note(f64::MAX, self.rest.window, now);
        }
    }

    /// A slot is free again: after some of them the last look was of another time.
    pub(crate) fn came_back(&mut self) {
        self.forecast.back += 1;
        if self.forecast.back > self.settings.pool.calls / 32 {
            self.forecast.until = Moment::ZERO;
        }
    }

    /// When somebody may go who is held back now for what is expected.
    pub(crate) const fn next_look(&self) -> Moment {
        self.forecast.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::from(Duration::from_secs(seconds))
    }

    #[test]
    fn a_client_that_tries_without_a_pause_counts_little_more_than_one_that_waits() {
        let mut missed = Count::default();
        for second in 100..160 {
            for _ in 0..40 {
                missed.note(50.0, WINDOW, at(second));
            }
        }
        assert!(missed.calls <= f64::from(MOST_COUNTED), "{missed:?}");
    }

    #[test]
    fn refusals_count_no_more_than_the_part_and_are_forgotten() {
        let mut missed = Count::default();
        for turn in 0..30 {
            missed.note(5.0, WINDOW, at(100 + 2 * turn));
            assert!(missed.calls <= 5.0, "{missed:?}");
        }
        missed.served();
        assert!(missed.calls <= 4.0 && missed.matters(), "{missed:?}");
        missed.fade(WINDOW, at(400));
        assert!(!missed.matters(), "{missed:?}");
    }

    #[test]
    fn what_comes_back_in_time_need_not_be_kept() {
        assert_eq!(need(0.0, 2.0, |_| 0), 0.0);
        // None comes back: a window's calls, and some more.
        assert!((20.0..25.0).contains(&need(15.0, 2.0, |_| 0)), "{}", need(15.0, 2.0, |_| 0));
        // One by one: next to nothing.
        let one_by_one = |ahead: f64| match ahead {
            ..0.05 => 0,
            ..0.1 => 1,
            ..0.2 => 3,
            _ => 30,
        };
        assert!(need(15.0, 2.0, one_by_one) < 2.0, "{}", need(15.0, 2.0, one_by_one));
        assert_eq!(need(15.0, 2.0, |_| 100), 0.0);
    }
}
