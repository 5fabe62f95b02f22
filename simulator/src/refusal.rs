//! Answers that no operation makes: refused credentials, limits, sizes, and validators.

use bytes::Bytes;

use crate::hash::fnv;
use crate::limits::Refused;
use crate::reply::{Body, Reply};
use crate::request::Request;
use crate::switches::{RefusalBody, RetryAfter, Switches};
use crate::time::Wall;

/// The answer to a missing or bad credential.
///
/// PH saw the text of the 403 live. Users of the mobile SDK report that of the 401.
pub(crate) fn credential(status: u16) -> Reply {
    let message = if status == 401 {
        "Unauthorized"
    } else {
        "Invalid or missing authentication credentials"
    };
    Reply::error(status, "authentication_error", message)
}

/// 429. Neither its body nor its headers are documented.
pub(crate) fn limited(switches: &Switches, refused: &Refused, wall: Wall) -> Reply {
    let words = "Rate limit exceeded";
    let mut reply = page(429, switches.rate_limit_body, &switches.rate_limit_type, words);
    let (ms, seconds) = (refused.wait.div_ceil(1000), refused.wait.div_ceil(1_000_000));
    match switches.retry_after {
        RetryAfter::None => {}
        RetryAfter::Seconds => reply.set("retry-after", &seconds.to_string()),
        RetryAfter::Date => reply.set("retry-after", &wall.plus_ms(seconds * 1000).http_date()),
        RetryAfter::Millis => {
            reply.set("retry-after", &seconds.to_string());
            reply.set("retry-after-ms", &ms.to_string());
        }
    }
    if switches.rate_limit_headers {
        reply.set("x-ratelimit-limit", &refused.calls.to_string());
        reply.set("x-ratelimit-remaining", "0");
        reply.set("x-ratelimit-reset", &seconds.to_string());
    }
    reply
}

/// A body over 6 MB.
pub(crate) fn too_large(form: RefusalBody) -> Reply {
    page(413, form, "invalid_request_error", "Request Entity Too Large")
}

fn page(status: u16, form: RefusalBody, kind: &str, words: &str) -> Reply {
    match form {
        RefusalBody::Json => Reply::error(status, kind, words),
        RefusalBody::Html => {
            let html = format!("<html><body><h1>{status} {words}</h1></body></html>");
            Reply::text(status, "text/html", html)
        }
        RefusalBody::Empty => Reply::empty(status),
    }
}

/// Adds `ETag` and `Cache-Control`. If the client has this version, the answer becomes a 304.
pub(crate) fn validators(request: &Request, reply: &mut Reply, policy: &str) {
    let Body::Bytes(body) = &reply.body else {
        return;
    };
    let tag = format!("\"{:016x}\"", fnv(body));
    if request.field("if-none-match").is_some_and(|wanted| wanted.contains(&tag)) {
        (reply.status, reply.body) = (304, Body::Bytes(Bytes::new()));
        reply.headers.retain(|(name, _)| name != "content-type");
    }
    reply.set("etag", &tag);
    reply.set("cache-control", policy);
}
