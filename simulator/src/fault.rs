//! Faults on demand: what goes wrong, and for which calls. The README has a table of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// One fault: which calls it hits, and what happens to them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A name. A fault that is sent in a request header needs one to have `times`.
    #[serde(default)]
    pub id: Option<String>,
    /// Which calls it hits. By default it hits every call.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// Which calls a fault hits. A call must meet all conditions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// An operation id, such as `messages.send`, or a group with a dot and a star: `lists.*`.
    pub operation: Option<String>,
    /// A method.
    pub method: Option<String>,
    /// How the target begins.
    pub path: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// How many matching calls pass first.
    pub skip: u64,
    /// The fault ends after this many hits.
    pub times: Option<u64>,
    /// The share of matching calls that it hits, 0…1, drawn from the seed. Absent: all.
    pub probability: Option<f64>,
    /// It starts at this time since the start of the simulator, in ms.
    pub from_ms: Option<u64>,
    /// It ends at this time since the start of the simulator, in ms.
    pub until_ms: Option<u64>,
    /// Bursts: the fault begins anew every this many ms …
    pub every_ms: Option<u64>,
    /// … and lasts for this many ms.
    pub for_ms: Option<u64>,
}

/// What happens to a call. Absent parts change nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Effect {
    /// Time to the first byte, added to the general latency.
    pub latency: Option<Latency>,
    /// For this many ms reads see the state from before this write. So its effect comes after its
    /// answer.
    pub late_effect_ms: Option<u64>,
    /// Whether the call takes effect. By default it does, unless `answer` is an error or a
    /// redirect, or the stream is refused.
    pub commit: Option<bool>,
    /// Another answer.
    pub answer: Option<Answer>,
    /// Further answer headers.
    pub headers: BTreeMap<String, String>,
    /// How many further header fields are added: `x-filler-0`, `x-filler-1` and so on.
    pub many_headers: u32,
    /// Whether the answer repeats the token, in `x-echo-token` and in its error message. A careless
    /// vendor may do that.
    pub echo_token: bool,
    /// `Content-Encoding: gzip`.
    pub gzip: bool,
    /// Whether the body is sent in chunks instead of with a length.
    pub chunked: bool,
    /// What happens on the wire.
    pub wire: Option<Wire>,
}

/// An answer that replaces the real one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Any status, in Courier's error shape unless a body is given.
    Status {
        /// The status.
        status: u16,
        /// The body.
        #[serde(default)]
        body: Option<String>,
        /// The body's type; JSON by default.
        #[serde(default)]
        content_type: Option<String>,
        /// `Retry-After`, as it stands.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 429 with or without `Retry-After`.
    RateLimited {
        /// `Retry-After`, as it stands.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 401 or 403 with the type `authentication_error`: the credential is refused.
    Credential {
        /// 401 or 403.
        status: u16,
    },
    /// 403 that isn't about the credential.
    Forbidden,
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// `Location`.
        location: String,
    },
    /// The real status (200 for a 204) with a JSON content type and no body.
    EmptyJson,
    /// 200 with a JSON document of the given size.
    Large {
        /// The size.
        bytes: u64,
    },
}

/// What happens on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wire {
    /// The head comes in pieces.
    SlowHead {
        /// Bytes per piece.
        bytes: usize,
        /// Pause between, in ms.
        every_ms: u64,
    },
    /// The body comes in pieces.
    SlowBody {
        /// Bytes per piece.
        bytes: usize,
        /// Pause between, in ms.
        every_ms: u64,
    },
    /// FIN after this many bytes of head and body. 0 means no answer at all.
    Cut {
        /// The offset.
        after: u64,
    },
    /// RST after this many bytes of head and body.
    Reset {
        /// The offset.
        after: u64,
    },
    /// Nothing is ever sent.
    BlackHole,
    /// The body ends with the connection.
    CloseDelimited,
    /// The answer is the socket's last: `Connection: close`, or GOAWAY on HTTP/2.
    GoAway,
    /// RST_STREAM with REFUSED_STREAM, and no effect. In HTTP/2 it means "not begun, ask again"
    /// (RFC 9113, 8.7). On HTTP/1.1 the socket closes without an answer.
    RefusedStream,
    /// A head that breaks the grammar.
    MalformedHead {
        /// How.
        form: Malformed,
    },
    /// A head or body whose framing contradicts itself.
    ConflictingFraming {
        /// How.
        form: Conflict,
    },
    /// 101, although nobody asked for it.
    SwitchingProtocols,
    /// These bytes, base64, then FIN.
    Raw {
        /// The bytes.
        base64: String,
    },
}

/// How a head is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// Not HTTP at all.
    Garbage,
    /// `HTTP/9.9`.
    Version,
    /// A status that is not a number.
    Status,
    /// A field without a colon.
    NoColon,
    /// A NUL in a field's value.
    Nul,
    /// A space in a field's name.
    SpaceInName,
    /// A field folded over two lines.
    Folded,
    /// 1 MiB of head.
    Huge,
}

/// How the framing contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Two different lengths.
    TwoLengths,
    /// A length and chunks.
    LengthAndChunks,
    /// A length that is not a number.
    BadLength,
    /// A chunk size that is not a number.
    BadChunk,
    /// Chunks without the last one.
    Unfinished,
    /// Bytes after the body, as if they were the next answer.
    Trailing,
}

impl Effect {
    /// Whether the call takes effect.
    pub fn commits(&self) -> bool {
        self.commit.unwrap_or(match &self.answer {
            None if matches!(self.wire, Some(Wire::RefusedStream)) => false,
            None | Some(Answer::EmptyJson | Answer::Large { .. }) => true,
            Some(Answer::Status { status, .. }) => *status < 300,
            Some(
                Answer::RateLimited { .. }
                | Answer::Credential { .. }
                | Answer::Forbidden
                | Answer::Redirect { .. },
            ) => false,
        })
    }
}
