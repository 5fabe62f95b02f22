//! The vendor's own clock. It may start at any time, run fast or slow, jump, or move only on
//! demand.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::time::{Micros, Wall};

/// What makes time pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With the caller's monotonic time.
    #[default]
    Running,
    /// By [`ClockOptions::step_ms`] with each write, and by hand. Equal calls then give equal
    /// bytes, however long they take.
    Step,
}

/// Where the clock starts and how it moves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockOptions {
    /// What makes time pass.
    pub mode: Mode,
    /// The first instant, such as `2026-01-02T03:04:05.000Z`. `real` is the machine's time when the
    /// server is created.
    #[serde(deserialize_with = "epoch")]
    pub epoch: String,
    /// In step mode: how far one write moves the clock, in ms.
    pub step_ms: u64,
    /// How far the clock is ahead (or behind) from the start, in ms.
    pub skew_ms: i64,
    /// How much faster (or slower) than the caller's time it runs, in parts per million.
    pub drift_ppm: i64,
}

fn epoch<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text != "real" && Wall::parse_iso(&text).is_none() {
        return Err(D::Error::custom(format!(
            "epoch: {text:?} is neither \"real\" nor like 2026-01-02T03:04:05.000Z"
        )));
    }
    Ok(text)
}

impl Default for ClockOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Running,
            epoch: "2026-01-02T03:04:05.000Z".into(),
            step_ms: 1000,
            skew_ms: 0,
            drift_ppm: 0,
        }
    }
}

/// The clock. Its time follows from the caller's time and from the changes made to it.
#[derive(Clone, Debug)]
pub struct Clock {
    mode: Mode,
    epoch: Wall,
    step: Micros,
    drift_ppm: i64,
    /// The caller's time at the last change of drift, and this clock's time then, both in µs.
    origin: (u64, i128),
}

impl Clock {
    /// Creates a clock that shows epoch plus skew at the caller's time zero.
    ///
    /// An unreadable epoch counts as the default one. ([`ClockOptions`] is checked before.)
    pub fn new(options: &ClockOptions) -> Self {
        let epoch = Wall::parse_iso(&options.epoch).unwrap_or(Wall(1_767_323_045_000));
        let skew = i128::from(options.skew_ms) * 1000;
        Self {
            mode: options.mode,
            epoch,
            step: Micros::from_millis(options.step_ms),
            drift_ppm: options.drift_ppm,
            origin: (0, skew),
        }
    }

    /// The vendor's time at the caller's `now`, in µs since the epoch. It is never below zero.
    pub fn at(&self, now: Micros) -> Micros {
        Micros(u64::try_from(self.signed(now).max(0)).unwrap_or(u64::MAX))
    }

    /// The vendor's wall time at the caller's `now`.
    pub fn wall(&self, now: Micros) -> Wall {
        let ms = i128::from(self.epoch.0) + self.signed(now).div_euclid(1000);
        Wall(u64::try_from(ms.max(0)).unwrap_or(u64::MAX))
    }

    /// The first instant, before any skew.
    pub const fn epoch(&self) -> Wall {
        self.epoch
    }

    /// Moves the clock by one step, in step mode only. Each write calls it once.
    pub fn tick(&mut self) {
        if self.mode == Mode::Step {
            self.origin.1 += i128::from(self.step.0);
        }
    }

    /// Moves the clock by `ms`. A negative value moves it back.
    pub fn step(&mut self, ms: i64) {
        self.origin.1 += i128::from(ms) * 1000;
    }

    /// Changes the drift from `now` on, without a jump.
    pub fn set_drift(&mut self, now: Micros, ppm: i64) {
        self.origin = (now.0, self.signed(now));
        self.drift_ppm = ppm;
    }

    /// What makes time pass.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The current drift in parts per million.
    pub const fn drift_ppm(&self) -> i64 {
        self.drift_ppm
    }

    fn signed(&self, now: Micros) -> i128 {
        let elapsed = match self.mode {
            Mode::Running => i128::from(now.0.saturating_sub(self.origin.0)),
            Mode::Step => 0,
        };
        self.origin.1 + elapsed + elapsed * i128::from(self.drift_ppm) / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(options: ClockOptions) -> Clock {
        Clock::new(&options)
    }

    #[test]
    fn drift_and_steps_add_up_without_a_jump_between() {
        let mut c =
            clock(ClockOptions { drift_ppm: 100_000, skew_ms: 5, ..ClockOptions::default() });
        assert_eq!(c.at(Micros::from_secs(10)), Micros(11_005_000));
        c.set_drift(Micros::from_secs(10), 0);
        assert_eq!(c.at(Micros::from_secs(11)), Micros(12_005_000));
        c.step(-2000);
        assert_eq!(c.at(Micros::from_secs(11)), Micros(10_005_000));
    }

    #[test]
    fn in_step_mode_only_ticks_and_steps_move_time() {
        let mut c = clock(ClockOptions { mode: Mode::Step, ..ClockOptions::default() });
        assert_eq!(c.wall(Micros::from_secs(99)).iso(), "2026-01-02T03:04:05.000Z");
        c.tick();
        assert_eq!(c.wall(Micros::ZERO).iso(), "2026-01-02T03:04:06.000Z");
    }
}
