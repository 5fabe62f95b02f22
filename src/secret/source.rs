//! Where vendor tokens come from: by reference only, never written into the configuration.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use crate::ids::ConnectionId;
use crate::secret::{self, VendorToken};

/// Octets from which on what begins like a token is taken for one: Courier's have more.
const LONG: usize = 24;

/// The tokens of all connections.
pub type Tokens = HashMap<ConnectionId, VendorToken>;

/// The tokens in use, each with where it is from.
pub type KnownTokens = HashMap<ConnectionId, (TokenSource, VendorToken)>;

/// A reference to a token; the token may stand with or without the word `Bearer`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum TokenSource {
    /// A file that holds the token and nothing else. Another one in it is used within two seconds.
    File(PathBuf),
    /// An environment variable of the gateway's process.
    Env(String),
}

/// One version of a file: another one differs in at least one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Seconds and nanoseconds; a copy may keep the first two, and nobody sets the others.
    written: [i64; 4],
    size: u64,
    inode: u64,
}

impl TokenSource {
    /// Reads the token now.
    ///
    /// # Errors
    /// What is wrong with the source, without any of its contents.
    pub fn read(&self) -> Result<VendorToken, String> {
        VendorToken::parse(&self.text()?).map_err(|reason| format!("{self} {reason}"))
    }

    /// True where the token itself seems to stand in the place of its name: names are not that
    /// long.
    #[must_use]
    pub fn is_token_itself(&self) -> bool {
        let name = match self {
            Self::File(path) => path.as_os_str().as_encoded_bytes(),
            Self::Env(name) => name.as_bytes(),
        };
        let secret = secret::begins_as_couriers(name) || name.starts_with(b"tg_");
        secret && name.len() >= LONG
    }

    /// True for a file, which may change.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// True where nothing can have its name.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        match self {
            Self::File(path) => path.as_os_str().is_empty(),
            Self::Env(name) => name.is_empty() || name.contains(['=', '\0']),
        }
    }

    /// The value of a header field, marked sensitive; white space around it is dropped.
    ///
    /// # Errors
    /// What is wrong with the source, without any of its contents.
    pub fn header(&self) -> Result<HeaderValue, String> {
        let mut value = HeaderValue::from_str(self.text()?.trim())
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("{self} holds nothing that can stand in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A password: all that the source holds, but the end of its last line.
    ///
    /// # Errors
    /// What is wrong with the source, without any of its contents.
    pub fn password(&self) -> Result<SecretString, String> {
        let text = self.text()?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(format!("{self} is empty: it must hold the password"));
        }
        Ok(password.into())
    }

    /// Which version of its file this is; nothing where there is none to be seen.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        let Self::File(path) = self else { return None };
        let file = std::fs::metadata(path).ok()?;
        let written = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        Some(Stamp { written, size: file.size(), inode: file.ino() })
    }

    /// Why its file can't be read, and what to do.
    fn unreadable(&self, path: &Path, error: &std::io::Error) -> String {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => {
                let from = std::env::current_dir().unwrap_or_default();
                let from = match path.is_relative() {
                    true => format!(" (it is looked for in '{}')", from.display()),
                    false => String::new(),
                };
                format!("{self} is not there{from}: put the secret into it, or correct the path")
            }
            ErrorKind::PermissionDenied => {
                format!("{self} cannot be read by this user: let it, or run as the one who may")
            }
            ErrorKind::IsADirectory => {
                format!("{self} is a folder: name the file that holds the secret")
            }
            ErrorKind::InvalidData => format!("{self} is no text: it must hold the secret alone"),
            kind => format!("{self} cannot be read: {kind}"),
        }
    }

    fn text(&self) -> Result<Zeroizing<String>, String> {
        let text = match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| self.unreadable(path, &error))?
            }
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("{self} is not set: it must hold the secret"))?,
        };
        Ok(Zeroizing::new(text))
    }
}

/// As it is written in the configuration: where the secret is, never the secret.
impl serde::Serialize for TokenSource {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.is_token_itself() {
            return to.collect_str(self);
        }
        match self {
            Self::File(path) => to.collect_map([("file", path.to_string_lossy().as_ref())]),
            Self::Env(name) => to.collect_map([("env", name)]),
        }
    }
}

impl std::fmt::Display for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // It would be in a log.
            _ if self.is_token_itself() => f.write_str("a name that looks like a token"),
            Self::File(path) => write!(f, "file '{}'", path.display()),
            Self::Env(name) => write!(f, "environment variable '{name}'"),
        }
    }
}
