//! Why a request has no valid key, in one word.

/// What was presented in place of a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nothing, or several of one kind.
    None,
    /// Something that is no gateway key, such as a Courier token.
    Foreign,
    /// A key whose id nobody has.
    Unknown,
    /// A key that was good until it expired.
    Expired,
    /// The id of a key, with another secret.
    Wrong,
    /// A key that was good until an operator revoked it.
    Revoked,
}

impl Denied {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Foreign, Self::Unknown, Self::Expired, Self::Wrong, Self::Revoked];

    /// The word in labels and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Wrong => "wrong",
            Self::Revoked => "revoked",
        }
    }
}
