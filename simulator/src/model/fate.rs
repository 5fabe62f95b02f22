//! How a message ends, and its steps until then. Each step comes a fixed time after the send.

/// The steps with which every message begins.
const BEGIN: [(&str, u64); 5] = [
    ("ENQUEUED", 0),
    ("MAPPED", 50),
    ("PROFILE_LOADED", 100),
    ("FILTERED", 150),
    ("RENDERED", 300),
];

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
    /// The provider returns it. This happens to addresses under `.invalid` (RFC 2606).
    Undeliverable,
    /// A `mock` key sent it: it goes through all steps but the provider's (EK).
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

    /// Type of each step and its time after the send in ms, in order of time.
    /// The types are those of the history (D2).
    pub(super) fn steps(self) -> impl Iterator<Item = (&'static str, u64)> {
        let (begin, tail): (usize, &[(&str, u64)]) = match self {
            Self::Unmapped => (1, &[("UNMAPPED", 50)]),
            Self::Unroutable => (4, &[("UNROUTABLE", 300)]),
            Self::Undeliverable => (5, &[("SENT", 1000), ("UNDELIVERABLE", 2000)]),
            Self::Simulated => (5, &[("SIMULATED", 1000)]),
            Self::Delivered { opened: false, .. } => (5, &[("SENT", 1000), ("DELIVERED", 2000)]),
            Self::Delivered { clicked: false, .. } => {
                (5, &[("SENT", 1000), ("DELIVERED", 2000), ("OPENED", 60_000)])
            }
            Self::Delivered { .. } => (
                5,
                &[("SENT", 1000), ("DELIVERED", 2000), ("OPENED", 60_000), ("CLICKED", 120_000)],
            ),
        };
        BEGIN.iter().take(begin).chain(tail).copied()
    }
}
