//! What happens to client connections apart from requests, for those who count it.

/// One thing that happened to a client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was accepted.
    Opened,
    /// It is over.
    Closed,
    /// It was closed unserved: all places are taken, or its address holds as many as it may.
    TurnedAway,
    /// Its TLS handshake ended.
    Handshake(Handshake),
    /// No readable request came. hyper answers such heads by itself, or hangs up.
    Unreadable(Unreadable),
    /// It was closed because the client broke a time limit.
    TooSlow(TooSlow),
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Well.
    Done,
    /// Client and gateway did not agree, or the client left.
    Failed,
    /// It was not done in its time.
    Slow,
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A head that is not HTTP/1.1.
    Malformed,
    /// A head over the limits of size or fields.
    HeadTooLarge,
    /// An HTTP/2 connection on which the client broke the protocol.
    Protocol,
}

/// Which time limit was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooSlow {
    /// For the first request's head.
    NoRequest,
    /// For reading an answer.
    AnswerUnread,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Done, Self::Failed, Self::Slow];

    /// The word in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Slow => "slow",
        }
    }
}

impl Unreadable {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Malformed, Self::HeadTooLarge, Self::Protocol];

    /// The word in labels and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head-too-large",
            Self::Protocol => "protocol",
        }
    }

    /// Why the request could not be read, if the connection ended with `error` for that reason.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let hyper = error.downcast_ref::<hyper::Error>()?;
        if hyper.is_parse_too_large() {
            return Some(Self::HeadTooLarge);
        }
        if hyper.is_parse() {
            return Some(Self::Malformed);
        }
        let h2 = std::error::Error::source(hyper)?.downcast_ref::<h2::Error>()?;
        let ours = h2.is_go_away() && h2.is_library();
        (ours && h2.reason() != Some(h2::Reason::NO_ERROR)).then_some(Self::Protocol)
    }
}

impl TooSlow {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::NoRequest, Self::AnswerUnread];

    /// The word in labels and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRequest => "no-request",
            Self::AnswerUnread => "answer-unread",
        }
    }
}
