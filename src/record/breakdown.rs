//! Where the time of a call went: the only place that splits it. `Server-Timing`, the access line,
//! spans, metrics and the history read these parts and make none of their own, so they agree.

use std::time::Duration;

use super::timeline::{Step, Timeline};
use crate::clock::Instant;

/// The time of a call in parts, each in whole microseconds. Every moment belongs to one part, so
/// they add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Reading the request's body.
    pub upload: Duration,
    /// Waiting for its turn, over all tries.
    pub queue: Duration,
    /// Between the end of a try and the next step towards another one.
    pub backoff: Duration,
    /// Getting a socket to the vendor, over all tries.
    pub connect: Duration,
    /// From handing a try to a socket until the head of its answer, or until it failed, over all
    /// tries.
    pub vendor: Duration,
    /// Everything else before the head.
    pub gateway: Duration,
    /// From the head to the end.
    pub delivery: Duration,
}

impl Breakdown {
    /// The time until the answer's head.
    #[must_use]
    pub fn head(&self) -> Duration {
        self.upload + self.queue + self.backoff + self.connect + self.vendor + self.gateway
    }

    /// The whole.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.head() + self.delivery
    }

    /// The time until the head as clients and traces are told: getting a socket is the gateway's,
    /// and what hardly a call has is left out where there was none.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let always = [
            ("queue", self.queue),
            ("vendor", self.vendor),
            ("gateway", self.gateway + self.connect),
        ];
        let rare = [("upload", self.upload), ("backoff", self.backoff)];
        always.into_iter().chain(rare.into_iter().filter(|(_, time)| !time.is_zero()))
    }
}

/// Which part of a breakdown.
#[derive(Clone, Copy)]
enum Part {
    Upload,
    Queue,
    Backoff,
    Connect,
    Vendor,
    Gateway,
    Delivery,
}

const PARTS: usize = Part::Delivery as usize + 1;

/// Goes through the time of a call from its first to its last moment; each is counted once.
struct Walk {
    started: Instant,
    /// In whole microseconds from the start, as all that follows.
    now: u64,
    end: u64,
    parts: [u64; PARTS],
}

impl Walk {
    /// What passed until `until` was `part`.
    fn until(&mut self, until: Instant, part: Part) {
        let until = whole_micros(self.started, until).clamp(self.now, self.end);
        self.parts[part as usize] += until - self.now;
        self.now = until;
    }

    fn parts(&self) -> Breakdown {
        let of = |part| Duration::from_micros(self.parts[part as usize]);
        Breakdown {
            upload: of(Part::Upload),
            queue: of(Part::Queue),
            backoff: of(Part::Backoff),
            connect: of(Part::Connect),
            vendor: of(Part::Vendor),
            gateway: of(Part::Gateway),
            delivery: of(Part::Delivery),
        }
    }
}

/// [`super::micros`] as a number: a walk adds and compares many.
fn whole_micros(started: Instant, at: Instant) -> u64 {
    let passed = at.saturating_duration_since(started);
    passed.as_secs().saturating_mul(1_000_000).saturating_add(passed.subsec_micros().into())
}

impl Timeline {
    /// Where the time from `started` to `end` went.
    #[must_use]
    pub fn breakdown(&self, started: Instant, end: Instant) -> Breakdown {
        split(self, started, end)
    }
}

/// Splits the time from `started` to `end`, whatever the order of what happened.
fn split(timeline: &Timeline, started: Instant, end: Instant) -> Breakdown {
    let end = end.max(started);
    let head = timeline.head_at().unwrap_or(end).clamp(started, end);
    let mut walk = Walk { started, now: 0, end: whole_micros(started, head), parts: [0; PARTS] };
    if let Some((began, ended)) = timeline.upload(head) {
        walk.until(began, Part::Gateway);
        walk.until(ended, Part::Upload);
    }
    // What the time is spent on between two steps depends on the one before.
    let mut between = Part::Gateway;
    for step in timeline.steps() {
        match step {
            Step::Wait(wait) => {
                walk.until(wait.entered, between);
                walk.until(wait.left, Part::Queue);
                between = Part::Gateway;
            }
            Step::Try(tried) => {
                let ended = tried.ended.unwrap_or(head);
                walk.until(tried.began, between);
                walk.until(tried.sent.unwrap_or(ended), Part::Connect);
                walk.until(ended, Part::Vendor);
                between = Part::Backoff;
            }
        }
    }
    walk.until(head, Part::Gateway);
    walk.end = whole_micros(started, end);
    walk.until(end, Part::Delivery);
    walk.parts()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::record::{Wait, micros};
    use http::StatusCode;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn wait(from: Instant, to: Instant) -> Wait {
        Wait { left: to, ..Wait::begins(from, None) }
    }

    #[test]
    fn a_failed_try_its_pause_and_a_slow_upload_have_parts_of_their_own() {
        let (mut timeline, started) = (Timeline::default(), Instant::now());
        let at = |time: u64| started + ms(time);
        timeline.upload_begins(at(1));
        timeline.upload_ends(at(401));
        timeline.waited(wait(at(402), at(412)));
        timeline.try_begins(at(412));
        timeline.try_sent_at(at(420));
        timeline.try_ends(at(5420), Err(Code::VendorTimeout));
        timeline.waited(wait(at(5620), at(5650)));
        timeline.try_begins(at(5650));
        timeline.try_sent_at(at(5650));
        timeline.try_ends(at(5900), Ok(StatusCode::OK));
        timeline.answered(at(5901));
        let parts = timeline.breakdown(started, at(6000));
        let expected = Breakdown {
            upload: ms(400),
            queue: ms(40),
            backoff: ms(200),
            connect: ms(8),
            vendor: ms(5250),
            gateway: ms(3),
            delivery: ms(99),
        };
        assert_eq!(parts, expected);
        assert_eq!((parts.head(), parts.total()), (ms(5901), ms(6000)));
        let told: Vec<_> = parts.told().collect();
        let head = [("queue", 40), ("vendor", 5250), ("gateway", 11)];
        let rare = [("upload", 400), ("backoff", 200)];
        let words: Vec<_> = head.into_iter().chain(rare).map(|(word, n)| (word, ms(n))).collect();
        assert_eq!(told, words);
        assert_eq!(timeline.attempts(), 2);
        let each: Vec<_> = timeline.answers(started).map(|(_, took)| took).collect();
        assert_eq!(each, [ms(5000), ms(250)]);
    }

    #[test]
    fn what_goes_on_at_the_end_is_counted_until_then() {
        let started = Instant::now();
        let mut upload = Timeline::default();
        upload.upload_begins(started);
        let cut = upload.breakdown(started, started + ms(30));
        assert_eq!(cut, Breakdown { upload: ms(30), ..Breakdown::default() });
        let mut sent = Timeline::default();
        sent.try_begins(started);
        sent.try_sent_at(started + ms(1));
        sent.answered(started + ms(55));
        let late = sent.breakdown(started, started + ms(60));
        let expected =
            Breakdown { connect: ms(1), vendor: ms(54), delivery: ms(5), ..Breakdown::default() };
        assert_eq!(late, expected);
    }

    #[test]
    fn a_call_without_steps_is_the_gateways_and_tells_nothing_rare() {
        let started = Instant::now();
        let parts = Timeline::default().breakdown(started, started + ms(7));
        assert_eq!(parts, Breakdown { gateway: ms(7), ..Breakdown::default() });
        let words: Vec<_> = parts.told().map(|(word, _)| word).collect();
        assert_eq!(words, ["queue", "vendor", "gateway"]);
    }

    /// What can happen to a timeline, in any order, at any nanosecond.
    fn happens(timeline: &mut Timeline, what: u8, from: Instant, to: Instant) {
        match what {
            0 => timeline.upload_begins(from),
            1 => timeline.upload_ends(from),
            2 => timeline.waited(wait(from, to)),
            3 => timeline.try_begins(from),
            4 => timeline.try_sent(Some(from)),
            5 => timeline.try_sent(None),
            6 => timeline.try_ends(from, Ok(StatusCode::OK)),
            7 => timeline.try_ends(from, Err(Code::VendorTimeout)),
            _ => timeline.answered(from),
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_whatever_happened(
            events in prop::collection::vec((0..9_u8, 0..10_000_u64, 0..10_000_u64), 0..60),
            end in 0..10_000_u64,
        ) {
            let (mut timeline, started) = (Timeline::default(), Instant::now());
            let at = |nanos: u64| started + Duration::from_nanos(nanos);
            for (what, from, to) in events {
                happens(&mut timeline, what, at(from), at(to));
            }
            let parts = timeline.breakdown(started, at(end));
            let head = timeline.head_at().map_or(at(end), |head| head.min(at(end)));
            prop_assert_eq!(parts.total(), micros(started, at(end)));
            prop_assert_eq!(parts.head(), micros(started, head));
            prop_assert_eq!(parts.told().map(|(_, time)| time).sum::<Duration>(), parts.head());
        }

        /// Steps that follow one another: what a reader finds by himself is what the parts say.
        #[test]
        fn each_part_is_the_sum_of_its_steps(
            steps in prop::collection::vec([0..9_999_u64, 0..9_999, 0..9_999, 0..9_999], 1..8),
        ) {
            let (mut timeline, started) = (Timeline::default(), Instant::now());
            let (mut now, mut expected) = (0, Breakdown::default());
            let time = Duration::from_micros;
            for (nth, [queue, connect, vendor, pause]) in steps.iter().enumerate() {
                let mut then = |by: u64| {
                    now += by;
                    started + time(now)
                };
                let (from, to) = (then(0), then(*queue));
                timeline.waited(wait(from, to));
                timeline.try_begins(to);
                timeline.try_sent_at(then(*connect));
                timeline.try_ends(then(*vendor), Ok(StatusCode::OK));
                then(*pause);
                expected.queue += time(*queue);
                expected.connect += time(*connect);
                expected.vendor += time(*vendor);
                let last = nth + 1 == steps.len();
                *if last { &mut expected.gateway } else { &mut expected.backoff } += time(*pause);
            }
            let parts = timeline.breakdown(started, started + time(now));
            prop_assert_eq!(parts, expected);
            let each: Duration = timeline.answers(started).map(|(_, took)| took).sum();
            prop_assert_eq!(each, parts.vendor);
        }
    }
}
