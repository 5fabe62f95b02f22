//! What each answer tells a browser: that it may not be framed, read by other pages or kept, and
//! that the page runs only what comes from this port.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::call::Reply;

/// No script and no style stands in the page itself, and its forms are sent by its scripts.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FIELDS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// `reply` to a request for `path`, with them.
pub(super) fn guarded(mut reply: Reply, path: &str) -> Reply {
    let headers = reply.headers_mut();
    for (name, value) in FIELDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page and its parts say themselves how long they may be kept; they hold no data.
    if path.starts_with("/api/") || !headers.contains_key(header::CACHE_CONTROL) {
        no_store(headers);
    }
    reply
}

fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
