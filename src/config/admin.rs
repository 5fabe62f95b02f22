//! The tables of the operators' ports: `[ops]` and `[admin]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expiry::Expiry;
use super::tls_files::TlsFiles;
use crate::address::Network;
use crate::history;
use crate::identity::{Digest, Rights};
use crate::ids::KeyId;
use crate::words::read_as_text;

/// The operations port.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpsTable {
    /// Address or host name, and port. Port 0 takes a free port, which the log names.
    #[serde(deserialize_with = "crate::address::deserialize")]
    pub listen: SocketAddr,
}

impl Default for OpsTable {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 9090)) }
    }
}

/// The admin port.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address or host name, and port. Port 0 takes a free port, which the log names. If other
    /// machines can reach the address, `clients` must say which ones may, and there must be `tls`,
    /// or TLS before the port (`allow_plain_http`).
    #[serde(deserialize_with = "crate::address::deserialize")]
    pub listen: SocketAddr,
    /// Certificate and key. Without them the port speaks plain HTTP. A reload reads both again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Addresses and networks that may connect, such as `["127.0.0.1", "10.0.0.0/8"]`. Connections
    /// of all others are closed as they come. An empty list lets in whoever can reach the port.
    pub clients: Vec<Network>,
    /// Names that the `Host` may be besides `localhost` and addresses, such as
    /// `["ops.example.com"]`. They need `tls`, or `allow_plain_http`.
    pub hosts: Vec<OwnName>,
    /// `true` if other machines reach the port through something of yours that speaks TLS.
    pub allow_plain_http: bool,
    /// The file to which each act, and each refused one, is appended as one JSON line. It is opened
    /// again at each reload. The log has the same lines under the target `audit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<PathBuf>,
    /// Who may ask, made by `tollgate keys new --admin`. Without any the port is not served.
    /// `rights` is `"read"`, the default, or `"change"`. `expires` is as for an app's keys.
    #[serde(skip_serializing)]
    pub keys: Vec<AdminKey>,
    /// Calls that can be explained, at about 0.5 KiB each. So many are kept that waited, failed,
    /// were slow or were tried again, and so many others. The last 32 refused calls of each app are
    /// kept too.
    pub calls: usize,
}

/// The most calls of one kind: 50 MB of them.
pub(super) const MOST_CALLS: usize = 100_000;

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9091)),
            tls: None,
            clients: Vec::new(),
            hosts: Vec::new(),
            allow_plain_http: false,
            audit: None,
            keys: Vec::new(),
            calls: history::PLACES,
        }
    }
}

/// A name of this gateway: a host name without a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "String")]
pub struct OwnName(Box<str>);

read_as_text!(OwnName, "a host name in quotes, such as \"ops.example.com\"");

impl OwnName {
    /// The name, in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OwnName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match begins && text.chars().all(plain) {
            true => Ok(Self(text.to_ascii_lowercase().into())),
            false => Err(format!(
                "'{text}' is no host name: write it without scheme and port, such as \"ops.example.com\""
            )),
        }
    }
}

/// One key of an operator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table: { id = \"ops\", sha256 = \"…\" }, which `tollgate keys new --admin` prints"
)]
pub struct AdminKey {
    /// The part between `tg_` and the next `_`: a-z and 0-9, unique in the file.
    pub id: KeyId,
    /// SHA-256 of the whole key, in hex.
    pub sha256: Digest,
    /// From then on it is refused (RFC 3339), such as `"2027-03-01T00:00:00Z"`.
    #[serde(default)]
    pub expires: Option<Expiry>,
    /// `"read"`, or `"change"` for what changes something, too.
    #[serde(default)]
    pub rights: Rights,
}
