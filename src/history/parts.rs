//! Where the time of a call went: parts that are the whole together.

use std::time::Duration;

use super::Entry;
use super::entry::Step;
use crate::clock::Instant;
use crate::record::Cached;

/// What a stretch of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Receiving the request with its body.
    Request,
    /// Waiting for its turn.
    Queue,
    /// Waiting between two tries.
    Pause,
    /// Getting a socket to the vendor.
    Connect,
    /// Waiting for the head of the vendor's answer.
    Vendor,
    /// Waiting for another call that was the same.
    Another,
    /// Everything else before the head.
    Gateway,
    /// Handing over the answer's body.
    Answer,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Request,
        Self::Queue,
        Self::Pause,
        Self::Connect,
        Self::Vendor,
        Self::Another,
        Self::Gateway,
        Self::Answer,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Queue => "queue",
            Self::Pause => "pause",
            Self::Connect => "connect",
            Self::Vendor => "vendor",
            Self::Another => "another-call",
            Self::Gateway => "gateway",
            Self::Answer => "answer",
        }
    }
}

/// Goes through the time of a call from its first to its last moment; each is counted once.
struct Walk {
    now: Instant,
    end: Instant,
    spent: [Duration; Part::ALL.len()],
}

impl Walk {
    /// What passed until `until` was `part`.
    fn until(&mut self, until: Instant, part: Part) {
        let until = until.clamp(self.now, self.end);
        self.spent[part as usize] += until - self.now;
        self.now = until;
    }
}

/// The parts of a call that took any time, in the order of [`Part`]; their sum is its total.
pub(super) fn parts(entry: &Entry) -> Vec<(Part, Duration)> {
    let over = entry.over();
    let head = entry.head_at.unwrap_or(over).clamp(entry.started, over);
    let mut walk = Walk { now: entry.started, end: head, spent: Default::default() };
    walk.until(entry.read_at.unwrap_or(entry.started), Part::Request);
    let shared = entry.replayed || entry.cached == Some(Cached::Shared);
    // What the time is spent on between two steps depends on the one before.
    let mut between = if shared { Part::Another } else { Part::Gateway };
    for step in entry.steps() {
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
                between = Part::Pause;
            }
        }
    }
    walk.until(head, if shared { Part::Another } else { Part::Gateway });
    walk.end = over;
    walk.until(over, Part::Answer);
    let spent = Part::ALL.into_iter().zip(walk.spent);
    spent.filter(|(_, time)| !time.is_zero()).collect()
}
