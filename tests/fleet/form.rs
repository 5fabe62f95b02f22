//! The short form, for every run of the gate, and the long one, with the real quota.

use std::time::Duration;

/// Calls in any window.
pub const CALLS: u32 = 100;

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub window: Duration,
    /// `vendor.hard_limit`.
    pub hard_limit: Duration,
    /// `shared.lease` and `shared.timeout`.
    pub lease: Duration,
    pub timeout: Duration,
    /// When the vendor answers, after a call came.
    pub answer: Duration,
    /// Fleets at a time.
    pub together: usize,
}

/// All spans become shorter together, so that a fault takes as many windows in both forms.
const SHORT: Form = Form {
    window: Duration::from_secs(6),
    hard_limit: Duration::from_secs(2),
    lease: Duration::from_secs(4),
    timeout: Duration::from_secs(1),
    answer: Duration::from_millis(100),
    together: 8,
};

/// The defaults of the configuration.
const LONG: Form = Form {
    window: Duration::from_secs(60),
    hard_limit: Duration::from_secs(60),
    lease: Duration::from_secs(20),
    timeout: Duration::from_secs(2),
    answer: Duration::from_millis(300),
    together: 22,
};

impl Form {
    pub fn chosen() -> Self {
        match std::env::var("TOLLGATE_FLEET").as_deref() {
            Ok("long") => LONG,
            Ok("short") | Err(_) => SHORT,
            Ok(other) => panic!("TOLLGATE_FLEET is short or long, and not {other}"),
        }
    }

    /// So many windows.
    pub fn windows(&self, number: f64) -> Duration {
        self.window.mul_f64(number)
    }

    /// After this time since the last word of its owner a slot is surely rested.
    pub fn longest_rest(&self) -> Duration {
        self.lease + self.hard_limit + self.window
    }
}
