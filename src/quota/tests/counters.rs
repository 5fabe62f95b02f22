//! The vendor's counters, written apart from the limiter: they see instants, no slots.

use std::time::Duration;

use super::super::Moment;

/// What became of one call that was sent, in true time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) app: usize,
    pub(super) price: u16,
    pub(super) taken: Moment,
    /// One instant between send and answer.
    pub(super) counted: Moment,
    /// The answer, or the end of the hard limit.
    pub(super) ended: Moment,
}

/// The vendor's clock: runs by `ppm` millionths faster than ours.
pub(super) fn vendor_time(at: Moment, ppm: i64) -> i128 {
    let t = i128::from(at.as_nanos());
    t + t * i128::from(ppm) / 1_000_000
}

/// The most instants in any half-open window of length `window`, wherever it begins.
pub(super) fn sliding(instants: &[i128], window: Duration) -> usize {
    let window = i128::try_from(window.as_nanos()).unwrap();
    let mut most = 0;
    let mut first = 0;
    for (at, instant) in instants.iter().enumerate() {
        while instants[first] + window <= *instant {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

/// The most instants in one of the windows that begin at `phase`, `phase + window`, …
pub(super) fn fixed(instants: &[i128], window: Duration, phase: i128) -> usize {
    let window = i128::try_from(window.as_nanos()).unwrap();
    let mut most = 0;
    let (mut current, mut count) = (i128::MIN, 0);
    for instant in instants {
        let number = (instant - phase).div_euclid(window);
        count = if number == current { count + 1 } else { 1 };
        current = number;
        most = most.max(count);
    }
    most
}

/// The most calls whose time between send and answer meets one window, wherever it begins: whatever
/// the vendor counts, it can't be more.
pub(super) fn meeting(sent: &[Sent], window: Duration, ppm: i64) -> usize {
    let window = i128::try_from(window.as_nanos()).unwrap();
    // A call meets [x, x + W) for x in (taken - W, ended].
    let mut edges: Vec<(i128, i32)> = Vec::new();
    for call in sent {
        edges.push((vendor_time(call.taken, ppm) - window + 1, 1));
        edges.push((vendor_time(call.ended, ppm) + 1, -1));
    }
    edges.sort_unstable();
    let (mut most, mut open) = (0, 0);
    for (_, edge) in edges {
        open += edge;
        most = most.max(open);
    }
    usize::try_from(most).unwrap()
}

/// The most that any of the counters saw: sliding and fixed windows of eleven phases, counting at
/// the send, in between and at the answer, and the bound over all of them.
pub(super) fn worst(sent: &[Sent], window: Duration, ppm: i64) -> usize {
    let mut most = meeting(sent, window, ppm);
    for pick in [|s: &Sent| s.taken, |s: &Sent| s.counted, |s: &Sent| s.ended] {
        let mut instants: Vec<i128> = sent.iter().map(|s| vendor_time(pick(s), ppm)).collect();
        instants.sort_unstable();
        most = most.max(sliding(&instants, window));
        let step = i128::try_from(window.as_nanos() / 11).unwrap();
        for phase in 0..11 {
            most = most.max(fixed(&instants, window, phase * step));
        }
    }
    most
}

/// A vendor that counts approximately: this window and a weighted part of the last one. It says 429
/// when a call would be beyond; a refused call is not counted.
#[derive(Debug)]
pub(super) struct TwoBuckets {
    window: i128,
    limit: f64,
    number: i128,
    last: f64,
    this: f64,
}

impl TwoBuckets {
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self {
            window: i128::try_from(window.as_nanos()).unwrap(),
            limit: f64::from(limit),
            number: 0,
            last: 0.0,
            this: 0.0,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a part of a window")]
    pub(super) fn admits(&mut self, at: i128) -> bool {
        let number = at.div_euclid(self.window);
        if number != self.number {
            self.last = if number == self.number + 1 { self.this } else { 0.0 };
            (self.this, self.number) = (0.0, number);
        }
        let gone = at.rem_euclid(self.window) as f64 / self.window as f64;
        let admits = self.this + self.last * (1.0 - gone) + 1.0 <= self.limit;
        if admits {
            self.this += 1.0;
        }
        admits
    }
}

#[test]
fn the_counters_count() {
    let second = |s: u64| i128::from(s) * 1_000_000_000;
    let instants = [second(0), second(1), second(59), second(60), second(61)];
    let window = Duration::from_secs(60);
    assert_eq!(sliding(&instants, window), 3);
    assert_eq!(fixed(&instants, window, 0), 3);
    assert_eq!(fixed(&instants, window, second(59)), 3);
    let call = |taken: u64, ended: u64| Sent {
        app: 0,
        price: 0,
        taken: Moment::from(Duration::from_secs(taken)),
        counted: Moment::from(Duration::from_secs(taken)),
        ended: Moment::from(Duration::from_secs(ended)),
    };
    assert_eq!(meeting(&[call(0, 1), call(61, 62)], window, 0), 1);
    assert_eq!(meeting(&[call(0, 1), call(61, 62)], window, -500), 2);
    assert_eq!(meeting(&[call(0, 2), call(61, 62)], window, 0), 2);
}
