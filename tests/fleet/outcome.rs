//! What a fleet did under a fault, against what it promises.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::Fault;
use crate::form::{CALLS, Form};
use crate::vendor::Counted;

/// Steps in which it is looked for when all is well again.
const STEP: Duration = Duration::from_millis(20);
/// All is well if in each time of so many cycles of the slots so many of the calls of a window are
/// made. Slots that go out together come back together, so that less than a cycle may hold none.
const CYCLES: f64 = 1.25;
const FULL: f64 = 0.9;

pub struct Outcome {
    pub fault: &'static Fault,
    /// The most calls in any window.
    highest: f64,
    /// The share of what could be called that was called.
    used: f64,
    /// All that the clients got beside the vendor's answers.
    refusals: BTreeMap<String, usize>,
    /// How long after the last deed all is well. `None`: not within the run.
    back: Option<Duration>,
}

/// The heads of a table of outcomes.
pub const HEAD: &str = "| fault | highest count | used | refused | full again after |\n| --- | ---: | ---: | --- | ---: |";

impl Outcome {
    /// `start` is when the clients began, by the vendor's clock.
    pub fn of(
        fault: &'static Fault,
        form: &Form,
        counted: &Counted,
        start: Duration,
        refusals: BTreeMap<String, usize>,
    ) -> Self {
        let cycle = form.window + fault.answers.mean(form);
        let calls: Vec<Duration> =
            counted.calls.iter().map(|at| at.saturating_sub(start)).collect();
        let end = form.windows(fault.windows);
        let last = fault.acts.last().map_or(Duration::ZERO, |(at, _)| form.windows(*at));
        Self {
            fault,
            highest: counted.highest,
            used: used(&calls, cycle, end),
            refusals,
            back: full_from(&calls, last, end, cycle.mul_f64(CYCLES)),
        }
    }

    /// What is not as it was promised.
    pub fn problems(&self, form: &Form) -> Vec<String> {
        let fault = self.fault;
        let mut problems = Vec::new();
        if self.highest > f64::from(CALLS) {
            problems.push(format!("{}: {} calls in a window", fault.name, self.highest));
        }
        if self.used < fault.used {
            problems.push(format!("{}: used {:.3} of {}", fault.name, self.used, fault.used));
        }
        let allowed = fault.back.map(|back| back.of(form));
        if let Some(allowed) = allowed.filter(|most| self.back.is_none_or(|back| back > *most)) {
            problems.push(format!(
                "{}: full again after {:?}, and not after {allowed:?}",
                fault.name, self.back
            ));
        }
        problems
    }

    /// A row of the table.
    pub fn row(&self) -> String {
        let Self { fault, highest, used, refusals, back } = self;
        let refused: Vec<String> =
            refusals.iter().map(|(code, count)| format!("{count} × {code}")).collect();
        let back = match back {
            _ if fault.back.is_none() => "–".to_owned(),
            Some(back) => format!("{:.1} s", back.as_secs_f64()),
            None => "later".to_owned(),
        };
        format!("| {} | {highest} | {used:.3} | {} | {back} |", fault.name, refused.join(", "))
    }
}

/// The calls of whole cycles, from the first call on, against the most that there can be.
fn used(calls: &[Duration], cycle: Duration, end: Duration) -> f64 {
    let Some(first) = calls.first() else { return 0.0 };
    let cycles = (end - *first).div_duration_f64(cycle).floor();
    let within = calls.partition_point(|at| *at < *first + cycle.mul_f64(cycles));
    within as f64 / (f64::from(CALLS) * cycles)
}

/// How long after `from` each `span` is full until `end`.
fn full_from(
    calls: &[Duration],
    from: Duration,
    end: Duration,
    span: Duration,
) -> Option<Duration> {
    let before = |time: Duration| calls.partition_point(|at| *at < time);
    let full =
        |time: &Duration| (before(*time + span) - before(*time)) as f64 >= FULL * f64::from(CALLS);
    let mut time = end.checked_sub(span)?;
    while time >= from && full(&time) {
        time = time.checked_sub(STEP)?;
    }
    let back = (time + STEP).saturating_sub(from);
    (from + back + span <= end).then_some(back)
}

#[test]
fn a_gap_in_the_calls_ends_when_each_span_is_full_again() {
    let seconds = Duration::from_secs_f64;
    let calls: Vec<Duration> = (0..400)
        .map(|number| seconds(f64::from(number) / 10.0))
        .filter(|at| !(seconds(12.0)..seconds(17.0)).contains(at))
        .collect();
    let back = full_from(&calls, seconds(11.0), seconds(40.0), seconds(10.0)).unwrap();
    assert!((4.9..=5.1).contains(&back.as_secs_f64()), "{back:?}");
    assert_eq!(full_from(&calls, seconds(11.0), seconds(20.0), seconds(10.0)), None);
    let whole = full_from(&calls, seconds(20.0), seconds(40.0), seconds(10.0));
    assert_eq!(whole, Some(Duration::ZERO));
    assert_eq!(used(&calls, seconds(10.0), seconds(39.0)), 250.0 / 300.0);
}
