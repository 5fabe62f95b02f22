//! The words for where the time of a call went. It is split in [`crate::record::Breakdown`].

use std::time::Duration;

use super::Entry;
use crate::record::Cached;

/// What a stretch of time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimePart {
    /// Receiving the request with its body.
    Request,
    /// Waiting for its turn.
    Queue,
    /// Waiting between two attempts.
    Pause,
    /// Getting a socket to the vendor.
    Connect,
    /// Waiting for the head of the vendor's answer.
    Vendor,
    /// Waiting for another, equal call.
    Another,
    /// Everything else before the head.
    Gateway,
    /// Handing over the answer's body.
    Answer,
}

impl TimePart {
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

/// The parts of a call that took any time, in the order of [`TimePart`]; their sum is its total.
pub(super) fn parts(entry: &Entry) -> Vec<(TimePart, Duration)> {
    let time = entry.time();
    // A call that shares the answer of another one has no steps of its own while it waits for that
    // one.
    let shared = entry.replayed || entry.cached == Some(Cached::Shared);
    let parts = [
        (TimePart::Request, time.upload),
        (TimePart::Queue, time.queue),
        (TimePart::Pause, time.backoff),
        (TimePart::Connect, time.connect),
        (TimePart::Vendor, time.vendor),
        (if shared { TimePart::Another } else { TimePart::Gateway }, time.gateway),
        (TimePart::Answer, time.delivery),
    ];
    parts.into_iter().filter(|(_, time)| !time.is_zero()).collect()
}
