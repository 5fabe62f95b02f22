//! A request as it arrived.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The largest body, 6 MB inclusive (GS).
pub const MAX_BODY: u64 = 6 * 1024 * 1024;

/// How the request was carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.0.
    #[serde(rename = "HTTP/1.0")]
    Http10,
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "HTTP/1.1")]
    Http11,
    /// HTTP/2. Such a request has no raw head.
    #[serde(rename = "HTTP/2")]
    Http2,
}

/// A whole request. Its texts hold one character per received byte (Latin-1), so nothing is lost.
#[derive(Clone, Default)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// The target: path and query, as sent.
    pub target: String,
    /// Names and values, in the order and case that were sent. On HTTP/2 names are lower case.
    pub headers: Vec<(String, String)>,
    /// The body, or its first 6 MB and one byte.
    pub body: Bytes,
    /// The body's whole length in bytes.
    pub body_len: u64,
    /// Request line and header lines, byte for byte. Empty on HTTP/2 and for requests that a test
    /// makes.
    pub raw_head: Bytes,
    /// How it was carried.
    pub protocol: Protocol,
    /// The number of its socket, from 1. It is 0 for requests that a test makes.
    pub socket: u64,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), ..Self::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Authorization: Bearer <token>`.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header("content-type", "application/json").bytes(value.to_string())
    }

    /// Sets the body.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.body_len = self.body.len() as u64;
        self
    }

    /// The first value of a header, by case-insensitive name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The bearer token, if there is exactly one `Authorization` and it is of that form.
    pub fn bearer(&self) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("authorization"));
        let (_, value) = values.next()?;
        if values.next().is_some() {
            return None;
        }
        let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer "))?.trim();
        (!token.is_empty()).then_some(token)
    }
}
