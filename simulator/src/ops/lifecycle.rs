//! The steps of a message's life, each a fixed time after the send.

use serde_json::Value;

use super::message::Message;
use crate::time::Wall;

/// How a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Delivered, and perhaps opened and clicked.
    Delivered {
        /// Whether it is opened, a minute later.
        opened: bool,
        /// Whether it is clicked, two minutes later.
        clicked: bool,
    },
    /// No contact to send to.
    Unroutable,
    /// The template or event is not known.
    Unmapped,
    /// The provider gives it back: addresses under `.invalid` (RFC 2606).
    Undeliverable,
    /// A `mock` key: all steps but the provider's (EK).
    Simulated,
}

impl Fate {
    /// The `error` text of the message, once it has one.
    pub(crate) const fn error(self) -> Option<&'static str> {
        match self {
            Self::Unroutable => Some("No valid delivery channel"),
            Self::Unmapped => Some("No notification mapped to the event"),
            Self::Undeliverable => Some("Address does not exist"),
            Self::Delivered { .. } | Self::Simulated => None,
        }
    }
}

const BEGIN: [(&str, u64); 5] = [
    ("ENQUEUED", 0),
    ("MAPPED", 50),
    ("PROFILE_LOADED", 100),
    ("FILTERED", 150),
    ("RENDERED", 300),
];

/// When a message taken in at `enqueued` goes on: `delay.duration` in ms, or `delay.until` as a date (OA). Opening hours are not read.
pub(crate) fn due(ask: &Value, enqueued: Wall) -> Wall {
    let delay = &ask["delay"];
    let after = delay["duration"].as_u64().map(|ms| enqueued.plus_ms(ms));
    let until = || delay["until"].as_str().and_then(Wall::parse_iso);
    after.or_else(until).unwrap_or(enqueued).max(enqueued)
}

/// Type and time of each step, in order of time. The types are those of the history (D2).
pub(crate) fn steps(message: &Message) -> impl Iterator<Item = (&'static str, Wall)> + use<> {
    let (begin, tail): (usize, &[(&str, u64)]) = match message.fate {
        Fate::Unmapped => (1, &[("UNMAPPED", 50)]),
        Fate::Unroutable => (4, &[("UNROUTABLE", 300)]),
        Fate::Undeliverable => (5, &[("SENT", 1000), ("UNDELIVERABLE", 2000)]),
        Fate::Simulated => (5, &[("SIMULATED", 1000)]),
        Fate::Delivered { opened: false, .. } => (5, &[("SENT", 1000), ("DELIVERED", 2000)]),
        Fate::Delivered { clicked: false, .. } => {
            (5, &[("SENT", 1000), ("DELIVERED", 2000), ("OPENED", 60_000)])
        }
        Fate::Delivered { .. } => {
            (5, &[("SENT", 1000), ("DELIVERED", 2000), ("OPENED", 60_000), ("CLICKED", 120_000)])
        }
    };
    let (enqueued, due, end) = (message.enqueued, message.due, message.canceled);
    let at = move |ms: u64| if ms == 0 { enqueued } else { due.plus_ms(ms) };
    let planned = BEGIN.iter().take(begin).chain(tail).map(move |(kind, ms)| (*kind, at(*ms)));
    planned
        .filter(move |(_, at)| end.is_none_or(|end| *at < end || *at == enqueued))
        .chain(end.map(|end| ("CANCELED", end)))
}
