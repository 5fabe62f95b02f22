//! Which host and which page a request names.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};

use crate::error::{Code, Error};

/// The host that `request` names, if it names one.
pub(super) fn named<B>(request: &Request<B>) -> Option<Authority> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (field, None) => field.and_then(|value| Authority::try_from(value.as_bytes()).ok()),
        _ => None,
    };
    request.uri().authority().cloned().or(field)
}

/// The address that a `Host` is, if it is no name. An address can't be made to point elsewhere.
pub(in crate::admin) fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The name that every machine has for itself.
pub(in crate::admin) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// No origin, as programs send it, or the page's own host; over TLS, if the port is `secure`.
pub(super) fn origin(headers: &HeaderMap, host: &Authority, secure: bool) -> Result<(), Error> {
    let own = |value: &HeaderValue| {
        read(value).is_some_and(|origin| {
            let scheme = origin.scheme();
            let coded = !secure || scheme == Some(&Scheme::HTTPS);
            scheme.is_some() && coded && origin.authority() == Some(host)
        })
    };
    if headers.get_all(header::ORIGIN).iter().all(own) {
        Ok(())
    } else {
        Err(refused("a page from elsewhere may not ask"))
    }
}

/// Whether the page that sends `headers` came over TLS.
pub(super) fn comes_over_tls(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(read);
    origin.is_some_and(|origin| origin.scheme() == Some(&Scheme::HTTPS))
}

fn read(value: &HeaderValue) -> Option<Uri> {
    value.to_str().ok()?.parse().ok()
}

pub(super) fn refused(detail: &'static str) -> Error {
    Error::refused(Code::OriginRefused, detail)
}
