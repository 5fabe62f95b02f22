//! Refuses what no layer below should ever see: ambiguous requests, paths that mean two things, and
//! requests that have been here before.

use std::future::{Ready, ready};
use std::sync::Arc;

use http::{HeaderValue, Method, Version, header};
use tokio_util::either::Either;

use crate::call::{self, Next, Reply, Request, Stage, StageLayer, Staged};
use crate::error::{Code, Error};
use crate::record::layer::Opened;
use crate::{headers, hosts, paths};

/// Checks requests.
pub struct Validate {
    instance: Arc<str>,
    target_size: usize,
    head_size: usize,
    head_fields: usize,
}

impl Validate {
    /// `instance` is this gateway's name in `Via`; a target has at most `target_size` octets, a
    /// head at most `head_size` octets and `head_fields` fields.
    #[must_use]
    pub fn layer(
        instance: Arc<str>,
        target_size: usize,
        head_size: usize,
        head_fields: usize,
    ) -> StageLayer<Self> {
        StageLayer::new(Self { instance, target_size, head_size, head_fields })
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        if headers::came_through(request.headers(), &self.instance) {
            let detail = "the vendor's base URL leads back to this gateway";
            return Err(Error::refused(Code::Loop, detail));
        }
        message(request)?;
        if octets(request) > self.head_size {
            let detail = format!("a request head must not exceed {} octets", self.head_size);
            return Err(last(request, Error::refused(Code::HeadTooLarge, detail)));
        }
        if fields(request) > self.head_fields {
            let detail = format!("a request must not have more than {} fields", self.head_fields);
            return Err(Error::refused(Code::HeadTooLarge, detail));
        }
        let Some(target) = request.uri().path_and_query() else {
            return Err(Error::malformed("the request target must be a path"));
        };
        if target.as_str().len() > self.target_size {
            let detail = format!("the request target must not exceed {} octets", self.target_size);
            return Err(Error::refused(Code::TargetTooLong, detail));
        }
        paths::check(target.path()).map_err(Error::malformed)
    }
}

/// Octets of a head, without the blanks that mean nothing. The server holds no more of one that is
/// not whole; but it reads in pieces, and the last one, over TLS above all, may go beyond.
fn octets(request: &Request) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    target + fields.sum::<usize>()
}

/// Fields of a head. HTTP/1.1's are bounded where they are read, HTTP/2's only here; it may send a
/// cookie in pieces, a field each (RFC 9113 section 8.2.3).
fn fields(request: &Request) -> usize {
    let pieces = request.headers().get_all(header::COOKIE).iter().count();
    request.headers().len() - pieces.saturating_sub(1)
}

/// Whether it is clear whom a request is for and where it ends.
///
/// # Errors
/// What is unclear, for the caller; told by the last answer on an HTTP/1 connection.
pub fn message<B>(request: &http::Request<B>) -> Result<(), Error> {
    let clear = match *request.method() {
        Method::CONNECT => Err("the gateway is no tunnel"),
        _ => hosts::check(request).and_then(|()| framing(request)),
    };
    clear.map_err(|detail| last(request, Error::malformed(detail)))
}

/// The last answer on its connection: what stands behind an unclear request must not be read as the
/// next one (RFC 9112 sections 6.3 and 11.2, RFC 9931 for CONNECT). In HTTP/2 a stream ends by itself.
fn last<B>(request: &http::Request<B>, error: Error) -> Error {
    match request.version() {
        Version::HTTP_2 => error,
        _ => error.with_header(header::CONNECTION, HeaderValue::from_static("close")),
    }
}

/// One framing: at most one length, and no transfer coding but a single `chunked`.
fn framing<B>(request: &http::Request<B>) -> Result<(), &'static str> {
    let fields = request.headers();
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let coded = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err("the only transfer coding understood is chunked, once"),
    };
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(_), None) if !coded => Ok(()),
        _ => Err("the length of the body is given twice"),
    }
}

impl<S: Next<Opened>> Stage<S> for Validate {
    type Call = Opened;
    type Reply = Reply;
    type Error = Error;
    type Future = Either<S::Future, Ready<call::Result>>;

    fn call(this: &Staged<Self, S>, opened: Opened) -> Self::Future {
        match this.stage().check(&opened.request) {
            Ok(()) => Either::Left(this.pass(opened)),
            Err(error) => Either::Right(ready(Err(error))),
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, fields: &[(&str, &str)]) -> Request {
        let mut request = http::Request::builder().version(version).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(crate::call::empty()).unwrap()
    }

    fn code(request: &Request) -> Option<Code> {
        let screen =
            Validate { instance: "me".into(), target_size: 64, head_size: 1 << 10, head_fields: 8 };
        screen.check(request).err().map(|error| error.code)
    }

    #[test]
    fn a_request_has_one_framing() {
        let bad: [&[(&str, &str)]; 4] = [
            &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("host", "a"), ("transfer-encoding", "chunked, chunked")],
            &[("host", "a"), ("transfer-encoding", "gzip")],
            &[("host", "a"), ("content-length", "1"), ("content-length", "1")],
        ];
        for fields in bad {
            let request = request(Version::HTTP_11, "/", fields);
            assert_eq!(code(&request), Some(Code::MalformedRequest), "{fields:?}");
        }
    }

    #[test]
    fn a_request_that_came_back_is_a_loop() {
        let request = request(Version::HTTP_11, "/", &[("host", "a"), ("via", "1.1 tollgate-me")]);
        assert_eq!(code(&request), Some(Code::Loop));
    }

    #[test]
    fn a_long_target_is_refused() {
        let target = format!("/{}", "x".repeat(64));
        let request = request(Version::HTTP_11, &target, &[("host", "a")]);
        assert_eq!(code(&request), Some(Code::TargetTooLong));
    }

    #[test]
    fn a_head_is_bounded_in_octets_however_it_was_read() {
        let head = |length: usize| {
            let value = "x".repeat(length);
            request(Version::HTTP_11, "/lists", &[("host", "a"), ("x", &value)])
        };
        // `/lists`, `host: a` and `x: …` with their ends.
        let rest = 6 + 9 + 5;
        assert_eq!(code(&head(1024 - rest)), None);
        assert_eq!(code(&head(1024 - rest + 1)), Some(Code::HeadTooLarge));
    }
}
