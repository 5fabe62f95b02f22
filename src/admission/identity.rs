//! Whose slots these are: a keyed hash of the connection's token, or of the place where it stands,
//! which says nothing of either.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;

use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use crate::hex::{self, Hex};
use crate::secret::VendorToken;

/// A token, or the place of one, for who has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity([u8; 32]);

/// The key of the hash: without it nobody can try tokens on an identity.
pub(super) struct IdentityKey(Zeroizing<[u8; 32]>);

impl IdentityKey {
    /// For as long as this process lives.
    pub(super) fn of_process() -> Self {
        let mut octets = Zeroizing::new([0; 32]);
        getrandom::fill(octets.as_mut()).expect("the system has random bytes once it has booted");
        Self(octets)
    }

    /// The key in the file at `path`, which is made if it isn't there; `true` if it was made.
    pub(super) fn of_file(path: &Path) -> std::io::Result<(Self, bool)> {
        match fs::read(path).map(Zeroizing::new) {
            Ok(text) => {
                let octets: Option<[u8; 32]> = text.as_slice().try_into().ok();
                let damaged = || {
                    std::io::Error::other(
                        "'key' is damaged: it has 32 octets; remove it, and slots count as used",
                    )
                };
                Ok((Self(Zeroizing::new(octets.ok_or_else(damaged)?)), false))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = Self::of_process();
                let new = path.with_extension("new");
                let mut file = OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .mode(0o600)
                    .open(&new)?;
                file.write_all(key.0.as_slice())?;
                file.sync_all()?;
                fs::rename(new, path)?;
                Ok((key, true))
            }
            Err(error) => Err(error),
        }
    }

    /// For all gateways that share a store. Each must find the same identity without a word of the
    /// others: what keeps tokens from being guessed is their own length.
    pub(super) fn of_fleet() -> Self {
        Self(Zeroizing::new(Sha256::digest(b"tollgate: slots of replicas, 1").into()))
    }

    pub(super) fn of(&self, token: &VendorToken) -> Identity {
        Identity(token.keyed_hash(&self.0))
    }

    /// The place where a token stands; no token has its identity.
    pub(super) fn of_place(&self, reference: &str) -> Identity {
        let key = self.0.as_slice();
        let inner =
            Sha256::new().chain_update(key).chain_update("\0place\0").chain_update(reference);
        Identity(Sha256::new().chain_update(key).chain_update(inner.finalize()).finalize().into())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        hex::octets(text.as_bytes()).map(Self).ok_or(())
    }
}

#[cfg(test)]
pub(super) const fn testing(octet: u8) -> Identity {
    Identity([octet; 32])
}
