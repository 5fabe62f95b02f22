//! Where vendor tokens come from: by reference only, never written into the configuration.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::ids::ConnectionId;
use crate::secret::VendorToken;

/// The tokens of all connections.
pub type Tokens = HashMap<ConnectionId, VendorToken>;

/// A reference to a token; the token may stand with or without the word `Bearer`.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum TokenSource {
    /// A file that holds the token and nothing else.
    File(PathBuf),
    /// An environment variable of the gateway's process.
    Env(String),
}

impl TokenSource {
    /// Reads the token now.
    ///
    /// # Errors
    /// What is wrong with the source, without any of its contents.
    pub fn read(&self) -> Result<VendorToken, String> {
        let (place, text) = match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    format!("token file '{}' cannot be read: {}", path.display(), error.kind())
                })?;
                (format!("token file '{}'", path.display()), text)
            }
            Self::Env(name) => {
                let text = std::env::var(name).map_err(|_| {
                    format!("environment variable '{name}' is not set: it must hold the token")
                })?;
                (format!("environment variable '{name}'"), text)
            }
        };
        let text = Zeroizing::new(text);
        VendorToken::parse(&text).map_err(|reason| format!("{place} {reason}"))
    }
}

/// Marks an answer by which the vendor refused the token of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The token's source has another one by now, which the next attempt will use.
    pub changed: bool,
}
