//! A connection in one short sentence. Pure.

use std::time::Duration;

use crate::admission::LaneWait;

/// What the sentence is made of.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Nobody may call.
    pub paused: bool,
    /// `closed`, `open` or `probing`.
    pub breaker: &'static str,
    /// For how long Courier has closed the pool.
    pub closed: Duration,
    /// Slots in all, and those that are free.
    pub limit: u32,
    /// Slots that could be taken.
    pub free: u32,
    /// Calls that wait in each lane: interactive, bulk.
    pub waiting: [u32; 2],
    /// How long a call would wait in each lane.
    pub wait: [LaneWait; 2],
}

const LANES: [&str; 2] = ["interactive", "bulk"];

/// How it stands, in words.
#[must_use]
pub fn words(standing: &Situation) -> String {
    let Situation { limit, free, .. } = *standing;
    if standing.paused {
        return "paused".into();
    }
    match standing.breaker {
        "open" => return "Courier does not answer: calls are refused".into(),
        "probing" => {
            return "Courier does not answer: the next call asks whether it is back".into();
        }
        _ => {}
    }
    if !standing.closed.is_zero() {
        return format!("closed by Courier for {}", length(standing.closed));
    }
    if standing.waiting != [0, 0] {
        return lanes(standing);
    }
    let slots = if limit == 1 { "slot" } else { "slots" };
    let are = if free == 1 { "is" } else { "are" };
    match free {
        0 => format!("nothing waits; none of {limit} {slots} is free"),
        _ if free >= limit => format!("idle: {free} of {limit} {slots} {are} free"),
        _ => format!("nothing waits; {free} of {limit} {slots} {are} free"),
    }
}

/// Both lanes, the one that waits longer first.
fn lanes(standing: &Situation) -> String {
    let mut lanes: Vec<(LaneWait, u32, &str)> = standing
        .wait
        .into_iter()
        .zip(standing.waiting)
        .zip(LANES)
        .map(|((wait, waiting), lane)| (wait, waiting, lane))
        .filter(|(wait, waiting, _)| *wait != LaneWait::Nobody || *waiting > 0)
        .collect();
    lanes.sort_by_key(|(wait, waiting, _)| std::cmp::Reverse((order(*wait), *waiting)));
    let mut text = String::new();
    for (at, (wait, waiting, lane)) in lanes.iter().enumerate() {
        let begin = if at == 0 { "" } else { ", " };
        // The second of two waits needs no verb.
        let verb = if at == 0 { " waits" } else { "" };
        text += &match wait {
            LaneWait::Wait(wait) if wait.is_zero() => format!("{begin}{lane} starts at once"),
            LaneWait::Wait(wait) => format!("{begin}{lane}{verb} {}", length(*wait)),
            LaneWait::Refused => format!("{begin}{lane} is refused"),
            LaneWait::Nobody => format!("{begin}{waiting} of {lane} wait"),
        };
    }
    text
}

/// What is refused stands before what waits.
fn order(wait: LaneWait) -> Duration {
    match wait {
        LaneWait::Refused => Duration::MAX,
        LaneWait::Wait(wait) => wait,
        LaneWait::Nobody => Duration::ZERO,
    }
}

/// A time as people say it. What is more than nothing is never `0 s`.
#[must_use]
pub fn length(time: Duration) -> String {
    let tenths = time.as_millis().div_ceil(100);
    match time.as_secs() {
        0..10 if !tenths.is_multiple_of(10) && tenths < 100 => {
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        0..120 => format!("{} s", tenths.div_ceil(10)),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Situation = Situation {
        paused: false,
        breaker: "closed",
        closed: Duration::ZERO,
        limit: 100,
        free: 100,
        waiting: [0, 0],
        wait: [LaneWait::Wait(Duration::ZERO); 2],
    };

    fn wait(ms: u64) -> LaneWait {
        LaneWait::Wait(Duration::from_millis(ms))
    }

    #[test]
    fn each_state_has_its_plain_words() {
        let queued = |waiting, wait| Situation { free: 0, waiting, wait, ..IDLE };
        for (standing, said) in [
            (IDLE, "idle: 100 of 100 slots are free"),
            (Situation { free: 17, ..IDLE }, "nothing waits; 17 of 100 slots are free"),
            (Situation { free: 1, ..IDLE }, "nothing waits; 1 of 100 slots is free"),
            (Situation { free: 0, ..IDLE }, "nothing waits; none of 100 slots is free"),
            (Situation { closed: Duration::from_secs(12), ..IDLE }, "closed by Courier for 12 s"),
            (Situation { paused: true, ..IDLE }, "paused"),
            (Situation { breaker: "open", ..IDLE }, "Courier does not answer: calls are refused"),
            (queued([0, 12], [wait(300), wait(12_000)]), "bulk waits 12 s, interactive 0.3 s"),
            (
                queued([3, 0], [wait(2_100), wait(0)]),
                "interactive waits 2.1 s, bulk starts at once",
            ),
            (
                queued([0, 9], [wait(0), LaneWait::Refused]),
                "bulk is refused, interactive starts at once",
            ),
            (queued([1, 0], [wait(900), LaneWait::Nobody]), "interactive waits 0.9 s"),
        ] {
            assert_eq!(words(&standing), said);
        }
    }

    #[test]
    fn a_time_is_said_in_one_unit() {
        for (ms, said) in [
            (0, "0 s"),
            (1, "0.1 s"),
            (950, "1 s"),
            (1_000, "1 s"),
            (1_001, "1.1 s"),
            (9_999, "10 s"),
            (59_900, "60 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(length(Duration::from_millis(ms)), said, "{ms}");
        }
    }

    fn lane() -> impl Strategy<Value = LaneWait> {
        prop_oneof![
            Just(LaneWait::Nobody),
            Just(LaneWait::Refused),
            (0_u64..10_000_000).prop_map(wait)
        ]
    }

    proptest! {
        #[test]
        fn it_is_one_short_line_that_names_every_lane_in_which_calls_wait(
            free in 0_u32..200, limit in 1_u32..200, waiting: [u16; 2], one in lane(), other in lane(),
        ) {
            let waiting = waiting.map(u32::from);
            let said = words(&Situation { free, limit, waiting, wait: [one, other], ..IDLE });
            prop_assert!(!said.is_empty() && said.len() < 80 && !said.contains('\n'), "{}", said);
            prop_assert!(!said.starts_with(',') && !said.ends_with(' '), "{}", said);
            for (lane, waiting) in LANES.iter().zip(waiting) {
                prop_assert!(waiting == 0 || said.contains(lane), "{}", said);
            }
        }

        #[test]
        fn a_time_is_never_said_shorter_than_it_is(ms in 1_u64..10_000_000_000) {
            let said = length(Duration::from_millis(ms));
            let (number, unit) = said.split_once(' ').unwrap();
            let unit = match unit { "s" => 1e3, "min" => 60e3, "h" => 3_600e3, _ => 86_400e3 };
            let told = number.parse::<f64>().unwrap() * unit;
            let exact = Duration::from_millis(ms).as_secs_f64() * 1e3;
            // Whole minutes and longer are made of whole seconds.
            prop_assert!(told + 1e3 >= exact && told > 0.0, "{} for {}", said, ms);
            prop_assert!(told <= exact * 2.0 + 100.0, "{} for {}", said, ms);
        }
    }
}
