//! Refuses what no layer below should ever see: ambiguous requests, paths that mean two things, and
//! requests that have been here before.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{HeaderValue, Version, header};
use tower::{Layer, Service};

use super::Opened;
use crate::call::{Reply, Request};
use crate::error::{Code, Error};
use crate::headers;
use crate::paths;

/// Screens requests.
#[derive(Clone)]
pub struct ScreenLayer {
    instance: Arc<str>,
    target_size: usize,
}

/// See [`ScreenLayer`].
#[derive(Clone)]
pub struct Screen<S> {
    rules: ScreenLayer,
    inner: S,
}

// === impl ScreenLayer ===

impl ScreenLayer {
    /// `instance` is this gateway's name in `Via`; a target has at most `target_size` octets.
    #[must_use]
    pub fn new(instance: Arc<str>, target_size: usize) -> Self {
        Self { instance, target_size }
    }

    fn check(&self, request: &Request) -> Result<(), Error> {
        if headers::came_through(request.headers(), &self.instance) {
            let detail = "the vendor's base URL leads back to this gateway";
            return Err(Error::refused(Code::Loop, detail));
        }
        host(request)?;
        framing(request)?;
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

/// Exactly one host (RFC 9112 section 3.2, RFC 9113 section 8.3.1), and origin form.
fn host(request: &Request) -> Result<(), Error> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let (first, second) = (fields.next(), fields.next());
    let uri = request.uri();
    let agreed = match (request.version(), uri.authority(), first) {
        (Version::HTTP_2, Some(authority), None) => Some(authority.as_str()),
        (Version::HTTP_2, Some(authority), Some(host)) => {
            (host == authority.as_str()).then_some(authority.as_str())
        }
        (Version::HTTP_2, None, _) => None,
        // Absolute and authority form carry an authority in HTTP/1.1.
        (_, Some(_), _) => {
            return Err(Error::malformed("the request target must be a path, not a URL"));
        }
        (_, None, host) => host.and_then(|host| host.to_str().ok()),
    };
    let plain =
        |host: &str| !host.bytes().any(|b| b <= b' ' || b == b',' || b == b'@' || b == b'/');
    match agreed {
        Some(host) if second.is_none() && plain(host) => Ok(()),
        _ => Err(Error::malformed("exactly one Host is required")),
    }
}

/// One framing: at most one length, and no transfer coding but a single `chunked`.
fn framing(request: &Request) -> Result<(), Error> {
    let fields = request.headers();
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let coded = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => {
            return Err(Error::malformed("the only transfer coding understood is chunked, once"));
        }
    };
    let lengths: Vec<&HeaderValue> = fields.get_all(header::CONTENT_LENGTH).iter().collect();
    if lengths.len() > 1 || (coded && !lengths.is_empty()) {
        return Err(Error::malformed("the length of the body is given twice"));
    }
    Ok(())
}

impl<S> Layer<S> for ScreenLayer {
    type Service = Screen<S>;

    fn layer(&self, inner: S) -> Screen<S> {
        Screen { rules: self.clone(), inner }
    }
}

// === impl Screen ===

impl<S> Service<Opened> for Screen<S>
where
    S: Service<Opened, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = Either<S::Future, Ready<Result<Reply, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, opened: Opened) -> Self::Future {
        match self.rules.check(&opened.request) {
            Ok(()) => Either::Left(self.inner.call(opened)),
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
        let screen = ScreenLayer::new("me".into(), 64);
        screen.check(request).err().map(|error| error.code)
    }

    #[test]
    fn a_request_has_exactly_one_host() {
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(code(&request(h1, "/", &[("host", "a")])), None);
        assert_eq!(code(&request(h2, "http://a/", &[])), None);
        assert_eq!(code(&request(h2, "http://a/", &[("host", "a")])), None);
        let refused = [
            request(h1, "/", &[]),
            request(h1, "/", &[("host", "a"), ("host", "a")]),
            request(h1, "/", &[("host", "a, b")]),
            request(h1, "http://a/", &[("host", "a")]),
            request(h2, "http://a/", &[("host", "b")]),
            request(h2, "/", &[]),
        ];
        for request in &refused {
            assert_eq!(code(request), Some(Code::MalformedRequest), "{request:?}");
        }
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
}
