//! An answer, and how it is written to the wire.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::time::Micros;

/// What follows the head.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing, and no content type.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A JSON document of exactly this many bytes, made while it is written: `{"filler":"aaa…"}`.
    Filler(u64),
}

impl Body {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(b) => b.len() as u64,
            Self::Filler(n) => *n,
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How the end of the body is marked (HTTP/1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`; nothing at all on a 204.
    #[default]
    Length,
    /// Chunks.
    Chunked,
    /// The end of the connection.
    Close,
}

/// Bytes at a time, and the pause between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes per piece, at least 1.
    pub bytes: usize,
    /// Pause after each piece.
    pub every: Micros,
}

/// How the exchange ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The whole answer is written.
    #[default]
    Complete,
    /// This many bytes of head and body are written, then FIN.
    Cut(u64),
    /// This many bytes are written, then RST. Without TCP the stream is dropped.
    Reset(u64),
    /// No answer: REFUSED_STREAM on HTTP/2, FIN on HTTP/1.1.
    Refused,
    /// Nothing is ever written. The socket stays open until the client leaves.
    BlackHole,
}

/// What the server has to do besides writing the answer.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// When the first byte may be written, counted from the arrival.
    pub first_byte: Micros,
    /// How the head is written. If absent, it is written at once.
    pub head: Option<Pace>,
    /// How the body is written. If absent, it is written at once.
    pub body: Option<Pace>,
    /// How the end of the body is marked.
    pub framing: Framing,
    /// How the exchange ends.
    pub end: End,
    /// Whether the socket takes no further request: `Connection: close`, or GOAWAY on HTTP/2.
    pub last: bool,
    /// Bytes that replace the whole answer on HTTP/1.1. The socket closes after them. On HTTP/2 the
    /// stream is reset.
    pub raw: Option<Bytes>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names (lower case) and values (Latin-1), without framing fields.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: Body,
    /// How it is written to the wire.
    pub delivery: Delivery,
    /// The number of the journal entry, to report the end of the exchange. `/__admin` calls have
    /// none.
    pub entry: Option<u64>,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Empty,
            delivery: Delivery::default(),
            entry: None,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::text(status, "application/json", value.to_string())
    }

    /// An answer of any other type.
    pub fn text(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Bytes(body.into()),
            ..Self::empty(status)
        }
    }

    /// An error in Courier's shape, `{"message","type"}`.
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self::json(status, &json!({ "message": message, "type": kind }))
    }

    /// Sets a header. It replaces those of the same name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| n != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The first value of a header, by lower-case name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON, or `Null` if it is not JSON.
    pub fn value(&self) -> Value {
        match &self.body {
            Body::Bytes(b) => serde_json::from_slice(b).unwrap_or(Value::Null),
            Body::Empty | Body::Filler(_) => Value::Null,
        }
    }
}
