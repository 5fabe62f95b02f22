//! What apps below their part are likely to want soon, and what is kept for it.
//!
//! Slots that were taken together come back together. Between two such moments whoever asks finds
//! nothing, however little it wants, and can't wait for as long as that. So slots are kept for the
//! calls that the last window lets expect, as far as others don't come back meanwhile. Where slots
//! come back one by one, whoever is below its part has the next one soon, and next to nothing is
//! kept.
//!
//! **Demand** is what was let in within the last window, and what was refused for want of a slot:
//! an app that is turned away wants no less than one that is served. A refusal counts for about a
//! window, until the app's next call starts, and once in a while however often a client tries
//! again, so that trying often gains nothing.
//!
//! **From a cold start** nothing is known of anybody's demand. A part of the slots is then given
//! out evenly over the first window to whoever asks first: so those who come late find some, and
//! from then on these slots come back one by one. Where no other app may call, nothing is held
//! back.

use std::time::Duration;

use super::app::AppBooks;
use super::moment::Moment;
use super::pools::SlotPool;
use super::queue::Lane;

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
    unseen: f64,
    /// Interactive calls of the last window, let in or refused, of all apps.
    interactive: f64,
    /// Apps that may make interactive calls, as long as the first window is not over.
    apps: u32,
    /// What is kept is given out evenly until the first window is over.
    cold: bool,
    /// Slots that came back since the last look.
    back: u32,
    /// When that was.
    looked: Moment,
    /// It stands until then.
    until: Moment,
}

/// Slots that are to be free now for so many calls a window; `back` says how many come back within
/// a part of the window.
pub(crate) fn need(calls: f64, deviations: f64, back: impl Fn(f64) -> u32) -> f64 {
    let lacking = AHEAD.iter().map(|ahead| {
        let mean = calls * ahead;
        mean + deviations * mean.sqrt() - f64::from(back(*ahead))
    });
    lacking.fold(0.0, f64::max)
}

/// What a forecast is made of beside the apps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The window.
    pub(crate) window: Duration,
    /// When the connection began to see calls.
    pub(crate) began: Moment,
    /// Calls per window, as the operator set them.
    pub(crate) calls: u32,
    /// Slots that interactive calls may share.
    pub(crate) slots: f64,
}

impl Frame {
    /// Slots that are given out evenly over the first window.
    fn spread(&self) -> f64 {
        f64::from(self.calls.saturating_sub(AT_ONCE) / SPREAD)
    }
}

impl Forecast {
    /// Looks ahead, if the last look is too old; `true` if it did. `listed` are the interactive apps to look at.
    pub(crate) fn look(
        &mut self,
        apps: &mut [AppBooks],
        listed: &[u32],
        pool: &SlotPool,
        frame: &Frame,
        now: Moment,
    ) -> bool {
        if now < self.until {
            return false;
        }
        let &Frame { window, slots, .. } = frame;
        let age = now.since(frame.began).as_secs_f64() / window.as_secs_f64();
        let calls = self.expect(apps, listed, (frame, age), now);
        let need = need(calls, DEVIATIONS, |ahead| {
            pool.slots.back_by(now + window.mul_f64(ahead) + window / PATIENCE)
        });
        let spread = frame.spread() * (1.0 - age).max(0.0);
        let kept = if calls > 0.0 { need.max(spread).min(slots * MOST_KEPT) } else { 0.0 };
        for app in listed {
            apps[*app as usize].expects *= kept / calls.max(f64::MIN_POSITIVE);
        }
        let (apps, uncalled) = if age < 1.0 { to_come(apps) } else { (0, 0) };
        let unseen = if uncalled > 0 { spread } else { 0.0 };
        let cold = spread > 0.0 && (unseen > 0.0 || spread >= need);
        *self = Self {
            kept,
            unseen,
            interactive: self.interactive,
            apps,
            cold,
            back: 0,
            looked: now,
            until: now + window / LOOKS,
        };
        true
    }

    /// Fills in how many calls of each app below its part are to be expected in a window; returns
    /// the sum. `age` is that of the connection, in windows.
    fn expect(
        &mut self,
        apps: &mut [AppBooks],
        listed: &[u32],
        (frame, age): (&Frame, f64),
        now: Moment,
    ) -> f64 {
        let seen_for = age.clamp(LEAST_COUNTED, 1.0);
        let unit = frame.slots / weights(apps, listed).max(1.0);
        let mut calls = 0.0;
        self.interactive = 0.0;
        for app in listed {
            let app = &mut apps[*app as usize];
            app.told.missed.fade(frame.window, now);
            app.told.moments.fade(frame.window, now);
            let part = unit * f64::from(app.settings.weight.max(1));
            let has = f64::from(app.lanes[0].held + app.lanes[0].waiting);
            self.interactive += has + app.told.missed.calls();
            let wants = ((has + app.told.missed.calls()) / seen_for).min(part);
            app.expects = if has < part { wants } else { 0.0 };
            calls += app.expects;
        }
        calls
    }

    /// Slots that rest and are free within a part of the window from the last look, or a little
    /// later.
    pub(crate) fn back_within(&self, pool: Option<&SlotPool>, window: Duration, ahead: f64) -> u32 {
        let at = self.looked + window.mul_f64(ahead) + window / LOOKS;
        pool.map_or(0, |pool| pool.slots.back_by(at))
    }

    /// When so many slots more are given out than are now, while the connection is cold.
    pub(crate) fn given_out(&self, frame: &Frame, more: f64, now: Moment) -> Option<Moment> {
        if !self.cold {
            return None;
        }
        let after = frame.window.mul_f64((more.max(0.0) + 0.01) / frame.spread().max(1.0));
        let at = now + after + frame.window / LOOKS;
        (at <= frame.began + frame.window).then_some(at)
    }

    /// All that is kept, if that is still known.
    pub(crate) fn kept(&self, now: Moment) -> Option<f64> {
        (now < self.until).then_some(self.kept + self.unseen)
    }

    /// Slots that are kept for apps that have not called yet.
    pub(crate) const fn unseen(&self) -> f64 {
        self.unseen
    }

    /// Interactive calls of the last window, let in or refused, of all apps.
    pub(crate) const fn interactive(&self) -> f64 {
        self.interactive
    }

    /// Apps that may make interactive calls, as long as the first window is not over.
    pub(crate) const fn apps(&self) -> u32 {
        self.apps
    }

    /// When somebody may go who is held back now for what is expected.
    pub(crate) const fn next_look(&self) -> Moment {
        self.until
    }

    /// What was expected is no longer right: the next decision looks anew.
    pub(crate) const fn expire(&mut self) {
        self.until = Moment::ZERO;
    }

    /// A slot is free again: after some of them the last look was of another time.
    pub(crate) const fn came_back(&mut self, calls: u32) {
        self.back += 1;
        if self.back > calls / 32 {
            self.expire();
        }
    }
}

/// Apps that may make interactive calls, and how many of them have made none.
fn to_come(apps: &[AppBooks]) -> (u32, u32) {
    let apps = apps
        .iter()
        .filter(|app| app.settings.lane == Lane::Interactive && !app.removed && !app.paused);
    apps.fold((0, 0), |(all, quiet), app| (all + 1, quiet + u32::from(!app.told.called)))
}

/// The weights of the apps that hold or want something.
fn weights(apps: &[AppBooks], listed: &[u32]) -> f64 {
    let weights = listed.iter().map(|app| apps[*app as usize].settings.weight);
    weights.map(|weight| f64::from(weight.max(1))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

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
