//! What is kept of a key: its SHA-256. Two are compared in constant time.

use std::fmt;

use sha2::Digest as _;
use subtle::ConstantTimeEq;

use crate::hex::{self, Hex};
use crate::words::read_as_text;

/// SHA-256 over a whole key string.
#[derive(Clone, PartialEq, Eq, Hash, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Digest([u8; 32]);

read_as_text!(Digest, "the 64 hex digits in quotes that `tollgate keys new` prints");

impl Digest {
    /// That of the key `key`.
    pub(super) fn of(key: &[u8]) -> Self {
        Self(sha2::Sha256::digest(key).into())
    }

    /// True if both are one; the time taken does not depend on where they differ.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The half by which a revocation knows it: enough to tell keys apart, too little to be one.
    #[must_use]
    pub fn print(&self) -> String {
        Hex(&self.0[..16]).to_string()
    }

    /// True for the hash in the examples and for the hash of nothing. No key has either.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.0.iter().all(|octet| *octet == self.0[0]) || *self == Self::of(b"")
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        const RULE: &str =
            "this is not a SHA-256: write the 64 hex digits that `tollgate keys new` prints";
        hex::octets(digits.as_bytes()).map(Self).ok_or(RULE)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
