//! `/.tollgate/health` on the data port: for load balancers, without key, record or quota.

use http::{Method, StatusCode, Version, header};

use crate::call::{self, Reply};

/// The path that never reaches the stack.
pub const PATH: &str = "/.tollgate/health";

/// 200 while new requests are welcome, else 503 and why not.
#[must_use]
pub fn answer(method: &Method, unready: Option<&'static str>) -> Reply {
    let (status, text) = match (method, unready) {
        (&Method::GET | &Method::HEAD, None) => (StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, Some(why)) => (StatusCode::SERVICE_UNAVAILABLE, why),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n"),
    };
    plain(status, text)
}

/// 400 to a request of which it is not clear whom it is for or where it ends.
#[must_use]
pub fn unclear(version: Version, detail: &'static str) -> Reply {
    let mut reply = plain(StatusCode::BAD_REQUEST, detail);
    if version < Version::HTTP_2 {
        let closes = header::HeaderValue::from_static("close");
        reply.headers_mut().insert(header::CONNECTION, closes);
    }
    reply
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Reply::new(call::full(text));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    reply
}
