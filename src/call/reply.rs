//! An answer on its way up the stack.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Body;

use crate::error::Cause;
use crate::headers::FieldTexts;

/// A body that is here already, or arrives as it is read.
pub type StreamBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Cause>>;

/// An answer, with what the layers know of it.
#[derive(Debug)]
pub struct Reply {
    head: Head,
    body: StreamBody,
}

/// All of an answer but its body.
#[derive(Debug, Default)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// What lower layers tell higher ones.
    pub facts: Facts,
}

/// What is known of an answer beside its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The vendor set a cookie, which was taken off.
    pub had_cookie: bool,
    /// By this answer the vendor refused the connection's token.
    pub rejected: Option<Rejected>,
    /// By this answer the vendor refused the call for its own quota.
    pub throttled: Option<Throttled>,
}

/// The vendor refused the token of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The token's source has another one by now, which the next attempt will use.
    pub changed: bool,
}

/// What a vendor's 429 did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The pool that is closed.
    pub pool: String,
    /// For how long.
    pub pause: Duration,
    /// Calls are held back until then: the refused one may go back to its line. False where the
    /// quota only watches.
    pub held: bool,
}

/// A body that is already here.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> StreamBody {
    Either::Left(Full::new(bytes.into()))
}

/// No body.
#[must_use]
pub fn empty() -> StreamBody {
    Either::Left(Full::default())
}

/// A body that arrives as it is read.
#[must_use]
pub fn stream<B>(body: B) -> StreamBody
where
    B: Body<Data = Bytes, Error: Into<Cause>> + Send + 'static,
{
    Either::Right(body.map_err(Into::into).boxed_unsync())
}

/// A body that arrives as it is read; one that has ended already is none.
pub fn unless_ended<B>(body: B) -> StreamBody
where
    B: Body<Data = Bytes, Error: Into<Cause>> + Send + 'static,
{
    if body.is_end_stream() { empty() } else { stream(body) }
}

/// True when `head` tells the length `held`, once.
fn tells(head: &Head, held: u64) -> bool {
    let mut lines = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let told = lines.next().filter(|_| lines.next().is_none());
    told.is_some_and(|told| told.to_str().is_ok_and(|told| told.parse() == Ok(held)))
}

impl Throttled {
    /// The pause in whole seconds, rounded up, as `Retry-After` has it.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.pause.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

impl Reply {
    /// 200 with `body` and no field.
    #[must_use]
    pub fn new(body: StreamBody) -> Self {
        Self { head: Head::default(), body }
    }

    /// `head` with `body`.
    #[must_use]
    pub fn from_parts(head: Head, body: StreamBody) -> Self {
        Self { head, body }
    }

    /// Its head and its body.
    #[must_use]
    pub fn into_parts(self) -> (Head, StreamBody) {
        (self.head, self.body)
    }

    /// All but its body.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The status, to be changed.
    pub fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.head.status
    }

    /// The fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The fields, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// What lower layers tell higher ones.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.head.facts
    }

    /// The same, to be changed.
    pub fn facts_mut(&mut self) -> &mut Facts {
        &mut self.head.facts
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &StreamBody {
        &self.body
    }

    /// The body, without its head.
    #[must_use]
    pub fn into_body(self) -> StreamBody {
        self.body
    }

    /// The same answer to `method` with one framing, told by what it holds: its exact length, or the
    /// server's own for a body that streams. The answer to a HEAD tells the length that a GET would
    /// have, and holds nothing.
    #[must_use]
    pub fn framed(self, method: &Method, texts: &mut FieldTexts) -> Self {
        let (mut head, body) = self.into_parts();
        head.headers.remove(header::TRANSFER_ENCODING);
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let held = body.size_hint().exact();
        if !bodiless && method != Method::HEAD && held.is_some_and(|held| tells(&head, held)) {
            return Self::from_parts(head, body);
        }
        let told = head.headers.remove(header::CONTENT_LENGTH);
        let unread = method == Method::HEAD && body.is_end_stream();
        let length = match held {
            _ if bodiless => None,
            _ if unread => told,
            Some(held) => texts.number(held),
            None if method == Method::HEAD => told,
            None => None,
        };
        head.headers.extend(length.map(|length| (header::CONTENT_LENGTH, length)));
        // hyper leaves the body of an answer to HEAD out in HTTP/1.1 only.
        let body = if method == Method::HEAD { empty() } else { body };
        Self::from_parts(head, body)
    }

    /// The answer as a client reads it.
    #[must_use]
    pub fn into_response(self) -> http::Response<StreamBody> {
        let mut response = http::Response::new(self.body);
        *response.status_mut() = self.head.status;
        *response.headers_mut() = self.head.headers;
        response
    }
}
