//! The tables of the operators' ports: `[ops]` and `[admin]`.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::expiry::Expiry;
use crate::history;
use crate::identity::{Digest, Rights};
use crate::ids::KeyId;

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

/// The admin port: who waits behind whom, and why a call was slow. It speaks plain HTTP and is
/// served only if there are keys.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address or host name, and port. Port 0 takes a free port, which the log names. If other
    /// machines can reach the address, put TLS before it: its keys are sent in clear text.
    #[serde(deserialize_with = "crate::address::deserialize")]
    pub listen: SocketAddr,
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
        let listen = SocketAddr::from(([127, 0, 0, 1], 9091));
        Self { listen, keys: Vec::new(), calls: history::PLACES }
    }
}

impl Admin {
    /// The warning for a port that other machines can reach.
    pub(super) fn is_open(&self) -> Option<String> {
        (!self.keys.is_empty() && !self.listen.ip().is_loopback()).then(|| {
            format!(
                "admin.listen = \"{}\" is reached by other machines, and its keys travel in clear text: use 127.0.0.1, or put TLS before it",
                self.listen
            )
        })
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
