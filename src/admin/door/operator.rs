//! Who came in, and who did not.

use crate::error::{Code, Error};
use crate::identity::{Digest, Rights};
use crate::ids::KeyId;

use super::sessions::SessionId;

/// Who came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Operator {
    /// The public part of the key.
    pub(in crate::admin) key: KeyId,
    /// What it allows.
    pub(in crate::admin) rights: Rights,
    /// By what it came in.
    pub(super) proof: Proof,
}

/// By what an operator came in; each has the digest of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The key itself.
    Key(Digest),
    /// A session that was opened with it.
    Session(SessionId, Digest),
}

/// Who did not come in, or may not do what it wants.
pub(in crate::admin) struct NotLetIn {
    /// Why.
    pub(in crate::admin) error: Error,
    /// The public part of the key that it named, if that has the form of one.
    pub(in crate::admin) key: Option<KeyId>,
}

impl Operator {
    /// # Errors
    /// When the key only allows to look.
    pub(in crate::admin) fn may_change(&self) -> Result<(), Error> {
        match self.rights {
            Rights::Change => Ok(()),
            Rights::Read => Err(Error::refused(
                Code::ScopeMissing,
                format!(
                    "the key '{}' only allows to look: a change needs one with rights = \"change\"",
                    self.key.as_str()
                ),
            )),
        }
    }
}

impl Proof {
    pub(super) fn digest(&self) -> &Digest {
        match self {
            Self::Key(digest) | Self::Session(_, digest) => digest,
        }
    }
}

impl NotLetIn {
    /// NotLetIn for `error`, by nobody who is known.
    pub(in crate::admin) fn of(error: Error) -> Self {
        Self { error, key: None }
    }
}

impl From<Error> for NotLetIn {
    fn from(error: Error) -> Self {
        Self::of(error)
    }
}
