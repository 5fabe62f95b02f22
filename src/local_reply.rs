//! Local replies: the gateway's own answers, on the port for its clients and on those for operators.
//!
//! Here they are made. How a HEAD is answered, and the length of a body, is said by [`Reply::framed`]
//! for every answer, Courier's too: in the stack by `ingress/finish`, elsewhere through [`answer`].

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;

use crate::call::{self, Reply, StreamBody};
use crate::error::{Code, Error};
use crate::headers::FieldTexts;
use crate::ids::RandomId;

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of problem documents (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
/// The media type of words for people.
pub const PLAIN: &str = "text/plain";

/// Room for the fields of an answer, so that it is made once.
const FIELDS: usize = 16;

/// Refuses a method that wants more than to read.
///
/// # Errors
/// 405 with `Allow`, which tells `detail`.
pub fn get_or_head(method: &Method, detail: &'static str) -> Result<(), Error> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    let allow = HeaderValue::from_static("GET, HEAD");
    Err(Error::refused(Code::MethodNotAllowed, detail).with_header(header::ALLOW, allow))
}

/// `text` of this media type.
#[must_use]
pub fn text(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::new(call::full(text));
    *reply.status_mut() = status;
    reply.headers_mut().reserve(FIELDS);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

/// 200 with `value` as it is now.
#[must_use]
pub fn json(value: &impl Serialize) -> Reply {
    let json = serde_json::to_vec(value).expect("strings, numbers and lists of them are JSON");
    no_store(text(StatusCode::OK, JSON, json))
}

/// The problem document of `error`, named as `media_type`, and the fields that it must carry.
#[must_use]
pub fn problem(error: Error, call_id: Option<RandomId>, media_type: &'static str) -> Reply {
    let document = text(error.code.status(), media_type, error.document(call_id));
    with_fields(no_store(document), error)
}

/// The detail of `error` for who reads no documents, and the fields that it must carry.
#[must_use]
pub fn plain(mut error: Error) -> Reply {
    let detail = std::mem::take(&mut error.detail).into_owned();
    with_fields(text(error.code.status(), PLAIN, detail), error)
}

/// `reply` as `method` is answered where no layer does it.
#[must_use]
pub fn answer(reply: Reply, method: &Method) -> Response<StreamBody> {
    reply.framed(method, &mut FieldTexts::empty()).into_response()
}

/// What it says is true at this moment only.
#[must_use]
pub fn no_store(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn with_fields(mut reply: Reply, error: Error) -> Reply {
    reply.headers_mut().extend(error.headers);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_wants_more_than_to_read_is_told_which_methods_do() {
        for method in [Method::GET, Method::HEAD] {
            assert!(get_or_head(&method, "why").is_ok());
        }
        for method in [Method::POST, Method::OPTIONS, Method::from_bytes(b"get").unwrap()] {
            let refusal = || get_or_head(&method, "why").unwrap_err();
            for reply in [plain(refusal()), problem(refusal(), None, PROBLEM)] {
                assert_eq!(reply.status(), 405);
                assert_eq!(reply.headers()["allow"], "GET, HEAD");
            }
        }
    }
}
